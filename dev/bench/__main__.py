"""`make bench`: the sync against the limit and against what it replaces, in one run, interleaved; prints a table for docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dev import embedded_postgres
from dev.bench import limit, report
from dev.bench.measure import Cost, as_json
from dev.embedded_postgres import Server

ROOT = Path(__file__).resolve().parents[2]
ROW_BY_ROW_UP_TO = 50_000
"""More invoices than this take the old way minutes, and tell nothing new."""
ROW_BY_ROW_ROUNDS = 3
"""It is so slow that more rounds of it tell nothing new either; the others are close to each other, and a machine's speed wanders."""

Costs = dict[str, dict[str, list[Cost]]]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = report.options("sync", __doc__)
    parser.add_argument("--repetitions", type=int, default=0, help="default: 9, with many invoices fewer")
    given = parser.parse_args(arguments)
    repetitions = given.repetitions or (9 if given.n <= 50_000 else 2 if given.n <= 500_000 else 1)
    ways = ["limit", "ours"] + (["row by row"] if given.n <= ROW_BY_ROW_UP_TO else [])
    costs: Costs = {way: {} for way in ways}
    began = time.monotonic()
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        for repetition in range(repetitions):
            for way in ways[repetition % len(ways) :] + ways[: repetition % len(ways)]:
                if way == "row by row" and repetition >= ROW_BY_ROW_ROUNDS:
                    continue
                one_round(Bench(server, books, given.n), way, costs[way])
                say(f"round {repetition + 1} of {repetitions}: {way} ({time.monotonic() - began:.0f} s)")
    result = describe(given.n, repetitions, costs)
    report.save(result, str(given.n), keep=given.keep)
    say(report.table(result))
    return 0


def describe(invoices: int, repetitions: int, costs: Costs) -> dict[str, Any]:
    """What was measured, where and when, as it is kept."""
    return {
        "invoices": invoices,
        "repetitions": repetitions,
        "when": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "costs": {
            way: {load: [as_json(cost) for cost in found] for load, found in loads.items()}
            for way, loads in costs.items()
        },
    }


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def machine() -> str:
    """The machine, in a few words."""
    cpus = os.cpu_count()
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{cpus} cores ({model}), Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end"


@contextmanager
def simulated(invoices: int) -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "tests"))
    import simulator

    with simulator.process(invoices=invoices) as found:
        # It writes its answers when they are first asked for: that is nobody's work here.
        for _ in limit.pages(found.base_url, found.headers):
            pass
        yield found


class Bench:
    """A server, a simulator, and a fresh database."""

    def __init__(self, server: Server, books: Any, invoices: int) -> None:
        self.server, self.books, self.invoices = server, books, invoices
        self.offset = 0
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            admin.execute("drop database if exists bench with (force)")
            admin.execute("create database bench")
            # The checkpoint of the database before is not this one's work.
            admin.execute("checkpoint")
            found = admin.execute("select pg_backend_pid()").fetchone()
            status = Path(f"/proc/{found[0] if found else 0}/stat").read_text().rpartition(")")[2]
            self.postmaster = int(status.split()[1])
        with psycopg.connect(server.dsn("bench"), autocommit=True) as connection:
            limit.table(connection)
        subprocess.run(
            [sys.executable, "-m", "economic", "migrate", "--dsn", server.dsn("bench")],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def environment(self) -> dict[str, str]:
        """What a program that loads these books is told."""
        connection = {
            "conn_type": "economic",
            "host": self.books.base_url,
            "extra": {
                "app_secret_token": self.books.app_secret_token,
                "agreement_grant_token": self.books.agreement_grant_token,
            },
        }
        return {
            "BENCH_DSN": self.server.dsn("bench"),
            "BENCH_URL": self.books.base_url,
            "BENCH_HEADERS": json.dumps(self.books.headers),
            "BENCH_POSTMASTER": str(self.postmaster),
            "AIRFLOW_CONN_ECONOMIC_DEFAULT": json.dumps(connection),
        }

    def load(self, way: str) -> dict[str, Any]:
        """One load in a process of its own; what it cost."""
        done = subprocess.run(
            [sys.executable, "-m", "dev.bench.contestant", way],
            env=os.environ | self.environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def change(self) -> None:
        """A payment of one on every hundredth invoice."""
        numbers = self.numbers()
        for number in numbers[self.offset :: 100]:
            self.books.pay(number, 1)
        self.offset += 1

    def numbers(self) -> list[int]:
        with psycopg.connect(self.server.dsn("bench")) as connection:
            held = "economic.invoice" if self.holds("economic.invoice") else "bare_invoice"
            query = sql.SQL("select invoice_number from {} order by 1").format(
                sql.Identifier(*held.split("."))
            )
            return [row[0] for row in connection.execute(query)]

    def holds(self, table: str) -> bool:
        with psycopg.connect(self.server.dsn("bench")) as connection:
            found = connection.execute(f"select exists (select 1 from {table})".encode()).fetchone()
            return bool(found and found[0])


def one_round(bench: Bench, way: str, costs: dict[str, list[Cost]]) -> None:
    """First load, unchanged load, one per cent changed; for ours also one bad row among all."""
    check(bench, way, note(costs, "first", bench.load(way)), created=bench.invoices)
    check(bench, way, note(costs, "unchanged", bench.load(way)), unchanged=bench.invoices)
    bench.change()
    changed = len(range(0, bench.invoices, 100))
    check(bench, way, note(costs, "1 % changed", bench.load(way)), updated=changed)
    if way == "ours":
        number = bench.numbers()[bench.invoices // 2]
        bench.books.spoil(number, "date", value="2026-02-30")
        check(bench, way, note(costs, "one bad row", bench.load(way)), failed=1)
        bench.books.heal(number)


def note(costs: dict[str, list[Cost]], load: str, found: dict[str, Any]) -> dict[str, Any]:
    statistics: dict[str, Any] = found.pop("statistics", {})
    costs.setdefault(load, []).append(Cost(**found))
    return statistics


def check(bench: Bench, way: str, statistics: dict[str, Any], **expected: int) -> None:
    """What was measured did the work it is measured for."""
    if way == "ours":
        seen = {key: statistics[key] for key in expected}
        if seen != expected:
            raise RuntimeError(f"The sync did {statistics}, where {expected} was expected.")
        return
    with psycopg.connect(bench.server.dsn("bench")) as connection:
        found = connection.execute("select count(*) from bare_invoice").fetchone()
    if not found or found[0] != bench.invoices:
        raise RuntimeError(f"{way} stored {found} of {bench.invoices} invoices.")


if __name__ == "__main__":
    sys.exit(main())
