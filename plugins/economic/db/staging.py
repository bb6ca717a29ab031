"""Staged invoices: fetched and not stored yet. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psycopg

from economic.db.sql import Connection, one, rows, statement
from economic.records.invoice import Invoice

UNREADABLE = (psycopg.DataError, psycopg.errors.StatementTooComplex)
"""Errors for JSON that PostgreSQL cannot hold: a number too large, or nesting too deep."""


@dataclass(frozen=True, slots=True)
class StagedPage:
    """How many rows a page has in staging, and how many of them are unchanged."""

    rows: int
    unchanged: int


def write(connection: Connection, sync_id: int, page: int, invoices: Callable[[], Iterable[Invoice]]) -> None:
    """Stage a page of validated invoices.

    :param invoices: yields them. When PostgreSQL cannot read one of the items it is called again,
        and the items are staged as text: the unreadable ones are rejected when they are stored.
    """
    try:
        with connection.transaction():
            _copy(connection, "copy_invoices", sync_id, page, invoices())
    except UNREADABLE:
        _copy(connection, "copy_invoices_as_text", sync_id, page, invoices())


def _copy(connection: Connection, name: str, sync_id: int, page: int, invoices: Iterable[Invoice]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement(name)) as copy:
        for position, invoice in enumerate(invoices, start=1):
            copy.write_row((sync_id, page, position, *invoice))


def write_unchanged(
    connection: Connection, sync_id: int, page: int, first_position: int, numbers: Iterable[int]
) -> None:
    """Stage unchanged invoices, by number only."""
    with connection.cursor() as cursor, cursor.copy(statement("copy_unchanged_invoices")) as copy:
        for position, number in enumerate(numbers, start=first_position):
            copy.write_row((sync_id, page, position, number, True))


def pages(connection: Connection, sync_id: int) -> dict[int, StagedPage]:
    """Return the staged pages of a sync, by page number."""
    return {
        found["page"]: StagedPage(found["staged"], found["unchanged"])
        for found in rows(connection, "select_staged_pages", sync_id=sync_id)
    }


def unchanged_count(connection: Connection, sync_id: int, first_page: int, last_page: int) -> int:
    """Return how many invoices of a range of staged pages are unchanged."""
    found = one(
        connection, "select_unchanged_count", sync_id=sync_id, first_page=first_page, last_page=last_page
    )
    return int(found["unchanged"])


def invoice(connection: Connection, sync_id: int, page: int, position: int) -> tuple[int, str]:
    """Return number and raw item of one staged invoice."""
    found = one(connection, "select_staged_invoice", sync_id=sync_id, page=page, position=position)
    return found["invoice_number"], found["raw_data"]
