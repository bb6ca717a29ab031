"""Employee names: the list, and phase three, which names invoices and ends the sync."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from economic.db import employees, runs
from economic.db.runs import Counts
from economic.db.sql import run
from economic.errors import RecordError
from economic.outside_text import listed
from economic.records.employee import Employee, parse_employee
from economic.sync.attempt import ENDS_A_SYNC, Attempt, Client, in_words, stored_counts
from economic.sync.ending import end

log = logging.getLogger(__name__)

_MOST_PAGES = 250
STRETCH = 5_000
"""How many invoices are named in one transaction at most."""


def populate_employee_names(attempt: Attempt, cache_seconds: int, *, proven: bool = False) -> dict[str, Any]:
    """Name the invoices that lack their employee's name or have an older one, and end the sync.

    Most invoices were stored with the name. Left are those of renamed employees, and those whose
    names could not be fetched before. A name is never removed. When e-conomic does not answer, the
    stored names are used and the sync ends ``completed_with_errors``.

    :param proven: see :func:`economic.sync.ending.end`.
    """
    attempt.write(lambda: _note(attempt, attempt.counts))
    agreement = attempt.lease.agreement_number
    # All invoices are looked through: needless where no list came since a full sync did.
    current = attempt.run.scope == "quick" and _list_serves(attempt, cache_seconds)
    problem = None if current else refresh_employees(attempt, cache_seconds)
    if not current:
        for first, last in employees.misnamed_stretches(attempt.connection, agreement, STRETCH):
            attempt.apply_commit(attempt.write(partial(_name_invoices, attempt, first, last)))
    known = employees.employee_cache(attempt.connection, agreement, cache_seconds).known
    counts = attempt.counts_so_far("names_seconds") + Counts(employees=known - attempt.counts.employees)
    attempt.write(lambda: _note(attempt, counts))
    attempt.apply_commit(counts)
    return end(attempt, problem, proven=proven)


def _name_invoices(attempt: Attempt, first: int, last: int) -> Counts:
    named = employees.name_invoices(attempt.connection, attempt.lease.agreement_number, first, last)
    counts = attempt.counts_so_far("names_seconds") + Counts(invoices_named=named)
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


def refresh_employees(attempt: Attempt, cache_seconds: int, *, attempts: int | None = None) -> str | None:
    """Fetch the employees unless the stored list is recent enough.

    A sync is complete without the names: only a lost lease or database ends it here.

    :param cache_seconds: how long a list may be used. A list fetched by this sync may always be
        used; a forced sync uses no older one.
    :param attempts: how often each request is tried, when not the usual number.
    :return: the problem, None without one.
    """
    if _list_serves(attempt, cache_seconds):
        return None
    try:
        attempt.check_agreement()
        listed_employees = _list_employees(attempt.client, attempts)
    except ENDS_A_SYNC:
        raise
    except Exception as error:
        reason = in_words(error)
        log.warning("The employee names could not be refreshed, the stored ones serve: %s", reason)
        return f"the employee names could not be refreshed: {reason}"
    unknown = attempt.write(
        lambda: employees.store_employees(
            attempt.connection, attempt.lease.agreement_number, attempt.run.sync_id, listed_employees
        )
    )
    if unknown:
        log.warning(
            "e-conomic lists no employee with number %s.", listed([str(number) for number in unknown])
        )
    return None


def _list_serves(attempt: Attempt, cache_seconds: int) -> bool:
    """Return whether the stored list is recent enough, and has every employee of the invoices."""
    age = runs.age_seconds(attempt.connection, attempt.run.sync_id)
    serves = age if attempt.run.force else max(age, cache_seconds)
    cache = employees.employee_cache(attempt.connection, attempt.lease.agreement_number, serves)
    return cache.fresh and not cache.uncovered


def _list_employees(client: Client, attempts: int | None) -> list[Employee]:
    found: dict[int, Employee] = {}
    cursor: int | None = None
    for _ in range(_MOST_PAGES):
        page = client.employees_above(cursor, attempts=attempts)
        before = len(found)
        for item in page.items:
            try:
                employee = parse_employee(item)
            except RecordError as error:
                log.warning("An employee was left out: %s", error.message)
            else:
                found[employee.employee_number] = employee
        if page.results <= len(page.items) or len(found) == before:
            break
        cursor = max(found)
    else:
        log.warning(
            "The list of employees does not end: %d of them were read, from %d pages.",
            len(found),
            _MOST_PAGES,
        )
    return list(found.values())
