"""`./run bench killed`: one sync of very many invoices, its process killed while it reads and again while it stores; each next attempt goes on."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import psycopg

from dev import embedded_postgres
from dev.bench import report
from dev.bench.__main__ import ROOT, Bench, machine, say, simulated

_LOOK_SECONDS = 0.05
_SO_FAR = """
    select scan_seen, coalesce((statistics ->> 'created')::bigint, 0)
    from economic.sync_run order by sync_id desc limit 1
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(prog="./run bench killed", description=__doc__)
    parser.add_argument("n", nargs="?", type=int, default=int(os.environ.get("N", 1_000_000)))
    given = parser.parse_args(arguments)
    half = given.n // 2
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        bench = Bench(server, books, given.n)
        steps = [
            attempt(bench, "fetch", killed_at=half),
            attempt(bench, "fetch"),
            attempt(bench, "store", killed_at=half),
            attempt(bench, "store"),
            attempt(bench, "names"),
        ]
        done = json.loads(steps[-1]["said"].splitlines()[-1])
        held = len(bench.numbers())
    expected = {"fetched": given.n, "created": given.n, "failed": 0, "complete": True, "reconciled": True}
    if {key: done[key] for key in expected} != expected or held != given.n:
        raise RuntimeError(f"The sync did {done}, and {held:,} invoices are held.")
    kept = [{key: value for key, value in step.items() if key != "said"} for step in steps]
    result = {"invoices": given.n, "machine": machine(), "steps": kept, "statistics": done}
    report.save(result, "killed")
    say(report.killed_table(result))
    return 0


def attempt(bench: Bench, phase: str, killed_at: int | None = None) -> dict[str, Any]:
    """One attempt of a task in a process of its own, killed once so many invoices are through: where it began and ended, and how long it took."""
    before, began = so_far(bench, phase), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dev.bench.ours", phase],
        env=os.environ | bench.environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    while killed_at is not None and process.poll() is None:
        if so_far(bench, phase) >= killed_at:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(_LOOK_SECONDS)
    said, _ = process.communicate()
    ended = time.monotonic()
    if process.returncode != (0 if killed_at is None else -signal.SIGKILL):
        raise RuntimeError(f"{phase} ended with {process.returncode}: {said}")
    return {
        "phase": phase,
        "killed": killed_at is not None,
        "from": before,
        "to": so_far(bench, phase),
        "seconds": round(ended - began, 1),
        "said": said,
    }


def so_far(bench: Bench, phase: str) -> int:
    """How many invoices the sync has read, or stored, as of its last commit."""
    with psycopg.connect(bench.server.dsn("bench")) as connection:
        found = connection.execute(_SO_FAR).fetchone() or (0, 0)
    return int(found[0] if phase == "fetch" else found[1])


if __name__ == "__main__":
    sys.exit(main())
