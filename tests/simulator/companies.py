"""Several companies behind one server, each with books, number and grant token of its own; the app's token is common to all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from simulator.books import LAST_DAY, SOLD_EVERY, Books
from simulator.ledger import Ledger

EMPLOYEES = 10


@dataclass(frozen=True)
class Company:
    """What tells one company from another."""

    agreement: int
    name: str
    seed: int
    app_secret_token: str
    agreement_grant_token: str

    def ledger(self, invoices: int, sold_every: int = SOLD_EVERY, until: date = LAST_DAY) -> Ledger:
        """Its books, of that size."""
        books = Books(invoices, EMPLOYEES, self.seed, sold_every=sold_every, until=until)
        return Ledger(books, self.agreement, self.name)


def companies(first: Company, count: int) -> list[Company]:
    """The first one and those after it: numbers and seeds count on, names and tokens end in the position."""
    return [first] + [
        replace(
            first,
            agreement=first.agreement + position - 1,
            name=f"{first.name} {position}",
            seed=first.seed + position - 1,
            agreement_grant_token=f"{first.agreement_grant_token}-{position}",
        )
        for position in range(2, count + 1)
    ]
