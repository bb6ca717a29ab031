"""Staged invoices: fetched and not stored yet. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from economic.db.sql import Connection, one, rows, statement
from economic.records.invoice import Invoice


def write(connection: Connection, sync_id: int, page: int, invoices: Iterable[Invoice]) -> None:
    """Stage a page of validated invoices; each is sent while the next one is parsed."""
    with connection.cursor() as cursor, cursor.copy(statement("copy_invoices")) as copy:
        for position, invoice in enumerate(invoices, start=1):
            copy.write_row((sync_id, page, position, *invoice))


def write_unchanged(
    connection: Connection, sync_id: int, page: int, first_position: int, numbers: Iterable[int]
) -> None:
    """Stage unchanged invoices, by number only."""
    with connection.cursor() as cursor, cursor.copy(statement("copy_unchanged_invoices")) as copy:
        for position, number in enumerate(numbers, start=first_position):
            copy.write_row((sync_id, page, position, number, True))


def pages(connection: Connection, sync_id: int) -> dict[int, int]:
    """Return how many rows each staged page of a sync has, by page number."""
    found = rows(connection, "select_staged_pages", sync_id=sync_id)
    return {page["page"]: page["staged"] for page in found}


def invoice(connection: Connection, sync_id: int, page: int, position: int) -> tuple[int, str]:
    """Return number and raw item of one staged invoice."""
    found = one(connection, "select_staged_invoice", sync_id=sync_id, page=page, position=position)
    return found["invoice_number"], found["raw_data"]
