"""A process that takes or enters the lease and writes under it, over and over, until it is killed.

Every write is noted with the token it was made under, in an order drawn while the lease row is locked: the order of the commits.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time

import psycopg

from economic import database
from economic import lease as leases
from economic.database import prepare
from economic.errors import LeaseBusy, LeaseLost
from economic.lease import Lease
from tests.model.conftest import new_sync

NAME = "lease writer"
KEYS = 5
TTL_SECONDS = 0.5
IDLE_TIMEOUT = "700ms"
"""What PostgreSQL grants a writer that froze in the middle of a transaction; in the product it is longer, like the lease."""


_attempts = (f"{os.getpid()}, attempt {n}" for n in itertools.count(1))


def take(connection: psycopg.Connection, agreement: int, dice: random.Random) -> tuple[Lease, str]:
    """Begin a sync, or go on beside whoever goes on with the one that runs, as a retry beside an orphan does."""
    attempt = next(_attempts)
    running = connection.execute("select holder from economic.sync_lease").fetchone()
    if running and running[0] is not None and dice.random() < 0.6:
        lease = leases.enter(connection, agreement, running[0], attempt, TTL_SECONDS)
        note(connection, "entered", lease, attempt)
        return lease, attempt
    force = dice.random() < 0.1
    lease = leases.acquire(
        connection, agreement, new_sync(connection), attempt, force=force, ttl_seconds=TTL_SECONDS
    )
    note(connection, "forced" if force else "taken", lease, attempt)
    return lease, attempt


def write(
    connection: psycopg.Connection, lease: Lease, attempt: str, dice: random.Random, *, last: bool
) -> None:
    """One transaction under the lease; the last one frees it."""
    with leases.fenced(connection, lease, TTL_SECONDS):
        note(connection, "write", lease, attempt)
        time.sleep(dice.choice((0, 0, 0.002, 0.02)))
        connection.execute(
            "update stress_row set token = %s where key = %s", [lease.token, dice.randrange(KEYS)]
        )
        if last:
            leases.release(connection, lease)


def note(connection: psycopg.Connection, kind: str, lease: Lease, attempt: str) -> None:
    connection.execute(
        "insert into stress_event (kind, token, sync_id, attempt) values (%s, %s, %s, %s)",
        [kind, lease.token, lease.sync_id, attempt],
    )


def main(dsn: str, agreement: int, seed: str) -> None:
    database.IDLE_TIMEOUT = IDLE_TIMEOUT
    dice = random.Random(seed)
    while True:
        try:
            with prepare(psycopg.connect(dsn, application_name=NAME)) as connection:
                while True:
                    try:
                        lease, attempt = take(connection, agreement, dice)
                        writes = dice.randrange(1, 12)
                        frees = dice.random() < 0.5
                        for number in range(writes):
                            write(connection, lease, attempt, dice, last=frees and number == writes - 1)
                            time.sleep(dice.choice((0, 0.001, 0.01)))
                    except (LeaseBusy, LeaseLost):
                        time.sleep(dice.uniform(0, 0.05))
        except psycopg.Error:
            # thrown out for idling, terminated, deadlocked: what a task would be tried again for
            time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
