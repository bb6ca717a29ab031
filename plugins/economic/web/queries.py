"""What the page reads of the invoice database: bounded in time, unable to write, and in words of its own when it cannot be read."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psycopg

from economic.db import agreements, invoices, runs, schema
from economic.db.connection import connect
from economic.db.sql import reading, to_economic_error
from economic.errors import ConfigurationError, EconomicError, SchemaMismatch

if TYPE_CHECKING:
    from economic.db.sql import Connection, Row

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
READ_SECONDS = 8
"""Longer than PostgreSQL's own limit on a statement: for a server that has frozen and keeps no limit."""
MOST_SYNCS = 50
MOST_ROWS = 200
_TOO_SLOW = {"57014", "55P03"}


@dataclass(frozen=True)
class Problem:
    """Why there is nothing to show, and what to do. Never more than these words: what the driver said may name hosts and roles.

    :param code: for programs.
    :param http_status: of the answer.
    """

    code: str
    text: str
    todo: str
    http_status: int = 503

    def to_json(self) -> dict[str, str]:
        """What the page is told."""
        return {key: value for key, value in asdict(self).items() if key != "http_status"}


NO_TABLES = Problem(
    "no_tables",
    "Nothing was synced yet: the database has no tables of this package.",
    "The first sync makes them.",
    http_status=200,
)
OLD_TABLES = Problem(
    "old_tables",
    "The tables are of an older version than this page.",
    "The next sync brings them up to date; or let their owner run: python -m economic migrate",
)
NEW_TABLES = Problem(
    "new_tables",
    "The tables are of a newer version than this page.",
    "Upgrade the package airflow-provider-economic where Airflow's API server runs, and restart it.",
)
OTHER_TABLES = Problem(
    "other_tables",
    "The tables are not the ones this version works with: one is missing, or was changed.",
    "Undo the change, then let their owner run: python -m economic migrate",
)
NO_RIGHT = Problem(
    "no_right",
    "The page's database role may not read the tables.",
    "Grant it the right to read the schema economic, or use the role that the sync uses.",
)
NO_CONNECTION = Problem(
    "no_connection",
    "Airflow's connection to the invoice database is missing or wrong.",
    "Add the Postgres connection that ECONOMIC_POSTGRES_CONN_ID names (economic_postgres), or correct its host, database, login and password.",
)
UNREACHABLE = Problem(
    "unreachable",
    "The invoice database cannot be reached.",
    "The page asks again by itself. If it lasts: look whether the database runs, and what Airflow's Postgres connection to it says.",
)
TOO_SLOW = Problem(
    "too_slow",
    "The invoice database takes too long to answer.",
    "The page asks again by itself. If it lasts: look what else the database is doing.",
)
BAD_SETTING = Problem(
    "bad_setting",
    "A setting of the sync is not usable where Airflow's API server runs.",
    "Airflow's list of import errors says which one; correct it and restart the API server.",
)
UNEXPECTED = Problem(
    "unexpected",
    "The page could not be worked out.",
    "The log of Airflow's API server says where it happened.",
    http_status=500,
)


class Unreadable(Exception):
    """The database cannot be read; ``problem`` says why in words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def standings(postgres_conn_id: str, conn_ids: Sequence[str]) -> list[Row]:
    """How the agreement behind each connection stands.

    :raises Unreadable: so it is.
    """
    with _reading(postgres_conn_id) as connection:
        return agreements.statuses(connection, conn_ids)


def syncs(postgres_conn_id: str, conn_id: str) -> list[Row]:
    """The latest syncs of a connection's agreement, newest first.

    :raises Unreadable: so it is.
    """
    with _reading(postgres_conn_id) as connection:
        number = agreements.bound_agreement(connection, conn_id)
        return runs.latest_syncs(connection, number, conn_id, MOST_SYNCS)


def rejections(postgres_conn_id: str, conn_id: str) -> list[Row]:
    """What was set aside of a connection's agreement, the open ones first.

    :raises Unreadable: so it is.
    """
    with _reading(postgres_conn_id) as connection:
        number = agreements.bound_agreement(connection, conn_id)
        return [] if number is None else invoices.rejections(connection, number, MOST_ROWS)


@contextmanager
def _reading(postgres_conn_id: str) -> Iterator[Connection]:
    try:
        with (
            connect(postgres_conn_id, within=CONNECT_SECONDS) as connection,
            _cut_off(connection),
            reading(connection),
        ):
            _check(connection)
            yield connection
    except Unreadable:
        raise
    except (psycopg.Error, EconomicError) as error:
        problem = _problem(error)
        sqlstate = getattr(error, "sqlstate", None) or "no SQLSTATE"
        log.warning(
            "The page cannot read the invoice database: %s (%s, %s).",
            problem.code,
            type(error).__name__,
            sqlstate,
        )
        raise Unreadable(problem) from None


def _check(connection: Connection) -> None:
    found = schema.version(connection)
    if found is None:
        raise Unreadable(NO_TABLES)
    if found != schema.newest():
        raise Unreadable(OLD_TABLES if found < schema.newest() else NEW_TABLES)


def _problem(error: psycopg.Error | EconomicError) -> Problem:
    if isinstance(error, psycopg.Error):
        if error.sqlstate == "42501":
            return NO_RIGHT
        if error.sqlstate in _TOO_SLOW:
            return TOO_SLOW
        error = to_economic_error(error)
    if isinstance(error, SchemaMismatch):
        return OTHER_TABLES
    if isinstance(error, ConfigurationError):
        return NO_CONNECTION
    return UNREACHABLE


@contextmanager
def _cut_off(connection: Connection) -> Iterator[None]:
    """Cut the connection when the block takes too long: a frozen server answers to no limit, and the driver waits for ever."""

    def cut() -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(READ_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
