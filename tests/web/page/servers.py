"""Servers with the page: a client for them, and one with the FAB auth manager, started once a session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from dev.local.ports import free_port
from tests.conftest import fresh_database, postgres_connection
from tests.web.page import fab_server as fab_server_script
from tests.web.page import history

PAGE = "/economic/"
PASSWORD = "of-the-tests"
SECRET = "a-secret-of-the-tests-that-is-long-enough-for-everybody-and-sixty-four"
NORTH_AND_SOUTH = [{"name": "north", "quick_schedule": "*/5 * * * *"}, {"name": "south"}]
NEVER_SYNCED = [{"name": f"branch_{place}"} for place in range(8)]


@dataclass
class Site:
    """An Airflow API server with the page in it, asked over HTTP.

    :param url: of Airflow, without a slash at the end.
    :param passwords: by user.
    """

    url: str
    passwords: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, user: str) -> str:
        """Return a user's token from a real login."""
        if user not in self.tokens:
            login = {"username": user, "password": self.passwords[user]}
            answer = requests.post(f"{self.url}/auth/token", json=login, timeout=60)
            answer.raise_for_status()
            self.tokens[user] = answer.json()["access_token"]
        return self.tokens[user]

    def ask(
        self, path: str, user: str | None = "vera", method: str = "GET", **options: Any
    ) -> requests.Response:
        """Send a request as the user's browser does; None is a user who is not logged in."""
        cookies = {} if user is None else {"_token": self.token(user)}
        return requests.request(
            method,
            f"{self.url}{path}",
            cookies=options.pop("cookies", cookies),
            timeout=60,
            allow_redirects=False,
            **options,
        )

    def page(self, path: str = "", user: str | None = "vera", **options: Any) -> requests.Response:
        """Send a request below the page's address."""
        return self.ask(f"{PAGE}{path}", user, **options)

    def told(self, path: str, user: str = "vera") -> Any:
        """Return the JSON of a successful answer."""
        answer = self.page(path, user)
        assert answer.status_code == 200, answer.text
        return answer.json()


def three_companies(connection: psycopg.Connection) -> None:
    for number, name in ((1, "default"), (2, "north"), (3, "south")):
        history.add_agreement(connection, number, f"economic_{name}", company=f"Company {name}")
        history.add_sync(
            connection,
            number,
            conn_id=f"economic_{name}",
            run_id=f"run_of_{name}",
            statistics=history.statistics(failed=1, unchanged=22_539),
            **history.WITH_ONE_REFUSED,
        )
        history.add_rejection(connection, 100 + number, number=number)


@dataclass
class Started:
    """A server that is starting, in its own process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="session")
def fab_process(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """An API server with the FAB auth manager, below the path /team-a.

    It has three companies, and eight more that were never synced. It starts before it is needed,
    because it takes a while.
    """
    home = tmp_path_factory.mktemp("fab")
    port = free_port()
    url = f"http://127.0.0.1:{port}/team-a"
    with contextmanager(fresh_database)(postgres, template) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            three_companies(connection)
        environment = os.environ | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
            "AIRFLOW_CONN_ECONOMIC_POSTGRES": json.dumps(postgres_connection(dsn)),
            "ECONOMIC_AGREEMENTS": json.dumps(NORTH_AND_SOUTH + NEVER_SYNCED),
        }
        with (home / "log").open("wb") as log:
            command = [sys.executable, fab_server_script.__file__, str(port)]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        yield Started(url, process, home / "log")
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def fab_server(fab_process: Started) -> Site:
    """The server with the FAB auth manager, once it answers."""
    until = time.monotonic() + 120
    while True:
        try:
            if requests.get(f"{fab_process.url}/api/v2/version", timeout=5).ok:
                return Site(
                    fab_process.url, dict.fromkeys(fab_server_script.USERS, fab_server_script.PASSWORD)
                )
        except requests.ConnectionError:
            time.sleep(0.2)
        assert fab_process.process.poll() is None, fab_process.log.read_text()[-3000:]
        assert time.monotonic() < until, fab_process.log.read_text()[-3000:]
