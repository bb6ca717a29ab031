"""Invoices, rejections and reports of fields left out.

Each function runs inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from economic.db.runs import Counts
from economic.db.sql import Connection, Row, one, rows, run
from economic.errors import RecordError
from economic.records.fitting import DegradedField


@dataclass(frozen=True, slots=True)
class Rejection:
    """An item that cannot be stored, identified by its number or else by its text."""

    invoice_number: int | None
    raw: str
    error: RecordError

    @property
    def key(self) -> str:
        """Identify the same item at the next sync."""
        if self.invoice_number is not None:
            return f"invoice:{self.invoice_number}"
        return "sha256:" + hashlib.sha256(self.raw.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """Counts and sums of an agreement's copy, in base currency.

    Missing invoices count in ``missing_count`` only. ``without_base`` invoices have no net amount
    in base currency. ``overdue`` is by today's date in Copenhagen. ``credit`` has a negative
    remainder. ``rejected_count`` counts the open rejections, ``unheld_count`` those without a
    stored version. ``months`` counts the invoices dated in each of the last 24 months, by
    ``YYYY-MM``.
    """

    invoice_count: int
    net_amount_base: Decimal
    remainder_base: Decimal
    without_base: int
    open_count: int
    overdue_count: int
    overdue_base: Decimal
    credit_count: int
    missing_count: int
    rejected_count: int
    unheld_count: int
    base_currency: str | None
    months: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MissingCandidates:
    """Stored invoices that a complete full scan did not show.

    :param count: how many.
    :param numbers: the lowest of their numbers.
    :param unnumbered: items of that scan without a usable number; they may be among the candidates.
    """

    count: int
    numbers: list[int]
    unnumbered: int


def degraded_numbers(connection: Connection, agreement_number: int) -> set[int]:
    """Return the numbers of the invoices that are stored with a field left out."""
    found = rows(connection, "select_degraded_numbers", agreement_number=agreement_number)
    return {row["invoice_number"] for row in found}


def highest_number(connection: Connection, agreement_number: int) -> int | None:
    """Return the highest number of an invoice that was ever stored."""
    highest: int | None = one(connection, "select_highest_number", agreement_number=agreement_number)[
        "highest"
    ]
    return highest


def open_invoices(connection: Connection, agreement_number: int) -> dict[int, Decimal]:
    """Return the remainders that are not 0, by invoice number; missing ones are left out."""
    found = rows(connection, "select_open_invoices", agreement_number=agreement_number)
    return {row["invoice_number"]: row["remainder"] for row in found}


def settled_credit_notes(connection: Connection, agreement_number: int, numbers: Sequence[int]) -> set[int]:
    """Return the numbers of the settled credit notes of these invoices' customers."""
    if not numbers:
        return set()
    found = rows(
        connection, "select_settled_credit_notes", agreement_number=agreement_number, numbers=list(numbers)
    )
    return {row["invoice_number"] for row in found}


def rejected_numbers(connection: Connection, agreement_number: int) -> dict[int, int]:
    """Return the numbers of rejected invoices, each with the last sync that rejected it."""
    found = rows(connection, "select_rejected_numbers", agreement_number=agreement_number)
    return {row["invoice_number"]: row["last_sync_id"] for row in found}


def upsert(
    connection: Connection, agreement_number: int, sync_id: int, page: int, first: int, last: int
) -> Counts:
    """Store the staged invoices from position ``first`` to ``last`` of a page; return what changed.

    :raises psycopg.DataError: PostgreSQL rejects a value of one of them.
    :raises psycopg.IntegrityError: PostgreSQL rejects one of the rows.
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
    return Counts(
        created=done["created"],
        updated=done["updated"],
        unchanged=1 + last - first - done["created"] - done["updated"],
        raw_changed=done["raw_changed"],
        returned=done["returned"],
        invoices_named=done["named"],
    )


def reject(
    connection: Connection, agreement_number: int, sync_id: int, rejections: Iterable[Rejection]
) -> None:
    """Keep rejected items, each with its reason and its text."""
    for rejection in rejections:
        run(
            connection,
            "upsert_rejected_invoice",
            agreement_number=agreement_number,
            item_key=rejection.key,
            invoice_number=rejection.invoice_number,
            field=rejection.error.field,
            reason=rejection.error.reason,
            message=rejection.error.message,
            raw_data=rejection.raw.encode("utf-8", "backslashreplace").decode(),
            sync_id=sync_id,
        )


def report_degraded(
    connection: Connection,
    agreement_number: int,
    sync_id: int,
    degraded: Mapping[int, Sequence[DegradedField]],
    *,
    parsed: Collection[int],
) -> None:
    """Report the fields that invoices are stored without, and resolve older reports of them.

    :param parsed: the invoices whose reports these are all.
    """
    reports = [(number, *field) for number, fields in degraded.items() for field in fields]
    numbers, names, reasons, messages = zip(*reports, strict=True) if reports else ((), (), (), ())
    run(
        connection,
        "upsert_degraded_fields",
        agreement_number=agreement_number,
        sync_id=sync_id,
        numbers=list(numbers),
        fields=list(names),
        reasons=list(reasons),
        messages=list(messages),
        parsed=list(parsed),
    )


def resolve_stored(
    connection: Connection,
    agreement_number: int,
    sync_id: int,
    first_page: int,
    last_page: int,
    rejected: Sequence[int],
) -> int:
    """Resolve the rejections of invoices that were stored with these pages; return how many."""
    return run(
        connection,
        "update_rejections_stored",
        agreement_number=agreement_number,
        sync_id=sync_id,
        first_page=first_page,
        last_page=last_page,
        rejected=list(rejected),
    )


def stored_totals(connection: Connection, agreement_number: int) -> StoredTotals:
    """Return what the copy holds of an agreement."""
    return StoredTotals(**one(connection, "select_stored_totals", agreement_number=agreement_number))


def missing_candidates(
    connection: Connection, agreement_number: int, sync_id: int, most: int
) -> MissingCandidates:
    """Return which stored invoices a complete full scan, still in staging, did not show.

    :param most: how many of their numbers to return.
    """
    found = one(
        connection, "select_missing_candidates", agreement_number=agreement_number, sync_id=sync_id, most=most
    )
    return MissingCandidates(found["gone"], found["numbers"], found["unnumbered"])


def unmark_rejected(connection: Connection, agreement_number: int, sync_id: int) -> int:
    """Unmark missing invoices that a sync has seen again and rejected; return how many."""
    found = one(
        connection, "update_rejected_invoices_seen", agreement_number=agreement_number, sync_id=sync_id
    )
    return int(found["returned"])


def mark_missing(connection: Connection, agreement_number: int, numbers: Sequence[int]) -> int:
    """Mark invoices as missing; return how many were not marked before."""
    return run(
        connection, "update_missing_invoices", agreement_number=agreement_number, numbers=list(numbers)
    )


def rejections(connection: Connection, agreement_number: int, most: int) -> list[Row]:
    """Return rejected items without their text, the open ones first.

    A role that may not read values gets no messages either.
    """
    granted = one(connection, "select_rights")["rejected_values"]
    name = "select_rejections" if granted else "select_rejection_reasons"
    return rows(connection, name, agreement_number=agreement_number, most=most)


def unproven_lines(connection: Connection, agreement_number: int, most: int) -> list[Row] | None:
    """Return the invoices whose lines are not proven; None: the role may not read them."""
    if not one(connection, "select_rights")["line_checks"]:
        return None
    return rows(connection, "select_unproven_lines", agreement_number=agreement_number, most=most)
