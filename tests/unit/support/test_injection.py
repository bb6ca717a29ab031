"""The kit breaks exactly what it says it breaks, where no row of the fault catalogue would notice a difference."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
import requests

from tests.support.faults import clusters, hosts
from tests.support.faults.pooler import pooler
from tests.support.faults.postgres import Fate, PostgresProxy
from tests.support.faults.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that says back what it hears."""

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


def test_the_pooler_gives_each_transaction_another_session() -> None:
    with clusters.cluster() as own:
        own.execute("create role pooled login; create table t (n integer); grant all on t to pooled")
        own.trust("pooled")
        with pooler(own.server.port) as port:
            dsn = f"host={hosts.LOOPBACK} port={port} user=pooled dbname={clusters.DATABASE}"
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
                pids = []
                for n in range(4):
                    with connection.transaction(), connection.cursor() as cursor:
                        pids.append(cursor.execute("select pg_backend_pid()").fetchone())
                        with cursor.copy("copy t from stdin") as copy:
                            copy.write_row((n,))
                        pids.append(cursor.execute("select pg_backend_pid()").fetchone())
        assert rows(own.dsn) == [0, 1, 2, 3]
    first, second = pids[0], pids[2]
    assert first != second
    assert pids == [first, first, second, second] * 2
