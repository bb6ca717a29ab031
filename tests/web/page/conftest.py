"""The page in Airflow's real API server with its real authentication, in this process.

Each test has its own database.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.local.ports import free_port
from tests.conftest import AIRFLOW_HOME, postgres_connection
from tests.web.page import history
from tests.web.page.servers import NORTH_AND_SOUTH, PASSWORD, SECRET, Site, three_companies

USERS = {"admin": "admin", "ursula": "user", "vera": "viewer"}


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application over real HTTP and yield its address."""
    import uvicorn

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="session")
def api_server(fab_process: object) -> Iterator[Site]:
    """Airflow's API server with its simple auth manager, started once: it takes a while."""
    passwords = Path(AIRFLOW_HOME) / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)))
    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in USERS.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        from airflow.api_fastapi.app import create_app
        from airflow.utils.db import initdb

        initdb()
        with serving(create_app("core")) as url:
            yield Site(url, dict.fromkeys(USERS, PASSWORD))


def page_app() -> Any:
    """Return the page's application inside the running server."""
    from airflow.plugins_manager import get_fastapi_plugins

    (found,) = [each["app"] for each in get_fastapi_plugins()[0] if each["url_prefix"] == "/economic"]
    return found


@pytest.fixture
def site(
    api_server: Site, database: str, define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Site:
    """The server, with this test's own database and an empty cache."""
    from economic.web.coalescing import CoalescedReads

    for name in [name for name in os.environ if name.startswith("ECONOMIC_")]:
        monkeypatch.delenv(name)
    define_connection("economic_postgres", **postgres_connection(database))
    page_app().state.reads = CoalescedReads(good_for=0.0)
    return api_server


@pytest.fixture
def past(site: Site, connection: psycopg.Connection) -> psycopg.Connection:
    """A connection to this test's database, in which one company has ten days of syncs."""
    history.add_agreement(connection)
    history.add_past(connection)
    return connection


@pytest.fixture
def companies(
    monkeypatch: pytest.MonkeyPatch, site: Site, connection: psycopg.Connection
) -> psycopg.Connection:
    """A connection to this test's database, in which three companies have a DAG and a sync each."""
    monkeypatch.setenv("ECONOMIC_AGREEMENTS", json.dumps(NORTH_AND_SOUTH))
    three_companies(connection)
    return connection


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Airflow and its libraries warn about each other here; what our own modules cause still fails.
    for item in items:
        if "tests/web/page" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.filterwarnings("error:::economic"))
