"""Changes the books: bookings, payments, removals, employees who come, go and marry, invoices in a shape that cannot be stored."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from tests.support.invariants import Witness

MOST_GONE = 5
"""Invoices removed at a time: more at once would not be believed, which is another matter."""
MOST_SPOILED = 4
_SPOILS = {"date": "2026-02-30", "netAmount": "NaN", "currency": "kroner", "customer.customerNumber": "12abc"}


class Bookkeeper:
    """One who changes the books and tells the witness of every state they are in."""

    def __init__(self, witness: Witness, dice: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self._witness, self._dice = witness, dice
        self._ledger = witness.books.ledger
        self._gone: list[int] = []
        self._spoiled: list[int] = []
        self._hired: list[int] = []
        self._used = set(self._ledger.numbers)
        self._deeds: dict[str, tuple[int, Callable[[], None]]] = {
            "payments": (12, self._pay),
            "payments taken back": (3, self._unpay),
            "bookings": (4, self._book),
            "bookings of a lower number": (2, self._book_below),
            "removals": (2, self._remove),
            "returns": (2, self._restore),
            "employees renamed": (2, self._rename),
            "employees hired": (1, self._hire),
            "employees gone": (1, self._dismiss),
            "invoices spoiled": (1, self._spoil),
            "invoices healed": (1, self._heal),
        }

    def change(self) -> None:
        """Do one thing."""
        names = list(self._deeds)
        (name,) = self._dice.choices(names, weights=[weight for weight, _ in self._deeds.values()])
        before = self._ledger.version
        with self._ledger.lock:
            self._deeds[name][1]()
        if self._ledger.version != before:
            self.done[name] += 1

    def heal_all(self) -> None:
        """Deliver every invoice as it should be."""
        while self._spoiled:
            self._heal()

    def _any(self) -> int:
        return self._dice.choice(self._ledger.numbers)

    def _pay(self) -> None:
        number = self._any()
        self._ledger.pay(number, f"{self._dice.randrange(1, 500)}.{self._dice.randrange(100):02}")
        self._witness.note(number)

    def _unpay(self) -> None:
        number = self._any()
        self._ledger.unpay(number)
        self._witness.note(number)

    def _book(self, number: int | None = None) -> None:
        for booked in self._ledger.book(number=number):
            self._used.add(booked)
            self._witness.note(booked)

    def _book_below(self) -> None:
        number = self._dice.randrange(8_000, 10_000)
        if number not in self._used:
            self._book(number)

    def _remove(self) -> None:
        if len(self._gone) < MOST_GONE:
            number = self._any()
            if number not in self._spoiled:
                self._ledger.remove(number)
                self._gone.append(number)

    def _restore(self) -> None:
        if self._gone:
            number = self._gone.pop(0)
            self._ledger.restore(number)
            self._witness.note(number)

    def _rename(self) -> None:
        number = self._dice.choice(sorted(self._ledger.staff))
        self._ledger.rename_employee(number, f"Åse Øst-{self._dice.randrange(10_000)}")

    def _hire(self) -> None:
        self._hired.append(self._ledger.add_employee(None, f"Søren Ny-{self._dice.randrange(10_000)}"))

    def _dismiss(self) -> None:
        if self._hired:
            self._ledger.remove_employee(self._hired.pop())

    def _spoil(self) -> None:
        number = self._any()
        if len(self._spoiled) < MOST_SPOILED and number not in self._spoiled:
            path, value = self._dice.choice(list(_SPOILS.items()))
            self._ledger.spoil(number, path, f'"{value}"')
            self._spoiled.append(number)

    def _heal(self) -> None:
        if self._spoiled:
            self._ledger.heal(self._spoiled.pop(0))
