"""The rows of syncs. Each function runs inside the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from economic.db.sql import Connection, Row, one, row
from economic.db.statistics import Counts
from economic.records.totals import Totals


class Owner(NamedTuple):
    """The DAG run that a sync belongs to, and its connection.

    :param run_key: random text that Airflow keeps for the DAG run. Run ids alone are equal in every Airflow.
    """

    dag_id: str
    run_id: str
    run_key: str
    conn_id: str


@dataclass(frozen=True, slots=True)
class SyncRun:
    """The row of one sync, as it stands."""

    sync_id: int
    dag_id: str
    run_id: str
    run_key: str
    clear_number: int
    run_type: str
    conn_id: str
    agreement_number: int | None
    scope: str
    date_from: date | None
    date_to: date | None
    force: bool
    accept_missing: bool
    phase: str
    status: str
    message: str
    scan_idle: timedelta | None
    scan_age: timedelta | None
    age_seconds: float
    scan_number: int
    scan_cursor: int | None
    scan_seen: int
    scan_drifted: bool
    staged_rows: tuple[int, ...]
    stored_pages: int
    total: int | None
    totals: Totals | None
    complete: bool
    reconciled: bool | None
    verdict: str | None
    warning: str | None
    counts: Counts

    @property
    def owner(self) -> Owner:
        """The DAG run that the sync belongs to, and its connection."""
        return Owner(self.dag_id, self.run_id, self.run_key, self.conn_id)


def open_sync_run(connection: Connection, **values: Any) -> int:
    """Open the row of a new sync; its id."""
    return int(one(connection, "open_sync_run", **values)["sync_id"])


def sync_run(connection: Connection, sync_id: int) -> SyncRun | None:
    """One sync's row."""
    nobody = {"dag_id": None, "run_id": None, "run_key": None, "conn_id": None}
    return _sync_run(row(connection, "select_sync_run", sync_id=sync_id, **nobody))


def sync_run_of(connection: Connection, owner: Owner) -> SyncRun | None:
    """Return the newest sync that this very DAG run began with this connection."""
    return _sync_run(row(connection, "select_sync_run", sync_id=None, **owner._asdict()))


def _sync_run(found: Row | None) -> SyncRun | None:
    if found is None:
        return None
    totals = found.pop("totals")
    counts = Counts.from_json(found.pop("statistics"))
    staged = tuple(found.pop("staged_rows"))
    return SyncRun(totals=totals and read_totals(totals), counts=counts, staged_rows=staged, **found)


def totals_json(totals: Totals) -> dict[str, int | str | None]:
    """E-conomic's totals as the sync's row keeps them: amounts as text."""
    remainder = None if totals.remainder_base is None else str(totals.remainder_base)
    return {
        "invoice_count": totals.invoice_count,
        "net_amount_base": str(totals.net_amount_base),
        "remainder_base": remainder,
    }


def read_totals(kept: dict[str, Any]) -> Totals:
    """Read what :func:`totals_json` wrote."""
    remainder = kept.get("remainder_base")
    return Totals(
        kept["invoice_count"],
        Decimal(kept["net_amount_base"]),
        None if remainder is None else Decimal(remainder),
    )


def close_sync_run(
    connection: Connection,
    sync_id: int,
    status: str,
    message: str,
    *,
    warning: str | None = None,
    counts: Counts | None = None,
    percentage: float | None = None,
    statistics: dict[str, Any] | None = None,
) -> bool:
    """Close a running sync's row; whether it was open."""
    stored = statistics if statistics is not None else counts and counts.to_json()
    closed = row(
        connection,
        "close_sync_run",
        sync_id=sync_id,
        status=status,
        message=message,
        warning=warning,
        percentage=percentage,
        statistics=None if stored is None else Jsonb(stored),
    )
    return closed is not None


def age_seconds(connection: Connection, sync_id: int) -> float:
    """Seconds since a sync began, by the database's clock."""
    found = sync_run(connection, sync_id)
    return 0.0 if found is None else found.age_seconds
