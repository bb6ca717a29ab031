"""The lines of all booked invoices, in the order of a cursor, and what a test has spoiled of them."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate
from typing import Any, Literal

from simulator.books import Invoice
from simulator.dice import Dice
from simulator.ledger import Ledger
from simulator.lines.drawing import lines_json
from simulator.spoiling import Spoil, spoiled

MOST_LINES = 200
KEPT = 50_000  # invoices whose lines are written once only
ORDERS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Habits:
    """What a test may choose of the service.

    :param least: how many lines an invoice has at least.
    :param most: and at most.
    :param page: lines of a page.
    :param scattered: whether all lines are shuffled; otherwise the invoices, and the lines within each.
    :param cursor: how the pages end: `ends`; `repeats`, every page names the cursor it was asked with;
        `endless`, empty pages with fresh cursors follow the last one.
    :param forbidden: whether the role is too small.
    :param version: the only one that exists.
    """

    least: int = 3
    most: int = 3
    page: int = 1000
    scattered: bool = False
    cursor: Literal["ends", "repeats", "endless"] = "ends"
    forbidden: bool = False
    version: str = "5.3.0"

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.most <= MOST_LINES or self.cursor not in {"ends", "repeats", "endless"}:
            raise ValueError(f"these cannot be chosen: {self}")


class LineBook:
    """Writes lines when they are asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.habits = ledger, Habits()
        self._written: dict[tuple[int, int], list[bytes]] = {}
        self._spoils: dict[int, list[tuple[int, Spoil]]] = {}
        self._lost: set[tuple[int, int]] = set()
        self._orders: dict[str, tuple[int, list[bytes] | _Order]] = {}

    def choose(self, **chosen: Any) -> None:
        """Change some of the habits; see :class:`Habits`."""
        with self.ledger.lock:
            self.habits = replace(self.habits, **chosen)
            self._forget()

    def count(self, number: int) -> int:
        """Return how many lines an invoice has."""
        least, most = self.habits.least, self.habits.most
        if least == most:
            return least
        return least + Dice(self.ledger.books.seed, "lines", number).below(most - least + 1)

    def healthy(self, number: int) -> list[bytes]:
        """Return the true lines of an invoice as the API writes them."""
        invoice: Invoice = self.ledger.invoices[number]
        # A credit note gets its amount after it was drawn.
        key = invoice.index, invoice.net
        lines = self._written.get(key)
        if lines is None:
            lines = lines_json(invoice, self.ledger.books.seed, self.count(number))
            if len(self._written) < KEPT:
                self._written[key] = lines
        return lines

    def written(self, number: int) -> list[bytes]:
        """Return the lines of an invoice as they are delivered, spoiled if they are."""
        lines = self.healthy(number)
        if number in self._spoils:
            lines = list(lines)
            for at, spoil in self._spoils[number]:
                lines[at] = spoiled(lines[at].decode(), [spoil]).encode()
        if self._lost:
            lines = [line for at, line in enumerate(lines) if (number, at) not in self._lost]
        return lines

    def items(self, number: int) -> list[dict[str, Any]]:
        """Return the true lines as plain values, amounts as Decimal: what a client ought to have stored."""
        with self.ledger.lock:
            return [json.loads(line, parse_float=Decimal) for line in self.healthy(number)]

    def spoil(self, number: int, at: int, spoil: Spoil) -> None:
        """Deliver a line of an invoice, the first is 0, with a field replaced or left out."""
        with self.ledger.lock:
            if not 0 <= at < len(self.healthy(number)):
                raise ValueError(f"invoice {number} has no line {at}")
            self._spoils.setdefault(number, []).append((at, spoil))
            self._forget(written=False)

    def differ(self, number: int, by: Decimal) -> None:
        """Let the lines of an invoice add up to more than its net amount, by that much."""
        total = self.items(number)[0]["totalNetAmount"]
        self.spoil(number, 0, Spoil("totalNetAmount", str(total + by)))

    def lose(self, number: int) -> None:
        """Deliver an invoice without its first line that has no amount; the count knows it."""
        at = next(at for at, line in enumerate(self.items(number)) if "totalNetAmount" not in line)
        with self.ledger.lock:
            self._lost.add((number, at))
            self._forget(written=False)

    def heal(self, number: int) -> None:
        """Deliver an invoice's lines as they are again."""
        with self.ledger.lock:
            self._spoils.pop(number, None)
            self._lost = {(lost, at) for lost, at in self._lost if lost != number}
            self._forget(written=False)

    def page(self, key: str, select: Callable[[], Sequence[int]], skip: int, size: int) -> list[bytes]:
        """Return a part of the selected invoices' lines in shuffled order, which a booking changes.

        :param key: equal for equal selections.
        """
        version, order = self._orders.get(key, (-1, None))
        if order is None or version != self.ledger.version:
            order = self._order(select())
            if len(self._orders) >= ORDERS_KEPT:
                self._orders.pop(next(iter(self._orders)))
            self._orders[key] = self.ledger.version, order
        return order[skip : skip + size]

    def _order(self, numbers: Sequence[int]) -> list[bytes] | _Order:
        if not self.habits.scattered:
            return _Order(sorted(numbers, key=_shuffled), self)
        lines = [
            (_shuffled(number * MOST_LINES + at), line)
            for number in numbers
            for at, line in enumerate(self.written(number))
        ]
        return [line for _, line in sorted(lines)]

    def _forget(self, *, written: bool = True) -> None:
        self._orders.clear()
        if written:
            self._written.clear()


class _Order:
    """Invoices in shuffled order, read by the place of a line."""

    def __init__(self, numbers: list[int], book: LineBook) -> None:
        self._numbers, self._book = numbers, book
        self._ends = list(accumulate(map(book.count, numbers)))

    def __getitem__(self, part: slice) -> list[bytes]:
        first = bisect_right(self._ends, part.start)
        skipped = part.start - (self._ends[first - 1] if first else 0)
        lines: list[bytes] = []
        for number in self._numbers[first:]:
            written = self._book.written(number)
            # The last shown comes first, and the others behind it.
            lines += written[-1:] + written[:-1]
            if len(lines) >= skipped + part.stop - part.start:
                break
        return lines[skipped : skipped + part.stop - part.start]


def _shuffled(number: int) -> int:
    return number * 2_654_435_761 % 2**32
