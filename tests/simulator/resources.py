"""Which invoices and employees a request is about: the views, the filterable fields, the order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, overload

from simulator.books import Employee, Invoice
from simulator.filtering import Field, Filter
from simulator.ledger import Ledger
from simulator.refusals import bad_sort

REMEMBERED = 64

DOCUMENT_FIELDS = {
    "customer.customerNumber": "number",
    "delivery.address": "text",
    "delivery.city": "text",
    "delivery.country": "text",
    "delivery.deliveryDate": "date",
    "delivery.deliveryTerms": "text",
    "delivery.zip": "text",
    "deliveryLocation.deliveryLocationNumber": "number",
    "notes.heading": "text",
    "notes.textLine1": "text",
    "notes.textLine2": "text",
    "paymentTerms.paymentTermsNumber": "number",
    "recipient.address": "text",
    "recipient.city": "text",
    "recipient.country": "text",
    "recipient.ean": "text",
    "recipient.name": "text",
    "recipient.publicEntryNumber": "text",
    "recipient.vatZone.vatZoneNumber": "number",
    "recipient.zip": "text",
    "references.other": "text",
    "references.vendorReference.employeeNumber": "number",
}

# What "unpaid" means for credit notes and overpaid invoices was never verified: here, whatever has a remainder.
VIEWS: dict[str, Callable[[Invoice, str], bool]] = {
    "booked": lambda invoice, today: True,
    "paid": lambda invoice, today: invoice.remainder == 0,
    "unpaid": lambda invoice, today: invoice.remainder != 0,
    "overdue": lambda invoice, today: (
        invoice.remainder != 0 and invoice.due is not None and invoice.due < today
    ),
    "not-due": lambda invoice, today: (
        invoice.remainder != 0 and (invoice.due is None or invoice.due >= today)
    ),
}

EMPLOYEE_FIELDS = {
    "barred": Field("truth", lambda employee: employee.barred, sortable=False),
    "employeeNumber": Field("number", lambda employee: employee.number),
    "name": Field("text", lambda employee: employee.name),
}


def sorting(text: str | None, fields: dict[str, Field]) -> list[tuple[Callable[[Any], Any], bool]]:
    """Parse `-date,~recipient.name,bookedInvoiceNumber` into keys and directions; the absent comes first."""
    keys = []
    for part in filter(None, (text or "").split(",")):
        descending = part.startswith("-")
        alphabetic = part.lstrip("-").startswith("~")
        name = part.lstrip("-~")
        field = fields.get(name)
        if field is None or not field.sortable:
            raise bad_sort(f"Sorting is not allowed on property '{name}'.")
        keys.append((_key(field, alphabetic=alphabetic), descending))
    return keys


def _key(field: Field, *, alphabetic: bool) -> Callable[[Any], Any]:
    def key(row: Any) -> tuple[bool, Any]:
        value = field.of(row)
        if value is None:
            return (False, 0)
        return (True, str(value).casefold() if alphabetic or isinstance(value, str) else value)

    return key


class Tail(Sequence[int]):
    """The numbers from one place on, not copied: a million of them would be, for every page."""

    def __init__(self, numbers: Sequence[int], first: int) -> None:
        self._numbers, self._first = numbers, first

    def __len__(self) -> int:
        return len(self._numbers) - self._first

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        if isinstance(at, slice):
            return [self._numbers[self._first + one] for one in range(*at.indices(len(self)))]
        return self._numbers[self._first + range(len(self))[at]]


class Resources:
    """Answers which numbers a query selects, and remembers the answer until the ledger changes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._remembered: OrderedDict[tuple[Any, ...], Sequence[int]] = OrderedDict()
        self.invoice_fields: dict[str, Field] = {
            "bookedInvoiceNumber": Field("number", lambda invoice: invoice.number),
            "currency": Field("text", lambda invoice: invoice.currency),
            "date": Field("date", lambda invoice: invoice.date),
            "exchangeRate": Field("number", lambda invoice: Decimal(invoice.rate).scaleb(-6)),
            "references.salesPerson.employeeNumber": Field("number", lambda invoice: invoice.sales_person),
            **{path: Field(kind, self._reader(path)) for path, kind in DOCUMENT_FIELDS.items()},
        }

    def view(self, name: str) -> Sequence[int]:
        """Return the numbers of a view, ascending (the real default order is undeclared; records seen ascend)."""
        if name == "booked":
            return self._ledger.numbers
        today = self._ledger.today().isoformat()

        def select() -> list[int]:
            belongs, invoices = VIEWS[name], self._ledger.invoices
            return [number for number in self._ledger.numbers if belongs(invoices[number], today)]

        return self._once((name, today), select)

    def invoices(self, view: str, filter_text: str | None, sort_text: str | None) -> Sequence[int]:
        """Return the numbers a filter selects in a view, in the order asked for."""
        if not filter_text and not sort_text:
            return self.view(view)
        key = (view, self._ledger.today(), filter_text, sort_text)
        return self._once(key, lambda: self._selected(view, filter_text, sort_text))

    def employees(self, filter_text: str | None, sort_text: str | None) -> list[Employee]:
        matches = Filter(filter_text, EMPLOYEE_FIELDS).matches if filter_text else lambda employee: True
        rows = [employee for _, employee in sorted(self._ledger.staff.items()) if matches(employee)]
        for key, descending in reversed(sorting(sort_text, EMPLOYEE_FIELDS)):
            rows.sort(key=key, reverse=descending)
        return rows

    def _selected(self, view: str, filter_text: str | None, sort_text: str | None) -> Sequence[int]:
        keys = [] if sort_text == "bookedInvoiceNumber" else sorting(sort_text, self.invoice_fields)
        numbers = self._filtered(self.view(view), filter_text)
        if not keys:
            return numbers
        rows = [self._ledger.invoices[number] for number in numbers]
        for key, descending in reversed(keys):
            rows.sort(key=key, reverse=descending)
        return [invoice.number for invoice in rows]

    def _filtered(self, numbers: Sequence[int], filter_text: str | None) -> Sequence[int]:
        if not filter_text:
            return numbers
        wanted = Filter(filter_text, self.invoice_fields)
        one = wanted.single
        if (
            one
            and one.field == "bookedInvoiceNumber"
            and one.operator in ("gt", "gte")
            and one.value is not None
        ):
            find = bisect_right if one.operator == "gt" else bisect_left
            return Tail(numbers, find(numbers, one.value))
        invoices = self._ledger.invoices
        return [number for number in numbers if wanted.matches(invoices[number])]

    def _reader(self, path: str) -> Callable[[Invoice], Any]:
        steps = path.split(".")

        def read(invoice: Invoice) -> Any:
            value: Any = self._ledger.item(invoice.number)
            for step in steps:
                value = value.get(step) if value else None
            return value

        return read

    def _once(self, key: tuple[Any, ...], make: Callable[[], Sequence[int]]) -> Sequence[int]:
        key = (self._ledger.version, *key)
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return self._remembered[key]
        found = self._remembered[key] = make()
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return found
