"""Employees, and their names on invoices. Each function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from economic.db.sql import Connection, one, rows, run
from economic.records.employee import Employee


@dataclass(frozen=True, slots=True)
class EmployeeCache:
    """How many employees are known, whether all are recent, and whether an invoice names another
    one.
    """

    known: int
    fresh: bool
    uncovered: bool


def employee_cache(connection: Connection, agreement_number: int, cache_seconds: float) -> EmployeeCache:
    """Return how recent and complete the stored employees are."""
    return EmployeeCache(
        **one(
            connection,
            "select_employee_cache",
            agreement_number=agreement_number,
            cache_seconds=cache_seconds,
        )
    )


def store_employees(
    connection: Connection, agreement_number: int, sync_id: int, employees: Sequence[Employee]
) -> list[int]:
    """Store the list of employees; return the numbers on invoices that are not listed."""
    numbers = [employee.employee_number for employee in employees]
    run(
        connection,
        "upsert_employees",
        agreement_number=agreement_number,
        numbers=numbers,
        names=[employee.name for employee in employees],
    )
    unknown = rows(
        connection,
        "upsert_unknown_employees",
        agreement_number=agreement_number,
        sync_id=sync_id,
        listed=numbers,
    )
    return sorted(found["employee_number"] for found in unknown)


def misnamed_stretches(connection: Connection, agreement_number: int, most: int) -> list[tuple[int, int]]:
    """Return the ranges of invoices without their employee's name: first and last number of each.

    :param most: the largest number of such invoices in a range.
    """
    found = rows(connection, "select_misnamed_ranges", agreement_number=agreement_number, rows=most)
    return [(stretch["first"], stretch["last"]) for stretch in found]


def name_invoices(connection: Connection, agreement_number: int, first: int, last: int) -> int:
    """Write employees' names onto a range of invoices; return how many changed."""
    return run(connection, "update_employee_names", agreement_number=agreement_number, first=first, last=last)
