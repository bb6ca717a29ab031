"""One sync at a time: a lease with an expiry, and a fencing token that every writer proves.

Airflow's limits do not suffice: backfills are counted apart, and after a killed worker two attempts
of one task can run at once. So the database that holds the data decides, by its own clock. The
token grows when the lease is taken or released and with every attempt. A writer locks the lease row
until its commit, so a stale writer can never commit after a newer one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from economic.db import runs
from economic.db.sql import Connection, Row, one, row, rows, run, transaction
from economic.errors import LeaseBusy, LeaseLost
from economic.outside_text import bounded

log = logging.getLogger(__name__)

TTL_SECONDS = 300
_LOOK_SECONDS = 0.05
"""How often a forced sync that was kept waiting looks for the session that locks the lease's row.
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one task attempt to write an agreement's rows."""

    agreement_number: int
    sync_id: int
    token: int


def check_free(connection: Connection, agreement_number: int, sync_id: int) -> None:
    """Find out early whether another sync runs, before any request to e-conomic.

    :raises LeaseBusy: another sync runs.
    """
    with transaction(connection):
        run(connection, "insert_lease", agreement_number=agreement_number)
        _displaceable(connection, agreement_number, sync_id, force=False)


def acquire(
    connection: Connection,
    agreement_number: int,
    sync_id: int,
    attempt: str,
    *,
    force: bool,
    reopen: Callable[[], Connection] | None = None,
) -> Lease:
    """Take the lease for a new sync.

    An expired holder is closed as ``abandoned``. With ``force`` a live holder is closed as
    ``superseded``, and its next write fails. ``force`` also ends a session that keeps the lease's
    row locked for longer than the lock timeout.

    :param attempt: DAG run, task and try, for people.
    :param reopen: opens another connection, which ``force`` needs to end a session.
    :raises LeaseBusy: another sync holds the lease, and ``force`` is not set.
    :raises LeaseLost: the sync's own row is closed already.
    """

    def take(waiting: Callable[[Row], object]) -> Lease:
        return _take(connection, agreement_number, sync_id, attempt, force=force, waiting=waiting)

    try:
        return take(lambda _: None)
    except psycopg.errors.LockNotAvailable:
        if not force or reopen is None:
            raise
    watcher = reopen()
    try:
        return _take_from(watcher, take)
    finally:
        watcher.close()


def _take_from(watcher: Connection, take: Callable[[Callable[[Row], object]], Lease]) -> Lease:
    """Take the lease in a thread, while another connection ends the session that blocks that
    thread.

    Only a waiting session shows whom it waits for. So exactly that session is ended, and no other
    company's.
    """
    waiting: list[Row] = []
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take, waiting.append)
        ended = False
        while not taking.done():
            # Once: who comes next has only just begun to wait for the row, or to work on it.
            ended = ended or (bool(waiting) and _end_session_in_the_way(watcher, waiting[0]))
            wait([taking], timeout=_LOOK_SECONDS)
    return taking.result()


def _end_session_in_the_way(watcher: Connection, waiting: Row) -> bool:
    """Return whether a session was in the way."""
    with transaction(watcher):
        ended = rows(watcher, "end_session_in_the_way", **waiting)
    for session in ended:
        log.warning(
            "Ended PostgreSQL's session %d (%s, %s), which kept the lease locked for %d s.",
            session["pid"],
            bounded(session["application_name"] or "no name", 60),
            session["state"],
            session["seconds"],
        )
    return bool(ended)


def _take(
    connection: Connection,
    agreement_number: int,
    sync_id: int,
    attempt: str,
    *,
    force: bool,
    waiting: Callable[[Row], object],
) -> Lease:
    with transaction(connection):
        waiting(one(connection, "select_own_session"))
        run(connection, "insert_lease", agreement_number=agreement_number)
        displaced = _displaceable(connection, agreement_number, sync_id, force=force)
        taken = row(
            connection,
            "take_lease",
            agreement_number=agreement_number,
            sync_id=sync_id,
            attempt=attempt,
            ttl_seconds=TTL_SECONDS,
        )
        if taken is None:
            raise LeaseLost(
                f"Sync {sync_id} was closed before it had the lease: a later attempt began again."
            )
        if displaced is not None:
            holder, live = displaced
            status = "superseded" if live else "abandoned"
            message = (
                f"Superseded by sync {sync_id}." if live else "Abandoned: its process ended without a word."
            )
            runs.close_sync_run(connection, holder, status, message)
        return Lease(agreement_number, sync_id, taken["token"])


def enter(
    connection: Connection,
    agreement_number: int,
    sync_id: int,
    attempt: str,
) -> Lease:
    """Resume a sync in a new task attempt, which shuts out any earlier one.

    An expired lease that no other sync took can be entered.

    :raises LeaseLost: another sync holds the lease, or none does.
    """
    with transaction(connection):
        found = row(
            connection,
            "enter_lease",
            agreement_number=agreement_number,
            sync_id=sync_id,
            attempt=attempt,
            ttl_seconds=TTL_SECONDS,
        )
    if found is None:
        raise LeaseLost(f"Sync {sync_id} no longer holds the lease of agreement {agreement_number}.")
    return Lease(agreement_number, sync_id, found["token"])


@contextmanager
def fenced(connection: Connection, lease: Lease) -> Iterator[datetime]:
    """Open a writing transaction that proves and renews the lease; yield the heartbeat it writes.

    :raises LeaseLost: another attempt or sync took over; nothing was written.
    """
    with transaction(connection):
        held = row(
            connection,
            "fence_lease",
            agreement_number=lease.agreement_number,
            token=lease.token,
            ttl_seconds=TTL_SECONDS,
        )
        if held is None:
            raise LeaseLost(
                f"Sync {lease.sync_id} was superseded: another one took the lease of agreement {lease.agreement_number}."
            )
        yield held["heartbeat_at"]


def was_committed(connection: Connection, lease: Lease, heartbeat: datetime) -> bool:
    """Return whether the transaction with this heartbeat was committed, when its COMMIT got no
    answer.

    :raises LeaseLost: another attempt or sync took over since.
    """
    with transaction(connection):
        now = one(
            connection,
            "select_lease_heartbeat",
            agreement_number=lease.agreement_number,
            token=lease.token,
        )
    if now["heartbeat_at"] == heartbeat:
        return True
    if not now["held"]:
        raise LeaseLost(
            f"Sync {lease.sync_id} no longer holds the lease of agreement {lease.agreement_number}."
        )
    return False


def lock(connection: Connection, agreement_number: int) -> None:
    """Lock the lease until the end of the caller's transaction, whoever holds it."""
    one(connection, "lock_lease", agreement_number=agreement_number)


def release(connection: Connection, agreement_number: int, sync_id: int) -> None:
    """Free the lease if this sync holds it, within the transaction that closes the sync."""
    run(connection, "release_lease", agreement_number=agreement_number, sync_id=sync_id)


def keep_proven(connection: Connection, lease: Lease) -> None:
    """Keep that this sync has proven the copy, until another one takes the lease."""
    run(
        connection,
        "update_lease_proven",
        agreement_number=lease.agreement_number,
        sync_id=lease.sync_id,
    )


def _displaceable(
    connection: Connection, agreement_number: int, sync_id: int, *, force: bool
) -> tuple[int, bool] | None:
    """Lock the lease; return its holder and whether that one is live, None when it is free."""
    now = one(connection, "lock_lease", agreement_number=agreement_number)
    if now["holder"] is None or now["holder"] == sync_id:
        return None
    if now["live"] and not force:
        holder = one(connection, "select_lease_holder", sync_id=now["holder"])
        raise LeaseBusy(
            f"Sync {now['holder']} ({holder['scope']}) has been running since "
            f"{now['acquired_at']:%Y-%m-%d %H:%M:%S} UTC.",
            holder_scope=holder["scope"],
            detail=f"It is of run {holder['run_id']} of {holder['dag_id']}.",
        )
    return now["holder"], now["live"]
