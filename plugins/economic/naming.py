"""Phase three: employees' names onto the invoices, from a list that is asked for once an hour at most."""

from __future__ import annotations

import logging

from economic import store
from economic.attempt import Attempt, Client, stored_counts
from economic.database import run
from economic.errors import AnswerError, RecordError, RetriableError
from economic.models import Employee, read_employee
from economic.stats import Counts, SyncStatistics
from economic.sync import end

log = logging.getLogger(__name__)

_MOST_PAGES = 250


def populate_employee_names(attempt: Attempt, client: Client, cache_seconds: int) -> SyncStatistics:
    """Name the invoices' employees and end the sync.

    The names come from ``/employees``, which is asked only when the stored ones are older than ``cache_seconds``, when an invoice names an employee never
    looked up, or when the sync is forced. A name is never taken away. When e-conomic does not answer, the stored names serve and the sync
    ends ``completed_with_errors``.
    """
    attempt.write(lambda: _note(attempt, attempt.counts))
    problem = None
    cache = store.employee_cache(attempt.connection, attempt.lease.agreement_number, cache_seconds)
    if attempt.run.force or not cache.fresh or cache.uncovered:
        try:
            _refresh(attempt, _employees(client))
        except (RetriableError, AnswerError) as error:
            problem = f"the employee names could not be refreshed: {error.message}"
            log.warning("The employee names could not be refreshed, the stored ones serve: %s", error)
    attempt.committed(attempt.write(lambda: _name_invoices(attempt, cache_seconds)))
    return end(attempt, problem)


def _name_invoices(attempt: Attempt, cache_seconds: int) -> Counts:
    named = store.name_invoices(attempt.connection, attempt.lease.agreement_number)
    known = store.employee_cache(attempt.connection, attempt.lease.agreement_number, cache_seconds).known
    earlier = attempt.counts.employees
    counts = (
        attempt.counts
        + attempt.spent("names_seconds")
        + Counts(invoices_named=named, employees=known - earlier)
    )
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


def _employees(client: Client) -> list[Employee]:
    found: dict[int, Employee] = {}
    cursor: int | None = None
    for _ in range(_MOST_PAGES):
        page = client.employees_above(cursor)
        before = len(found)
        for item in page.items:
            try:
                employee = read_employee(item.value)
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


def _refresh(attempt: Attempt, employees: list[Employee]) -> None:
    unknown = attempt.write(
        lambda: store.store_employees(attempt.connection, attempt.lease.agreement_number, employees)
    )
    if unknown:
        log.warning("e-conomic lists no employee with number %s.", ", ".join(map(str, unknown)))
