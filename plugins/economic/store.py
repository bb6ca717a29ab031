"""The rows of the copy: syncs, staged and stored invoices, refused items, employees. Each function runs inside the caller's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from economic.database import Connection, Row, one, row, rows, run
from economic.errors import AgreementMismatch, RecordError
from economic.models import Agreement, Employee, Invoice, Totals
from economic.statements import statement
from economic.stats import Counts


@dataclass(frozen=True, slots=True)
class SyncRun:
    """The row of one sync, as it stands."""

    sync_id: int
    dag_id: str
    run_id: str
    run_type: str
    conn_id: str
    agreement_number: int | None
    scope: str
    date_from: date | None
    date_to: date | None
    force: bool
    phase: str
    status: str
    message: str
    idle: timedelta
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
    counts: Counts


@dataclass(frozen=True, slots=True)
class Rejection:
    """An item set aside: by its number, or by its own text when it has none."""

    invoice_number: int | None
    raw: str
    error: RecordError

    @property
    def key(self) -> str:
        """What tells the same item again at the next sync."""
        if self.invoice_number is not None:
            return f"invoice:{self.invoice_number}"
        return "sha256:" + hashlib.sha256(self.raw.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of a stretch of staged invoices."""

    staged: int
    created: int
    updated: int
    raw_changed: int


@dataclass(frozen=True, slots=True)
class HeldTotals:
    """What the copy holds: invoices not missing, their net sum in base currency, open rejections."""

    invoice_count: int
    net_amount_base: Decimal
    rejected: int


@dataclass(frozen=True, slots=True)
class EmployeeCache:
    """How many employees are known, whether all were fetched lately, and whether invoices name one never looked up."""

    known: int
    fresh: bool
    uncovered: bool


def open_sync_run(connection: Connection, **values: Any) -> int:
    """Open the row of a new sync; its id."""
    return int(one(connection, "open_sync_run", **values)["sync_id"])


def sync_run(connection: Connection, sync_id: int) -> SyncRun | None:
    """One sync's row."""
    return _sync_run(row(connection, "select_sync_run", sync_id=sync_id))


def sync_run_of_dag_run(connection: Connection, dag_id: str, run_id: str) -> SyncRun | None:
    """The newest sync that a DAG run began."""
    return _sync_run(row(connection, "select_sync_run_of_dag_run", dag_id=dag_id, run_id=run_id))


def _sync_run(found: Row | None) -> SyncRun | None:
    if found is None:
        return None
    totals = found.pop("totals")
    counts = Counts.from_json(found.pop("statistics"))
    staged = tuple(found.pop("staged_rows"))
    del found["started_at"], found["booked_count"]
    return SyncRun(
        totals=totals and Totals(totals["invoice_count"], Decimal(totals["net_amount_base"])),
        counts=counts,
        staged_rows=staged,
        **found,
    )


def close_sync_run(
    connection: Connection,
    sync_id: int,
    status: str,
    message: str,
    *,
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
        percentage=percentage,
        statistics=None if stored is None else Jsonb(stored),
    )
    return closed is not None


def bound_agreement(connection: Connection, conn_id: str) -> int | None:
    """The agreement that a connection id reached first, and may reach only."""
    found = row(connection, "select_agreement_of_connection", conn_id=conn_id)
    return None if found is None else found["agreement_number"]


def bind_agreement(connection: Connection, conn_id: str, agreement: Agreement) -> None:
    """Bind a connection id to the agreement it reached.

    :raises AgreementMismatch: it is bound to another one.
    """
    bound = row(connection, "select_agreement_of_connection", conn_id=conn_id)
    if bound is not None and bound["agreement_number"] != agreement.agreement_number:
        raise AgreementMismatch(
            f"The connection {conn_id} reached agreement {agreement.agreement_number} ({agreement.company_name}), but its rows "
            f"belong to agreement {bound['agreement_number']} ({bound['company_name']}). Nothing was written.",
            hint=(
                "Put the right tokens into the connection. If it has moved to another company on purpose, give the new company a "
                "connection id of its own."
            ),
        )
    run(connection, "upsert_agreement", conn_id=conn_id, **agreement._asdict())


def stage(connection: Connection, sync_id: int, page: int, invoices: Iterable[Invoice]) -> None:
    """Take a page of validated invoices into staging."""
    with connection.cursor() as cursor, cursor.copy(statement("stage_invoices")) as copy:
        for position, invoice in enumerate(invoices, start=1):
            copy.write_row((sync_id, page, position, *invoice))


def staged_rows(connection: Connection, sync_id: int) -> dict[int, int]:
    """Rows in staging by page."""
    return {
        found["page"]: found["staged"] for found in rows(connection, "count_staged_invoices", sync_id=sync_id)
    }


def upsert(
    connection: Connection, agreement_number: int, sync_id: int, page: int, first: int, last: int
) -> Upserted:
    """Take the staged invoices from position ``first`` to ``last`` of a page over into ``invoice``.

    :raises psycopg.DataError: a value is refused, by one of them.
    :raises psycopg.IntegrityError: a row is refused, one of them.
    """
    done = one(
        connection,
        "upsert_invoices",
        agreement_number=agreement_number,
        sync_id=sync_id,
        page=page,
        first_position=first,
        last_position=last,
    )
    if done["written"] < done["created"] + done["updated"] + done["raw_changed"]:
        raise LookupError(f"Page {page}: {done['written']} rows were written of those that differ: {done}.")
    return Upserted(done["staged"], done["created"], done["updated"], done["raw_changed"])


def staged_invoice(connection: Connection, sync_id: int, page: int, position: int) -> tuple[int, str]:
    """Number and raw item of one staged invoice."""
    found = one(connection, "select_staged_invoice", sync_id=sync_id, page=page, position=position)
    return found["invoice_number"], found["raw_data"]


def reject(
    connection: Connection, agreement_number: int, sync_id: int, rejections: Iterable[Rejection]
) -> None:
    """Set items aside, each with its reason and its own text."""
    for rejection in rejections:
        run(
            connection,
            "reject_invoice",
            agreement_number=agreement_number,
            item_key=rejection.key,
            invoice_number=rejection.invoice_number,
            field=rejection.error.field,
            reason=rejection.error.reason,
            message=rejection.error.message,
            raw_data=rejection.raw.encode("utf-8", "backslashreplace").decode(),
            sync_id=sync_id,
        )


def resolve_stored(
    connection: Connection, agreement_number: int, sync_id: int, page: int, refused: Sequence[int]
) -> int:
    """Mark resolved what was refused once and was stored with this page; how many."""
    return run(
        connection,
        "resolve_stored_rejections",
        agreement_number=agreement_number,
        sync_id=sync_id,
        page=page,
        refused=list(refused),
    )


def held_totals(connection: Connection, agreement_number: int) -> HeldTotals:
    """What the copy holds of an agreement."""
    return HeldTotals(**one(connection, "select_held_totals", agreement_number=agreement_number))


def employee_cache(connection: Connection, agreement_number: int, cache_seconds: float) -> EmployeeCache:
    """How good the stored employees still are."""
    return EmployeeCache(
        **one(
            connection,
            "select_employee_cache",
            agreement_number=agreement_number,
            cache_seconds=cache_seconds,
        )
    )


def store_employees(
    connection: Connection, agreement_number: int, employees: Sequence[Employee]
) -> list[int]:
    """Take over the list of employees; the numbers that are in use but not on it."""
    numbers = [employee.employee_number for employee in employees]
    run(
        connection,
        "upsert_employees",
        agreement_number=agreement_number,
        numbers=numbers,
        names=[employee.name for employee in employees],
    )
    unknown = rows(connection, "mark_unknown_employees", agreement_number=agreement_number, listed=numbers)
    return sorted(found["employee_number"] for found in unknown)


def name_invoices(connection: Connection, agreement_number: int) -> int:
    """Write employees' names onto their invoices; how many changed."""
    return run(connection, "update_employee_names", agreement_number=agreement_number)


def age_seconds(connection: Connection, sync_id: int) -> float:
    """Seconds since a sync began, by the database's clock."""
    found = sync_run(connection, sync_id)
    return 0.0 if found is None else found.age_seconds
