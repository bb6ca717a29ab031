"""Phase two: staging into ``invoice``, one transaction a page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import psycopg

from economic.db import invoices, staging
from economic.db.invoices import Rejection
from economic.db.runs import Counts
from economic.db.sql import run
from economic.errors import ContractChanged, RecordError
from economic.sync.attempt import Attempt, nothing_usable, percentage, stored_counts
from economic.sync.reconcile import reconcile

log = logging.getLogger(__name__)

_MOST_PARSED = 1000
_MOST_PAGES = 100
_WRONG_TABLE = "Look for a constraint or trigger on economic.invoice that is not this package's."


def upsert_invoices(attempt: Attempt) -> dict[str, Any]:
    """Store every staged page in ``invoice``, then compare the copy with e-conomic's totals.

    Only rows that differ are written. A row that PostgreSQL rejects is found by bisection of its
    page and kept aside; the others are stored.

    :return: the task's XCom: created, updated, unchanged, failed, missing, reconciled.
    :raises FatalError: staged rows are missing (PostgreSQL crashed meanwhile).
    """
    store_staged(attempt)
    reconcile(attempt)
    counts = attempt.counts
    return {
        "created": counts.created,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "failed": counts.failed,
        "missing": counts.missing,
        "reconciled": attempt.run.reconciled,
    }


def store_staged(attempt: Attempt) -> None:
    """Store the pages that are staged and not stored yet.

    :raises FatalError: staged rows are missing (PostgreSQL crashed meanwhile).
    """
    for first, last in _batches(attempt):
        _store_pages(attempt, first, last)


def _batches(attempt: Attempt) -> Iterator[tuple[int, int]]:
    """Yield the first and last page of each transaction: as many as a page's work allows."""
    staged = attempt.check_staging()
    first, parsed = attempt.run.stored_pages + 1, 0
    pages = len(attempt.run.staged_rows)
    for page in range(first, pages + 1):
        more = staged[page].parsed if page in staged else 0
        if page > first and (parsed + more > _MOST_PARSED or page - first == _MOST_PAGES):
            yield first, page - 1
            first, parsed = page, 0
        parsed += more
    if first <= pages:
        yield first, pages


def _store_pages(attempt: Attempt, first: int, last: int) -> None:
    counts, rejected = attempt.write(lambda: _write_pages(attempt, first, last))
    attempt.apply_commit(counts, stored_pages=last)
    for rejection in rejected:
        log.warning("Invoice %s was rejected: %s", rejection.invoice_number, rejection.error.message)


def _write_pages(attempt: Attempt, first: int, last: int) -> tuple[Counts, list[Rejection]]:
    now = attempt.run
    attempt.check_scan_age()
    stored, rejected = Counts(), []
    for page, staged in attempt.check_staging(first, last).items():
        if not staged.parsed:
            stored += Counts(unchanged=staged.rows)
            continue
        of_page: list[Rejection] = []
        stored += _store_stretch(attempt, page, 1, staged.rows, of_page)
        _stop_if_nothing_usable(of_page, staged.rows)
        rejected += of_page
    agreement = attempt.lease.agreement_number
    invoices.reject(attempt.connection, agreement, now.sync_id, rejected)
    numbers = [r.invoice_number for r in rejected if r.invoice_number is not None]
    invoices.resolve_stored(attempt.connection, agreement, now.sync_id, first, last, numbers)
    return _note_stored(attempt, last, stored), rejected


def _stop_if_nothing_usable(rejected: list[Rejection], rows: int) -> None:
    if nothing_usable(len(rejected), rows):
        raise ContractChanged(
            f"PostgreSQL rejected all {rows:,} invoices of a page, the last one because: {rejected[-1].error.message}",
            hint=_WRONG_TABLE,
        )


def _note_stored(attempt: Attempt, page: int, stored: Counts) -> Counts:
    now = attempt.run
    total = sum(now.staged_rows)
    counts = attempt.counts_so_far("upsert_seconds") + stored
    run(
        attempt.connection,
        "update_sync_run_stored",
        sync_id=now.sync_id,
        stored_pages=page,
        statistics=stored_counts(counts),
        current=counts.stored,
        total=total,
        percentage=percentage(counts, total),
        message=f"Stored {counts.stored:,} of {total:,} invoices (page {page} of {len(now.staged_rows)})",
    )
    return counts


def _store_stretch(attempt: Attempt, page: int, first: int, last: int, rejected: list[Rejection]) -> Counts:
    """Store a range of a page in one statement; bisect it when PostgreSQL rejects a row.

    A whole page that takes too long is halved once, so that each half has the whole time limit.

    :param rejected: gets the rows that PostgreSQL rejects.
    :return: what became of the rows.
    """
    try:
        with attempt.connection.transaction():
            return invoices.upsert(
                attempt.connection, attempt.lease.agreement_number, attempt.run.sync_id, page, first, last
            )
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.StatementTooComplex) as error:
        if first == last:
            rejected.append(_rejection(attempt, page, first, error))
            return Counts(failed=1)
    except psycopg.errors.QueryCanceled:
        if first == last or (first, last) != (1, attempt.run.staged_rows[page - 1]):
            raise
        log.warning("Page %d took too long; storing it in two halves.", page)
    middle = (first + last) // 2
    stored = _store_stretch(attempt, page, first, middle, rejected)
    return stored + _store_stretch(attempt, page, middle + 1, last, rejected)


def _rejection(attempt: Attempt, page: int, position: int, error: psycopg.Error) -> Rejection:
    number, raw = staging.invoice(attempt.connection, attempt.run.sync_id, page, position)
    text = error.diag.message_primary or type(error).__name__
    column = error.diag.column_name or error.diag.constraint_name or "(item)"
    reason = RecordError(
        f"PostgreSQL rejected it: {text}.", field=column, reason=f"sqlstate_{error.sqlstate}"
    )
    return Rejection(number, raw, reason)
