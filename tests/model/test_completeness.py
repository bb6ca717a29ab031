"""Random schedules of bookings, payments and removals while a scan runs: what is claimed complete is complete."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from economic.client.transport import Traffic
from economic.db.runs import Owner
from economic.errors import ConnectionLost
from economic.records.agreement import Agreement, parse_agreement
from economic.records.decoder import CollectionPage, decode_page
from economic.records.totals import Totals, parse_totals
from economic.sync import fetch, lifecycle
from economic.sync.request import SyncRequest
from simulator import AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN
from simulator.books import Books
from simulator.ledger import Ledger
from simulator.routes import Routes, Tokens, asked

SCHEDULES = 250
INVOICES = 20
PAGE_SIZE = 7
HEADERS = {"X-AppSecretToken": APP_SECRET_TOKEN, "X-AgreementGrantToken": AGREEMENT_GRANT_TOKEN}


@dataclass
class Told:
    """Facts while the last scan went on: from the answer to its first page to the answer to the closing count."""

    throughout: set[int] = field(default_factory=set)
    at_the_count: set[int] = field(default_factory=set)
    changes: Counter[str] = field(default_factory=Counter)


class InProcessClient:
    """Asks the simulator's ledger as the hook would, without HTTP between; after each answer the scheduled changes happen.

    :param changes: what happens after which request for invoices; the first is 1.
    """

    def __init__(self, ledger: Ledger, changes: dict[int, list[Callable[[], str]]]) -> None:
        self.ledger, self.changes = ledger, changes
        self.routes = Routes(ledger, Tokens(APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN))
        self.traffic = Traffic()
        self.while_waiting: Callable[[], None] = lambda: None
        self.told = Told()
        self.asked = 0

    def agreement(self) -> Agreement:
        return parse_agreement(self._answer("/self"))

    def totals(self) -> Totals:
        return parse_totals(self._answer("/invoices/totals"))

    def employees_above(self, number: int | None, *, attempts: int | None = None) -> CollectionPage:
        return decode_page(self._answer("/employees?pagesize=1000&sort=employeeNumber"))

    def unpaid_above(self, number: int | None, *, page_size: int) -> CollectionPage:
        raise NotImplementedError  # only quick syncs ask for it

    def invoices_numbered(self, numbers: Sequence[int]) -> CollectionPage:
        raise NotImplementedError  # likewise

    def invoices_above(self, number: int | None, *, page_size: int, **_: Any) -> CollectionPage:
        above = "" if number is None else f"&filter=bookedInvoiceNumber$gt:{number}"
        return self._invoices(f"pagesize={page_size}&sort=bookedInvoiceNumber{above}", begins=number is None)

    def count_invoices(self, **_: Any) -> int:
        return self._invoices("pagesize=1&sort=bookedInvoiceNumber").results

    def _invoices(self, query: str, *, begins: bool = False) -> CollectionPage:
        self.asked += 1
        if begins:
            self.told = Told(throughout=set(self.ledger.numbers))
        found = decode_page(self._answer(f"/invoices/booked?{query}"))
        self.told.at_the_count = set(self.ledger.numbers)
        for change in self.changes.get(self.asked, []):
            self.told.changes[change()] += 1
        self.told.throughout &= set(self.ledger.numbers)
        return found

    def _answer(self, target: str) -> bytes:
        self.traffic.requests += 1
        return self.routes.answer(asked("http://simulated", target), HEADERS)


class Schedule:
    """One company, and what happens to its books while they are read; the same for the same seed.

    :param kinds: what may happen.
    """

    KINDS = ("append", "append", "below", "below", "pay", "pay", "remove", "break off")

    def __init__(self, seed: int, *, most: int = 5) -> None:
        self.dice = random.Random(seed)
        self.ledger = Ledger(Books(INVOICES, 2, seed % 7))
        self.changes: dict[int, list[Callable[[], str]]] = {}
        for _ in range(self.dice.randrange(most + 1)):
            change = getattr(self, f"_{self.dice.choice(self.KINDS).replace(' ', '_')}")
            self.changes.setdefault(self.dice.randrange(1, 9), []).append(change)

    def _append(self) -> str:
        self.ledger.book()
        return "append"

    def _below(self) -> str:
        """Book with a chosen number among or below those there are: read already or not, as it falls."""
        number = self.dice.choice([self.dice.randrange(1, 10_000), self.dice.randrange(10_000, 10_030)])
        if number in self.ledger.invoices:
            return "pay"
        self.ledger.book(number=number)
        return "below"

    def _pay(self) -> str:
        if self.ledger.numbers:
            self.ledger.pay(self.dice.choice(self.ledger.numbers))
        return "pay"

    def _remove(self) -> str:
        if not self.ledger.numbers:
            return "pay"
        self.ledger.remove(self.dice.choice(self.ledger.numbers))
        return "remove"

    def _break_off(self) -> str:
        raise ConnectionLost("The connection broke off.")


@dataclass
class Outcome:
    """Result of a scan: what it staged, what it claims, and what was true."""

    complete: bool
    staged: set[int]
    told: Told
    scans: int
    broke_off: int

    def wrong(self) -> str | None:
        """Return what must never be, if it is."""
        missed = self.told.throughout - self.staged
        if missed:
            return f"{sorted(missed)} existed throughout and were not fetched (complete={self.complete})"
        still = not self.told.changes["remove"]
        if self.complete and still and self.staged != self.told.at_the_count:
            return f"complete, but without {sorted(self.told.at_the_count - self.staged)}"
        if not self.complete and not set(self.told.changes) - {"pay"}:
            return "not complete although only payments happened"
        return None


def scanned(connection: psycopg.Connection, seed: int) -> Outcome:
    """One scan, tried again when it breaks off, as the task would be."""
    schedule = Schedule(seed)
    client = InProcessClient(schedule.ledger, schedule.changes)
    order = SyncRequest(Owner("d", f"scan {seed}", "key", "economic_default"), "manual", "x")
    broke_off = 0
    while True:
        try:
            attempt = lifecycle.begin(client, connection, order)
            result = fetch.fetch_pages(attempt, PAGE_SIZE, 3600)
            break
        except ConnectionLost:
            broke_off += 1
    staged = connection.execute(
        "select invoice_number from economic.staged_invoice where sync_id = %s", [attempt.run.sync_id]
    ).fetchall()
    lifecycle.close(connection, attempt.run.sync_id, "failed", "", attempt.lease)
    numbers = [number for (number,) in staged]
    assert len(numbers) == len(set(numbers))
    return Outcome(result["complete"], set(numbers), client.told, attempt.run.scan_number, broke_off)


def test_what_is_claimed_complete_is_complete(connection: psycopg.Connection) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        outcome = scanned(connection, seed)
        assert outcome.wrong() is None, f"schedule {seed}: {outcome.wrong()}"
        seen["complete"] += outcome.complete
        seen["not complete"] += not outcome.complete
        seen["scanned again"] += outcome.scans > 1
        seen["gone on with"] += outcome.broke_off > 0
        seen["booked below"] += outcome.told.changes["below"] > 0
        seen["removed"] += outcome.told.changes["remove"] > 0
    # Each of these is a good part of them, or the claim above says little.
    assert min(seen.values()) > SCHEDULES / 50, seen
    assert seen["complete"] > SCHEDULES / 2, seen
