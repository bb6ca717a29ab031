"""The tests themselves: they break what they say, stay on this machine, and prove every row of the catalogue."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.faults import hosts
from tests.support.faults.postgres import Fate, PostgresProxy, ends_of_each_kind
from tests.support.faults.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Proxy in front of a server that says back what it hears."""

    def echo(connection: socket.socket) -> None:
        while piece := connection.recv(65536):
            connection.sendall(piece)

    with hosts.attended(echo) as port, Proxy(port) as made:
        yield made


def connect(port: int, timeout: float = 0.5) -> socket.socket:
    return socket.create_connection((hosts.LOOPBACK, port), timeout=timeout)


def said_back(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return connection.recv(65536)


BREAKS: dict[str, tuple[Callable[[Proxy, socket.socket], object], type[Exception]]] = {
    "blackhole": (lambda proxy, connection: said_back(connection), TimeoutError),
    "stall": (lambda proxy, connection: said_back(connection), TimeoutError),
    "reset": (lambda proxy, connection: said_back(connection), ConnectionResetError),
    "down": (lambda proxy, connection: connect(proxy.port), ConnectionRefusedError),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_proxy_breaks_and_heals_on_its_port(proxy: Proxy, how: str) -> None:
    use, error = BREAKS[how]
    with closing(connect(proxy.port)) as connection:
        assert said_back(connection) == b"hello"
        getattr(proxy, how)()
        with pytest.raises(error):
            use(proxy, connection)
    proxy.heal()
    with closing(connect(proxy.port)) as connection:
        assert said_back(connection) == b"hello"


def test_a_foreign_host_keeps_what_it_is_sent() -> None:
    with hosts.foreign_host() as host:
        assert (host.connections, host.received) == (0, b"")
        requests.get(f"{host.url}/stolen", headers={"X-Token": "CANARY"}, timeout=5)
        assert host.connections == 1
        assert b"GET /stolen" in host.received
        assert b"X-Token: CANARY" in host.received


def rows(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [n for (n,) in connection.execute("select n from t order by n")]


@pytest.mark.parametrize(("fate", "stored"), [("held back", [1]), ("unanswered", [1, 2])])
def test_a_commit_is_cut_before_or_after_it(empty_database: str, fate: Fate, stored: list[int]) -> None:
    port = int(str(psycopg.conninfo.conninfo_to_dict(empty_database)["port"]))
    with PostgresProxy(port) as proxy:
        proxy.trip(b"commit\0", proxy.reset, at=2, fate=fate)
        dsn = psycopg.conninfo.make_conninfo(empty_database, port=proxy.port)
        with psycopg.connect(dsn) as connection:
            connection.execute("create table t (n integer); insert into t values (1)")
            connection.commit()
            connection.execute("insert into t values (2)")
            with pytest.raises(psycopg.OperationalError):
                connection.commit()
    assert rows(empty_database) == stored


def test_ends_of_each_kind_of_commit_are_chosen(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(str(psycopg.conninfo.conninfo_to_dict(empty_database)["port"]))
    with PostgresProxy(port) as proxy:
        dsn = psycopg.conninfo.make_conninfo(empty_database, port=proxy.port)
        with psycopg.connect(dsn, prepare_threshold=None) as connection:
            connection.execute("create table t (n integer)")
            connection.rollback()
            for number in range(3):
                connection.execute("create table if not exists t (n integer)")
                connection.commit()
                connection.execute("insert into t values (%s)", [number])
                connection.execute("insert into t values (%s)", [number])
                connection.commit()
            connection.execute("insert into t values (1)")
            connection.execute("-- an update\ndelete from t")
            connection.commit()
    monkeypatch.delenv("ECONOMIC_SWEEP", raising=False)
    assert ends_of_each_kind(proxy.commits) == [1, 2, 6, 7]
    monkeypatch.setenv("ECONOMIC_SWEEP", "1")
    assert ends_of_each_kind(proxy.commits) == [*range(1, 8)]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "restapi.e-conomic.com"])
def test_this_process_is_kept_inside(host: str) -> None:
    with pytest.raises(OSError, match="only reach this machine"):
        socket.create_connection((host, 80), timeout=1)


def test_a_child_process_is_kept_inside() -> None:
    reach_out = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run([sys.executable, "-c", reach_out], capture_output=True, text=True)
    assert "only reach this machine" in done.stderr


TESTS = Path(__file__).parents[2]
ROWS = {"H": 38, "P": 34, "D": 22, "R": 20, "S": 18, "W": 18, "Q": 19, "L": 21}
LEFT_OUT = {"P33"}
"""A row about a part that does not exist here; decision 9 gives the reason."""


def test_catalogue_lists_every_marked_row_and_its_file() -> None:
    marked = {
        (row, path.relative_to(TESTS).as_posix())
        for path in TESTS.rglob("test_*.py")
        for marks in re.findall(r"(?s)@pytest\.mark\.fault\((.*?)\)", path.read_text())
        for row in re.findall(r'"([A-Z]\d\d)"', marks)
    }
    catalogue = (TESTS / "faults" / "README.md").read_text()
    listed = {
        (row, path)
        for row, line in re.findall(r"(?m)^\| ([A-Z]\d\d) (.*)$", catalogue)
        for path in re.findall(r"\]\(\.\./(\S+?)\)", line)
    }
    assert listed == marked
    rows = {f"{letter}{number:02}" for letter, most in ROWS.items() for number in range(1, most + 1)}
    assert {row for row, _ in marked} == rows - LEFT_OUT
