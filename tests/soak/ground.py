"""Where the soak takes place: books over HTTP, a PostgreSQL server of its own, a proxy before each, and those who watch."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

import simulator
from economic.db import schema
from economic.db.sql import prepare
from simulator import InProcess
from tests.conftest import postgres_connection
from tests.support import write_auditor as referee
from tests.support.dag_runs import Asked
from tests.support.faults import clusters
from tests.support.faults.clusters import Cluster
from tests.support.faults.postgres import PostgresProxy
from tests.support.faults.proxy import Proxy
from tests.support.invariants import Witness
from tests.support.process_runs import ProcessRuns
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET
from tests.support.task_processes import Processes
from tests.support.write_auditor import Verdict

PAGE_SIZE = 50
NAME = "soak"
"""How the connections of its processes are named, with the process's own name after it."""

SHORTENED: dict[str, Any] = {
    "limits": {
        "read": 1.0,
        "page": 3.0,
        "attempts": 4,
        "budget": 6.0,
        "longest_wait": 1.0,
        "first_wait": 0.02,
    },
    "constants": {
        "economic.db.lease.TTL_SECONDS": 3.0,
        "economic.sync.attempt._HEARTBEAT_SECONDS": 0.2,
        "economic.db.connection.PATIENCE_SECONDS": 4.0,
        "economic.db.sql.IDLE_TIMEOUT": "600ms",
        "economic.db.sql.LOCK_TIMEOUT": "900ms",
        "economic.db.sql.STATEMENT_TIMEOUT": "5s",
        "economic.db.retry.PAUSE_SECONDS": 0.05,
        "economic.sync.lifecycle.ORPHANED_AFTER_SECONDS": 12,
        "economic.sync.lifecycle.RESUMABLE_FOR": timedelta(seconds=9),
        "economic.sync.lifecycle.WAITING_FOR_SECONDS": 2,
    },
}
"""The product's times, most of them a hundredth of what they are, in the proportions that they have."""


@dataclass
class Ground:
    """The place, and the ways to it."""

    books: InProcess
    cluster: Cluster
    http: Proxy
    postgres: PostgresProxy
    witness: Witness
    runs: ProcessRuns
    looks: int = 0
    judged: Verdict = field(default_factory=lambda: Verdict((), (), 0))

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a process: both connections lead through the proxies, PostgreSQL's has the process's name."""
        tokens = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}
        economic = {"conn_type": "economic", "host": f"http://127.0.0.1:{self.http.port}", "extra": tokens}
        postgres = postgres_connection(self.cluster.dsn) | {"host": "127.0.0.1", "port": self.postgres.port}
        postgres["extra"] = {"application_name": f"{NAME} {name}"}
        return {
            "AIRFLOW_CONN_ECONOMIC_DEFAULT": json.dumps(economic),
            "AIRFLOW_CONN_ECONOMIC_POSTGRES": json.dumps(postgres),
            "ECONOMIC_PAGE_SIZE": str(PAGE_SIZE),
            "ECONOMIC_REQUEST_INTERVAL_MS": "0",
            "ECONOMIC_EMPLOYEE_CACHE_SECONDS": "36",
        }

    def look(self) -> None:
        """Check what must hold at any time, when the server lets anybody in."""
        with suppress(psycopg.OperationalError):
            self.witness.look()
            self.looks += 1

    def judge(self) -> None:
        """Check that no two wrote at once, so far.

        :raises AssertionError: two did.
        """
        with suppress(psycopg.OperationalError):
            self.judged = referee.verdict(self.cluster.dsn)
        assert self.judged.offences == (), f"two at once: {self.judged.offences[:10]}"

    def put_right(self) -> None:
        """End every fault that was brought about from outside."""
        self.books.faults()
        self.books.control("when", clear=True)
        self.http.heal()
        self.postgres.heal()

    def healthy_run(self, run_id: str) -> dict[str, Any]:
        """A run to which nothing happens, and which asks for the employees too; its statistics."""
        environment = self.environment(run_id) | {"ECONOMIC_EMPLOYEE_CACHE_SECONDS": "0"}
        outcome = self.runs.run(Asked(run_id), environment=environment, **SHORTENED)
        assert outcome.state == "success", f"I9: {outcome.errors}"
        self.witness.heard(outcome.xcom, outcome.events)
        return outcome.statistics


@contextmanager
def ground(folder: Path, *, invoices: int, seed: int) -> Iterator[Ground]:
    """Make the place and clear it away.

    :param folder: for the log of the processes.
    """
    with ExitStack() as stack:
        tokens: dict[str, Any] = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}
        books = stack.enter_context(simulator.running(invoices=invoices, employees=8, seed=seed, **tokens))
        cluster = stack.enter_context(clusters.cluster())
        with prepare(psycopg.connect(cluster.dsn)) as connection:
            schema.migrate(connection)
        referee.watch(cluster.dsn)
        http = stack.enter_context(Proxy(int(books.base_url.rpartition(":")[2])))
        postgres = stack.enter_context(PostgresProxy(cluster.server.port))
        processes = stack.enter_context(Processes())
        runs = ProcessRuns(processes, folder / "tasks.log")
        witness = stack.enter_context(closing(Witness(books, cluster.dsn, runs.said)))
        yield Ground(books, cluster, http, postgres, witness, runs)


def dice_of(seed: int, whose: str) -> random.Random:
    """Dice of one's own, the same for the same seed: who throws first then does not matter to the others."""
    return random.Random(f"{seed} {whose}")
