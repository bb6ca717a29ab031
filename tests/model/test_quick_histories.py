"""Random histories of bookings, payments and matchings between and within quick syncs: whatever one proves, is so.

ECONOMIC_QUICK_HISTORIES sets how many syncs run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg
import pytest

import simulator
from simulator import InProcess
from simulator.books import Invoice
from tests.conftest import DefineConnection
from tests.integration.conftest import Company
from tests.integration.test_quick_sync import age_full_syncs, differing, sync_quickly

SYNCS = int(os.environ.get("ECONOMIC_QUICK_HISTORIES", "150"))


@dataclass
class Bookkeeper:
    """Somebody who works in the books, by a seeded dice."""

    books: InProcess
    dice: random.Random
    matched: list[tuple[int, int]] = field(default_factory=list)

    def some(self, wanted: Callable[[Invoice], bool]) -> int | None:
        found = [number for number, one in self.books.ledger.invoices.items() if wanted(one)]
        return self.dice.choice(found) if found else None

    def amount(self) -> Decimal:
        # Odd amounts: two changes that cancel each other to the cent move no total.
        return Decimal(self.dice.randrange(1, 100_000)).scaleb(-2)

    def act(self) -> None:
        """Do one thing."""
        action = self.dice.choices(
            [self.book, self.book_low, self.pay, self.pay_in_part, self.reopen, self.credit, self.unmatch],
            [2, 1, 6, 4, 2, 2, 2],
        )[0]
        action()

    def book(self) -> None:
        self.books.book(self.dice.randrange(1, 3))

    def book_low(self) -> None:
        number = min(self.books.ledger.invoices) - self.dice.randrange(1, 4)
        self.books.book(number=number)
        if self.dice.random() < 0.5:
            self.books.pay(number)

    def pay(self) -> None:
        if (number := self.some(lambda one: one.remainder > 0)) is not None:
            self.books.pay(number)

    def pay_in_part(self) -> None:
        if (number := self.some(lambda one: one.remainder > 0)) is not None:
            self.books.pay(number, self.amount())

    def reopen(self) -> None:
        if (number := self.some(lambda one: one.remainder == 0)) is None:
            return
        if self.books.ledger.invoices[number].gross > 0:
            self.books.unpay(number, self.amount())
        else:
            self.books.pay(number, self.amount())

    def credit(self) -> None:
        if (number := self.some(lambda one: 0 < one.remainder == one.gross)) is not None:
            note = self.books.credit(number)
            if self.dice.random() < 0.7:
                self.books.match(number, note)
                self.matched.append((number, note))

    def unmatch(self) -> None:
        if self.matched:
            self.books.unmatch(*self.matched.pop(self.dice.randrange(len(self.matched))))


@pytest.mark.parametrize("negative", [True, False], ids=["credits listed", "credits not listed"])
def test_proven_copy_equals_the_books(
    connection: psycopg.Connection, define_connection: DefineConnection, negative: bool
) -> None:
    """A third of the syncs meet a change between two of their own requests."""
    dice = random.Random(f"{SYNCS} {negative}")
    with simulator.running(invoices=60, employees=4) as books:
        extra = {
            "app_secret_token": books.app_secret_token,
            "agreement_grant_token": books.agreement_grant_token,
        }
        define_connection(conn_type="economic", host=books.base_url, extra=extra)
        books.unpaid(negative=negative)
        company = Company(books, connection, "economic_default")
        keeper = Bookkeeper(books, dice)
        company.sync()
        outcomes: dict[tuple[str, bool], int] = {}
        for _ in range(SYNCS):
            for _ in range(dice.randrange(0, 4)):
                keeper.act()
            if dice.random() < 0.33:
                books.when(dice.randrange(1, 7), keeper.act, match="")
            age_full_syncs(company)
            meanwhile = books.ledger.version
            statistics = sync_quickly(company)
            outcome = statistics["scope"], statistics["complete"]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if statistics["complete"] and books.ledger.version == meanwhile:
                wrong = differing(company)
                if not negative:
                    # What the list leaves out can change unseen, until the next full sync.
                    for number in [n for n, values in wrong.items() if min(values["remainder"]) < 0]:
                        del wrong[number]
                assert wrong == {}
    assert outcomes["quick", True] > SYNCS / 2
    assert outcomes["full", True] > 0
