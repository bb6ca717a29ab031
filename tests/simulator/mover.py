"""Books that move by themselves, as a company's do: the same moves for the same seed, however they are spread over time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import monotonic

from simulator.books import Invoice, iso
from simulator.dice import Dice
from simulator.ledger import Ledger, money

_TAKEN_BACK_AMONG = 500
"""A payment is taken back of one of this many newest invoices: soon, as in a company's books."""
_HABITS = (*range(-8, 32, 2), 120)
"""How many days after the due date a customer pays, or gets the money of a credit note."""


def _is_ready(invoice: Invoice, today: int) -> bool:
    """Return whether the day has come at which its customer settles it."""
    late = _HABITS[invoice.customer.number // 3 % len(_HABITS)]
    return invoice.due is None or invoice.due <= iso(today - late)


class Mover:
    """Makes the moves that are due. It is asked at each request, so that an answer is of one moment.

    :param clock: seconds that only grow.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = monotonic) -> None:
        self._ledger, self._clock = ledger, clock
        self._began, self._per_minute, self._done = clock(), 0.0, 0
        self._drawn = 0
        self._file: Path | None = None
        self._kept: dict[str, int] = {}
        self._credited: list[tuple[int, int]] = []

    def keep_in(self, file: Path) -> None:
        """Make the moves of an earlier process again, each dated as then, and note all further ones there."""
        with self._ledger.lock:
            self._kept = json.loads(file.read_text()) if file.exists() else {}
            self._file = None
            for day, count in self._kept.items():
                self._ledger.day = date.fromisoformat(day)
                self.move(count)
            self._ledger.day, self._file = None, file

    def set_rate(self, per_minute: float) -> None:
        """Move so often from now on; moves that are due and that no request has seen are dropped."""
        with self._ledger.lock:
            self._began, self._per_minute, self._done = self._clock(), float(per_minute), 0

    def catch_up(self) -> None:
        """Make the moves due by now."""
        with self._ledger.lock:
            due = int((self._clock() - self._began) * self._per_minute / 60)
            self.move(due - self._done)
            self._done = due

    def move(self, count: int = 1) -> None:
        """Make this many moves at once."""
        with self._ledger.lock:
            for _ in range(count):
                self._drawn += 1
                self._move(Dice(self._ledger.books.seed, "move", self._drawn))
            if self._file is not None and count:
                day = self._ledger.today().isoformat()
                self._kept[day] = self._kept.get(day, 0) + count
                self._file.write_text(json.dumps(self._kept))

    def _move(self, dice: Dice) -> None:
        """Book, pay wholly or in part, credit and match later, or take a payment back: in 7, 7, 3, 2 and 1 of 20 cases.

        Where nobody is ready to pay, book.
        """
        ledger, kind = self._ledger, dice.below(20)
        today = ledger.today().toordinal()
        ready = [number for number in ledger.open if _is_ready(ledger.invoices[number], today)]
        owing = [number for number in ready if ledger.invoices[number].remainder > 0]
        if kind == 0 and ledger.numbers:
            number = dice.pick(ledger.numbers[-_TAKEN_BACK_AMONG:])
            if not ledger.invoices[number].remainder:
                ledger.unpay(number)
        elif kind < 8 or not owing:
            ledger.book()
        elif kind < 15:
            ledger.pay(dice.pick(ready))
        elif kind < 18:
            number = dice.pick(owing)
            ledger.pay(number, money(1 + dice.below(ledger.invoices[number].remainder)))
        elif not self._credited:
            number = dice.pick(owing)
            self._credited.append((number, ledger.credit(number)))
        else:
            self._settle(*self._credited.pop())

    def _settle(self, number: int, note: int) -> None:
        """Match a credit note with its invoice, or pay it out when that was paid meanwhile."""
        remainders = [one.remainder for one in map(self._ledger.invoices.get, (number, note)) if one]
        if len(remainders) == 2 and remainders[0] > 0 > remainders[1]:
            self._ledger.match(number, note)
        elif note in self._ledger.invoices:
            self._ledger.pay(note)
