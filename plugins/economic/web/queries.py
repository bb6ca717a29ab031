"""The page's database reads: read-only and limited in time."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg

from economic.db import agreements, invoices, schema
from economic.db.agreements import Usage
from economic.db.connection import connect
from economic.db.sql import reading, to_economic_error
from economic.errors import ConfigurationError, EconomicError, SchemaMismatch
from economic.web.problems import DatabaseProblem

if TYPE_CHECKING:
    from economic.db.sql import Connection, Row

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
READ_SECONDS = 8
"""Longer than PostgreSQL's limit on a statement: for a frozen server, which keeps no limit."""
MOST_SYNCS = 50
MOST_ROWS = 200
_BY_SQLSTATE = {"42501": "no_right", "57014": "too_slow", "55P03": "too_slow"}


def agreement_statuses(postgres_conn_id: str, conn_ids: Sequence[str]) -> list[Row]:
    """Return the status of the agreement behind each connection.

    :raises DatabaseProblem: as all queries here do.
    """
    with _reading(postgres_conn_id) as connection:
        return agreements.statuses(connection, conn_ids)


def latest_syncs(postgres_conn_id: str, conn_id: str) -> tuple[list[Row], Usage]:
    """Return the latest syncs of a connection's agreement, newest first, and what they used
    of e-conomic in the last 24 hours.
    """
    with _reading(postgres_conn_id) as connection:
        number = agreements.bound_agreement(connection, conn_id)
        latest = agreements.latest_syncs(connection, number, conn_id, MOST_SYNCS)
        return latest, agreements.usage_of_day(connection, number)


def rejections(postgres_conn_id: str, conn_id: str) -> list[Row]:
    """Return the rejected items of a connection's agreement, the open ones first."""
    with _reading(postgres_conn_id) as connection:
        number = agreements.bound_agreement(connection, conn_id)
        return [] if number is None else invoices.rejections(connection, number, MOST_ROWS)


def unproven_lines(postgres_conn_id: str, conn_id: str) -> list[Row] | None:
    """Return the invoices of a connection's agreement whose lines are not proven; None: the role
    may not read them.
    """
    with _reading(postgres_conn_id) as connection:
        number = agreements.bound_agreement(connection, conn_id)
        return [] if number is None else invoices.unproven_lines(connection, number, MOST_ROWS)


@contextmanager
def _reading(postgres_conn_id: str) -> Iterator[Connection]:
    try:
        with (
            connect(postgres_conn_id, within=CONNECT_SECONDS) as connection,
            _time_limit(connection),
            reading(connection),
        ):
            _check_version(connection)
            yield connection
    except (psycopg.Error, EconomicError) as error:
        code = _problem_code(error)
        sqlstate = getattr(error, "sqlstate", None) or "no SQLSTATE"
        kind = type(error).__name__
        log.warning("The page cannot read the invoice database: %s (%s, %s).", code, kind, sqlstate)
        raise DatabaseProblem(code) from None


def _check_version(connection: Connection) -> None:
    version, newest = schema.version(connection), schema.newest()
    if version is None:
        raise DatabaseProblem("no_tables")
    if version != newest:
        raise DatabaseProblem("old_tables" if version < newest else "new_tables")


def _problem_code(error: psycopg.Error | EconomicError) -> str:
    if isinstance(error, psycopg.Error):
        if error.sqlstate in _BY_SQLSTATE:
            return _BY_SQLSTATE[error.sqlstate]
        error = to_economic_error(error)
    if isinstance(error, SchemaMismatch):
        return "other_tables"
    return "no_connection" if isinstance(error, ConfigurationError) else "unreachable"


@contextmanager
def _time_limit(connection: Connection) -> Iterator[None]:
    """Shut the connection down when the block takes too long.

    A frozen server applies no limit, and the driver would wait without end.
    """

    def shut_down() -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(READ_SECONDS, shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
