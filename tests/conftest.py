"""Real parts for the tests: a PostgreSQL server of their own, a fresh database for each test, and no way out of this machine."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import pytest
from psycopg import sql

import simulator
from dev.local import embedded_postgres
from simulator import InProcess
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET, CanaryWatch

DefineConnection = Callable[..., None]
HERE = Path(__file__).resolve().parent
AIRFLOW_HOME = tempfile.mkdtemp(prefix="economic-airflow-")
SESSION = os.getpid()
AIRFLOW = {
    "AIRFLOW_HOME": AIRFLOW_HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(HERE.parent / "dags"),
    # the installed package is tested; mounting its folder as well is a test of its own
    "AIRFLOW__CORE__PLUGINS_FOLDER": f"{AIRFLOW_HOME}/plugins",
}


def stop_what_is_running(number: int, frame: FrameType | None) -> None:
    """End the tests as Ctrl-C does, so that they stop the servers they have started."""
    if os.getpid() != SESSION:  # a process that a test has forked
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    signal.signal(number, signal.SIG_IGN)  # asked twice, what is being stopped is stopped all the same
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, stop_what_is_running)
    # Airflow reads its configuration when it is first imported, which is later than this.
    os.environ.update(AIRFLOW)
    folder = HERE / "support" / "network_guard"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))
    # By its path: a system's Python may have loaded a sitecustomize of its own by now.
    spec = importlib.util.spec_from_file_location("network_guard", folder / "sitecustomize.py")
    if spec is None or spec.loader is None:
        raise RuntimeError("The guard that keeps the tests on this machine is missing.")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    # Here, and not in a folder's conftest: a session then starts its server once, whichever folders want it.
    config.pluginmanager.register(importlib.import_module("tests.web.page.servers"), "servers of the page")
    config.pluginmanager.register(CanaryWatch(Path(AIRFLOW_HOME)), "canary watch")


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--dsn",
        default=os.environ.get("ECONOMIC_TEST_DSN"),
        help="superuser connection string of a PostgreSQL to test on; default: one is started from the wheel",
    )


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """Connection string of a server on which databases can be made; its own database is `postgres`."""
    given = request.config.getoption("--dsn")
    if given:
        yield given
        return
    with embedded_postgres.server([], durable=False) as server:
        yield server.dsn("postgres")
        watch = request.config.pluginmanager.getplugin("canary watch")
        watch.look("PostgreSQL's log", server.log)


def _dsn(server: str, database: str) -> str:
    return psycopg.conninfo.make_conninfo(server, dbname=database)


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """Name of a database with the current schema, from which each test's own is cloned."""
    from economic.db import schema
    from economic.db.sql import prepare

    name = f"template_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        with prepare(psycopg.connect(_dsn(postgres, name))) as connection:
            schema.migrate(connection)
        yield name
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def fresh_database(postgres: str, template: str | None) -> Iterator[str]:
    """A database of its own, dropped at the end; with the current schema, or with nothing."""
    name = f"test_{secrets.token_hex(6)}"
    source = sql.SQL("") if template is None else sql.SQL("template {}").format(sql.Identifier(template))
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} {}").format(sql.Identifier(name), source))
        yield _dsn(postgres, name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def postgres_connection(dsn: str) -> dict[str, Any]:
    """An Airflow connection's fields from a libpq connection string."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    return {
        "conn_type": "postgres",
        "host": parts["host"],
        "port": int(str(parts["port"])),
        "login": parts["user"],
        "password": parts["password"],
        "schema": parts["dbname"],
    }


@pytest.fixture
def database(postgres: str, template: str) -> Iterator[str]:
    """Connection string of a fresh database with the current schema."""
    yield from fresh_database(postgres, template)


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """Connection string of a fresh database without any of our tables."""
    yield from fresh_database(postgres, None)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection to this test's database, set up as the package wants it."""
    from economic.db.sql import prepare

    with prepare(psycopg.connect(database)) as opened:
        yield opened


@pytest.fixture
def simulated() -> Iterator[InProcess]:
    """e-conomic with a small company's books: 250 invoices."""
    with simulator.running(
        invoices=250, employees=6, app_secret_token=APP_SECRET, agreement_grant_token=AGREEMENT_GRANT
    ) as running:
        yield running


@pytest.fixture
def define_connection(monkeypatch: pytest.MonkeyPatch) -> DefineConnection:
    """Defines an Airflow connection for this test: the hook's own fields by keyword."""

    def define(conn_id: str = "economic_default", **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return define


@pytest.fixture
def economic_default(simulated: InProcess, define_connection: DefineConnection) -> str:
    """The connection id under which the hook reaches the simulator."""
    extra = {
        "app_secret_token": simulated.app_secret_token,
        "agreement_grant_token": simulated.agreement_grant_token,
    }
    define_connection(conn_type="economic", host=simulated.base_url, extra=extra)
    return "economic_default"
