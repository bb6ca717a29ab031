"""Dozens of whole syncs over HTTP while the books move at random under them: what is claimed complete is complete."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

import simulator
from simulator import InProcess
from tests.faults.conftest import Case
from tests.support.invariants import Bounds
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

SYNCS = 24
REQUESTS = 30
"""More requests for invoices than any of these syncs sends."""


@pytest.fixture
def books() -> Iterator[InProcess]:
    with simulator.running(
        invoices=60, employees=2, app_secret_token=APP_SECRET, agreement_grant_token=AGREEMENT_GRANT
    ) as running:
        yield running


class Unrest:
    """What happens to the books while one sync reads them, and which invoices there were after each request."""

    def __init__(self, case: Case, dice: random.Random, used: set[int]) -> None:
        self.case, self.dice, self.ledger, self.used = case, dice, case.books.ledger, used
        self.after = [set(self.ledger.numbers)]
        case.books.reset()
        case.books.control("when", clear=True)
        changes: dict[int, Callable[[], object]] = {
            dice.randrange(1, 18): dice.choice((self.append, self.below, self.pay, self.remove))
            for _ in range(dice.randrange(8))
        }
        for request in range(1, REQUESTS):
            if change := changes.get(request):
                case.books.when(request, change, case.witness.look)
            case.books.when(request, self.note)

    def append(self) -> None:
        self.ledger.book()

    def below(self) -> None:
        free = set(range(9_900, 10_060)) - self.used
        self.ledger.book(number=self.dice.choice(sorted(free)))

    def pay(self) -> None:
        self.ledger.pay(self.dice.choice(self.ledger.numbers))

    def remove(self) -> None:
        self.ledger.remove(self.dice.choice(self.ledger.numbers))

    def note(self) -> None:
        self.after.append(set(self.ledger.numbers))
        self.used |= self.after[-1]

    def last_scan(self) -> list[set[int]]:
        """The invoices there were at each answer, from the last scan's first page to the closing count."""
        queries = [
            entry["query"] for entry in self.case.books.requests() if entry["path"] == "/invoices/booked"
        ]
        assert len(queries) < REQUESTS
        first = max(
            at for at, query in enumerate(queries) if "filter" not in query and "pagesize=1&" not in query
        )
        return self.after[first : len(queries)]


def test_what_is_claimed_complete_is_complete_over_http(case: Case) -> None:
    case.runs.page_size(10)
    dice = random.Random(20261125)
    seen = {True: 0, False: 0}
    used = set(case.books.ledger.numbers)
    case.synced()
    for number in range(SYNCS):
        unrest = Unrest(case, dice, used)
        outcome = case.run()
        assert outcome.state == "success", outcome.errors
        complete = outcome.statistics["complete"]
        seen[complete] += 1
        states = unrest.last_scan()
        held = {
            row["invoice_number"]
            for row in case.witness.rows(
                "select invoice_number from economic.invoice where missing_since is null"
            )
        }
        missed = set.intersection(*states) - held
        assert not missed, f"sync {number} (complete={complete}) missed {sorted(missed)}"
        if complete and not any(before - after for before, after in pairwise(states)):
            assert held == states[-1], f"sync {number} is no true copy: {sorted(held ^ states[-1])}"
    assert min(seen.values()) > 1, seen
    case.books.control("when", clear=True)
    case.heals(bounds=Bounds(seconds=60))
