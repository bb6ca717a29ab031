"""`./run bench peers`: what dlt takes for the same books, and what Airbyte's connector takes to read them; in one run with ours, interleaved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from dev import embedded_postgres
from dev.bench import report
from dev.bench.__main__ import Bench, Costs, check, describe, note, say, simulated
from dev.bench.environments import environment_for, python_for_airbyte
from dev.bench.measure import Cost, settled_postgres_cpu, wal_bytes

HERE = Path(__file__).resolve().parent
AIRBYTE = HERE.parents[1] / "tests" / "integration" / "peers" / "requirements-airbyte.txt"
DLT = ("dlt, default", "dlt, tuned", "dlt, Arrow pages")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = report.options("peers", __doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args(arguments)
    dlt = environment_for("dlt", HERE / "requirements-dlt.txt")
    old = python_for_airbyte()
    airbyte = environment_for("airbyte", AIRBYTE, old) if old else None
    if airbyte is None:
        say("Airbyte's connector needs Python 3.9 or 3.10 (PEER_PYTHON): it is left out.")
    costs: Costs = {way: {} for way in ("ours", *DLT, *(["Airbyte, read only"] if airbyte else []))}
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        for repetition in range(given.repetitions):
            bench = Bench(server, books, given.n)
            check(bench, "ours", note(costs["ours"], "first", bench.load("ours")), created=given.n)
            check(bench, "ours", note(costs["ours"], "unchanged", bench.load("ours")), unchanged=given.n)
            for way in DLT:
                bench = Bench(server, books, given.n)
                with tempfile.TemporaryDirectory() as folder:
                    for load in ("first", "unchanged"):
                        costs[way].setdefault(load, []).append(
                            outside(bench, [dlt, HERE / "dlt_load.py", way, folder])
                        )
                with psycopg.connect(server.dsn("bench")) as connection:
                    found = connection.execute("select count(*) from dlt.invoice").fetchone()
                if not found or found[0] != given.n:
                    raise RuntimeError(f"{way} stored {found} of {given.n} invoices.")
            if airbyte:
                costs["Airbyte, read only"].setdefault("first", []).append(
                    outside(bench, [airbyte, HERE / "airbyte_read.py"])
                )
            say(f"round {repetition + 1} of {given.repetitions}")
    result = describe(given.n, given.repetitions, costs)
    report.save(result, "peers", keep=given.keep)
    say(report.table(result, base="ours"))
    return 0


def outside(bench: Bench, command: list[str | Path]) -> Cost:
    """What a program that measures itself says, and what PostgreSQL did meanwhile."""
    environment = os.environ | bench.environment() | {"BENCH_DSN": bench.url(), "PYTHONPATH": ""}
    with psycopg.connect(bench.server.dsn("bench"), autocommit=True) as watching:
        served, written = settled_postgres_cpu(watching, bench.postmaster), wal_bytes(watching)
        done = subprocess.run(
            [str(word) for word in command], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        if found.get("records", bench.invoices) != bench.invoices:
            raise RuntimeError(f"{command[1]} read {found['records']} of {bench.invoices} invoices.")
        return Cost(
            found["wall"],
            found["client"],
            settled_postgres_cpu(watching, bench.postmaster) - served,
            wal_bytes(watching) - written,
            found["peak_mb"],
        )


if __name__ == "__main__":
    sys.exit(main())
