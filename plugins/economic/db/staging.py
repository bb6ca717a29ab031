"""Staged invoices: fetched and not stored yet. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from economic.db.sql import Connection, one, rows, statement
from economic.records.invoice import Invoice


class StagedPage(NamedTuple):
    """Rows of a staged page, and how many of them were not recognised as unchanged."""

    rows: int
    parsed: int


def write(
    connection: Connection, sync_id: int, page: int, first_position: int, invoices: Iterable[Invoice]
) -> None:
    """Stage validated invoices of a page; each is sent while the next one is parsed."""
    with connection.cursor() as cursor, cursor.copy(statement("copy_invoices")) as copy:
        for position, invoice in enumerate(invoices, start=first_position):
            copy.write_row((sync_id, page, position, *invoice))


def write_unchanged(
    connection: Connection, agreement_number: int, sync_id: int, page: int, digests: Mapping[int, bytes]
) -> list[int]:
    """Stage those invoices of a page that are stored exactly so; return their numbers.

    :param digests: of the page's items, by invoice number.
    """
    staged = one(
        connection,
        "insert_unchanged_invoices",
        agreement_number=agreement_number,
        sync_id=sync_id,
        page=page,
        numbers=list(digests),
        digests=list(digests.values()),
    )
    return list(staged["numbers"])


def pages(connection: Connection, sync_id: int, first: int, last: int) -> dict[int, StagedPage]:
    """Return what is staged of a sync's pages, by page number; a page without rows is left out."""
    found = rows(connection, "select_staged_pages", sync_id=sync_id, first_page=first, last_page=last)
    return {page["page"]: StagedPage(page["rows"], page["parsed"]) for page in found}


def invoice(connection: Connection, sync_id: int, page: int, position: int) -> tuple[int, str]:
    """Return number and raw item of one staged invoice."""
    found = one(connection, "select_staged_invoice", sync_id=sync_id, page=page, position=position)
    return found["invoice_number"], found["raw_data"]
