"""The kit breaks exactly what it says it breaks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest
import requests

import simulator
from tests.injection import clusters, hosts
from tests.injection.pooler import pooler
from tests.injection.postgres import PostgresProxy, terminate_backends
from tests.injection.processes import victim
from tests.injection.proxy import Proxy

LOOPBACK = "127.0.0.1"


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says back what it hears."""

    def attend(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            while piece := connection.recv(65536):
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=attend, args=(listening.accept()[0],), daemon=True).start()

    with closing(socket.create_server((LOOPBACK, 0))) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as made:
        yield made


def connect(port: int, timeout: float = 5) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=timeout)


def said_back(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return connection.recv(65536)


# -- the proxy ----------------------------------------------------------------------------------------------------------


def test_it_passes_everything_on_and_counts_connections(proxy: Proxy) -> None:
    for _ in range(2):
        with closing(connect(proxy.port)) as connection:
            assert said_back(connection) == b"hello"
    assert proxy.opened == 2


def test_latency_holds_each_piece_back_in_both_directions(proxy: Proxy) -> None:
    proxy.latency = 0.1
    with closing(connect(proxy.port)) as connection:
        began = time.monotonic()
        assert said_back(connection) == b"hello"
        assert 0.2 <= time.monotonic() - began < 2


def test_a_black_hole_answers_nobody_until_it_is_healed(proxy: Proxy) -> None:
    with closing(connect(proxy.port, timeout=0.3)) as connection:
        assert said_back(connection) == b"hello"
        proxy.blackhole()
        with pytest.raises(TimeoutError):
            said_back(connection)
        proxy.heal()
        assert said_back(connection, b"again") == b"again"


def test_a_stalled_proxy_takes_no_more_bytes(proxy: Proxy) -> None:
    with closing(connect(proxy.port, timeout=0.5)) as connection:
        proxy.stall()
        with pytest.raises(TimeoutError):
            connection.sendall(b"x" * 50_000_000)
        proxy.heal()


def test_a_reset_cuts_the_open_connections_only(proxy: Proxy) -> None:
    with closing(connect(proxy.port)) as connection:
        assert said_back(connection) == b"hello"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            said_back(connection)
    with closing(connect(proxy.port)) as connection:
        assert said_back(connection) == b"hello"


def test_down_refuses_and_heal_listens_on_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    proxy.down()
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    proxy.heal()
    with closing(connect(port)) as connection:
        assert said_back(connection) == b"hello"


def test_a_limit_cuts_after_so_many_bytes(proxy: Proxy) -> None:
    proxy.limit(7)
    with closing(connect(proxy.port)) as connection:
        assert said_back(connection, b"12345") == b"12345"
        assert said_back(connection, b"67890") == b"67"
        with pytest.raises(ConnectionResetError):
            connection.recv(10)


def test_it_stands_in_front_of_http_too() -> None:
    with (
        simulator.running(invoices=5) as simulated,
        Proxy(int(simulated.base_url.rsplit(":", 1)[1])) as proxy,
    ):
        answer = requests.get(f"http://{LOOPBACK}:{proxy.port}/self", headers=simulated.headers, timeout=5)
        assert answer.json()["agreementNumber"] == 1234567


# -- hosts --------------------------------------------------------------------------------------------------------------


def test_a_foreign_host_keeps_every_byte_it_is_sent() -> None:
    with hosts.foreign_host() as host:
        assert (host.connections, host.received) == (0, b"")
        requests.get(f"{host.url}/stolen", headers={"X-Token": "CANARY"}, timeout=5)
        assert host.connections == 1
        assert b"GET /stolen" in host.received
        assert b"X-Token: CANARY" in host.received


def test_a_closed_port_refuses() -> None:
    with hosts.closed_port() as port, pytest.raises(ConnectionRefusedError):
        connect(port)


def test_connecting_to_a_full_backlog_hangs() -> None:
    with hosts.full_backlog() as port, pytest.raises(TimeoutError):
        connect(port, timeout=0.3)


# -- PostgreSQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(empty_database: str) -> Iterator[tuple[PostgresProxy, psycopg.Connection]]:
    """A proxy in front of an empty database with one table, and a connection through it."""
    with psycopg.connect(empty_database, autocommit=True) as admin:
        admin.execute("create table t (n integer)")
    port = int(str(psycopg.conninfo.conninfo_to_dict(empty_database)["port"]))
    with PostgresProxy(port) as proxy:
        dsn = psycopg.conninfo.make_conninfo(empty_database, port=proxy.port, application_name="victim")
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield proxy, connection


def rows(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [n for (n,) in connection.execute("select n from t order by n")]


def insert(connection: psycopg.Connection, n: int) -> None:
    with connection.transaction():
        connection.execute("insert into t values (%s)", (n,))


def test_a_commit_can_be_cut_before_it_arrives(
    guarded: tuple[PostgresProxy, psycopg.Connection], empty_database: str
) -> None:
    proxy, connection = guarded
    proxy.trip(b"commit\0", proxy.reset, at=2, fate="held back")
    insert(connection, 1)
    with pytest.raises(psycopg.OperationalError):
        insert(connection, 2)
    assert rows(empty_database) == [1]


def test_a_commit_can_be_cut_after_it_was_done(
    guarded: tuple[PostgresProxy, psycopg.Connection], empty_database: str
) -> None:
    proxy, connection = guarded
    proxy.trip(b"commit\0", proxy.reset, at=2, fate="unanswered")
    insert(connection, 1)
    with pytest.raises(psycopg.OperationalError):
        insert(connection, 2)
    assert rows(empty_database) == [1, 2]


def test_a_backend_can_be_ended_at_a_chosen_statement(
    guarded: tuple[PostgresProxy, psycopg.Connection], empty_database: str
) -> None:
    proxy, connection = guarded
    ended: list[int] = []
    proxy.trip(b"insert into t", lambda: ended.append(terminate_backends(empty_database, "victim")), at=2)
    insert(connection, 1)
    with pytest.raises(psycopg.errors.AdminShutdown):
        insert(connection, 2)
    assert (ended, rows(empty_database)) == ([1], [1])


def test_a_server_of_ones_own_restarts_crashes_and_keeps_its_port() -> None:
    with clusters.cluster() as own:
        own.execute("create table t (n integer)")
        own.execute("create unlogged table u (n integer)")
        own.execute("insert into t values (1)")
        own.execute("insert into u values (1)")
        own.restart()
        assert rows(own.dsn) == [1]
        own.stop()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(own.dsn)
        own.start()
        own.crash()
        own.start()
        with psycopg.connect(own.dsn) as connection:
            left = connection.execute("select (select count(*) from t), (select count(*) from u)").fetchone()
        assert left == (1, 0)


def test_the_pooler_serves_each_transaction_by_another_session() -> None:
    with clusters.cluster() as own:
        own.execute("create role pooled login")
        own.execute("create table t (n integer); grant all on t to pooled")
        own.trust("pooled")
        with pooler(own.server.port) as port:
            dsn = f"host={LOOPBACK} port={port} user=pooled dbname={clusters.DATABASE}"
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
                pids = []
                for n in range(4):
                    with connection.transaction():
                        pids.append(connection.execute("select pg_backend_pid()").fetchone())
                        with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
                            copy.write_row((n,))
                        pids.append(connection.execute("select pg_backend_pid()").fetchone())
                connection.execute("set search_path = nowhere")
                lost = connection.execute("show search_path").fetchone()
        assert rows(own.dsn) == [0, 1, 2, 3]
    first, second = pids[0], pids[2]
    assert first != second
    assert pids == [first, first, second, second] * 2
    assert lost != ("nowhere",)


def test_a_small_disk_is_full_soon() -> None:
    try:
        disk = clusters.small_disk(1)
        with disk as folder, pytest.raises(OSError, match="No space left"):
            (folder / "filler").write_bytes(b"x" * 2_000_000)
    except PermissionError as error:
        pytest.skip(str(error))


# -- processes ----------------------------------------------------------------------------------------------------------


def test_a_process_can_be_frozen_woken_and_killed() -> None:
    code = "import time\nfor n in range(1000):\n  print(n, flush=True); time.sleep(0.02)"
    with victim(["-c", code]) as process:
        assert process.process.stdout is not None
        assert process.process.stdout.readline() == "0\n"
        process.freeze()
        time.sleep(0.3)
        process.wake()
        process.kill()
        code_, output = process.wait()
        assert code_ == -9
        assert len(output.split()) < 10
    with victim(["-c", "import time; time.sleep(600)"]) as process:
        pass
    assert process.process.returncode == -9
