"""What a piece of work costs: wall time, CPU of the client and of PostgreSQL, memory, write-ahead log."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psycopg

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, bytes and MB. ``client`` and ``postgres`` are CPU seconds; ``peak_mb`` is the client process's, ``base_mb`` before the work."""

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


def settled_postgres_cpu(watching: psycopg.Connection, postmaster: int) -> float:
    """The same as :func:`postgres_cpu`, once all other sessions have ended: one that ends while it is looked at is easily missed."""
    while (
        watching.execute(
            "select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        ).fetchone()
        is not None
    ):
        time.sleep(0.01)
    time.sleep(0.1)
    return postgres_cpu(postmaster)


def postgres_cpu(postmaster: int) -> float:
    """CPU seconds that a PostgreSQL server has used so far, in all its processes, ended ones included."""
    total = _ticks(postmaster, ended=True)
    for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
        try:
            total += _ticks(int(child), ended=False)
        except FileNotFoundError:
            continue  # ended just now: counted with the postmaster at the next look
    return total / _TICKS


def _ticks(pid: int, *, ended: bool) -> int:
    # After the name in brackets: state is field 3, utime and stime 14 and 15, those of ended children 16 and 17.
    found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in found[11 : 15 if ended else 13])


def wal_bytes(connection: psycopg.Connection) -> int:
    """Bytes of write-ahead log since the cluster was made."""
    found = connection.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
    return int(found[0]) if found else 0


def peak_mb() -> float:
    """The most memory this program has had; `ru_maxrss` would begin with what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


@contextmanager
def measured(dsn: str, postmaster: int, done: Callable[[Cost], None]) -> Iterator[None]:
    """Measure the work of this process in the block, whose imports are done: what a process needs to start is not in it."""
    with psycopg.connect(dsn, autocommit=True) as watching:
        base, wal = _resident_mb(), wal_bytes(watching)
        server = settled_postgres_cpu(watching, postmaster)
        client, clock = time.process_time(), time.perf_counter()
        yield
        wall, used = time.perf_counter() - clock, time.process_time() - client
        served, written = settled_postgres_cpu(watching, postmaster) - server, wal_bytes(watching) - wal
        peak = peak_mb()
    done(Cost(wall, used, served, written, peak, base))


def median(costs: Sequence[Cost]) -> Cost:
    """The middle value of each figure."""
    return Cost(**{f.name: statistics.median(getattr(cost, f.name) for cost in costs) for f in fields(Cost)})


def spread(costs: Sequence[Cost], name: str) -> float:
    """Largest less smallest of a figure, as a share of its median."""
    values = [getattr(cost, name) for cost in costs]
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def as_json(cost: Cost) -> dict[str, float]:
    return {key: round(value, 4) for key, value in asdict(cost).items()}
