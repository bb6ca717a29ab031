"""What a sync has fetched and not stored yet: rows of ``staged_invoice``. Each function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psycopg

from economic.db.sql import Connection, one, rows, statement
from economic.records.invoice import Invoice

UNREADABLE = (psycopg.DataError, psycopg.errors.StatementTooComplex)
"""What PostgreSQL says of JSON that it cannot hold: a number beyond its own, a nesting deeper than its stack."""


@dataclass(frozen=True, slots=True)
class StagedPage:
    """How many rows a page has in staging, and how many of them came exactly as they are stored."""

    rows: int
    known: int


def write(connection: Connection, sync_id: int, page: int, invoices: Callable[[], Iterable[Invoice]]) -> None:
    """Take a page of validated invoices in.

    :param invoices: gives them; called once more when PostgreSQL cannot read one of the items. Then they are staged as text, and those that
        cannot be read are refused when they are stored.
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
    """Take invoices in that came exactly as they are stored: by number alone."""
    with connection.cursor() as cursor, cursor.copy(statement("copy_unchanged_invoices")) as copy:
        for position, number in enumerate(numbers, start=first_position):
            copy.write_row((sync_id, page, position, number, True))


def pages(connection: Connection, sync_id: int) -> dict[int, StagedPage]:
    """What is staged of a sync, by page."""
    return {
        found["page"]: StagedPage(found["staged"], found["known"])
        for found in rows(connection, "select_staged_pages", sync_id=sync_id)
    }


def unchanged_count(connection: Connection, sync_id: int, first_page: int, last_page: int) -> int:
    """How many invoices of a stretch of staged pages were known again."""
    found = one(
        connection, "select_unchanged_count", sync_id=sync_id, first_page=first_page, last_page=last_page
    )
    return int(found["known"])


def invoice(connection: Connection, sync_id: int, page: int, position: int) -> tuple[int, str]:
    """Number and raw item of one staged invoice."""
    found = one(connection, "select_staged_invoice", sync_id=sync_id, page=page, position=position)
    return found["invoice_number"], found["raw_data"]
