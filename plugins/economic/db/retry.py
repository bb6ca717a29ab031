"""Retries of writing transactions that were aborted through no fault of their own.

Either the connection was lost, or another transaction was in the way (deadlock, serialization, lock
timeout). Every retry proves the same fencing token, so a writer that was overtaken stops. When a
COMMIT got no answer, the lease row tells whether it was done: its heartbeat is that of the last
committed transaction.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol, TypeVar

import psycopg

from economic.db import lease as leases
from economic.db import sql
from economic.db.lease import Lease
from economic.db.sql import Connection, is_lost, is_obstructed, rows
from economic.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

REPEATS = 3
PAUSE_SECONDS = 0.5


class Writer(Protocol):
    """A writer: its connection, its lease, and how it gets another connection (None: it cannot)."""

    connection: Connection
    lease: Lease
    reopen: Callable[[], Connection] | None


def run_until_committed(writer: Writer, work: Callable[[], T]) -> T:
    """Run ``work`` in one transaction under the lease, and retry it when the transaction is
    aborted.

    :param work: writes through ``writer.connection`` and has no other effect: it may run
        repeatedly.
    :raises LeaseLost: another attempt or sync took over; nothing was written.
    :raises DatabaseUnavailable: a lock was not free at any retry; names who holds it.
    """
    repeats = 0
    while True:
        done: tuple[datetime, T] | None = None
        try:
            with leases.fenced(writer.connection, writer.lease) as heartbeat:
                done = heartbeat, work()
            return done[1]
        except psycopg.Error as error:
            lost = is_lost(writer.connection, error)
            if not (is_obstructed(error) or (lost and writer.reopen is not None)):
                raise
            if repeats == REPEATS and error.sqlstate == "55P03":
                raise _kept_out(writer) from error
            if repeats == REPEATS:
                raise
            repeats += 1
            log.warning("%s Doing it again (%d of %d).", _said(error), repeats, REPEATS)
        _recover(writer, lost=lost, repeats=repeats)
        if done is not None and leases.was_committed(writer.connection, writer.lease, done[0]):
            log.info("The commit had been done.")
            return done[1]


def _recover(writer: Writer, *, lost: bool, repeats: int) -> None:
    # Jitter: two that stood in each other's way should not meet again.
    time.sleep(random.uniform(0, PAUSE_SECONDS * repeats))  # noqa: S311  # nothing secret
    if lost and writer.reopen is not None:
        with suppress(psycopg.Error):
            writer.connection.close()
        writer.connection = writer.reopen()


def _kept_out(writer: Writer) -> DatabaseUnavailable:
    holders = ", ".join(
        f"pid {holder['pid']} ({holder['application_name'] or 'no name'}, {holder['state']} for {holder['seconds']} s)"
        for holder in rows(writer.connection, "select_lock_holders")
    )
    return DatabaseUnavailable(
        f"A lock was not free within {sql.LOCK_TIMEOUT}, {REPEATS + 1} times.",
        hint="End the transaction that holds it, or wait until it has ended; the task's log names it.",
        detail=f"Locks on the tables are held by {holders or 'nobody any more'}.",
    )


def _said(error: psycopg.Error) -> str:
    return f"PostgreSQL broke a transaction off ({error.sqlstate or type(error).__name__}: {sql.error_text(error)})."
