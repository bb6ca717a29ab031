"""Which invoices and employees a request is about, by ascending number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from simulator.books import Employee
from simulator.filtering import Field, comparisons, day
from simulator.ledger import Ledger
from simulator.paging import Request, Window
from simulator.refusals import bad_query

INVOICE, EMPLOYEE = "bookedInvoiceNumber", "employeeNumber"
INVOICE_FIELDS = {
    INVOICE: Field(int, lambda invoice: invoice.number),
    "date": Field(day, lambda invoice: invoice.date),
}
EMPLOYEE_FIELDS = {EMPLOYEE: Field(int, lambda employee: employee.number)}


def invoices(
    ledger: Ledger, listed: Sequence[int], request: Request, window: Window
) -> tuple[Sequence[int], int]:
    """Return those of the listed numbers on the page asked for, and how many the filter selects."""
    _check_sort(request, INVOICE)
    wanted = comparisons(request.parameters.get("filter"), INVOICE_FIELDS)
    # Both found quickly: a copy of a million is read by them.
    chosen = [one for one in wanted if (one.field, one.operator) == (INVOICE, "in")]
    above = [one for one in wanted if (one.field, one.operator) == (INVOICE, "gt")]
    for one in chosen:
        listed = [number for number in sorted(one.value) if _holds(listed, number)]
    first = max((bisect_right(listed, one.value) for one in above), default=0)
    if len(wanted) == len(chosen) + len(above):
        rows = window.rows
        return listed[first + rows.start : first + rows.stop], len(listed) - first
    selected = [
        number for number in listed[first:] if all(one.matches(ledger.invoices[number]) for one in wanted)
    ]
    return selected[window.rows], len(selected)


def _holds(numbers: Sequence[int], number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number


def employees(ledger: Ledger, request: Request) -> list[Employee]:
    """Return the employees that the filter selects."""
    _check_sort(request, EMPLOYEE)
    wanted = comparisons(request.parameters.get("filter"), EMPLOYEE_FIELDS)
    return [
        employee
        for _, employee in sorted(ledger.staff.items())
        if all(one.matches(employee) for one in wanted)
    ]


def _check_sort(request: Request, key: str) -> None:
    # Undeclared without `sort`; the answers that were recorded ascend.
    sort = request.parameters.get("sort", key)
    if sort != key:
        raise bad_query("sort parameter", f"Sorting is not allowed on property '{sort}'.")
