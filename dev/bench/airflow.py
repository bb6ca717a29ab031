"""`./run bench airflow` and `./run bench scale`: the cost of the sync within a whole Airflow, for one company or many at once.

Runs with the product's pauses between requests. Every copy is compared with its company's own books. Without Celery
workers, Airflow's scheduler runs the tasks itself, which needs no Redis.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg

from dev.bench.measure import options, postgres_cpu, save, wal_bytes
from dev.local import embedded_postgres
from dev.local.account import Account, start_simulator
from dev.local.airflow_settings import (
    AIRFLOW,
    DAG_ID,
    INVOICES,
    METADATA,
    configuration,
    invoice_connections,
    keys,
    serving,
)
from dev.local.embedded_postgres import Server
from dev.local.interruption import Interrupted, Interruption
from dev.local.local_airflow import LocalAirflow, prepare
from dev.local.parts import PartFailed, Parts
from dev.local.ports import LOOPBACK, free_port
from dev.local.terminal import say

_PATIENCE_SECONDS = 600.0
_TASKS = ("fetch-pages", "upsert-invoices", "populate-employee-names")
_RUNS = "select state, queued_at, start_date, end_date from dag_run where queued_at >= %s"
_TASK_TIMES = """
    select task_id, percentile_cont(0.5) within group (order by extract(epoch from t.start_date - r.queued_at)),
        percentile_cont(0.5) within group (order by extract(epoch from t.end_date - r.queued_at))
    from task_instance t join dag_run r using (dag_id, run_id) where r.queued_at >= %s group by task_id
"""
_SYNCS = """
    select status, complete, reconciled, (statistics ->> 'created')::integer,
        (statistics ->> 'peak_memory_mb')::float
    from economic.sync_run where agreement_number = %s order by sync_id
"""
_ROWS = """
    select invoice_number, net_amount, gross_amount, remainder, customer_number
    from economic.invoice where agreement_number = %s and missing_since is null
"""


@dataclass(frozen=True)
class Stand:
    """Everything, running. Airflow and the invoices have a server each, so that their costs can be told apart.

    :param books: the companies that the simulator has.
    """

    airflow: LocalAirflow
    parts: Parts
    servers: Mapping[str, Server]
    dags: list[str]
    books: list[Any]
    invoices: int

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.servers[database].dsn(database), autocommit=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 0 when every company's copy is complete and its own."""
    parser = options("airflow", __doc__)
    parser.add_argument("--agreements", type=int, default=1, help="number of companies; n is of each")
    parser.add_argument("--repetitions", type=int, default=5, help="syncs in which nothing changed")
    parser.add_argument("--workers", type=int, default=0, help="Celery workers")
    parser.add_argument("--concurrency", type=int, default=4, help="tasks at once in one worker")
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds that a round may take")
    given = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="economic-bench-"))
    rounds: list[dict[str, Any]] = []
    with Interruption() as interruption:
        try:
            with running(given, home, interruption) as stand:
                for number in range(given.repetitions + 1):
                    rounds.append(one_round(stand, given.patience))
                    if wrong := complaints(stand, number + 1):
                        raise PartFailed("\n".join(wrong[:10]))
        except Interrupted as request:
            return request.exit_code
        except PartFailed as error:
            say(f"{error}\nThe logs are in {home}.")
            return 1
    shutil.rmtree(home)
    result = save(given, f"airflow-{given.agreements}x{given.n}", **vars(given), rounds=rounds)
    say(f"{result}\n\n{table(rounds)}")
    return 0


def table(rounds: list[dict[str, Any]]) -> str:
    """Return the first load and the median unchanged round as a table in Markdown."""
    first, *others = rounds
    middle = sorted(others, key=lambda each: float(each["seconds"]))[len(others) // 2]
    lines = ["| from the trigger, in seconds | first load | nothing changed |", "|---|---|---|"]
    for task in _TASKS:
        spans = ("{:.1f} to {:.1f}".format(*each["tasks"][task]) for each in (first, middle))
        lines.append(f"| `{task}` | {' | '.join(spans)} |")
    for name in ("run_seconds", "seconds", "task_peak_mb"):
        lines.append(f"| {name} | {first[name]:.1f} | {middle[name]:.1f} |")
    return "\n".join(lines)


@contextmanager
def running(given: argparse.Namespace, home: Path, interruption: Interruption) -> Iterator[Stand]:
    """Start everything, with its data in that folder, and stop it at the end.

    :raises PartFailed: something does not start.
    """
    names = [f"company_{position:04}" for position in range(1, given.agreements + 1)]
    with ExitStack() as stack:
        servers = {
            database: stack.enter_context(embedded_postgres.server([database]))
            for database in (METADATA, INVOICES)
        }
        parts = stack.enter_context(Parts(home / "logs", interruption))
        for database, server in servers.items():
            parts.watch(database, server.pid, server.log)
        words = ["--invoices", str(given.n), "--companies", str(given.agreements)]
        first = start_simulator(parts, words, _PATIENCE_SECONDS)
        books = _companies(given.agreements)
        secret = keys(home)
        settings = configuration(home, servers[METADATA], "economic_default", secret)
        settings |= serving(free_port(), secret) | {
            "ECONOMIC_AGREEMENTS": json.dumps([{"name": name} for name in names]),
            "AUTO_SYNC_ENABLED": "false",  # every run is one that was triggered
        }
        if given.workers:
            settings |= {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__CORE__PARALLELISM": str(given.workers * given.concurrency),
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(given.concurrency),
                "AIRFLOW__CELERY__BROKER_URL": _start_broker(parts, home),
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{settings['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}",
            }
        prepare(home, parts, settings)
        airflow = LocalAirflow(parts, settings, secret)
        connections: dict[str, Mapping[str, Any]] = {**invoice_connections(servers[INVOICES])}
        for name, company in zip(names, books, strict=True):
            tokens = company.app_secret_token, company.agreement_grant_token
            connections[f"economic_{name}"] = Account("", first.base_url, *tokens, "").connection
        airflow.start(connections)
        for number in range(1, given.workers + 1):
            command = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", f"worker{number}@%h"]
            parts.start(f"worker {number}", [AIRFLOW, *command], settings, patience=20.0)
        parts.wait_until(
            lambda: airflow.api.get("dags", dag_id_pattern=f"{DAG_ID}__%")["total_entries"] == len(names),
            f"all {given.agreements} DAGs are known",
            _PATIENCE_SECONDS,
        )
        yield Stand(airflow, parts, servers, [f"{DAG_ID}__{name}" for name in names], books, given.n)


def _companies(number: int) -> list[Any]:
    from simulator.companies import Company, companies
    from simulator.running import AGREEMENT, AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, COMPANY

    first = Company(AGREEMENT, COMPANY, 1, APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN)
    return companies(first, number)


def _start_broker(parts: Parts, home: Path) -> str:
    """Start a Redis with its own password; return its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise PartFailed("redis-server was not found. On Debian and Ubuntu: apt install redis-server")
    port, password = free_port(), secrets.token_urlsafe(24)
    settings = home / "redis.conf"
    settings.touch(mode=0o600)
    settings.write_text(f'bind {LOOPBACK}\nport {port}\nrequirepass {password}\nsave ""\ndir {home}\n')
    part = parts.start("redis", [program, settings], os.environ)
    parts.wait_until(lambda: "Ready to accept connections" in part.said(), "Redis answers", _PATIENCE_SECONDS)
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def one_round(stand: Stand, patience: float) -> dict[str, Any]:
    """Sync every company once, all triggered at once; return what that took.

    :raises PartFailed: a run failed, or not all ended in time.
    """
    since, written, used = datetime.now(UTC), _wal(stand), _cpu(stand)
    with stand.connect(METADATA) as metadata:
        for dag_id in stand.dags:
            stand.airflow.api.patch(f"dags/{dag_id}", {"is_paused": False})
            stand.airflow.api.post(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": {}})

        def ended() -> bool:
            states = [run[0] for run in metadata.execute(_RUNS, (since,))]
            return len(states) == len(stand.dags) and set(states) <= {"success", "failed"}

        stand.parts.wait_until(ended, "all runs have ended", patience)
        runs = metadata.execute(_RUNS, (since,)).fetchall()
        tasks = {
            name: [round(float(time), 1) for time in times]
            for name, *times in metadata.execute(_TASK_TIMES, (since,))
        }
    if failed := sum(run[0] == "failed" for run in runs):
        raise PartFailed(f"{failed} of {len(stand.dags)} runs failed.")
    with stand.connect(INVOICES) as invoices:
        memory = [invoices.execute(_SYNCS, (company.agreement,)).fetchall()[-1][4] for company in stand.books]
    return {
        "seconds": _seconds(min(run[1] for run in runs), max(run[3] for run in runs)),
        "run_seconds": statistics.median(_seconds(run[2], run[3]) for run in runs),
        "tasks": tasks,
        "task_peak_mb": max(memory),
        "cpu_seconds": {name: round(after - used[name], 1) for name, after in _cpu(stand).items()},
        "wal_bytes": {name: after - written[name] for name, after in _wal(stand).items()},
    }


def complaints(stand: Stand, rounds: int) -> list[str]:
    """Compare every copy with the books that the simulator drew; return the differences.

    :param rounds: how many times every company was synced.
    """
    due = [("completed", True, True, stand.invoices)] + [("completed", True, True, 0)] * (rounds - 1)
    wrong: list[str] = []
    with stand.connect(INVOICES) as connection:
        for company in stand.books:
            syncs = [row[:4] for row in connection.execute(_SYNCS, (company.agreement,))]
            if syncs != due:
                wrong.append(f"{company.name}: its syncs are {syncs}.")
            rows = {row[0]: row[1:] for row in connection.execute(_ROWS, (company.agreement,))}
            if rows != _books(company, stand.invoices):
                wrong.append(f"{company.name}: its {len(rows)} rows are not what its books say.")
        (others,) = connection.execute(
            "select count(*) from economic.invoice where agreement_number <> all(%s)",
            ([company.agreement for company in stand.books],),
        ).fetchone() or (0,)
    return [*wrong, *([f"{others} rows are of agreements that nobody has."] if others else [])]


def _books(company: Any, invoices: int) -> dict[int, tuple[Any, ...]]:
    from simulator.books import Books

    def money(hundredths: int) -> Decimal:
        return Decimal(hundredths).scaleb(-2)

    return {
        one.number: (money(one.net), money(one.gross), money(one.remainder), one.customer.number)
        for one in Books(invoices, 10, company.seed, "DKK").invoices()
    }


def _wal(stand: Stand) -> dict[str, int]:
    with stand.connect(METADATA) as metadata, stand.connect(INVOICES) as invoices:
        return {METADATA: wal_bytes(metadata), INVOICES: wal_bytes(invoices)}


def _cpu(stand: Stand) -> dict[str, float]:
    """Return the CPU seconds of each part so far, of its ended children too."""
    return {
        part.name: postgres_cpu(part.process.pid)
        if part.name in stand.servers
        else _cpu_of_tree(part.process)
        for part in stand.parts.running
    }


def _cpu_of_tree(process: psutil.Process) -> float:
    """Add up CPU seconds over a process and its descendants; one that ends meanwhile counts nothing."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(member.cpu_times()[:4])
    return total


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 1)


if __name__ == "__main__":
    sys.exit(main())
