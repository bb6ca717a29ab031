"""Which invoices and employees a request is about, by ascending number."""

from __future__ import annotations

from bisect import bisect_right

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


def invoices(ledger: Ledger, request: Request, window: Window) -> tuple[list[int], int]:
    """Return the numbers on the page asked for, and how many the filter selects."""
    _check_sort(request, INVOICE)
    first, others = 0, []
    for one in comparisons(request.parameters.get("filter"), INVOICE_FIELDS):
        if (one.field, one.operator) == (INVOICE, "gt"):  # found quickly: a copy of a million is read by it
            first = max(first, bisect_right(ledger.numbers, one.value))
        else:
            others.append(one)
    if not others:
        rows = window.rows
        return ledger.numbers[first + rows.start : first + rows.stop], len(ledger.numbers) - first
    chosen = [
        number
        for number in ledger.numbers[first:]
        if all(one.matches(ledger.invoices[number]) for one in others)
    ]
    return chosen[window.rows], len(chosen)


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
