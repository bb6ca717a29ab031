"""Real processes fight for one real lease while they are killed, frozen, thawed and cut off at random."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg
import pytest

from economic.db import lease as leases
from economic.db.sql import prepare
from economic.errors import LeaseBusy
from tests.model import lease_writer
from tests.model.conftest import new_agreement, new_sync

WRITERS = 4
SEED = 20261125

TABLES = """
create table stress_event (at bigserial primary key, kind text, token bigint, sync_id bigint, attempt text, number integer);
create table stress_row (key integer primary key, token bigint not null);
insert into stress_row select key, 0 from generate_series(0, 4) as key;
create function note_lease() returns trigger language plpgsql as $$ begin
    insert into stress_event (kind, token, sync_id, attempt)
    values ('lease', new.token, new.holder, new.attempt); return new; end $$;
create trigger note_lease after insert or update on economic.sync_lease
    for each row execute function note_lease();
create function note_stale() returns trigger language plpgsql as $$ begin
    insert into stress_event (kind, token) values ('stale row', new.token); return new; end $$;
create trigger note_stale before update on stress_row
    for each row when (new.token < old.token) execute function note_stale();
"""


class Found(NamedTuple):
    """What must never be."""

    token_inversions: int
    ownerless_writes: int
    stale_rows: int
    writes_done_twice: int
    writes_lost: int


@dataclass
class Fighters:
    """The writing processes, by whether they are frozen, and what was done to them."""

    dsn: str
    agreement: int
    dice: random.Random
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    frozen: dict[int, float] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        self.running.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.model.lease_writer",
                    self.dsn,
                    str(self.agreement),
                    str(self.dice.random()),
                ],
                env=os.environ | {"PYTHONPATH": os.pathsep.join((os.environ["PYTHONPATH"], *sys.path))},
            )
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.running.remove(process)
        self.frozen.pop(process.pid, None)

    def freeze(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        process.send_signal(signal.SIGSTOP)
        self.frozen[process.pid] = time.monotonic() + seconds

    def thaw(self) -> None:
        for process in self.running:
            if self.frozen.get(process.pid, float("inf")) <= time.monotonic():
                process.send_signal(signal.SIGCONT)
                del self.frozen[process.pid]

    def trouble(self, admin: psycopg.Connection) -> None:
        """Do one of the things that happen."""
        victim = self.dice.choice(self.running)
        kind = self.dice.choice(("kill", "freeze", "freeze", "freeze", "cut", "cut"))
        self.done[kind] += 1
        if kind == "kill":
            self.kill(victim)
            self.start()
        elif kind == "freeze":
            # from much shorter than the lease to much longer
            self.freeze(victim, self.dice.choice((0.05, 0.3, 1.0, 2.0)))
        else:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = %s order by random() limit 1",
                [lease_writer.NAME],
            )


@contextmanager
def fighting(dsn: str, agreement: int) -> Iterator[Fighters]:
    fighters = Fighters(dsn, agreement, random.Random(SEED))
    try:
        for _ in range(WRITERS):
            fighters.start()
        yield fighters
    finally:
        for process in list(fighters.running):
            fighters.kill(process)


def judged(connection: psycopg.Connection) -> Found:
    """Replay everything in the order of the commits."""
    inversions = ownerless = stale = newest = 0
    owner: tuple[object, ...] = ()
    written: Counter[tuple[str, int]] = Counter()
    acknowledged = set()
    for kind, token, sync_id, attempt, number in connection.execute(
        "select kind, token, sync_id, attempt, number from stress_event order by at"
    ).fetchall():
        if kind == "lease":
            owner = (token, sync_id, attempt)
        elif kind == "stale row":
            stale += 1
        elif kind == "acknowledged":
            acknowledged.add((attempt, number))
        elif kind == "write":
            inversions += token < newest
            ownerless += (token, sync_id, attempt) != owner
            newest = max(newest, token)
            written[attempt, number] += 1
    twice = sum(times - 1 for times in written.values())
    return Found(inversions, ownerless, stale, twice, len(acknowledged - written.keys()))


def until_taken(connection: psycopg.Connection, agreement: int) -> float:
    """Seconds until a new sync, without force, gets the lease."""
    sync_id, began = new_sync(connection), time.monotonic()
    while True:
        try:
            leases.acquire(connection, agreement, sync_id, "newcomer", force=False)
        except LeaseBusy:
            time.sleep(0.02)
        else:
            return time.monotonic() - began


def test_whatever_dies_or_freezes_no_stale_writer_gets_through(
    connection: psycopg.Connection, database: str, pytestconfig: pytest.Config
) -> None:
    seconds = float(pytestconfig.getoption("--stress-seconds"))
    connection.execute(TABLES.encode())
    agreement = new_agreement(connection)
    with prepare(psycopg.connect(database)) as admin, fighting(database, agreement) as fighters:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(fighters.dice.uniform(0.02, 0.2))
            fighters.thaw()
            fighters.trouble(admin)
        for process in fighters.running:
            fighters.freeze(process, 0)
        waited = until_taken(connection, agreement)
        fighters.thaw()
        time.sleep(0.3)
    assert judged(connection) == Found(0, 0, 0, 0, 0)
    # a lease, and a transaction that froze just before its end
    assert waited < 2 * lease_writer.TTL_SECONDS + 1.5
    kinds = Counter(kind for (kind,) in connection.execute("select kind from stress_event").fetchall())
    print(f"{seconds:g} s: {dict(kinds)}, {dict(fighters.done)}, taken after {waited:.2f} s")
    assert min(kinds["write"], kinds["taken"], kinds["forced"], kinds["entered"]) > 0
    assert min(fighters.done["kill"], fighters.done["freeze"], fighters.done["cut"]) > 0
