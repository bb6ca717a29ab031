"""The books that the questions are put to: the simulator's, with a month of syncs at fixed times."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any
from unittest.mock import patch

import psycopg

from dev import ROOT, syncs
from dev.bench import ways
from dev.local.account import Account
from economic.db import schema
from economic.db.sql import prepare

INVOICES = 5_000
FIRST_DAY, LAST_DAY = date(2026, 10, 30), date(2026, 11, 30)
_MOVES_A_DAY = 10
_SYNCED_AT = time(17, tzinfo=UTC)
_CLOCKS = ("now", "clock_timestamp")


def written(dsn: str) -> psycopg.Connection[Any]:
    """Copy the books into an empty database; return a connection whose clock stands on the last day.

    :param dsn: of a superuser, who alone may replace PostgreSQL's clock in that database.
    """
    with prepare(psycopg.connect(dsn)) as connection:
        schema.migrate(connection)
    with psycopg.connect(dsn, autocommit=True) as clock, _simulated() as books:
        for day in _days():
            _set_clock(clock, day)
            books.control("clock", date=day.isoformat())
            if day != FIRST_DAY:
                books.control("move", count=_MOVES_A_DAY)
            statistics = ways.ours(dsn, syncs.full if day == FIRST_DAY else syncs.quick)
            if not statistics["reconciled"]:
                raise RuntimeError(f"The sync of {day} did {statistics}.")
        ways.ours(dsn, syncs.lines)
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("set timezone = 'Europe/Copenhagen'")
    return connection


def _days() -> Iterator[date]:
    """Yield the working days: each has a sync."""
    for number in range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1):
        if (day := date.fromordinal(number)).weekday() < 5:
            yield day


def _set_clock(connection: psycopg.Connection, day: date) -> None:
    """Let PostgreSQL's clock stand at a moment, in this database alone: every view and default reads it."""
    connection.execute("set allow_system_table_mods = on")
    moment = datetime.combine(day, _SYNCED_AT)
    for name in _CLOCKS:
        connection.execute(
            f"create or replace function pg_catalog.{name}() returns timestamptz language sql stable"
            f" as $$ select timestamptz '{moment.isoformat()}' $$".encode()
        )


@contextmanager
def _simulated() -> Iterator[Any]:
    """Run the simulator here, as the account of the Airflow connection that a sync uses."""
    if str(ROOT / "tests") not in sys.path:
        sys.path.insert(0, str(ROOT / "tests"))
    import simulator

    with simulator.running(invoices=INVOICES) as books:
        tokens = books.app_secret_token, books.agreement_grant_token
        account = Account(ways.CONN_ID, books.base_url, *tokens, "the simulator")
        variable = f"AIRFLOW_CONN_{ways.CONN_ID.upper()}"
        with patch.dict(os.environ, {variable: json.dumps(account.connection)}):
            yield books
