"""Phase three: the names that were not stored with their invoices, and the end of the sync."""

from __future__ import annotations

from functools import partial

from economic.db import invoices as store
from economic.db.sql import run
from economic.db.statistics import Counts, SyncStatistics
from economic.sync import employees
from economic.sync.attempt import Attempt, Client, stored_counts
from economic.sync.ending import end

STRETCH = 5_000
"""Names are written in transactions of at most this many invoices."""


def populate_employee_names(attempt: Attempt, client: Client, cache_seconds: int) -> SyncStatistics:
    """Name the invoices that lack their employee's name or have an older one, and end the sync.

    Most were stored with the name. Left are employees who were renamed, and those whose names could not be had before. A name is never
    taken away. When e-conomic does not answer, the stored names serve and the sync ends ``completed_with_errors``.
    """
    attempt.write(lambda: _note(attempt, attempt.counts))
    problem = employees.refresh(attempt, client, cache_seconds)
    agreement = attempt.lease.agreement_number
    for first, last in store.misnamed_stretches(attempt.connection, agreement, STRETCH):
        attempt.committed(attempt.write(partial(_name_invoices, attempt, first, last)))
    known = store.employee_cache(attempt.connection, agreement, cache_seconds).known
    counts = (
        attempt.counts + attempt.spent("names_seconds") + Counts(employees=known - attempt.counts.employees)
    )
    attempt.write(lambda: _note(attempt, counts))
    attempt.committed(counts)
    return end(attempt, problem)


def _name_invoices(attempt: Attempt, first: int, last: int) -> Counts:
    named = store.name_invoices(attempt.connection, attempt.lease.agreement_number, first, last)
    counts = attempt.counts + attempt.spent("names_seconds") + Counts(invoices_named=named)
    _note(attempt, counts)
    return counts


def _note(attempt: Attempt, counts: Counts) -> None:
    run(
        attempt.connection,
        "update_sync_run_naming",
        sync_id=attempt.run.sync_id,
        message="Filling in employee names",
        statistics=stored_counts(counts),
    )
