"""The processes of a whole Airflow on this machine, and its REST API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from dev.local.airflow_settings import ADMIN, AIRFLOW, DAG_ID, PAGE_CONN_ID, Keys
from dev.local.parts import PartFailed, Parts

API_SERVER, DAG_PROCESSOR, SCHEDULER = "api-server", "dag-processor", "scheduler"
_TIMEOUT_SECONDS = 30.0
_START_SECONDS = 180.0
HEALTH_EVERY_SECONDS = 0.5
"""The web server's work for an answer about health is what the others then lack for their start."""
_PATIENCE_SECONDS = {
    API_SERVER: 2.0,  # it is through with its work long before it ends
    DAG_PROCESSOR: 5.0,
    SCHEDULER: 10.0,  # lets running tasks end; what is killed after all is tried again at the next start
}


def prepare(home: Path, parts: Parts, environment: Mapping[str, str]) -> None:
    """Make or renew Airflow's own tables, once for each version of Airflow.

    :raises PartFailed: that failed.
    """
    (home / "airflow").mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = home / "airflow-database"
    if stamp.exists() and stamp.read_text() == version("apache-airflow"):
        return
    parts.run("airflow-db-migrate", [AIRFLOW, "db", "migrate"], environment)
    stamp.write_text(version("apache-airflow"))


class ApiRefused(RuntimeError):
    """The web server answers, but not with what was asked for."""


class ApiUnreachable(RuntimeError):
    """The web server does not answer."""


class AirflowApi:
    """A client that logs in as the admin when it must.

    :param url: of the web server, without a path.
    """

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False  # this machine is never behind a proxy of its own

    def answers(self) -> bool:
        """Return whether the web server is up."""
        try:
            self._send("GET", "/api/v2/monitor/health")
        except (ApiRefused, ApiUnreachable):
            return False
        return True

    def unhealthy(self, since: datetime) -> list[str]:
        """Return the parts that have not reported themselves healthy since then."""
        health = self.get("monitor/health")
        waiting = []
        for part in ("scheduler", "dag_processor"):
            status, beat = health[part]["status"], health[part][f"latest_{part}_heartbeat"]
            if status != "healthy" or beat is None or datetime.fromisoformat(beat) < since:
                waiting.append(part.replace("_", "-"))
        return waiting

    def store_connections(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Write connections into Airflow's database, over those of the same id.

        :raises ApiRefused: Airflow did not take them.
        """
        entities = [{"connection_id": conn_id, **fields} for conn_id, fields in connections.items()]
        action = {"action": "create", "entities": entities, "action_on_existence": "overwrite"}
        done = self.patch("connections", {"actions": [action]})["create"]
        if done["errors"]:
            raise ApiRefused(f"Airflow did not take the connections: {done['errors']}")

    def get(self, path: str, **parameters: Any) -> Any:
        """Return a resource below /api/v2.

        :raises ApiRefused: it is not there, or may not be read.
        :raises ApiUnreachable: the web server does not answer.
        """
        return self._ask("GET", path, params=parameters).json()

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, json=body).json()

    def patch(self, path: str, body: Any) -> Any:
        return self._ask("PATCH", path, json=body).json()

    def lines(self, path: str, **parameters: Any) -> list[str]:
        """Return the lines of a resource that is one line of JSON after the other."""
        return self._ask("GET", path, params=parameters).text.splitlines()

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        if "Authorization" not in self._session.headers:
            login = {"username": ADMIN, "password": self._password}
            token = self._send("POST", "/auth/token", json=login).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        return self._send(method, f"/api/v2/{path}", **options)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(method, f"{self.url}{path}", timeout=_TIMEOUT_SECONDS, **options)
        except requests.RequestException as error:
            raise ApiUnreachable(
                f"The web server on {self.url} does not answer ({type(error).__name__})."
            ) from None
        if not answer.ok:
            raise ApiRefused(
                f"The web server answered {answer.status_code} to {method} {path}: {answer.text[:500]}"
            )
        return answer


class LocalAirflow:
    """A web server, a DAG processor and a scheduler with its LocalExecutor; no triggerer, for nothing here is deferred.

    :param environment: what its processes are told.
    """

    def __init__(self, parts: Parts, environment: Mapping[str, str], keys: Keys) -> None:
        self.environment = dict(environment)
        self.api = AirflowApi(environment["AIRFLOW__API__BASE_URL"], keys.admin_password)
        self._parts = parts

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

    def _start(self, name: str) -> None:
        # The log server would listen on every address of this machine, and the web server reads the files itself.
        options = ["--skip-serve-logs"] if name == SCHEDULER else []
        # The page is the API server's, and needs to read only.
        page = {"ECONOMIC_POSTGRES_CONN_ID": PAGE_CONN_ID} if name == API_SERVER else {}
        self._parts.start(name, [AIRFLOW, name, *options], self.environment | page, _PATIENCE_SECONDS[name])

    def _wait_for_health(self, since: datetime) -> None:
        self._parts.wait_until(
            lambda: self._answers(lambda: not self.api.unhealthy(since) and self._knows_the_dag(since)),
            "scheduler and dag-processor are healthy and the DAG is known",
            _START_SECONDS,
            HEALTH_EVERY_SECONDS,
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
