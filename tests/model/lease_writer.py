"""A process that takes or enters the lease and writes under it, over and over, until it is killed.

Every write is noted with the token it was made under, in an order drawn while the lease row is locked: the order of the commits.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg

from economic.db import lease as leases
from economic.db import retry, sql
from economic.db.lease import Lease
from economic.db.sql import prepare
from economic.errors import EconomicError, LeaseBusy, LeaseLost
from tests.model.conftest import new_sync

NAME = "lease writer"
KEYS = 5
TTL_SECONDS = 0.5
IDLE_TIMEOUT = "700ms"
"""What PostgreSQL grants a writer that froze in the middle of a transaction; in the product it is longer, like the lease."""


_attempts = (f"{os.getpid()}, attempt {n}" for n in itertools.count(1))


@dataclass
class Writer:
    """One attempt: its connection, another one in its place when it is lost, its lease, its name, what it has written."""

    connection: psycopg.Connection
    lease: Lease
    reopen: Callable[[], psycopg.Connection] | None
    attempt: str
    written: int = 0

    def write(self, dice: random.Random, *, last: bool) -> None:
        """One transaction under the lease, done again as the product does; the last one frees it. Then it is acknowledged."""
        self.written += 1
        pause, key = dice.choice((0, 0, 0.002, 0.02)), dice.randrange(KEYS)

        def work() -> None:
            self.note("write")
            time.sleep(pause)
            self.connection.execute(
                "update stress_row set token = %s where key = %s", [self.lease.token, key]
            )
            if last:
                leases.release(self.connection, self.lease)

        retry.run_until_committed(self, work)
        self.note("acknowledged")

    def note(self, kind: str) -> None:
        self.connection.execute(
            "insert into stress_event (kind, token, sync_id, attempt, number) values (%s, %s, %s, %s, %s)",
            [kind, self.lease.token, self.lease.sync_id, self.attempt, self.written],
        )


def connected(dsn: str) -> psycopg.Connection:
    return prepare(psycopg.connect(dsn, application_name=NAME))


def take(dsn: str, connection: psycopg.Connection, agreement: int, dice: random.Random) -> Writer:
    """Begin a sync, or go on beside whoever goes on with the one that runs, as a retry beside an orphan does."""
    attempt = next(_attempts)
    running = connection.execute("select holder from economic.sync_lease").fetchone()
    if running and running[0] is not None and dice.random() < 0.6:
        kind = "entered"
        lease = leases.enter(connection, agreement, running[0], attempt, TTL_SECONDS)
    else:
        force = dice.random() < 0.1
        kind = "forced" if force else "taken"
        sync_id = new_sync(connection)
        lease = leases.acquire(connection, agreement, sync_id, attempt, force=force, ttl_seconds=TTL_SECONDS)
    writer = Writer(connection, lease, partial(connected, dsn), attempt)
    writer.note(kind)
    return writer


def main(dsn: str, agreement: int, seed: str) -> None:
    sql.IDLE_TIMEOUT = IDLE_TIMEOUT
    retry.PAUSE_SECONDS = 0.02
    leases.fenced = partial(leases.fenced, ttl_seconds=TTL_SECONDS)
    dice = random.Random(seed)
    connection = connected(dsn)
    while True:
        try:
            writer = take(dsn, connection, agreement, dice)
            try:
                writes, frees = dice.randrange(1, 12), dice.random() < 0.5
                for number in range(writes):
                    writer.write(dice, last=frees and number == writes - 1)
                    time.sleep(dice.choice((0, 0.001, 0.01)))
            finally:
                connection = writer.connection
        except (LeaseBusy, LeaseLost):
            time.sleep(dice.uniform(0, 0.05))
        except (psycopg.Error, EconomicError):
            # lost while it took the lease, or too often
            connection.close()
            connection = connected(dsn)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
