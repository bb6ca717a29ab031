"""`./run bench scale`: many companies at once on Celery workers: all synced, none mixed up, and what it costs.

With `--workers 0` Airflow's scheduler runs the tasks itself, which needs no Redis.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import psycopg

from dev import embedded_postgres
from dev.account import TESTS, Account
from dev.airflow_settings import (
    AIRFLOW,
    DAG_ID,
    INVOICES,
    METADATA,
    configuration,
    invoice_connections,
    serving,
)
from dev.bench.__main__ import machine
from dev.bench.measure import postgres_cpu, wal_bytes
from dev.embedded_postgres import Server
from dev.interruption import Interrupted, Interruption
from dev.keys import keys
from dev.local_airflow import LocalAirflow, prepare
from dev.parts import PartFailed, Parts
from dev.ports import LOOPBACK, free_port
from dev.terminal import say

_PATIENCE_SECONDS = 600.0
_WATCH_SECONDS = 5.0
_SERVERS = {"metadata database": METADATA, "invoice database": INVOICES}


@dataclass(frozen=True)
class Stand:
    """Everything, running.

    :param servers: by the names in :data:`_SERVERS`.
    :param books: the companies that the simulator has.
    """

    airflow: LocalAirflow
    parts: Parts
    servers: Mapping[str, Server]
    dags: list[str]
    books: list[Any]
    invoices: int

    def connect(self, name: str) -> psycopg.Connection[Any]:
        """A connection to one of the databases."""
        return psycopg.connect(self.servers[name].dsn(_SERVERS[name]), autocommit=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 0 when every company's copy is complete and its own."""
    parser = argparse.ArgumentParser(prog="./run bench scale", description=__doc__)
    parser.add_argument("--agreements", type=int, default=200)
    parser.add_argument("--invoices", type=int, default=5000, help="of each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=4, help="tasks at once in one worker")
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds that a round may take")
    given = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="economic-scale-"))
    measured: dict[str, Any] = vars(given) | {"machine": machine(), "when": f"{datetime.now(UTC):%Y-%m-%d}"}
    with Interruption() as interruption:
        try:
            with running(given, home, interruption) as stand:
                for number, name in enumerate(("first load", "nothing changed"), start=1):
                    measured[name] = one_round(stand, given.patience)
                    say(f"{name}: {json.dumps(measured[name], indent=1)}\nComparing with the books ...")
                    if wrong := complaints(stand, number):
                        raise PartFailed("\n".join(wrong[:10]))
        except Interrupted as request:
            return request.exit_code
        except PartFailed as error:
            say(f"{error}\nThe logs are in {home}.")
            return 1
    shutil.rmtree(home)
    say(json.dumps(measured, indent=1))
    return 0


@contextmanager
def running(given: argparse.Namespace, home: Path, interruption: Interruption) -> Iterator[Stand]:
    """Start everything, everything kept in that folder, and stop it at the end.

    :raises PartFailed: something does not start.
    """
    names = [f"company_{position:04}" for position in range(1, given.agreements + 1)]
    with ExitStack() as stack:
        # Apart, so that what each of them costs can be told; with PostgreSQL's own safe settings.
        servers = {
            name: stack.enter_context(embedded_postgres.server([database]))
            for name, database in _SERVERS.items()
        }
        parts = stack.enter_context(Parts(home / "logs", interruption))
        for name, server in servers.items():
            parts.watch(name, server.pid, server.log)
        base_url, books = _simulator(parts, given)
        secret = keys(home)
        settings = configuration(home, servers["metadata database"], "economic_default", secret)
        settings |= serving(free_port(), secret) | {
            "ECONOMIC_AGREEMENTS": json.dumps([{"name": name} for name in names]),
            # Every run is one that was asked for.
            "AUTO_SYNC_ENABLED": "false",
        }
        if given.workers:
            settings |= {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__CORE__PARALLELISM": str(given.workers * given.concurrency),
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(given.concurrency),
                "AIRFLOW__CELERY__BROKER_URL": _broker(parts, home),
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{settings['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}",
            }
        prepare(home, parts, settings)
        airflow = LocalAirflow(parts, settings, secret)
        connections: dict[str, Mapping[str, Any]] = {**invoice_connections(servers["invoice database"])}
        for name, company in zip(names, books, strict=True):
            account = Account("", base_url, company.app_secret_token, company.agreement_grant_token, "")
            connections[f"economic_{name}"] = account.connection
        airflow.start(connections)
        for number in range(1, given.workers + 1):
            words = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", f"worker{number}@%h"]
            parts.start(f"worker {number}", [AIRFLOW, *words], settings, patience=20.0)
        parts.wait_until(
            lambda: airflow.api.get("dags", dag_id_pattern=f"{DAG_ID}__%")["total_entries"] == len(names),
            f"all {given.agreements} DAGs are known",
            _PATIENCE_SECONDS,
        )
        yield Stand(airflow, parts, servers, [f"{DAG_ID}__{name}" for name in names], books, given.invoices)


def _broker(parts: Parts, home: Path) -> str:
    """A Redis with a password of its own; its address."""
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


def _simulator(parts: Parts, given: argparse.Namespace) -> tuple[str, list[Any]]:
    """A simulator of that many companies; its address and what tells them apart."""
    sys.path.insert(0, str(TESTS))
    from simulator.companies import Company, companies
    from simulator.running import AGREEMENT, AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, COMPANY, READY

    command = [sys.executable, "-m", "simulator", "--invoices", str(given.invoices)]
    command += ["--companies", str(given.agreements)]
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    part = parts.start("simulator", command, os.environ | {"PYTHONPATH": path})
    parts.wait_until(lambda: part.said().startswith(READY), "the simulator answers", _PATIENCE_SECONDS)
    first = Company(AGREEMENT, COMPANY, 1, APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN)
    return part.said().removeprefix(READY).split()[0], companies(first, given.agreements)


def one_round(stand: Stand, patience: float) -> dict[str, Any]:
    """Sync every company once, all triggered at once; what that took.

    :raises PartFailed: a run failed, or not all ended in time.
    """
    since, written, used = datetime.now(UTC), _wal(stand), _cpu(stand)
    runs = "select state, queued_at, start_date, end_date from dag_run where queued_at >= %s"
    with watched(stand) as peak, stand.connect("metadata database") as metadata:
        for dag_id in stand.dags:
            stand.airflow.api.post(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": {}})

        def ended() -> bool:
            states = [run[0] for run in metadata.execute(runs, (since,))]
            return len(states) == len(stand.dags) and set(states) <= {"success", "failed"}

        stand.parts.wait_until(ended, "all runs have ended", patience)
        done = metadata.execute(runs, (since,)).fetchall()
    if failed := sum(run[0] == "failed" for run in done):
        raise PartFailed(f"{failed} of {len(stand.dags)} runs failed.")
    return {
        "seconds, first trigger to last success": _seconds(
            min(run[1] for run in done), max(run[3] for run in done)
        ),
        "seconds of a run, median": statistics.median(_seconds(run[2], run[3]) for run in done),
        "CPU seconds": {name: round(after - used[name], 1) for name, after in _cpu(stand).items()},
        "WAL bytes": {name: after - written[name] for name, after in _wal(stand).items()},
        "peak MB": peak,
    }


@contextmanager
def watched(stand: Stand) -> Iterator[dict[str, float]]:
    """The peak memory of each part in MB, seen from outside within the block; shared pages are divided among processes."""
    peak: dict[str, float] = {}
    done = Event()

    def look() -> None:
        while not done.wait(_WATCH_SECONDS):
            for part in stand.parts.running:
                bytes_ = _of_all(part.process, lambda process: process.memory_full_info().pss)
                peak[part.name] = max(peak.get(part.name, 0), round(bytes_ / 1024**2))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def complaints(stand: Stand, rounds: int) -> list[str]:
    """What is wrong with the invoice database, in words: every copy is compared with the books that the simulator drew.

    :param rounds: how many times every company was synced.
    """
    syncs = """select status, complete, reconciled, (statistics ->> 'created')::integer
        from economic.sync_run where agreement_number = %s order by sync_id"""
    rows = """select invoice_number, net_amount, gross_amount, remainder, customer_number
        from economic.invoice where agreement_number = %s and missing_since is null"""
    due = [("completed", True, True, stand.invoices)] + [("completed", True, True, 0)] * (rounds - 1)
    wrong: list[str] = []
    with stand.connect("invoice database") as connection:
        for company in stand.books:
            if (found := connection.execute(syncs, (company.agreement,)).fetchall()) != due:
                wrong.append(f"{company.name}: its syncs are {found}.")
            held = {row[0]: row[1:] for row in connection.execute(rows, (company.agreement,))}
            if held != _books(company, stand.invoices):
                wrong.append(f"{company.name}: its {len(held)} rows are not what its books say.")
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
    with stand.connect("metadata database") as metadata, stand.connect("invoice database") as invoices:
        return {"metadata database": wal_bytes(metadata), "invoice database": wal_bytes(invoices)}


def _cpu(stand: Stand) -> dict[str, float]:
    """CPU seconds of each part so far, of its children that have ended too."""
    return {
        part.name: postgres_cpu(part.process.pid)
        if part.name in _SERVERS
        else _of_all(part.process, lambda process: sum(process.cpu_times()[:4]))
        for part in stand.parts.running
    }


def _of_all(process: psutil.Process, look: Callable[[psutil.Process], float]) -> float:
    """The sum of something over a process and all that it has started; one that ends meanwhile counts nothing."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += look(member)
    return total


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 1)


if __name__ == "__main__":
    sys.exit(main())
