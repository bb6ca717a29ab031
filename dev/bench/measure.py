"""The cost of a piece of work: wall time, CPU of the client and of PostgreSQL, memory, write-ahead log."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from dev import ROOT
from dev.local.terminal import positive

MB = 1024**2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, bytes and MB. ``client`` and ``postgres`` are CPU seconds.

    ``peak_mb`` is the client process's, ``base_mb`` before the work.
    """

    wall: float = 0.0
    client: float = 0.0
    postgres: float = 0.0
    wal: float = 0.0
    peak_mb: float = 0.0
    base_mb: float = 0.0

    @property
    def cpu(self) -> float:
        """CPU seconds of client and PostgreSQL together."""
        return self.client + self.postgres

    def beside(self, base: Cost) -> str:
        """Return the ratios of wall time and CPU time to another's."""
        return f"{self.wall / base.wall:.2f}, {self.cpu / base.cpu:.2f}"

    def as_json(self) -> dict[str, float]:
        """Return the figures, rounded."""
        return {key: round(value, 4) for key, value in asdict(self).items()}


Costs = dict[str, dict[str, list[Cost]]]
"""By way and load, or the other way round."""


def options(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that every bench has."""
    parser = argparse.ArgumentParser(prog=f"./run bench {name}", description=description)
    parser.add_argument("n", nargs="?", type=positive, default=22_500, help="number of invoices")
    parser.add_argument("--keep", action="store_true", help="keep the figures in docs/benchmarks")
    return parser


def save(given: argparse.Namespace, name: str, **figures: Any) -> str:
    """Return one run's figures and circumstances as JSON; keep them beside those of others, if that is wanted."""
    result = json.dumps({"invoices": given.n, **_circumstances(), **figures}, indent=1)
    if given.keep:
        (ROOT / "docs" / "benchmarks" / f"{name}.json").write_text(f"{result}\n")
    return result


def _circumstances() -> dict[str, str]:
    """Return the machine and the day, for the record."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if "model name" in line), platform.machine()
    )
    machine = f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    return {"when": f"{datetime.now(UTC):%Y-%m-%d}", "machine": f"{machine}, {load}"}


def postgres_cpu(postmaster: int) -> float:
    """Return the CPU seconds of a PostgreSQL server so far, all its processes and the ended ones included."""
    total = _ticks(postmaster, ended=True)
    for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
        try:
            total += _ticks(int(child), ended=False)
        except FileNotFoundError:
            continue  # ended just now: counted with the postmaster next time
    return total / _TICKS


def process_cpu(pid: int) -> float:
    """Return the CPU seconds of one process so far."""
    return _ticks(pid, ended=False) / _TICKS


def _ticks(pid: int, *, ended: bool) -> int:
    # After the name in brackets: state is field 3, utime and stime 14 and 15, of ended children 16 and 17.
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in values[11 : 15 if ended else 13])


def _settled_postgres_cpu(connection: psycopg.Connection, postmaster: int) -> float:
    # A session that ends while it is measured is easily missed: wait until all others have ended.
    others = (
        "select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    while connection.execute(others).fetchone() is not None:
        time.sleep(0.01)
    time.sleep(0.1)
    return postgres_cpu(postmaster)


def wal_bytes(connection: psycopg.Connection) -> int:
    """Return the bytes of write-ahead log since the cluster was created."""
    row = connection.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
    return int(row[0]) if row else 0


def _memory_mb(field: str) -> float:
    # `ru_maxrss` would begin with the parent's memory.
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


@contextmanager
def measured(dsn: str, postmaster: int, done: Callable[[Cost], None]) -> Iterator[None]:
    """Measure the work of this process in the block; imports before it do not count."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        base, wal = _memory_mb("VmRSS"), wal_bytes(connection)
        server = _settled_postgres_cpu(connection, postmaster)
        client, clock = time.process_time(), time.perf_counter()
        yield
        wall, used = time.perf_counter() - clock, time.process_time() - client
        served = _settled_postgres_cpu(connection, postmaster) - server
        done(Cost(wall, used, served, wal_bytes(connection) - wal, _memory_mb("VmHWM"), base))


def as_json(costs: Costs) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Return every figure, rounded."""
    return {
        name: {kind: [cost.as_json() for cost in each] for kind, each in kinds.items()}
        for name, kinds in costs.items()
    }


def median(costs: Sequence[Cost]) -> Cost:
    """Return the middle value of each figure."""
    return Cost(**{f.name: statistics.median(getattr(cost, f.name) for cost in costs) for f in fields(Cost)})
