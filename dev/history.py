"""A year of history for the demo: real syncs against a simulator whose clock is moved.

The books move on each working day. A sync looks at the end of each week, and in the last two months of each working
day: one for all of them would take minutes.

PostgreSQL's clock can be moved only by preloading a compiled library (libfaketime) into the server, which a demo should
not need. So each sync runs now, and then every time that it wrote is moved back to its day, all by the same interval:
its invoices, their changes, its proof and its own row keep their distances. Nothing else is changed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import requests
from psycopg import sql

from dev import syncs
from dev.local import copies
from dev.local.account import Account
from dev.local.airflow_settings import POSTGRES_CONN_ID
from dev.local.interruption import Interruption
from dev.local.terminal import say

YEAR = 365
_DAILY = 60
_FRIDAY = 4
_SYNCED_AT = time(16, tzinfo=UTC)
QUERIES = """
Ask the history: ./run psql -c "select * from receivables_aging_as_of('{day}') order by remainder_base desc limit 9"
                 ./run psql -c "select * from customer_days_to_pay order by invoices desc limit 9"\
"""
_TIMES = """
    select table_name, array_agg(column_name::text) as columns
    from information_schema.columns inner join information_schema.tables using (table_schema, table_name)
    where table_schema = 'economic' and table_type = 'BASE TABLE' and data_type = 'timestamp with time zone'
    group by table_name
"""
_LAST_DAY = "select (max(started_at) at time zone 'UTC')::date from economic.sync_run where complete"
_SEEN = """
    select
        (select count(*) from economic.sync_run where complete),
        (select count(*) from economic.invoice where first_seen_at > %s),
        (select count(*) from economic.invoice_history)
"""


def days_ago(days: int) -> date:
    """Return the day so many days before today, in UTC."""
    return datetime.now(UTC).date() - timedelta(days=days)


def first_day(home: Path, read: Account, days: int) -> date:
    """Return the day before the history: that of the last invoice that the simulator began with.

    :param home: the folder of the copy.
    :raises RuntimeError: it holds a copy without so much history, or the account is a real one.
    """
    if not read.is_simulated or (begins := copies.last_simulated_day(home)) > days_ago(days):
        raise RuntimeError(
            f"A history is written for a simulated account in a new folder, and {home} holds {copies.describe(home)}. "
            f"Choose another folder (ECONOMIC_DEMO_DATA=/some/folder), or delete this one (./run clean)."
        )
    return begins


def moves_a_day(size: int) -> int:
    """Return how many moves of a working day book about as many invoices as each year before had."""
    return max(1, size // 730)


def write(
    dsn: str, read: Account, begins: date, moves: int, environment: Mapping[str, str], stop: Interruption
) -> None:
    """Write the history up to yesterday; go on where an earlier call was interrupted.

    :param dsn: a superuser's connection string to the copy.
    :param begins: the last day of the books that the simulator began with.
    :param moves: of each working day.
    :param environment: Airflow's, with the connections.
    """
    os.environ |= environment  # where Airflow, imported below, looks for its settings and connections
    logging.disable(logging.WARNING)
    with psycopg.connect(dsn, autocommit=True) as database, requests.Session() as simulator:
        simulator.trust_env = False  # no proxy leads to this machine

        def control(action: str, **values: Any) -> None:
            simulator.post(
                f"{read.base_url}/__control__/{action}", json=values, timeout=60
            ).raise_for_status()

        ((last,),) = database.execute(_LAST_DAY).fetchall()
        if last is None:
            _sync_on(database, read.conn_id, begins, quick=False)
        for day in _working_days(last or begins):
            control("clock", date=day.isoformat())
            control("move", count=moves)
            if day.weekday() == _FRIDAY or day > days_ago(_DAILY):
                _sync_on(database, read.conn_id, day, quick=True)
                # Only here: an interrupted history goes on after its last sync.
                stop.check()
        control("clock")
        # One to look at in rejected_invoice: the next start of the simulator has it corrected.
        ((newest,),) = database.execute("select max(invoice_number) from economic.invoice").fetchall()
        control("spoil", number=newest, path="date", value="2026-02-30")
        ((syncs, booked, changes),) = database.execute(_SEEN, (begins + timedelta(days=1),)).fetchall()
    logging.disable(logging.NOTSET)
    say(
        f"{syncs} syncs since {begins} saw {booked:,} invoices booked and {changes:,} changes of what is owed."
    )
    say("They ran just now; then the times that each of them wrote were moved back to its day.")


def _working_days(after: date) -> Iterator[date]:
    for number in range(after.toordinal() + 1, days_ago(0).toordinal()):
        if (day := date.fromordinal(number)).weekday() < 5:
            yield day


def _sync_on(database: psycopg.Connection, conn_id: str, day: date, *, quick: bool) -> None:
    """Run a sync, and move the times it wrote to that day.

    :raises RuntimeError: it is not proven complete.
    """
    ((began,),) = database.execute("select clock_timestamp()").fetchall()
    # Airflow takes seconds to import.
    from economic.db.connection import connect

    sync = syncs.quick if quick else syncs.full
    statistics = sync(partial(connect, POSTGRES_CONN_ID), conn_id, f"history__{day}")
    by = began - datetime.combine(day, _SYNCED_AT)
    for table, columns in database.execute(_TIMES).fetchall():
        names = [sql.Identifier(name) for name in columns]
        moved = [
            sql.SQL("{0} = case when {0} >= %(began)s then {0} - %(by)s else {0} end").format(name)
            for name in names
        ]
        statement = sql.SQL("update economic.{} set {} where greatest({}) >= %(began)s")
        database.execute(
            statement.format(sql.Identifier(table), sql.SQL(", ").join(moved), sql.SQL(", ").join(names)),
            {"began": began, "by": by},
        )
    if not (statistics["complete"] and statistics["reconciled"]):
        raise RuntimeError(f"The sync of {day} is not proven: {statistics}.")
