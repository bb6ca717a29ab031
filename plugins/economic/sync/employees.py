"""The list of employees: asked of e-conomic for their names, and stored."""

from __future__ import annotations

import logging

from economic.db import invoices as store
from economic.db import runs
from economic.errors import RecordError
from economic.outside_text import listed
from economic.records.employee import Employee, parse_employee
from economic.sync.attempt import ENDS_A_SYNC, Attempt, Client, in_words

log = logging.getLogger(__name__)

_MOST_PAGES = 250


def refresh(
    attempt: Attempt, client: Client, cache_seconds: int, *, attempts: int | None = None
) -> str | None:
    """Ask for the employees unless the stored list still serves.

    Without the names a sync is whole: no failure to get them ends it, except a lost lease or database.

    :param cache_seconds: how long a list serves. One that was asked for by this sync always does; a forced sync takes no older one.
    :param attempts: how often each request is tried, when not as often as others.
    :return: what went wrong, None when nothing did.
    """
    age = runs.age_seconds(attempt.connection, attempt.run.sync_id)
    serves = age if attempt.run.force else max(age, cache_seconds)
    cache = store.employee_cache(attempt.connection, attempt.lease.agreement_number, serves)
    if cache.fresh and not cache.uncovered:
        return None
    try:
        attempt.check_agreement(client)
        employees = _list_employees(client, attempts)
    except ENDS_A_SYNC:
        raise
    except Exception as error:
        reason = in_words(error)
        log.warning("The employee names could not be refreshed, the stored ones serve: %s", reason)
        return f"the employee names could not be refreshed: {reason}"
    unknown = attempt.write(
        lambda: store.store_employees(
            attempt.connection, attempt.lease.agreement_number, attempt.run.sync_id, employees
        )
    )
    if unknown:
        log.warning(
            "e-conomic lists no employee with number %s.", listed([str(number) for number in unknown])
        )
    return None


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
