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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
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
Connect = Callable[[], psycopg.Connection]
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


def expect(found: Mapping[str, Any], **expected: Any) -> None:
    """Compare some of the values, mostly of a sync's statistics."""
    assert {name: found[name] for name in expected} == expected


def open_sync(connection: psycopg.Connection, **chosen: Any) -> int:
    """Insert the row of a sync that begins."""
    from economic.db.sql import one, transaction

    usual: dict[str, Any] = {
        **{"dag_id": "d", "run_id": "r", "run_key": "k", "clear_number": 0, "run_type": "manual"},
        **{"conn_id": "economic_default", "scope": "full", "date_from": None, "date_to": None},
        **{"force": False, "accept_missing": False, "message": ""},
    }
    with transaction(connection):
        return int(one(connection, "insert_sync_run", **(usual | chosen))["sync_id"])


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


def _make_database(admin: psycopg.Connection, template: str | None) -> str:
    name = f"test_{secrets.token_hex(6)}"
    # Copied as files: through the write-ahead log, each clone costs three times the work.
    cloned = sql.SQL("template {} strategy file_copy")
    source = sql.SQL("") if template is None else cloned.format(sql.Identifier(template))
    admin.execute(sql.SQL("create database {} {}").format(sql.Identifier(name), source))
    return name


def _drop_database(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def fresh_database(postgres: str, template: str | None) -> Iterator[str]:
    """A database of its own, dropped at the end; with the current schema, or with nothing."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        name = _make_database(admin, template)
        yield _dsn(postgres, name)
        _drop_database(admin, name)


class Databases:
    """Fresh databases, each made while the test before it runs, and dropped during the one after it."""

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._admin = psycopg.connect(server, autocommit=True)
        self._worker = ThreadPoolExecutor(1)
        self._next = self._worker.submit(_make_database, self._admin, template)
        self._drops: list[Future[None]] = []

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Connection string of the next one."""
        name = self._next.result()
        self._next = self._worker.submit(_make_database, self._admin, self._template)
        yield _dsn(self._server, name)
        self._drops.append(self._worker.submit(_drop_database, self._admin, name))

    def close(self) -> None:
        """Drop the one that nobody took, and raise what went wrong with the others."""
        _drop_database(self._admin, self._next.result())
        for drop in self._drops:
            drop.result()
        self._worker.shutdown()
        self._admin.close()


def postgres_connection(dsn: str) -> dict[str, Any]:
    """An Airflow connection's fields from a libpq connection string."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    return {
        "conn_type": "postgres",
        "host": parts["host"],
        "port": int(str(parts["port"])),
        "login": parts["user"],
        "password": parts.get("password"),
        "schema": parts["dbname"],
    }


@pytest.fixture(scope="session")
def databases(postgres: str, template: str) -> Iterator[Databases]:
    with closing(Databases(postgres, template)) as made:
        yield made


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """Connection string of a fresh database with the current schema."""
    with databases.fresh() as dsn:
        yield dsn


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
def connect(database: str) -> Iterator[Connect]:
    """Opens connections to this test's database, and closes them at the end."""
    from economic.db.sql import prepare

    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(prepare(psycopg.connect(database))))


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> Iterator[InProcess]:
    """e-conomic with a small company's books: 250 invoices, or INVOICES of the test's module."""
    count = getattr(request.module, "INVOICES", 250)
    with simulator.running(
        invoices=count, employees=6, app_secret_token=APP_SECRET, agreement_grant_token=AGREEMENT_GRANT
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
