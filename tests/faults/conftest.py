"""A case of the catalogue: a company's books, a copy of them, a fault, and a witness who knows what must hold afterwards.

Each test is one row of the fault catalogue and is named by its id. It brings the fault about, says what the sync must do, takes the fault
away and ends with :meth:`Case.heals`, which lets one sync repair everything and checks the nine invariants (:mod:`tests.support.invariants`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from economic.db import schema
from economic.db.sql import prepare, sql_folder
from simulator import InProcess
from tests.conftest import DefineConnection, postgres_connection
from tests.support import invariants as oracle
from tests.support import write_auditor as referee
from tests.support.dag_runs import DagRuns, Outcome
from tests.support.faults import clusters
from tests.support.faults.clusters import Cluster
from tests.support.faults.postgres import PostgresProxy, ends_of_each_kind
from tests.support.invariants import Bounds, Witness
from tests.support.process_runs import ProcessRuns
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET
from tests.support.task_processes import Processes

CONN_ID = "economic_default"
PASSWORD = "long enough to be one"


@dataclass
class Case:
    """One company's books, its copy, and the way to sync them."""

    books: InProcess
    runs: DagRuns
    witness: Witness
    database: str
    define_connection: DefineConnection

    def run(self, conf: dict[str, Any] | None = None, **options: Any) -> Outcome:
        """One DAG run, with the tries that the DAG file gives it; the witness hears everything it says."""
        outcome = self.runs.run(conf, **options)
        self.witness.heard(outcome.xcom, outcome.events, *outcome.errors)
        return outcome

    def synced(self) -> dict[str, Any]:
        """A healthy sync, before the fault; its statistics."""
        outcome = self.run()
        assert outcome.state == "success", outcome.errors
        self.witness.look()
        self.books.reset()
        return outcome.statistics

    def heals(
        self, *, bounds: Bounds | None = None, refused: Collection[int] = (), quick: bool = False
    ) -> dict[str, Any]:
        """The fault is over: one sync heals everything, without a person. Its statistics."""
        self.books.faults()
        self.books.control("when", clear=True)
        return oracle.check(
            self.witness, lambda: self._heal(quick=quick), bounds=bounds or Bounds(), refused=refused
        )

    def _heal(self, *, quick: bool) -> dict[str, Any]:
        outcome = self.run(quick=quick)
        assert outcome.state == "success", f"I9: {outcome.errors}"
        return outcome.statistics

    def when_logged(self, text: str, do: Callable[[], object]) -> None:
        """Call a function as soon as the sync has logged something, from another thread; not at all when it never does."""

        def wait() -> None:
            until = time.monotonic() + 30
            while text not in self.witness.log():
                if time.monotonic() > until:
                    return
                time.sleep(0.02)
            do()

        threading.Thread(target=wait, daemon=True).start()

    # -- what happened ---------------------------------------------------------------------------------------------

    def paths(self) -> list[str]:
        """Paths asked of e-conomic, in order."""
        return [entry["path"] for entry in self.books.requests()]

    def stored(self) -> int:
        """Return how many invoices the copy holds."""
        return int(self.witness.value("select count(*) from economic.invoice"))

    def last_sync(self) -> dict[str, Any]:
        return self.witness.rows("select * from economic.sync_run order by sync_id desc limit 1")[0]

    def rejected(self) -> list[dict[str, Any]]:
        """Open rejections."""
        return self.witness.rows(
            "select * from economic.rejected_invoice where resolved_at is null order by invoice_number"
        )

    # -- where the two outside systems are -------------------------------------------------------------------------

    def reach_books_at(self, url: str, **extra: Any) -> None:
        """Define the connection to e-conomic anew."""
        tokens = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}
        self.define_connection(CONN_ID, conn_type="economic", host=url, extra=tokens | extra)

    def reach_database_at(self, dsn: str, **extra: Any) -> None:
        """Define the connection to PostgreSQL anew."""
        self.define_connection("economic_postgres", **postgres_connection(dsn), extra=extra)


CaseOn = Callable[[str], Case]
RunsOn = Callable[[Case], ProcessRuns]


def unnoticed(outcome: Outcome) -> dict[str, Any]:
    """The run went through without a second try of any task, and is proven complete; its statistics."""
    assert (outcome.state, [one.number for one in outcome.tries]) == ("success", [1, 1, 1]), outcome.errors
    assert outcome.statistics["complete"] is True
    return outcome.statistics


def port_of(dsn: str) -> int:
    return int(str(psycopg.conninfo.conninfo_to_dict(dsn)["port"]))


def syncs(case: Case) -> list[tuple[str, str]]:
    """Run and status of each sync, in the order of their beginning."""
    rows = case.witness.rows("select run_id, status from economic.sync_run order by sync_id")
    return [(row["run_id"], row["status"]) for row in rows]


def until(ready: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.02)


def plain_role(cluster: Cluster) -> str:
    """A connection string of a role that may do what a sync does, and no more."""
    cluster.execute((sql_folder() / "grants" / "grant_writer.sql").read_text())
    cluster.execute(f"create role plain login password '{PASSWORD}' in role economic_writer")
    return psycopg.conninfo.make_conninfo(cluster.dsn, user="plain", password=PASSWORD)


@contextmanager
def before_postgres(case: Case) -> Iterator[PostgresProxy]:
    """The way from the sync to PostgreSQL; the witness has another one."""
    with PostgresProxy(port_of(case.database)) as made:
        case.reach_database_at(psycopg.conninfo.make_conninfo(case.database, port=made.port))
        yield made


def commits_of(proxy: PostgresProxy, run: Callable[[], Outcome]) -> list[int]:
    """Which commits of a run are to be met by a fault, in runs like it; this one meets none."""
    proxy.commits.clear()
    outcome = run()
    assert outcome.state == "success", outcome.errors
    chosen = ends_of_each_kind(proxy.commits)
    assert len(chosen) > 3
    return chosen


@pytest.fixture
def proxy(case: Case) -> Iterator[PostgresProxy]:
    with before_postgres(case) as made:
        yield made


@pytest.fixture(scope="session")
def model_server() -> Iterator[Path]:
    """The folder of a PostgreSQL server with the current schema."""

    def migrate(made: Cluster) -> None:
        with prepare(psycopg.connect(made.dsn)) as connection:
            schema.migrate(connection)

    with clusters.model(migrate) as folder:
        yield folder


@pytest.fixture
def own(model_server: Path) -> Iterator[Cluster]:
    """A PostgreSQL server of the test's own, with the current schema."""
    with clusters.cluster(model_server) as made:
        yield made


@pytest.fixture
def case_on(
    simulated: InProcess,
    define_connection: DefineConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[CaseOn]:
    """Makes the case on a database of one's own; the connection string is a superuser's."""
    caplog.set_level(logging.DEBUG)

    def make(dsn: str) -> Case:
        witness = witnesses.enter_context(closing(Witness(simulated, dsn, lambda: caplog.text)))
        made = Case(simulated, DagRuns(monkeypatch), witness, dsn, define_connection)
        made.reach_books_at(simulated.base_url)
        made.reach_database_at(dsn)
        return made

    with ExitStack() as witnesses:
        yield make


@pytest.fixture
def case(database: str, case_on: CaseOn) -> Case:
    """The case on a fresh database with the current schema."""
    return case_on(database)


@pytest.fixture
def runs_on(tmp_path: Path) -> Iterator[RunsOn]:
    """DAG runs in processes, against a case's books and copy; the referee watches, and the witness hears what they say."""
    cases: list[Case] = []
    with Processes() as processes:

        def make(case: Case) -> ProcessRuns:
            cases.append(case)
            referee.watch(case.database)
            made = ProcessRuns(processes, tmp_path / "tasks.log")
            heard = case.witness.log
            case.witness.log = lambda: heard() + made.said()
            return made

        yield make
        for case in cases:
            assert referee.verdict(case.database).offences == ()


@pytest.fixture
def runs(case: Case, runs_on: RunsOn) -> ProcessRuns:
    return runs_on(case)
