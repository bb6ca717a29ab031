"""A whole Airflow with its accounts and its databases, as its users meet it: REST API, command line, tables."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

import simulator
from dev.local import embedded_postgres
from dev.local.account import Account
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
from dev.local.interruption import Interruption
from dev.local.local_airflow import DAG_PROCESSOR, HEALTH_EVERY_SECONDS, SCHEDULER, LocalAirflow, prepare
from dev.local.parts import Part, Parts
from dev.local.ports import free_port
from tests.support import invariants as oracle
from tests.support.invariants import Witness
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

TASKS = ("fetch-pages", "upsert-invoices", "populate-employee-names")
PAGE_SIZE, PAGES = 100, 6
HEARTBEAT_TIMEOUT = 20
_CONN_ID = "economic_default"
_HEALTHY_SECONDS = 180.0

QUICK = {
    # what takes five minutes in an Airflow as it is delivered: a task whose supervisor is gone
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    # and a scheduler that is gone, with the tasks it had started
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    # A changed schedule counts as soon as it is read.
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "ECONOMIC_PAGE_SIZE": str(PAGE_SIZE),
    "ECONOMIC_REQUEST_INTERVAL_MS": "0",
}
UNSCHEDULED = {"AUTO_SYNC_ENABLED": "false"}
"""No run but those that a test asks for."""


class ControlledAirflow(LocalAirflow):
    """An Airflow whose programs can be killed and started again."""

    def change(self, settings: Mapping[str, str]) -> None:
        """Restart what reads the DAG's settings, with these changed, unless they are so already."""
        if settings.items() <= self.environment.items():
            return
        self._parts.stop(SCHEDULER, DAG_PROCESSOR)
        self.environment |= settings
        began = datetime.now(UTC)
        self._start(DAG_PROCESSOR)
        self._start(SCHEDULER)
        self._wait_for_health(began)

    def start_again(self, name: str) -> None:
        """Start one of its programs again, which has been killed, and wait until all is healthy."""
        self._parts.stop(name)
        began = datetime.now(UTC)
        self._start(name)
        self._parts.wait_until(
            lambda: self._answers(lambda: not self.api.unhealthy(began)),
            "all is healthy again",
            _HEALTHY_SECONDS,
            HEALTH_EVERY_SECONDS,
        )

    def part(self, name: str) -> Part:
        """Return one of its programs, as it runs now."""
        return next(part for part in self._parts.running if part.name == name)

    @property
    def scheduler(self) -> Part:
        return self.part(SCHEDULER)


class Live:
    """The running Airflow, the simulator it reads and the database it writes.

    :param metadata: connection string of Airflow's own database.
    :param invoices: connection string of the invoice database.
    """

    def __init__(
        self,
        airflow: ControlledAirflow,
        parts: Parts,
        books: simulator.InProcess,
        metadata: str,
        invoices: str,
    ) -> None:
        self.airflow = airflow
        self.api = airflow.api
        self.parts = parts
        self.books = books
        self.metadata = metadata
        self.invoices = invoices

    # -- what users do ------------------------------------------------------------------------------------------------

    def trigger(self, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a run as the web page does; its run id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self.api.post(f"dags/{DAG_ID}/dagRuns", body)["dag_run_id"])

    def command(self, *words: str) -> str:
        """Run Airflow's command line to its end; what it printed."""
        done = subprocess.run([AIRFLOW, *words], env=self.airflow.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # -- what users see -----------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"dags/{DAG_ID}/dagRuns/{run_id}")
        return found

    def runs(self, run_type: str, since: datetime) -> list[dict[str, Any]]:
        """The runs of a type that were created since then, in the order of their creation."""
        found: list[dict[str, Any]] = []
        while True:
            asked = {"run_type": run_type, "order_by": "id", "limit": 100, "offset": len(found)}
            answer = self.api.get(f"dags/{DAG_ID}/dagRuns", **asked)
            found += answer["dag_runs"]
            if len(found) >= answer["total_entries"]:
                return [run for run in found if at(run["queued_at"]) >= since]

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        found = self.api.get(f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, run_id: str) -> dict[str, str]:
        return {task_id: task["state"] for task_id, task in self.tasks(run_id).items()}

    def xcom(self, run_id: str, task_id: str = TASKS[-1]) -> Any:
        path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self.api.get(path, deserialize="true")["value"]
        return json.loads(value) if isinstance(value, str) else value

    def wait(self, run_id: str) -> dict[str, Any]:
        """The last line of Airflow's answer to somebody who waits for a run: its state and its results."""
        return dict(json.loads(self.api.lines(f"dags/{DAG_ID}/dagRuns/{run_id}/wait", interval=0.5)[-1]))

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Rows of the invoice database."""
        with psycopg.connect(self.invoices, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def sync(self, run_id: str) -> dict[str, Any]:
        """The one row of `sync_run` that a run has left."""
        (found,) = self.rows("select * from economic.sync_run where run_id = %s", run_id)
        return found

    def holds(self, run_id: str | None = None) -> None:
        """Check what must hold whatever has happened, once nothing runs any more: see :mod:`tests.support.invariants`.

        :param run_id: of the run that has synced last, whose XCom must then be what the table of syncs says; None when none is known for it.
        """
        newest = "select statistics from economic.sync_run order by sync_id desc limit 1"
        with closing(Witness(self.books, self.invoices, self.said)) as witness:
            last = self.xcom(run_id) if run_id else witness.value(newest)
            oracle.the_table_equals_the_books(witness)
            oracle.every_sync_ended_and_adds_up(witness, last)
            oracle.the_lease_is_free(witness)
            oracle.no_token_is_anywhere(witness)

    def said(self) -> str:
        """Everything that Airflow's processes and tasks have logged."""
        return "\n".join(log.read_text(errors="replace") for log in self.parts.logs.parent.rglob("*.log"))

    def everything(self) -> Iterator[tuple[str, str | Path]]:
        """Return what this Airflow has written and what it answers, by where it is: for whoever looks for secrets there."""
        yield "its folder", self.parts.logs.parent
        for database in (self.metadata, self.invoices):
            with psycopg.connect(database) as connection:
                tables = connection.execute(
                    "select table_schema, table_name from information_schema.tables"
                    " where table_schema not in ('pg_catalog', 'information_schema')"
                ).fetchall()
                for schema, table in tables:
                    name = sql.Identifier(schema, table)
                    rows = connection.execute(sql.SQL("select row_to_json(t)::text from {} t").format(name))
                    yield f"{schema}.{table}", "\n".join(text for (text,) in rows)
        for path in (
            "connections",
            "variables",
            "eventLogs",
            "plugins",
            "assets/events",
            f"dags/{DAG_ID}/details",
        ):
            yield path, json.dumps(self.api.get(path))
        for run in self.api.get(f"dags/{DAG_ID}/dagRuns", limit=100)["dag_runs"]:
            path = f"dags/{DAG_ID}/dagRuns/{run['dag_run_id']}/taskInstances"
            yield path, json.dumps(self.api.get(path))

    # -- time ---------------------------------------------------------------------------------------------------------

    def until(self, ready: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Wait until there is something; it."""
        found: list[Any] = []

        def look() -> bool:
            found.append(ready())
            return bool(found[-1])

        self.parts.wait_until(look, what, seconds)
        return found[-1]

    def end_retry_delays(self, run_id: str) -> str:
        """Move the moments that the run's failed tasks wait for into the past: the delay is a minute or two.

        :return: the run's state. Not asked of the web server, which has an answer's work for it each time.
        """
        with psycopg.connect(self.metadata) as connection:
            connection.execute(
                "update task_instance set end_date = end_date - interval '1 hour'"
                " where run_id = %s and state = 'up_for_retry'",
                (run_id,),
            )
            query = "select state from dag_run where dag_id = %s and run_id = %s"
            ((state,),) = connection.execute(query, (DAG_ID, run_id)).fetchall()
        return str(state)

    def ended(self, run_id: str, seconds: float = 60.0) -> str:
        """Wait for a run to end, with no delay between its tasks' tries; return its state."""
        self.until(
            lambda: self.end_retry_delays(run_id) in {"success", "failed"},
            f"the run {run_id} has ended",
            seconds,
        )
        return str(self.run(run_id)["state"])

    # -- processes ----------------------------------------------------------------------------------------------------

    def asked_for_pages(self) -> int:
        """Return how many pages of invoices were requested since the simulator's journal was emptied."""
        return sum(entry["path"] == "/invoices/booked" for entry in self.books.requests())

    def trigger_and_catch(self, request: int, seconds: float = 20) -> tuple[str, psutil.Process]:
        """Trigger a run; return its id and the first task's process, which waits that long for a page.

        :param request: number of the page.
        """
        self.books.fault("/invoices/booked", "slow", at=request, seconds=seconds)
        run_id = self.trigger()
        self.until(lambda: self.asked_for_pages() >= request, f"page {request} has been requested")
        process = psutil.Process(self.tasks(run_id)[TASKS[0]]["pid"])
        assert process.is_running()
        return run_id, process

    def mark_failed(self, run_id: str, task: psutil.Process) -> None:
        """Mark a run as failed as a user does, and wait until Airflow has ended its task."""
        self.api.patch(f"dags/{DAG_ID}/dagRuns/{run_id}", {"state": "failed"})
        self.until(lambda: gone(task), "Airflow has ended the task", 30)
        self.books.faults()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def running(
    home: Path,
    settings: Mapping[str, str] | None = None,
    invoices: int = PAGE_SIZE * PAGES,
    quick: Mapping[str, str] = QUICK,
) -> Iterator[Live]:
    """Start everything, everything kept in that folder, and stop it at the end.

    :param settings: environment variables over those that it has anyway.
    :param invoices: how many the account has.
    :param quick: what makes it quicker than an Airflow as it is delivered.
    """
    with ExitStack() as stack:
        server = stack.enter_context(embedded_postgres.server([METADATA, INVOICES], durable=False))
        books = stack.enter_context(
            simulator.running(
                invoices=invoices,
                employees=6,
                app_secret_token=APP_SECRET,
                agreement_grant_token=AGREEMENT_GRANT,
            )
        )
        parts = stack.enter_context(Parts(home / "logs", Interruption()))
        parts.watch("postgresql", server.pid, server.log)
        read = Account(
            _CONN_ID, books.base_url, books.app_secret_token, books.agreement_grant_token, "the simulator"
        )
        secrets = keys(home)
        environment = configuration(home, server, read.conn_id, secrets)
        environment |= serving(free_port(), secrets) | dict(quick) | UNSCHEDULED | dict(settings or {})
        prepare(home, parts, environment)
        airflow = ControlledAirflow(parts, environment, secrets)
        airflow.start({read.conn_id: read.connection, **invoice_connections(server)})
        yield Live(airflow, parts, books, server.dsn(METADATA), server.dsn(INVOICES))


def look_for_secrets(config: pytest.Config, live: Live) -> None:
    """Let the session fail if a token is anywhere in what a whole Airflow has written, or in what it answers."""
    watch = config.pluginmanager.getplugin("canary watch")
    assert watch is not None
    for name, where in live.everything():
        watch.look(f"Airflow under a scheduler, {name}", where)
