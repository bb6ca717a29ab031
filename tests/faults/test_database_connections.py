"""D01 to D05, D10, D12, D13, D19, D22: the server is away, the connection breaks, or it is not the one it should be."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from economic.db import connection, retry, sql
from economic.errors import DatabaseUnavailable
from economic.sync import upsert
from tests.faults.conftest import Case, CaseOn, before_postgres, commits_of, plain_role, port_of, unnoticed
from tests.support.dag_runs import FETCH
from tests.support.faults import clusters
from tests.support.faults.clusters import Cluster
from tests.support.faults.hosts import LOOPBACK
from tests.support.faults.pooler import pooler
from tests.support.faults.postgres import Fate, PostgresProxy, terminate_backends
from tests.support.invariants import Bounds

STAGED = b"copy economic.staged_invoice"
STORED = b"insert into economic.invoice"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's pauses, in hundredths of seconds, and a transaction for each page that is stored."""
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 20.0)
    monkeypatch.setattr(upsert, "_MOST_PARSED", 100)


def away(case: Case, retries: int = 0) -> None:
    """The run failed because PostgreSQL was away, each try after its time, and before anything was asked of e-conomic."""
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "PATIENCE_SECONDS", 0.6)
        outcome = case.run(retries=retries)
    assert (outcome.state, outcome.tried(FETCH)) == ("failed", retries + 1)
    assert all(isinstance(error, DatabaseUnavailable) for error in outcome.errors)
    assert time.monotonic() - began >= 0.6 * (retries + 1)
    assert case.paths() == []


# -- away ---------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("D01")
def test_server_that_stays_down_fails_the_try(case: Case, proxy: PostgresProxy) -> None:
    proxy.down()
    away(case, retries=1)
    proxy.heal()
    case.heals()


@pytest.mark.fault("D01")
def test_server_back_in_time_fails_nothing(case: Case, proxy: PostgresProxy) -> None:
    proxy.down()
    threading.Timer(0.4, proxy.heal).start()
    unnoticed(case.run())
    case.heals()


@pytest.mark.fault("D02")
def test_a_restart_in_mid_scan(own: Cluster, case_on: CaseOn) -> None:
    case = case_on(own.dsn)
    case.books.when(2, own.restart)
    statistics = unnoticed(case.run())
    assert (statistics["created"], statistics["pages"]) == (250, 3)
    assert "PostgreSQL broke a transaction off" in case.witness.log()
    case.heals()


@pytest.mark.fault("D02")
def test_restart_in_mid_store_with_slow_start(own: Cluster, case_on: CaseOn) -> None:
    case = case_on(own.dsn)
    with before_postgres(case) as proxy:

        def restart() -> None:
            own.stop()
            threading.Timer(0.4, own.start).start()

        proxy.trip(STORED, restart, at=2)
        assert unnoticed(case.run())["created"] == 250
        case.heals()


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.fault("D02")
def test_a_crash_that_empties_staging_marks_nothing_missing(own: Cluster, case_on: CaseOn, gone: int) -> None:
    """The connection comes back, the staged pages do not: what is not staged must not look as if it were gone from e-conomic.

    Where the counts prove that nothing is gone, staging is not needed any more: all of it is stored by then.
    """
    case = case_on(own.dsn)
    for number in sorted(case.books.ledger.items())[8:]:
        case.books.control("remove", number=number)
    case.synced()
    for number in sorted(case.books.ledger.items())[:gone]:
        case.books.control("remove", number=number)
    with before_postgres(case) as proxy:

        def crash() -> None:
            own.crash()
            own.start()

        # The first statement of the last transaction of its phase.
        proxy.trip(b"update economic.rejected_invoice", crash, at=2)
        outcome = case.run()
        if gone:
            assert (outcome.state, isinstance(outcome.error, AirflowFailException)) == ("failed", True)
            assert "not whole" in case.last_sync()["message"]
        else:
            assert (outcome.state, case.last_sync()["status"]) == ("success", "completed")
        missing = "select count(*) from economic.invoice where missing_since is not null"
        assert case.witness.value(missing) == 0
        assert case.heals()["missing"] == gone


# -- broken connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [STAGED, STORED], ids=["staging", "storing"])
@pytest.mark.fault("D03")
def test_a_backend_ended_in_mid_page(case: Case, proxy: PostgresProxy, statement: bytes) -> None:
    ended: list[int] = []
    proxy.trip(statement, lambda: ended.append(terminate_backends(case.database)), at=2)
    statistics = unnoticed(case.run())
    assert ended == [1]
    assert (statistics["created"], statistics["fetched"], statistics["pages"]) == (250, 250, 3)
    assert "Doing it again" in case.witness.log()
    case.heals()


@pytest.mark.fault("D03")
def test_backend_ended_each_time_fails_the_try(case: Case, proxy: PostgresProxy) -> None:
    for _ in range(retry.REPEATS + 1):
        proxy.trip(STORED, lambda: terminate_backends(case.database), at=1)
    outcome = case.run()
    assert (outcome.state, outcome.tried("upsert-invoices")) == ("success", 2)
    assert outcome.statistics["created"] == 250
    case.heals()


@pytest.mark.fault("D03")
def test_overtaken_writer_writes_nothing_on_a_new_connection(case: Case, proxy: PostgresProxy) -> None:
    def overtaken() -> None:
        terminate_backends(case.database)
        with case.witness.connect() as connection:
            connection.execute(
                "update economic.sync_lease set token = token + 1, heartbeat_at = clock_timestamp()"
            )

    proxy.trip(STORED, overtaken, at=2)
    outcome = case.run()
    assert (outcome.state, outcome.tried("upsert-invoices")) == ("failed", 1)
    assert "superseded" in str(outcome.error)
    assert case.stored() == 100
    case.heals()


@pytest.mark.parametrize("fate", ["held back", "unanswered"], ids=["before it arrives", "after it was done"])
@pytest.mark.fault("D04")
def test_the_connection_breaks_at_any_commit(case: Case, proxy: PostgresProxy, fate: Fate) -> None:
    """Each kind of commit of a sync in turn; what comes out is as if nothing had happened, in the rows and in the counts."""
    numbers = sorted(case.books.ledger.items())[:60]
    for number in sorted(case.books.ledger.items())[60:]:
        case.books.control("remove", number=number)
    case.runs.page_size(20)
    case.synced()
    case.books.pay(numbers[0], "0.01")
    # Three pages are staged and stored; the rest begins, proves, reconciles, names and ends, or only reads.
    for at in commits_of(proxy, case.run):
        broken: list[bool] = []

        def cut(broken: list[bool] = broken) -> None:
            broken.append(True)
            proxy.reset()

        proxy.heal()
        proxy.trip(b"commit\0", cut, at=at, fate=fate)
        case.books.pay(numbers[at], "0.01")
        outcome = case.run()
        assert outcome.state == "success", (at, outcome.errors)
        statistics = outcome.statistics
        assert (statistics["created"], statistics["updated"]) == (0, 1), at
        case.witness.look()
        assert broken, at
    proxy.heal()
    # A dozen syncs, each with a broken connection.
    case.heals(bounds=Bounds(seconds=120))


@pytest.mark.fault("D05")
def test_cut_cable_is_noticed_within_a_minute(case: Case) -> None:
    case.synced()
    with (
        connection.connect("economic_postgres") as opened,
        socket.socket(fileno=socket.dup(opened.fileno())) as line,
    ):
        options = {
            name: line.getsockopt(level, option)
            for name, level, option in (
                ("keepalive", socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                ("idle", socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                ("interval", socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                ("count", socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                ("unanswered", socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )
        }
    assert options == {"keepalive": 1, "idle": 30, "interval": 10, "count": 3, "unanswered": 60_000}
    assert options["idle"] + options["interval"] * options["count"] <= 60
    case.heals()


@pytest.mark.fault("D05")
def test_stalled_connection_is_replaced(case: Case, proxy: PostgresProxy) -> None:
    """The same with a second instead of a minute: the kernel ends the connection, the page is staged on another one."""
    dsn = psycopg.conninfo.make_conninfo(case.database, port=proxy.port)
    case.reach_database_at(dsn, tcp_user_timeout=500)
    number = sorted(case.books.ledger.items())[100]
    proxy.trip(f'"bookedinvoicenumber":{number}'.encode(), proxy.stall)
    case.when_logged("PostgreSQL broke a transaction off", proxy.heal)
    assert unnoticed(case.run())["created"] == 250
    case.heals(bounds=Bounds(seconds=15))


@pytest.mark.fault("D10")
def test_a_transaction_that_stood_still_too_long(
    case: Case, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "IDLE_TIMEOUT", "300ms")
    for statement in (STAGED, STORED):
        proxy.trip(statement, lambda: time.sleep(0.8), at=2)
    assert unnoticed(case.run())["created"] == 250
    assert case.witness.log().count("25P03") >= 2
    case.heals()


# -- the wrong server, or none for us -----------------------------------------------------------------------------------


@pytest.mark.fault("D12")
def test_read_only_server_fails_the_try(case: Case) -> None:
    name = psycopg.conninfo.conninfo_to_dict(case.database)["dbname"]
    with case.witness.connect() as admin:
        admin.execute(f"alter database {name} set default_transaction_read_only = on".encode())
    away(case)
    with case.witness.connect() as admin:
        admin.execute("set default_transaction_read_only = off")
        admin.execute(f"alter database {name} reset default_transaction_read_only".encode())
    case.heals()


@pytest.mark.fault("D12")
def test_primary_of_two_servers_is_used(case: Case, own: Cluster) -> None:
    theirs = psycopg.conninfo.conninfo_to_dict(case.database)
    # To the role both are the same server: its name, its password, the database's name.
    own.execute(f"create database {theirs['dbname']}")
    own.execute(f"alter role {theirs['user']} password '{theirs['password']}'")
    with psycopg.connect(
        psycopg.conninfo.make_conninfo(case.database, port=own.server.port), autocommit=True
    ) as admin:
        admin.execute("alter system set default_transaction_read_only = on")
    own.server.control("reload")
    ports = f"{own.server.port},{port_of(case.database)}"
    case.reach_database_at(case.database, host=f"{LOOPBACK},{LOOPBACK}", port=ports)
    unnoticed(case.run())
    case.heals()


@pytest.mark.fault("D12")
def test_a_failover_in_mid_scan(own: Cluster, case_on: CaseOn) -> None:
    """The server we come back to only reads, for a while."""
    case = case_on(own.dsn)

    def change(setting: str) -> None:
        with psycopg.connect(own.server.dsn("postgres"), autocommit=True) as admin:
            admin.execute("set default_transaction_read_only = off")
            admin.execute(setting.encode())
        own.restart()

    case.books.when(2, lambda: change("alter system set default_transaction_read_only = on"))
    case.books.when(
        2,
        threading.Timer(0.6, change, ["alter system reset default_transaction_read_only"]).start,
    )
    assert unnoticed(case.run())["created"] == 250
    case.heals()


@pytest.mark.fault("D12")
def test_server_turns_read_only_under_an_open_connection(own: Cluster, case_on: CaseOn) -> None:
    """Imitates a switch-over that leaves connections open: another one is needed to find the server that writes."""
    case = case_on(own.dsn)

    def change(setting: str) -> None:
        with psycopg.connect(own.server.dsn("postgres"), autocommit=True) as admin:
            admin.execute("set default_transaction_read_only = off")
            admin.execute(setting.encode())
        own.server.control("reload")

    case.books.when(2, lambda: change("alter system set default_transaction_read_only = on"))
    case.books.when(
        2,
        threading.Timer(0.6, change, ["alter system reset default_transaction_read_only"]).start,
    )
    assert unnoticed(case.run())["created"] == 250
    case.heals()


@pytest.mark.fault("D13")
def test_too_many_connections(own: Cluster, case_on: CaseOn) -> None:
    case = case_on(own.dsn)
    case.reach_database_at(plain_role(own))
    own.execute("alter role plain connection limit 0")
    away(case)
    assert "too many connections" in case.witness.log()
    threading.Timer(0.4, own.execute, ["alter role plain connection limit -1"]).start()
    unnoticed(case.run())
    case.heals()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "CANARYwrong password"}, "password authentication failed"),
        ({"dbname": "no_such_database"}, "does not exist"),
        ({"user": "no_such_role"}, "password authentication failed"),
    ],
    ids=["password", "database", "role"],
)
@pytest.mark.fault("D19")
def test_a_wrong_login_is_refused_at_once(case: Case, change: dict[str, str], said: str) -> None:
    case.reach_database_at(psycopg.conninfo.make_conninfo(case.database, **change))
    outcome = case.run()
    assert (outcome.state, len(outcome.tries)) == ("failed", 1)
    assert isinstance(outcome.error, AirflowFailException)
    assert said in str(outcome.error)
    assert "Check host, database, login and password" in str(outcome.error)
    assert case.paths() == []
    case.reach_database_at(case.database)
    case.heals()


# -- behind a pooler ----------------------------------------------------------------------------------------------------


@contextmanager
def pgbouncer(port: int) -> Iterator[int]:
    """The real program, pooling by transaction."""
    folder = Path(tempfile.mkdtemp(prefix="economic-pgbouncer-", dir="/var/tmp"))
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        own: int = free.getsockname()[1]
    users = folder / "users.txt"
    users.write_text('"plain" ""\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{clusters.DATABASE} = host={LOOPBACK} port={port} user=plain\n[pgbouncer]\nlisten_addr = {LOOPBACK}\n"
        f"listen_port = {own}\nauth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 2\n"
        f"server_reset_query =\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits\n"
    )
    folder.chmod(0o755)
    program = subprocess.Popen(
        ["pgbouncer", "-u", "nobody", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, own)) == 0:
                    break
            time.sleep(0.05)
        yield own
    finally:
        program.terminate()
        program.wait(10)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "program",
    [
        "stand-in",
        pytest.param(
            "pgbouncer",
            marks=pytest.mark.skipif(not shutil.which("pgbouncer"), reason="pgbouncer is not installed"),
        ),
    ],
)
@pytest.mark.fault("D22")
def test_a_pooler_that_gives_each_transaction_another_session(
    own: Cluster, case_on: CaseOn, program: str
) -> None:
    case = case_on(own.dsn)
    direct = plain_role(own)
    own.trust("plain")
    before = case.books.ledger.items()
    with pooler(own.server.port) if program == "stand-in" else pgbouncer(own.server.port) as port:
        pooled = psycopg.conninfo.make_conninfo(direct, port=port)
        with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as session:
            pids = {session.execute("select pg_backend_pid()").fetchone() for _ in range(4)}
        assert len(pids) == 2 or program == "pgbouncer"
        case.reach_database_at(pooled)
        unnoticed(case.run())
        case.books.pay(secrets.choice(sorted(n for n, item in before.items() if item["remainder"] > 1)), 1)
        assert unnoticed(case.run())["updated"] == 1
        case.heals()
