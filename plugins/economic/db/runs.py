"""Syncs: their rows, their counts. Each function runs inside the caller's transaction."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from economic.db.sql import Connection, Row, one, row, run
from economic.records.totals import Totals


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one page, one phase or one whole sync; they add up with ``+``.

    ``fetched`` is every item that e-conomic delivered. At the end of a sync it is the sum of
    ``created``, ``updated``, ``unchanged``, ``failed``, ``duplicates`` and ``discarded``.
    ``raw_changed`` is a part of ``unchanged``: only the raw item differed. ``failed`` was rejected,
    by validation or by the database. ``discarded`` was fetched by a scan that was restarted.

    ``degraded`` (stored with a field left out) and ``returned`` (missing before) are counted among
    the created, updated and unchanged too. ``missing`` were marked as no longer shown.

    ``call_cost`` is by e-conomic's own count. ``rate_limit_used`` of ``rate_limit`` is the most
    that was used of its window, by everybody with these tokens; 0 when it did not tell.

    Seconds are wall-clock seconds; ``peak_memory_mb`` is the largest of the task processes.
    """

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    raw_changed: int = 0
    failed: int = 0
    degraded: int = 0
    duplicates: int = 0
    discarded: int = 0
    missing: int = 0
    returned: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    bytes: int = 0
    call_cost: int = 0
    rate_limit_used: int = 0
    rate_limit: int = 0
    employees: int = 0
    invoices_named: int = 0
    fetch_seconds: float = 0.0
    upsert_seconds: float = 0.0
    names_seconds: float = 0.0
    peak_memory_mb: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        for name in ("peak_memory_mb", "rate_limit_used", "rate_limit"):
            sums[name] = max(getattr(self, name), getattr(other, name))
        return Counts(**sums)

    @property
    def stored(self) -> int:
        """Items that this sync has put or found in ``invoice``."""
        return self.created + self.updated + self.unchanged

    @property
    def add_up(self) -> bool:
        """Whether every fetched item has exactly one outcome."""
        return self.fetched == self.stored + self.failed + self.duplicates + self.discarded

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> Counts:
        """Read what :meth:`to_json` wrote; ignore keys of another version."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: number for key, number in (value or {}).items() if key in known})

    def to_json(self) -> dict[str, int | float]:
        """Return plain numbers by name, seconds to the millisecond."""
        return {key: round(n, 3) if isinstance(n, float) else n for key, n in asdict(self).items()}


class Owner(NamedTuple):
    """The DAG run that a sync belongs to, and its connection.

    :param run_key: random text kept by Airflow for the DAG run: run ids are equal in every Airflow.
    """

    dag_id: str
    run_id: str
    run_key: str
    conn_id: str


@dataclass(frozen=True, slots=True)
class SyncRun:
    """The row of one sync."""

    sync_id: int
    owner: Owner
    clear_number: int
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
    totals: Totals | None
    complete: bool
    reconciled: bool | None
    warning: str | None
    counts: Counts


def sync_run(connection: Connection, sync_id: int) -> SyncRun | None:
    """Return one sync's row."""
    nobody = dict.fromkeys(Owner._fields)
    return _sync_run(row(connection, "select_sync_run", sync_id=sync_id, **nobody))


def sync_run_of(connection: Connection, owner: Owner) -> SyncRun | None:
    """Return the newest sync that this DAG run began with this connection."""
    return _sync_run(row(connection, "select_sync_run", sync_id=None, **owner._asdict()))


def _sync_run(found: Row | None) -> SyncRun | None:
    if found is None:
        return None
    owner = Owner(*[found.pop(name) for name in Owner._fields])
    totals = found.pop("totals")
    counts = Counts.from_json(found.pop("statistics"))
    staged = tuple(found.pop("staged_rows"))
    return SyncRun(
        owner=owner, totals=totals and read_totals(totals), counts=counts, staged_rows=staged, **found
    )


def as_json(values: dict[str, Any]) -> Jsonb:
    """Return values for the sync's row, amounts as text."""
    return Jsonb(values, dumps=partial(json.dumps, default=str))


def read_totals(kept: dict[str, Any]) -> Totals:
    """Read the totals of a sync's row."""
    remainder = kept.get("remainder_base")
    return Totals(
        kept["invoice_count"],
        Decimal(kept["net_amount_base"]),
        None if remainder is None else Decimal(remainder),
        kept.get("unpaid_count"),
    )


class QuickBasis(NamedTuple):
    """What a quick sync can build on.

    :param seen_all: whether a full sync has ended that saw every invoice.
    :param full_lately: whether a full one has just ended, or two have just failed.
    :param totals: those that the copy is proven to equal; None when it has to be read.
    :param reconciled: of the quick sync that proved it, as ``verdict``.
    """

    seen_all: bool
    full_lately: bool
    totals: Totals | None
    reconciled: bool | None
    verdict: str | None


def quick_basis(connection: Connection, agreement_number: int, lately: timedelta) -> QuickBasis:
    """Return what a quick sync that holds the lease can build on."""
    found = one(
        connection,
        "select_quick_basis",
        agreement_number=agreement_number,
        seconds=lately.total_seconds(),
    )
    totals = found.pop("totals")
    return QuickBasis(totals=totals and read_totals(totals), **found)


def close_sync_run(
    connection: Connection,
    sync_id: int,
    status: str,
    message: str,
    *,
    warning: str | None = None,
    percentage: float | None = None,
    statistics: dict[str, Any] | None = None,
) -> None:
    """Close a running sync's row; what is None stays as it is there."""
    run(
        connection,
        "update_sync_run_ended",
        sync_id=sync_id,
        status=status,
        message=message,
        warning=warning,
        percentage=percentage,
        statistics=None if statistics is None else Jsonb(statistics),
    )


def age_seconds(connection: Connection, sync_id: int) -> float:
    """Return the seconds since a sync began, by the database's clock."""
    found = sync_run(connection, sync_id)
    return 0.0 if found is None else found.age_seconds
