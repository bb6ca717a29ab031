"""`./run bench`: the sync against the limit and against what it replaces, interleaved in one run.

It prints the table of docs/benchmarks.md.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from dev import ROOT
from dev.bench import ways
from dev.bench.measure import MB, Cost, Costs, as_json, median, options, save
from dev.local import embedded_postgres
from dev.local.account import Account
from dev.local.embedded_postgres import Server
from dev.local.terminal import say
from economic.db import schema
from economic.db.sql import prepare

ROW_BY_ROW_UP_TO = 50_000
"""Above this number of invoices, *row by row* takes minutes and shows nothing new."""
ROW_BY_ROW_ROUNDS = 3
"""*Row by row* is so slow that more rounds show nothing new; the others are close to each other."""

QUICK = "quick, nothing moved", "quick, a payment and a booking"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = options("sync", __doc__)
    parser.add_argument("--repetitions", type=int, default=0, help="default: 9, with many invoices fewer")
    given = parser.parse_args(arguments)
    repetitions = given.repetitions or (9 if given.n <= 50_000 else 2 if given.n <= 500_000 else 1)
    names = ["limit", "ours"] + (["row by row"] if given.n <= ROW_BY_ROW_UP_TO else [])
    costs: Costs = {way: {} for way in names}
    began = time.monotonic()
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        for repetition in range(repetitions):
            for way in names[repetition % len(names) :] + names[: repetition % len(names)]:
                if way == "row by row" and repetition >= ROW_BY_ROW_ROUNDS:
                    continue
                Bench(server, books, given.n).one_round(way, costs[way])
                say(f"round {repetition + 1} of {repetitions}: {way} ({time.monotonic() - began:.0f} s)")
    save(given, str(given.n), repetitions=repetitions, costs=as_json(costs))
    say(table(costs))
    return 0


def table(costs: Costs) -> str:
    """Return a table in Markdown: medians, and their ratio to the limit's; of a quick sync, to that
    of an unchanged full one.
    """
    lines = [
        "| load | way | wall s | CPU s: client + PostgreSQL | of limit: wall, CPU | peak MB above start | WAL MB | spread of CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load in ("first", "unchanged", "1 % changed", "one bad row", *QUICK):
        for way, loads in costs.items():
            if load not in loads:
                continue
            cost, ratio = median(loads[load]), ""
            compared = costs["limit"].get(load) or (load in QUICK and costs["ours"]["unchanged"])
            if way != "limit" and compared:
                ratio = cost.beside(median(compared))
            clients = [one.client for one in loads[load]]
            lines.append(
                f"| {load} | {way} | {cost.wall:.2f} | {cost.client:.2f} + {cost.postgres:.2f} | {ratio} "
                f"| {cost.peak_mb - cost.base_mb:.0f} | {cost.wal / MB:.2f} "
                f"| {100 * (max(clients) - min(clients)) / (cost.client or 1):.0f} % |"
            )
    return "\n".join(lines)


@contextmanager
def simulated(invoices: int) -> Iterator[Any]:
    """Run a simulator that has its answers ready."""
    sys.path.insert(0, str(ROOT / "tests"))
    import simulator

    with simulator.process(invoices=invoices) as books:
        # It writes its answers when they are first requested: that work is not measured.
        for _ in ways.pages(books.base_url, books.headers):
            pass
        yield books


class Bench:
    """A server, a simulator, and a fresh database, with the statistics of the latest load."""

    statistics: dict[str, Any]

    def __init__(self, server: Server, books: Any, invoices: int) -> None:
        self.books, self.invoices, self.dsn = books, invoices, server.dsn("bench")
        self._offset = 0
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            admin.execute("drop database if exists bench with (force)")
            admin.execute("create database bench")
            # The checkpoint of the database before is not this one's work.
            admin.execute("checkpoint")
        with prepare(psycopg.connect(self.dsn)) as connection:
            schema.migrate(connection)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            ways.create_table(connection)
            self._postmaster = _parent(connection.info.backend_pid)

    def environment(self) -> dict[str, str]:
        """Return what a program that loads these books must know."""
        tokens = self.books.app_secret_token, self.books.agreement_grant_token
        account = Account(ways.CONN_ID, self.books.base_url, *tokens, "the simulator")
        return {
            "BENCH_DSN": self.dsn,
            "BENCH_URL": self.books.base_url,
            "BENCH_HEADERS": json.dumps(self.books.headers),
            "BENCH_POSTMASTER": str(self._postmaster),
            "AIRFLOW_CONN_ECONOMIC_DEFAULT": json.dumps(account.connection),
        }

    def one_round(self, way: str, costs: dict[str, list[Cost]]) -> None:
        """Load everything, again unchanged, and with one per cent changed; ours also with one bad row, and quickly."""
        costs.setdefault("first", []).append(self.load(way, created=self.invoices))
        costs.setdefault("unchanged", []).append(self.load(way, unchanged=self.invoices))
        changed = self.change(way)
        costs.setdefault("1 % changed", []).append(self.load(way, updated=changed))
        if way == "ours":
            number = self._numbers(way)[self.invoices // 2]
            self.books.spoil(number, "date", value="2026-02-30")
            costs.setdefault("one bad row", []).append(self.load(way, failed=1))
            self.books.heal(number)
            self.load(way)
            self.load("quick", complete=True)
            costs.setdefault(QUICK[0], []).append(self.load("quick", requests=2, complete=True))
            self.books.pay(next(number for number in self._numbers(way, "remainder > 10")))
            (booked,) = self.books.book()
            self.invoices += 1
            costs.setdefault(QUICK[1], []).append(self.load("quick", created=1, updated=1, complete=True))
            self.books.control("remove", number=booked)

    def change(self, way: str = "ours") -> int:
        """Book a payment of one on every hundredth invoice; return their number."""
        numbers = self._numbers(way)[self._offset :: 100]
        for number in numbers:
            self.books.pay(number, 1)
        self._offset += 1
        return len(numbers)

    def load(self, way: str, **expected: int) -> Cost:
        """Load once in a process.

        :raises RuntimeError: it did not do the work it is measured for.
        """
        answer, told = multiprocessing.Pipe(duplex=False)
        with answer:
            with told:
                process = ways.process(way, self.environment(), told)
                process.start()
            cost, self.statistics = answer.recv()
        process.join()
        if self.statistics and any(self.statistics[key] != value for key, value in expected.items()):
            raise RuntimeError(f"The sync did {self.statistics}, expected {expected}.")
        if len(self._numbers(way)) != self.invoices:
            raise RuntimeError(f"{way} did not store {self.invoices} invoices.")
        return Cost(**cost)

    def _numbers(self, way: str, which: str = "true") -> list[int]:
        name = "bare_invoice" if way in {"limit", "row by row"} else "economic.invoice"
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(f"select invoice_number from {name} where {which} order by 1".encode())
            return [number for (number,) in rows]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(main())
