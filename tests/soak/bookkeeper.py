"""Changes the books: bookings, payments, removals, employees who come, go and marry, invoices in a shape that cannot be stored."""

from __future__ import annotations

import random
from collections import Counter

from tests.support.invariants import Witness

MOST_GONE = 5
"""Invoices removed at a time: more at once would not be believed, which is another matter."""
MOST_SPOILED = 4
_SPOILS = {"date": "2026-02-30", "netAmount": "NaN", "currency": "kroner", "grossAmount": "1e99"}
_WEIGHTS = {
    "payment": 12,
    "payment taken back": 3,
    "booking": 4,
    "booking of a lower number": 2,
    "removal": 2,
    "return": 2,
    "employee renamed": 2,
    "employee hired": 1,
    "employee gone": 1,
    "invoice spoiled": 1,
    "invoice healed": 1,
}


class Bookkeeper:
    """Changes the books and tells the witness of every state they are in."""

    def __init__(self, witness: Witness, dice: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self._witness, self._dice = witness, dice
        self._ledger = witness.books.ledger
        self._gone: list[int] = []
        self._spoiled: list[int] = []
        self._hired: list[int] = []
        self._used = set(self._ledger.numbers)

    def change(self) -> None:
        """Do one thing, unless it is not possible now."""
        (deed,) = self._dice.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))
        before = self._ledger.version
        with self._ledger.lock:
            for number in self._do(deed):
                self._witness.note(number)
        if self._ledger.version != before:
            self.done[deed] += 1

    def heal_all(self) -> None:
        """Deliver every invoice as it should be."""
        while self._spoiled:
            self._ledger.heal(self._spoiled.pop(0))

    def _do(self, deed: str) -> list[int]:
        """Do it; return the invoices whose new state is to be remembered."""
        dice, ledger = self._dice, self._ledger
        number, below = dice.choice(ledger.numbers), dice.randrange(8_000, 10_000)
        match deed:
            case "payment":
                ledger.pay(number, f"{dice.randrange(1, 500)}.{dice.randrange(100):02}")
                return [number]
            case "payment taken back":
                ledger.unpay(number)
                return [number]
            case "booking":
                booked = list(ledger.book())
                self._used.update(booked)
                return booked
            case "booking of a lower number" if below not in self._used:
                self._used.add(below)
                return list(ledger.book(number=below))
            case "removal" if len(self._gone) < MOST_GONE and number not in self._spoiled:
                ledger.remove(number)
                self._gone.append(number)
            case "return" if self._gone:
                number = self._gone.pop(0)
                ledger.restore(number)
                return [number]
            case _:
                self._do_unseen(deed, number)
        return []

    def _do_unseen(self, deed: str, number: int) -> None:
        """Do what changes no invoice that can be stored."""
        dice, ledger = self._dice, self._ledger
        match deed:
            case "employee renamed":
                ledger.rename_employee(dice.choice(sorted(ledger.staff)), f"Åse Øst-{dice.randrange(10_000)}")
            case "employee hired":
                self._hired.append(ledger.add_employee(None, f"Søren Ny-{dice.randrange(10_000)}"))
            case "employee gone" if self._hired:
                ledger.remove_employee(self._hired.pop())
            case "invoice spoiled" if len(self._spoiled) < MOST_SPOILED and number not in self._spoiled:
                path, value = dice.choice(list(_SPOILS.items()))
                ledger.spoil(number, path, f'"{value}"')
                self._spoiled.append(number)
            case "invoice healed" if self._spoiled:
                ledger.heal(self._spoiled.pop(0))
