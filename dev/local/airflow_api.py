"""The running Airflow through its public REST API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import requests

from dev.local.keys import ADMIN

_TIMEOUT_SECONDS = 30.0


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
        """Whether the web server is up."""
        try:
            self._send("GET", "/api/v2/monitor/health")
        except (ApiRefused, ApiUnreachable):
            return False
        return True

    def unhealthy(self, since: datetime) -> list[str]:
        """The parts that have not reported themselves well since then."""
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
        """GET a resource below /api/v2.

        :raises ApiRefused: it is not there, or may not be read.
        :raises ApiUnreachable: the web server does not answer.
        """
        return self._ask("GET", path, params=parameters).json()

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, json=body).json()

    def patch(self, path: str, body: Any) -> Any:
        return self._ask("PATCH", path, json=body).json()

    def lines(self, path: str, **parameters: Any) -> list[str]:
        """GET a resource that is a line of JSON after the other, to its end."""
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
