"""One sync at a time, whoever asks and whatever dies."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

from economic.db import agreements, runs, sql
from economic.db import lease as leases
from economic.db.lease import Lease
from economic.db.sql import one, transaction
from economic.errors import LeaseBusy, LeaseLost
from economic.records.agreement import Agreement
from economic.sync import lifecycle
from tests.conftest import Connect, open_sync

AGREEMENT = 42
FIRST_NEW = 1000


@pytest.fixture(autouse=True)
def bound(connect: Connect) -> None:
    opened = connect()
    with transaction(opened):
        agreements.bind_agreement(opened, "economic_default", Agreement(AGREEMENT, "x", "DKK"))


def take(connection: psycopg.Connection, *, force: bool = False) -> Lease:
    return leases.acquire(connection, AGREEMENT, open_sync(connection), "try 1", force=force)


@pytest.mark.parametrize("before", ["never held", "held before"])
def test_one_of_many_concurrent_syncs_gets_the_lease(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """A row that is there already lets all come in at once; one that must be made first lets them in one by one."""
    barrier, taken, busy = threading.Barrier(8), [], []
    look = leases.one

    def look_and_ponder(connection: psycopg.Connection, name: str, /, **parameters: Any) -> dict[str, Any]:
        found = look(connection, name, **parameters)
        if name == "lock_lease":
            time.sleep(0.02)
        return found

    monkeypatch.setattr(leases, "one", look_and_ponder)
    if before == "held before":
        connection = connect()
        held = take(connection)
        with leases.fenced(connection, held):
            leases.release(connection, AGREEMENT, held.sync_id)

    def ask() -> None:
        connection = connect()
        sync_id = open_sync(connection)
        barrier.wait()
        try:
            taken.append(leases.acquire(connection, AGREEMENT, sync_id, "try 1", force=False))
        except LeaseBusy as error:
            busy.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(busy)) == (1, 7)
    assert all(f"Sync {taken[0].sync_id} " in error.message for error in busy)


def test_concurrent_first_syncs_all_bind_the_agreement(
    connect: Connect,
) -> None:
    """Binds agreements that are new to all. Where the insert named one key, one of 40 rounds ended in a duplicate of the other."""
    rounds, barrier, errors = 200, threading.Barrier(4), []

    def bind(connection: psycopg.Connection) -> None:
        for number in range(FIRST_NEW, FIRST_NEW + rounds):
            barrier.wait(timeout=30)
            try:
                with transaction(connection):
                    agreements.bind_agreement(
                        connection, f"connection_{number}", Agreement(number, "x", "DKK")
                    )
            except psycopg.Error as error:
                errors.append(error)

    threads = [threading.Thread(target=bind, args=(connect(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    bound = connect().execute(
        "select conn_id from economic.agreement where agreement_number >= %s", [FIRST_NEW]
    )
    assert len(bound.fetchall()) == rounds


def test_force_waits_for_the_write_under_way(
    connect: Connect,
) -> None:
    """The row lock makes the two serial: either the old write is whole before the new holder begins, or it fails."""
    writer, rival = connect(), connect()
    held = take(writer)
    order: list[str] = []

    def take_over() -> None:
        take(rival, force=True)
        order.append("taken")

    with leases.fenced(writer, held):
        thread = threading.Thread(target=take_over)
        thread.start()
        time.sleep(0.3)
        order.append("written")
    thread.join()
    assert order == ["written", "taken"]
    with pytest.raises(LeaseLost), leases.fenced(writer, held):
        pytest.fail("the displaced holder got to write")


def test_unanswered_commit_is_judged_once_it_is_decided(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "200ms")
    writer, asking = connect(), connect()
    held = take(writer)
    with leases.fenced(writer, held) as heartbeat, pytest.raises(psycopg.errors.LockNotAvailable):
        leases.was_committed(asking, held, heartbeat)
    assert leases.was_committed(asking, held, heartbeat)


def test_waiting_sync_learns_who_took_the_lease(
    connect: Connect,
) -> None:
    """A full sync waits for a range and skips itself for a full one, so it must know which it is."""
    first, second = connect(), connect()
    connection = connect()
    with leases.fenced(connection, held := take(connection)):
        leases.release(connection, AGREEMENT, held.sync_id)
    scan, asking = open_sync(first, scope="range"), open_sync(second)
    told: list[LeaseBusy] = []

    def ask() -> None:
        with pytest.raises(LeaseBusy) as caught:
            leases.acquire(second, AGREEMENT, asking, "try 1", force=False)
        told.append(caught.value)

    with transaction(first):
        one(first, "lock_lease", agreement_number=AGREEMENT)
        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.3)
        leases.acquire(first, AGREEMENT, scan, "try 1", force=False)
    thread.join()
    (busy,) = told
    assert busy.holder_scope == "range"
    assert f"Sync {scan} (range) has" in busy.message
    assert "run r of d" in busy.log_text
    assert "run r" not in str(busy)


# -- who is in the way of force ---------------------------------------------------------------------------------------


def pid(connection: psycopg.Connection) -> int:
    return connection.info.backend_pid


def alive(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("select 1")
    except psycopg.Error:
        return False
    return True


@pytest.mark.parametrize("writer_is", ["busy", "frozen"])
def test_force_ends_exactly_the_session_in_the_way(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, writer_is: str
) -> None:
    """Spares another company's slow session, and one that only waits for the same row."""
    writer, stranger, queued = connect(), connect(), connect()
    held = take(writer)
    with transaction(stranger):
        agreements.bind_agreement(stranger, "economic_north", Agreement(7, "y", "DKK"))
    other = leases.acquire(stranger, 7, open_sync(stranger), "try 1", force=False)
    slow = leases.fenced(stranger, other)
    slow.__enter__()
    threads = [threading.Thread(target=stranger.execute, args=("select pg_sleep(1.5)",))]
    stopped = leases.fenced(writer, held)
    stopped.__enter__()
    if writer_is == "busy":
        threads.append(threading.Thread(target=outlives, args=(writer, "select pg_sleep(60)")))

    def wait_in_line() -> None:
        with transaction(queued):
            queued.execute("set local lock_timeout = '60s'")
            leases.lock(queued, AGREEMENT)

    threads.append(threading.Thread(target=wait_in_line))
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "300ms")
    rival = connect()
    began = time.monotonic()
    taken = leases.acquire(rival, AGREEMENT, open_sync(rival), "try 1", force=True, reopen=connect)
    assert time.monotonic() - began < 10
    for thread in threads:
        thread.join()
    assert taken.token > held.token
    assert (alive(writer), alive(queued)) == (False, True)
    slow.__exit__(None, None, None)
    with leases.fenced(stranger, other):
        pass


def outlives(connection: psycopg.Connection, query: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute(query.encode())


def test_force_needs_the_right_to_end_a_session(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    """The session in the way is a superuser's; the sync's own role may not end it."""
    owner, plain = connect(), connect()
    name = f"plain_{pid(plain)}"
    owner.execute(f"create role {name}")
    try:
        owner.execute(f"grant usage on schema economic to {name}")
        owner.execute(f"grant all on all tables in schema economic to {name}")
        sync_id = open_sync(plain)
        plain.execute(f"set role {name}")

        def as_plain() -> psycopg.Connection:
            opened = connect()
            opened.execute(f"set role {name}")
            return opened

        monkeypatch.setattr(sql, "LOCK_TIMEOUT", "200ms")
        held = take(owner)
        with leases.fenced(owner, held), pytest.raises(psycopg.errors.LockNotAvailable):
            leases.acquire(plain, AGREEMENT, sync_id, "try 1", force=True, reopen=as_plain)
        assert alive(owner)
    finally:
        plain.execute("reset role")
        owner.execute(f"drop owned by {name}")
        owner.execute(f"drop role {name}")


def test_close_locks_the_lease_before_its_row(
    connect: Connect,
) -> None:
    """Avoids a deadlock: whoever takes the lease locks its row first and the displaced sync's after."""
    taker, closer = connect(), connect()
    held = take(taker)
    with transaction(taker):
        taker.execute(
            "update economic.sync_run set agreement_number = %s where sync_id = %s",
            (AGREEMENT, held.sync_id),
        )
    errors: list[BaseException] = []

    def close() -> None:
        try:
            lifecycle.close(closer, held.sync_id, "failed", "why")
        except psycopg.Error as error:
            errors.append(error)

    with transaction(taker):
        leases.lock(taker, AGREEMENT)
        thread = threading.Thread(target=close)
        thread.start()
        time.sleep(0.5)
        runs.close_sync_run(taker, held.sync_id, "superseded", "by a newer one")
    thread.join()
    assert errors == []
    found = runs.sync_run(taker, held.sync_id)
    assert found is not None
    assert found.status == "superseded"
