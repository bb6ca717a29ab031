"""An Airflow with Celery workers, the companies it reads and the databases it writes, all on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import embedded_postgres
from dev.account import TESTS, Account
from dev.airflow_settings import (
    INVOICES,
    METADATA,
    configuration,
    invoice_connections,
    serving,
)
from dev.embedded_postgres import Server
from dev.interruption import Interruption
from dev.keys import keys
from dev.local_airflow import LocalAirflow, prepare
from dev.parts import PartFailed, Parts
from dev.ports import LOOPBACK, free_port
from dev.scale import environment

_PATIENCE_SECONDS = 300.0
_WORKER_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    :param concurrency: tasks at once in one worker.
    """

    agreements: int
    invoices: int
    workers: int
    concurrency: int

    @property
    def slots(self) -> int:
        return self.workers * self.concurrency

    def name(self, position: int) -> str:
        """Of the company at that position, the first is 1; it ends the name of the company's DAG."""
        return f"company_{position:04}"

    def entries(self) -> str:
        """ECONOMIC_AGREEMENTS."""
        return json.dumps([{"name": self.name(position)} for position in range(1, self.agreements + 1)])


@dataclass(frozen=True)
class Stand:
    """Everything, running."""

    scale: Scale
    airflow: LocalAirflow
    parts: Parts
    metadata: Server
    invoices: Server
    companies: list[Any]

    @property
    def servers(self) -> Mapping[str, Server]:
        return {"metadata database": self.metadata, "invoice database": self.invoices}


@contextmanager
def running(scale: Scale, home: Path, interruption: Interruption) -> Iterator[Stand]:
    """Start everything, everything kept in that folder, and stop it at the end.

    :raises PartFailed: something does not start.
    """
    with ExitStack() as stack:
        # Apart, so that what each of them costs can be told; with PostgreSQL's own safe settings.
        metadata = stack.enter_context(embedded_postgres.server([METADATA]))
        invoices = stack.enter_context(embedded_postgres.server([INVOICES]))
        parts = stack.enter_context(Parts(home / "logs", interruption))
        for name, server in (("metadata database", metadata), ("invoice database", invoices)):
            parts.watch(name, server.pid, server.log)
        broker = _redis(parts, home)
        base_url, companies = _simulator(parts, scale)
        told = _environment(scale, home, metadata, broker)
        prepare(home, parts, told, environment.AIRFLOW)
        airflow = LocalAirflow(parts, told, keys(home), environment.AIRFLOW)
        connections: dict[str, Mapping[str, Any]] = {**invoice_connections(invoices)}
        for position, company in enumerate(companies, start=1):
            account = Account("", base_url, company.app_secret_token, company.agreement_grant_token, "")
            connections[f"economic_{scale.name(position)}"] = account.connection
        airflow.start(connections)
        for number in range(1, scale.workers + 1):
            words = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", f"worker{number}@%h"]
            parts.start(f"worker {number}", [environment.AIRFLOW, *words], told, _WORKER_PATIENCE_SECONDS)
        yield Stand(scale, airflow, parts, metadata, invoices, companies)


def _environment(scale: Scale, home: Path, metadata: Server, broker: str) -> dict[str, str]:
    secret = keys(home)
    told = configuration(home, metadata, "economic_default", secret) | serving(free_port(), secret)
    told["PATH"] = f"{environment.AIRFLOW.parent}{os.pathsep}{told.get('PATH', os.defpath)}"
    return told | {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(scale.slots),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(scale.concurrency),
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{told['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}",
        "ECONOMIC_AGREEMENTS": scale.entries(),
        # Every run is one that was asked for.
        "AUTO_SYNC_ENABLED": "false",
    }


def _redis(parts: Parts, home: Path) -> str:
    """A broker with a password of its own; its address."""
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


def _simulator(parts: Parts, scale: Scale) -> tuple[str, list[Any]]:
    """A simulator of that many companies; its address and what tells them apart."""
    sys.path.insert(0, str(TESTS))
    from simulator.companies import Company, companies
    from simulator.running import AGREEMENT, AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, COMPANY, READY

    command = [sys.executable, "-m", "simulator", "--invoices", str(scale.invoices)]
    command += ["--companies", str(scale.agreements)]
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    part = parts.start("simulator", command, os.environ | {"PYTHONPATH": path})
    parts.wait_until(lambda: part.said().startswith(READY), "the simulator answers", _PATIENCE_SECONDS)
    first = Company(AGREEMENT, COMPANY, 1, APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN)
    return part.said().removeprefix(READY).split()[0], companies(first, scale.agreements)
