"""Random histories over months: for each past day, what was owed is what the books said at its last sync.

ECONOMIC_PAST_DAYS sets how many days have syncs.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

import simulator
from tests.conftest import DefineConnection
from tests.integration.conftest import Company
from tests.integration.test_quick_sync import differing, sync_quickly
from tests.model.test_quick_histories import Bookkeeper
from tests.support.expected_rows import expected_row

DAYS = int(os.environ.get("ECONOMIC_PAST_DAYS", "27"))
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
SEASONS = (date(2026, 1, 12), date(2026, 3, 27), date(2026, 7, 6))
"""Winter, the week when the clock goes forward, and summer."""
COLUMNS = (
    "invoice_date", "due_date", "customer_number", "customer_name", "employee_number", "employee_name",
    "external_reference", "currency", "gross_amount", "remainder", "remainder_base",
)  # fmt: skip
MOMENTS = {
    "invoice": ("first_seen_at", "last_changed_at", "missing_since"),
    "invoice_history": ("changed_at", "old_values_since"),
    "sync_run": ("started_at", "updated_at", "finished_at", "scan_started_at", "scan_advanced_at"),
    "agreement": ("complete_since",),
}
State = dict[int, dict[str, Any]]
Payment = tuple[int, Decimal, datetime, datetime]


@dataclass
class Past:
    """Syncs at chosen times, and what the books said at each."""

    company: Company
    keeper: Bookkeeper
    dice: random.Random
    began: datetime
    states: list[tuple[datetime, State]] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def work(self) -> None:
        """Change the books a little: now and then an invoice is gone, or comes back."""
        for _ in range(self.dice.randrange(0, 5)):
            self.keeper.act()
        if self.gone and self.dice.random() < 0.3:
            self.company.books.control("restore", number=self.gone.pop())
        elif self.dice.random() < 0.4:
            matched = {number for pair in self.keeper.matched for number in pair}
            number = self.keeper.some(lambda one: one.remainder != 0 and one.number not in matched)
            if number is not None:
                self.company.books.control("remove", number=number)
                self.gone.append(number)

    def sync(self, moment: datetime) -> None:
        """Sync, and move what it wrote to that time."""
        if self.states and self.dice.random() < 0.4:
            statistics = sync_quickly(self.company)
        else:
            statistics = self.company.sync()
        assert statistics["complete"]
        assert differing(self.company) == {}
        for table, columns in MOMENTS.items():
            for column in columns:
                change = sql.SQL("update economic.{} set {column} = %s where {column} >= %s")
                names = sql.Identifier(table), sql.Identifier(column)
                self.company.connection.execute(
                    change.format(names[0], column=names[1]), (moment, self.began)
                )
        books = self.company.books.ledger
        employees = books.employees()
        rows = {number: expected_row(item, employees) for number, item in books.items().items()}
        self.scopes.append(statistics["scope"])
        self.states.append((moment, rows))

    def owed(self, day: date) -> State:
        """Return what the books said at the last sync of a day, or before it."""
        end = datetime.combine(day + timedelta(days=1), time(), COPENHAGEN)
        state = [state for moment, state in self.states if moment < end][-1]
        return {
            number: {name: row[name] for name in COLUMNS} | {"days_overdue": overdue(row, day)}
            for number, row in state.items()
            if row["remainder"]
        }

    def payments(self) -> list[Payment]:
        """Return what was paid between two syncs, with the one before that surely read the invoice."""
        found: list[Payment] = []
        full = self.states[0][0]
        for (before, old), (after, new), scope in zip(
            self.states, self.states[1:], self.scopes, strict=False
        ):
            full = before if scope == "full" else full
            for number in old.keys() & new.keys():
                was, now = old[number]["remainder"], new[number]["remainder"]
                if was != now:
                    found.append((number, was - now, after, full if min(was, now) < 0 else before))
        return found


def overdue(row: dict[str, Any], day: date) -> int | None:
    late = (day - row["due_date"]).days if row["due_date"] else 0
    return late if late > 0 and row["remainder"] > 0 else None


def moments(dice: random.Random) -> list[datetime]:
    """Return the times of the syncs: none to three a day, also at midnight in Copenhagen and just before it."""
    found = []
    for start in SEASONS:
        for offset in range(DAYS // len(SEASONS) + 1):
            midnight = datetime.combine(start + timedelta(days=offset), time(), COPENHAGEN)
            if offset and dice.random() < 0.7:
                found.append(midnight)
            for _ in range(dice.randrange(0, 3)):
                found.append(midnight + timedelta(minutes=dice.randrange(1, 1430)))
            if dice.random() < 0.5:
                found.append(midnight + timedelta(days=1) - timedelta(microseconds=1))
    return sorted(found)


def check_payments(past: Past) -> None:
    """The payments are those between the syncs, and add up to gross minus remainder in each currency."""
    company = past.company
    listed = company.rows("select * from economic.payments where kind <> 'already paid when first seen'")
    found = [(row["invoice_number"], row["amount"], row["seen_at"], row["earliest_at"]) for row in listed]
    # An invoice that was gone: what was paid meanwhile is seen when it is back, since an unknown time.
    back = [row for row in found if row[3] is None]
    assert sorted(set(found) - set(back)) == sorted(past.payments())
    assert len(found) > 100
    opening = company.rows("select * from economic.payments where kind = 'already paid when first seen'")
    first: State = {}
    for _, state in past.states:
        first = {**state, **first}
    paid = {number: row["gross_amount"] - row["remainder"] for number, row in first.items()}
    assert {row["invoice_number"]: row["amount"] for row in opening} == {n: a for n, a in paid.items() if a}
    for amount, suffix in (("amount", ""), ("amount_base", "_base")):
        sums = sql.SQL(
            "select invoice_number, gross_amount{0} - remainder{0} as paid, coalesce(sum(p.{1}), 0) as listed"
            " from economic.invoice left join economic.payments p using (invoice_number) group by 1, 2"
            " having gross_amount{0} - remainder{0} <> coalesce(sum(p.{1}), 0)"
        ).format(sql.SQL(suffix), sql.Identifier(amount))
        assert company.connection.execute(sums).fetchall() == []


def test_receivables_of_each_past_day_equal_the_books(
    connection: psycopg.Connection, define_connection: DefineConnection
) -> None:
    dice = random.Random(DAYS)
    with simulator.running(invoices=80, employees=4) as books:
        extra = {
            "app_secret_token": books.app_secret_token,
            "agreement_grant_token": books.agreement_grant_token,
        }
        define_connection(conn_type="economic", host=books.base_url, extra=extra)
        company = Company(books, connection, "economic_default")
        past = Past(company, Bookkeeper(books, dice), dice, company.value("select now()"))
        for number, one in books.ledger.invoices.items():
            if one.currency != "DKK":
                books.unpay(number)
        for moment in moments(dice):
            past.sync(moment)
            past.work()
        returns = "select count(*) from economic.invoice_history where old_values ? 'missing_since'"
        assert company.value(returns) > 2
        assert company.value("select count(*) from economic.invoice where missing_since is not null") > 0
        first, last = past.states[0][0].date(), past.states[-1][0].date()
        currencies = set()
        for offset in range((last - first).days + 2):
            day = first + timedelta(days=offset)
            found = company.rows("select * from economic.receivables_as_of(%s)", day)
            owed = past.owed(day)
            keys = (*COLUMNS, "days_overdue")
            assert {row["invoice_number"]: {key: row[key] for key in keys} for row in found} == owed, day
            currencies |= {row["currency"] for row in found}
        assert len(currencies) > 2
        check_payments(past)
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"the first day known is {first}"):
            company.rows("select * from economic.receivables_as_of(%s)", first - timedelta(days=1))
