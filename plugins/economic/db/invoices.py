"""The rows of the copy: stored invoices, refused items, employees. Each function runs inside the caller's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from economic.db.sql import Connection, Row, one, rows, run
from economic.errors import RecordError
from economic.records.fitting import DegradedField


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
    returned: int
    named: int


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """What the copy holds of an agreement. Missing invoices count in ``missing_count`` alone; amounts are in base currency.

    ``without_base`` invoices have no net amount in base currency; ``overdue`` is by today's date in Copenhagen; ``credit`` has a negative
    remainder. ``rejected_count`` are the open rejections, ``unheld_count`` those of which no earlier version is held either.
    ``months`` are the invoices dated in each of the last 24 months, by ``YYYY-MM``.
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
    """Held invoices that a complete full scan did not show.

    :param count: how many.
    :param numbers: up to as many of them as were asked for.
    :param unnumbered: items of that scan without a usable number: they may be some of those gone.
    """

    count: int
    numbers: list[int]
    unnumbered: int


def digests(connection: Connection, agreement_number: int, numbers: Iterable[int]) -> dict[int, bytes]:
    """Of stored invoices, the digests they are known again by."""
    found = rows(connection, "select_digests", agreement_number=agreement_number, numbers=list(numbers))
    return {row["invoice_number"]: row["digest"] for row in found}


def upsert(
    connection: Connection, agreement_number: int, sync_id: int, page: int, first: int, last: int
) -> Upserted:
    """Take the staged invoices from position ``first`` to ``last`` of a page over into ``invoice``.

    :raises psycopg.DataError: a value is refused, by one of them.
    :raises psycopg.IntegrityError: a row is refused, one of them.
    """
    stretch = {
        "agreement_number": agreement_number,
        "sync_id": sync_id,
        "page": page,
        "first_position": first,
        "last_position": last,
    }
    added = one(connection, "insert_new_invoices", **stretch)
    if added["created"] + added["same"] == added["staged"]:
        return Upserted(added["staged"], added["created"], 0, 0, 0, added["named"])
    done = one(connection, "upsert_invoices", **stretch)
    if done["written"] < done["created"] + done["updated"] + done["raw_changed"]:
        raise LookupError(f"Page {page}: {done['written']} rows were written of those that differ: {done}.")
    return Upserted(
        staged=done["staged"],
        created=added["created"] + done["created"],
        updated=done["updated"],
        raw_changed=done["raw_changed"],
        returned=done["returned"],
        named=added["named"] + done["named"],
    )


def reject(
    connection: Connection, agreement_number: int, sync_id: int, rejections: Iterable[Rejection]
) -> None:
    """Set items aside, each with its reason and its own text."""
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
    unchanged: Collection[int],
) -> int:
    """Report which fields a page's invoices are stored without, and resolve what is right again.

    :param parsed: all invoices of the page that were parsed.
    :param unchanged: those that were recognised and not parsed: their reports stay as they are.
    :return: how many of the unchanged ones are stored with a field left out.
    """
    reports = [(number, *field) for number, fields in degraded.items() for field in fields]
    numbers, names, reasons, messages = zip(*reports, strict=True) if reports else ((), (), (), ())
    found = one(
        connection,
        "upsert_degraded_fields",
        agreement_number=agreement_number,
        sync_id=sync_id,
        numbers=list(numbers),
        fields=list(names),
        reasons=list(reasons),
        messages=list(messages),
        parsed=list(parsed),
        unchanged=list(unchanged),
    )
    return int(found["still_degraded"])


def resolve_stored(
    connection: Connection,
    agreement_number: int,
    sync_id: int,
    first_page: int,
    last_page: int,
    refused: Sequence[int] = (),
) -> int:
    """Mark resolved what was refused once and is stored with these pages; how many."""
    return run(
        connection,
        "update_rejections_stored",
        agreement_number=agreement_number,
        sync_id=sync_id,
        first_page=first_page,
        last_page=last_page,
        refused=list(refused),
    )


def stored_totals(connection: Connection, agreement_number: int) -> StoredTotals:
    """What the copy holds of an agreement."""
    return StoredTotals(**one(connection, "select_stored_totals", agreement_number=agreement_number))


def missing_candidates(
    connection: Connection, agreement_number: int, sync_id: int, most: int
) -> MissingCandidates:
    """What a complete full scan, still in staging, did not show of the invoices held.

    :param most: how many of their numbers to return.
    """
    found = one(
        connection, "select_missing_candidates", agreement_number=agreement_number, sync_id=sync_id, most=most
    )
    return MissingCandidates(found["gone"], found["numbers"], found["unnumbered"])


def unmark_refused(connection: Connection, agreement_number: int, sync_id: int) -> int:
    """Take the mark from missing invoices that a sync has seen again but could not read; how many."""
    found = one(
        connection, "update_rejected_invoices_seen", agreement_number=agreement_number, sync_id=sync_id
    )
    return int(found["returned"])


def mark_missing(connection: Connection, agreement_number: int, numbers: Sequence[int]) -> int:
    """Mark invoices as missing; how many were not marked before."""
    return run(
        connection, "update_missing_invoices", agreement_number=agreement_number, numbers=list(numbers)
    )


def rejections(connection: Connection, agreement_number: int, most: int) -> list[Row]:
    """Return rejected items, the open ones first; without their raw text, and without message for a role that may not read values."""
    granted = one(connection, "select_rights_on_values")["granted"]
    name = "select_rejections" if granted else "select_rejection_reasons"
    return rows(connection, name, agreement_number=agreement_number, most=most)
