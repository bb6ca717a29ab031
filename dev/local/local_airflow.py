"""The processes of a whole Airflow on this machine: web server, DAG processor, scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dev.local.airflow_api import AirflowApi, ApiUnreachable
from dev.local.airflow_settings import AIRFLOW, DAG_ID, PAGE_CONN_ID
from dev.local.keys import Keys
from dev.local.parts import Part, PartFailed, Parts

API_SERVER, DAG_PROCESSOR, SCHEDULER = "api-server", "dag-processor", "scheduler"
_START_SECONDS = 180.0
_PATIENCE_SECONDS = {
    API_SERVER: 2.0,  # it is through with its work long before it ends
    DAG_PROCESSOR: 5.0,
    SCHEDULER: 10.0,  # lets running tasks end; what is killed after all is tried again at the next start
}


def prepare(home: Path, parts: Parts, environment: Mapping[str, str], program: Path = AIRFLOW) -> None:
    """Make or renew Airflow's own tables, once for each version of Airflow.

    :param program: Airflow's command line.
    :raises PartFailed: that failed.
    """
    (home / "airflow").mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = home / "airflow-database"
    if stamp.exists() and stamp.read_text() == version("apache-airflow"):
        return
    parts.run("airflow-db-migrate", [program, "db", "migrate"], environment)
    stamp.write_text(version("apache-airflow"))


class LocalAirflow:
    """A web server, a DAG processor and a scheduler with its LocalExecutor; no triggerer, for nothing here is deferred.

    :param environment: what its processes are told.
    :param program: Airflow's command line.
    """

    def __init__(
        self, parts: Parts, environment: Mapping[str, str], keys: Keys, program: Path = AIRFLOW
    ) -> None:
        self.environment = dict(environment)
        self.api = AirflowApi(environment["AIRFLOW__API__BASE_URL"], keys.admin_password)
        self._parts = parts
        self._program = program

    def start(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Start all of it, and wait until it is healthy and knows the DAG.

        The scheduler comes last: a task that it started before the web server answers would fail without having run.

        :param connections: are written into its database before the first task can ask for them.
        :raises PartFailed: something does not start; the message shows the end of its log.
        """
        began = datetime.now(UTC)
        self._start(API_SERVER)
        self._start(DAG_PROCESSOR)
        self._parts.wait_until(self.api.answers, "the web server answers", _START_SECONDS)
        self.api.store_connections(connections)
        self._start(SCHEDULER)
        self._wait_for_health(began)

    def change(self, settings: Mapping[str, str]) -> None:
        """Restart what reads the DAG's settings from its environment, with these changed, unless they are so already."""
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
            _START_SECONDS,
        )

    def part(self, name: str) -> Part:
        """One of its programs, as it runs now."""
        return next(part for part in self._parts.running if part.name == name)

    @property
    def scheduler(self) -> Part:
        return self.part(SCHEDULER)

    def _start(self, name: str) -> None:
        # The log server would listen on every address of this machine, and the web server reads the files itself.
        options = ["--skip-serve-logs"] if name == SCHEDULER else []
        # The page is the API server's, and needs to read only.
        page = {"ECONOMIC_POSTGRES_CONN_ID": PAGE_CONN_ID} if name == API_SERVER else {}
        self._parts.start(
            name, [self._program, name, *options], self.environment | page, _PATIENCE_SECONDS[name]
        )

    def _wait_for_health(self, since: datetime) -> None:
        self._parts.wait_until(
            lambda: self._answers(lambda: not self.api.unhealthy(since) and self._knows_the_dag(since)),
            "scheduler and dag-processor are healthy and the DAG is known",
            _START_SECONDS,
        )

    def _answers(self, asked: Callable[[], bool]) -> bool:
        try:
            return asked()
        except ApiUnreachable:
            return False

    def _knows_the_dag(self, since: datetime) -> bool:
        for found in self.api.get("importErrors")["import_errors"]:
            if datetime.fromisoformat(found["timestamp"]) >= since:
                raise PartFailed(f"Airflow cannot read {found['filename']}:\n{found['stack_trace']}")
        dags = self.api.get("dags", dag_id_pattern=DAG_ID)["dags"]
        return any(
            dag["dag_id"] == DAG_ID and datetime.fromisoformat(dag["last_parsed_time"]) >= since
            for dag in dags
        )
