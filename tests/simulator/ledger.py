"""The state of the company's books while the simulator runs: what is booked, what is still owed, who works there."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from threading import RLock
from typing import Any
from zoneinfo import ZoneInfo

from simulator.books import Books, Employee, Invoice
from simulator.documents import employee_json, invoice_json
from simulator.spoiling import Spoil, spoiled

UNPAID_MAY_LACK = {"exchangeRate", "grossAmountInBaseCurrency"}
RENDERED_AT_START = 50_000  # more invoices than this are written when first asked for


def hundredths(amount: Decimal | int | str) -> int:
    """Turn an amount into whole hundredths; a binary float is refused."""
    if isinstance(amount, float):
        raise ValueError("amounts are Decimal, int or text, never float")
    return int((Decimal(amount) * 100).to_integral_exact())


def money(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-2)


class Ledger:
    """Invoices by number, employees by number; every change raises `version`."""

    def __init__(
        self, books: Books, agreement: int = 1234567, company: str = "Prøvefirmaet Æble & Ørsted ApS"
    ) -> None:
        self.books, self.agreement, self.company = books, agreement, company
        self.lock = RLock()
        self.version = 0
        self.day: date | None = None
        self.invoices: dict[int, Invoice] = {invoice.number: invoice for invoice in books.invoices()}
        self.numbers: list[int] = list(self.invoices)  # ascending
        self.staff: dict[int, Employee] = {employee.number: employee for employee in books.staff}
        self.open: list[int] = [number for number in self.numbers if self.invoices[number].remainder]
        self.net = sum(one.in_base(one.net) for one in self.invoices.values())
        self._series = self.numbers[-1] if self.numbers else 10000
        self._next_index = books.size
        self._spoils: dict[int, list[Spoil]] = {}
        self._written: dict[int, bytes] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._removed: dict[int, Invoice] = {}
        self._matched: dict[tuple[int, int], int] = {}
        self.read_unpaid(negative=True, lacking=("exchangeRate",))
        if books.size <= RENDERED_AT_START:
            for number in self.numbers:
                self.written(number)

    # reading

    def today(self) -> date:
        """Return the day in Copenhagen, which decides what is overdue, unless a test has set one."""
        return self.day or datetime.now(ZoneInfo("Europe/Copenhagen")).date()

    def written(self, number: int) -> bytes:
        """Return the invoice as the API delivers it, spoiled if it is."""
        text = self._written.get(number)
        if text is None:
            healthy = self.healthy(number)
            spoils = self._spoils.get(number)
            text = (spoiled(healthy, spoils) if spoils else healthy).encode()
            self._written[number] = text
        return text

    def unpaid(self) -> Sequence[int]:
        """Return the numbers that `/invoices/unpaid` lists and the totals count as unpaid, ascending."""
        if self._negative:
            return self.open
        return [number for number in self.open if self.invoices[number].remainder > 0]

    def written_unpaid(self, number: int) -> bytes:
        """Return the invoice as `/invoices/unpaid` delivers it."""
        if spoils := self._spoils.get(number):
            left_out = [Spoil(name, None) for name in self._lacking]
            return spoiled(self.healthy(number), spoils + left_out).encode()
        # Both stand before any free text, and quotes in a text are escaped.
        return self._lacking_text.sub(b"", self.written(number)) if self._lacking else self.written(number)

    def healthy(self, number: int) -> str:
        return invoice_json(self._invoice(number), self.books.seed)

    def item(self, number: int) -> dict[str, Any]:
        """Return the true invoice as plain values, amounts as Decimal: what a client ought to have stored.

        The same dictionary each time, until the invoice changes.
        """
        with self.lock:
            if number not in self._items:
                self._items[number] = json.loads(self.healthy(number), parse_float=Decimal)
            return self._items[number]

    def items(self) -> dict[int, dict[str, Any]]:
        """Return every true invoice by number."""
        with self.lock:
            return {number: self.item(number) for number in self.numbers}

    def employee(self, number: int) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(employee_json(self._employee(number)))
        return document

    def employees(self) -> dict[int, dict[str, Any]]:
        """Return the employees the API lists, by number."""
        with self.lock:
            return {number: self.employee(number) for number in sorted(self.staff)}

    # changing

    def read_unpaid(self, *, negative: bool | None = None, lacking: Sequence[str] | None = None) -> None:
        """Choose what was never verified of "unpaid"; None keeps what is.

        :param negative: whether negative remainders (credit notes, payments of too much) count.
        :param lacking: which of UNPAID_MAY_LACK the items leave out.
        """
        if others := set(lacking or ()) - UNPAID_MAY_LACK:
            raise ValueError(f"unpaid invoices always have {', '.join(sorted(others))}")
        with self.lock:
            if negative is not None:
                self._negative = negative
            if lacking is not None:
                self._lacking = lacking
                self._lacking_text = re.compile(rf'"(?:{"|".join(lacking)})":[-0-9.]+,'.encode())
            self.version += 1

    def pay(self, number: int, amount: Decimal | int | str | None = None) -> Decimal:
        """Take an amount (by default all; negative for a credit note) off the remainder, return what is left."""
        return self._owe(
            number, lambda invoice: 0 if amount is None else invoice.remainder - hundredths(amount)
        )

    def unpay(self, number: int, amount: Decimal | int | str | None = None) -> Decimal:
        """Put an amount (by default the whole invoice) back on the remainder and return what is owed."""
        return self._owe(
            number,
            lambda invoice: invoice.gross if amount is None else invoice.remainder + hundredths(amount),
        )

    def book(
        self, count: int = 1, number: int | None = None, day: date | None = None, customer: int | None = None,
        sales_person: int | None = None, net: Decimal | int | str | None = None,
    ) -> list[int]:  # fmt: skip
        """Book invoices dated today (or backdated), numbered on in the series (or from a chosen number on)."""
        booked = []
        with self.lock:
            for offset in range(count):
                chosen = self._next_number() if number is None else number + offset
                if chosen in self.invoices:
                    raise ValueError(f"invoice {chosen} is booked already")
                invoice = self.books.invoice(self._next_index, chosen, day or self.today(), customer)
                invoice.sales_person = sales_person if sales_person is not None else invoice.sales_person
                if net is not None:
                    invoice.net = hundredths(net)
                    invoice.vat = invoice.net * invoice.customer.vat_percent // 100
                    invoice.remainder = invoice.gross
                self._next_index += 1
                self.invoices[chosen] = invoice
                insort(self.numbers, chosen)
                self._count(chosen, 1)
                booked.append(chosen)
            self.version += 1
        return booked

    def credit(self, number: int) -> int:
        """Book a credit note over a whole invoice, not matched with it yet, and return its number."""
        with self.lock:
            invoice = self._invoice(number)
            (note,) = self.book(customer=invoice.customer.number)
            self._count(note, -1)
            own = self.invoices[note]
            own.currency, own.rate = invoice.currency, invoice.rate
            own.net, own.vat, own.remainder = -invoice.net, -invoice.vat, -invoice.gross
            self._count(note, 1)
            return note

    def match(self, number: int, note: int) -> None:
        """Settle an invoice and a credit note with each other, as far as the smaller remainder goes."""
        with self.lock:
            amount = min(self._invoice(number).remainder, -self._invoice(note).remainder)
            if amount <= 0 or (number, note) in self._matched:
                raise ValueError(f"there is nothing to match between {number} and {note}")
            self._matched[number, note] = amount
            self.pay(number, money(amount))
            self.unpay(note, money(amount))

    def unmatch(self, number: int, note: int) -> None:
        """Take a match back: both are open again."""
        with self.lock:
            if (number, note) not in self._matched:
                raise ValueError(f"{number} and {note} are not matched")
            amount = self._matched.pop((number, note))
            self.unpay(number, money(amount))
            self.pay(note, money(amount))

    def remove(self, number: int) -> None:
        """Make an invoice vanish, which the real API never does."""
        with self.lock:
            self._removed[number] = self._invoice(number)
            self._count(number, -1)
            del self.invoices[number]
            del self.numbers[bisect_left(self.numbers, number)]
            self._spoils.pop(number, None)
            self._changed(number)

    def restore(self, number: int) -> None:
        """Bring an invoice back that had vanished."""
        with self.lock:
            if number not in self._removed:
                raise ValueError(f"there is no removed invoice {number}")
            self.invoices[number] = self._removed.pop(number)
            insort(self.numbers, number)
            self._count(number, 1)
            self._changed(number)

    def spoil(self, number: int, path: str, text: str | None) -> None:
        """Deliver the invoice with a field replaced by JSON text, or left out."""
        with self.lock:
            self._invoice(number)
            self._spoils.setdefault(number, []).append(Spoil(path, text))
            self._changed(number)

    def heal(self, number: int) -> None:
        with self.lock:
            self._spoils.pop(number, None)
            self._changed(number)

    def rename_employee(self, number: int, name: str) -> None:
        with self.lock:
            self._employee(number).name = name
            self.version += 1

    def add_employee(self, number: int | None, name: str, *, barred: bool = False) -> int:
        with self.lock:
            chosen = number if number is not None else max(self.staff, default=0) + 1
            if chosen in self.staff:
                raise ValueError(f"employee {chosen} exists already")
            self.staff[chosen] = Employee(chosen, name, barred=barred)
            self.version += 1
            return chosen

    def remove_employee(self, number: int) -> None:
        with self.lock:
            del self.staff[self._employee(number).number]
            self.version += 1

    def _owe(self, number: int, remainder: Callable[[Invoice], int]) -> Decimal:
        with self.lock:
            invoice = self._invoice(number)
            left = remainder(invoice)
            self._count(number, -1)
            invoice.remainder = left
            self._count(number, 1)
            self._changed(number)
            return money(left)

    def _count(self, number: int, sign: int) -> None:
        """Count an invoice in (1) or out (-1): no request has to look at all of them."""
        invoice = self.invoices[number]
        self.net += sign * invoice.in_base(invoice.net)
        if invoice.remainder and sign > 0:
            insort(self.open, number)
        elif invoice.remainder:
            del self.open[bisect_left(self.open, number)]

    def _next_number(self) -> int:
        self._series += 1
        while self._series in self.invoices:
            self._series += 1
        return self._series

    def _changed(self, number: int) -> None:
        self._written.pop(number, None)
        self._items.pop(number, None)
        self.version += 1

    def _invoice(self, number: int) -> Invoice:
        try:
            return self.invoices[number]
        except KeyError:
            raise ValueError(f"there is no invoice {number}") from None

    def _employee(self, number: int) -> Employee:
        try:
            return self.staff[number]
        except KeyError:
            raise ValueError(f"there is no employee {number}") from None
