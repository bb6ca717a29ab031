"""Statements, transactions, and the meaning of PostgreSQL's errors.

Every statement is a file under ``include/sql``. Parameters are bound by the driver: nothing is ever
written into the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from economic.errors import ConfigurationError, DatabaseUnavailable, EconomicError, FatalError, SchemaMismatch
from economic.outside_text import bounded

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

STATEMENT_TIMEOUT = "300s"
LOCK_TIMEOUT = "45s"
"""Longer than the idle limit: a lock held by a frozen client is free once that client is thrown
out."""
IDLE_TIMEOUT = "30s"
READING_TIMEOUT = "5s"

_OBSTRUCTED = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock timeout."""
_GONE = {"25006", "25P03", "57P01", "57P02", "57P03", "57P05"}
"""Read-only since a failover, idle in a transaction for too long, and ended by the server."""
_STOPPING = {"53100": "The database's disk is full.", "53200": "The database is out of memory."}

_PACKAGE = Path(__file__).resolve().parents[1]
_MIGRATION = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One step of the schema: its version, its name, its statements."""

    version: int
    name: str
    text: bytes


def sql_folder() -> Path:
    """Return the folder of the statements: in the installed package, else in the checkout.

    :raises FileNotFoundError: they are in neither place.
    """
    for folder in (_PACKAGE / "_sql", _PACKAGE.parents[1] / "include" / "sql"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"The SQL statements are missing: neither in the package {_PACKAGE} nor in include/sql beside the plugins folder."
    )


@cache
def _files() -> dict[str, Path]:
    return {path.stem: path for path in sql_folder().rglob("*.sql")}


@cache
def statement(name: str) -> bytes:
    """Return the statement in ``NAME.sql``, whichever folder holds it."""
    return _files()[name].read_bytes()


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all steps of the schema, in order."""
    found = []
    for path in (sql_folder() / "schema").iterdir():
        if match := _MIGRATION.fullmatch(path.name):
            found.append(Migration(int(match[1]), match[2], path.read_bytes()))
    return tuple(sorted(found))


def prepare(connection: Connection) -> Connection:
    """Set a connection up for this package: transactions are opened explicitly, and leave no state.

    Prepared statements are off: behind a transaction-pooling pgbouncer they would belong to another
    client's session. The lease needs READ COMMITTED, whatever the server or the role prefers.
    """
    connection.autocommit = True
    connection.prepare_threshold = None
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Open one transaction with this package's limits and settings."""
    with connection.transaction():
        run(connection, "set_transaction", statement=STATEMENT_TIMEOUT, lock=LOCK_TIMEOUT, idle=IDLE_TIMEOUT)
        yield


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """Open one read-only transaction, short enough for a person who waits."""
    connection.read_only = True
    with connection.transaction():
        limits = dict.fromkeys(("statement", "lock", "idle"), READING_TIMEOUT)
        run(connection, "set_transaction", **limits)
        yield


@contextmanager
def _limited(connection: Connection) -> Iterator[None]:
    """Open a transaction unless one is open: no statement runs without limits."""
    if connection.info.transaction_status == TransactionStatus.IDLE:
        with transaction(connection):
            yield
    else:
        yield


def run(connection: Connection, name: str, /, **parameters: Any) -> int:
    """Execute the statement ``name``; return how many rows it returned or wrote."""
    with _limited(connection), connection.cursor() as cursor:
        cursor.execute(statement(name), parameters or None)
        return cursor.rowcount


def row(connection: Connection, name: str, /, **parameters: Any) -> Row | None:
    """Execute the statement ``name``; return its first row by column name, None without one."""
    with _limited(connection), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement(name), parameters or None).fetchone()


def one(connection: Connection, name: str, /, **parameters: Any) -> Row:
    """Execute the statement ``name``, which always returns a row."""
    found = row(connection, name, **parameters)
    if found is None:
        raise LookupError(f"{name}.sql returned no row.")
    return found


def rows(connection: Connection, name: str, /, **parameters: Any) -> list[Row]:
    """Execute the statement ``name``; return all its rows by column name."""
    with _limited(connection), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement(name), parameters or None).fetchall()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the driver's errors into this package's.

    They are not chained: the driver's text may hold a password or row values, and tracebacks are
    logged.
    """
    try:
        yield
    except psycopg.Error as error:
        raise to_economic_error(error).with_traceback(error.__traceback__) from None


def error_text(error: psycopg.Error) -> str:
    """Return the error in one line, without DETAIL and CONTEXT, which may hold row values.

    Of the driver's own errors only known phrases are returned: its text quotes the connection
    string, which may hold the password.
    """
    if error.diag.message_primary:
        return bounded(error.diag.message_primary, 300)
    return _phrase(str(error)) or type(error).__name__


_PHRASES = {
    "password authentication failed": "password authentication failed",
    "no password supplied": "it asks for a password, and there is none",
    "no pg_hba.conf entry": "no entry of its pg_hba.conf admits this login",
    "is not permitted to log in": "the role is not permitted to log in",
    "session is read-only": "it is read-only",
    "too many": "too many connections",
    "remaining connection slots": "too many connections",
    "starting up": "it is starting up",
    "shutting down": "it is shutting down",
    "Connection refused": "the connection was refused: it does not run, or on another port",
    "translate host name": "the name of its host is not known",
    "resolve host": "the name of its host is not known",
    "certificate": "its TLS certificate was not accepted",
    "timeout expired": "it did not answer in time",
    "server closed the connection": "it closed the connection",
    "connection is closed": "the connection is closed",
    "connection is lost": "the connection is lost",
}
"""Parts of the driver's English texts, and what is shown for them."""
_NOT_THERE = re.compile(r'(database|role) ".*" does not exist', re.DOTALL)


def _phrase(text: str) -> str | None:
    if found := _NOT_THERE.search(text):
        return f"the {found[1]} does not exist"
    return next((words for part, words in _PHRASES.items() if part in text), None)


def to_economic_error(error: psycopg.Error) -> EconomicError:
    """Return this package's error: whether a retry can help, and what to do if not.

    SQLSTATE classes: PostgreSQL's appendix "Error Codes". A refused connection has none: see
    :mod:`economic.db.opening`.
    """
    code = error.sqlstate or ""
    words = error_text(error)
    if code == "42501":
        return SchemaMismatch(
            f"The database role may not do what the sync needs: {words}.",
            hint="Let the owner of the database run `python -m economic migrate`, then include/sql/grants/grant_writer.sql.",
        )
    if code[:2] in {"28", "3D"}:
        return ConfigurationError(
            f"PostgreSQL refused the connection: {words}.",
            hint="Check host, port, database, login and password of the PostgreSQL connection; in a URL, special characters of a password are "
            "written as %XX.",
        )
    if code[:2] in {"42", "0A", "3F"}:
        return SchemaMismatch(
            f"The tables are not the ones this version works with: {words}.",
            hint="Undo what somebody changed in them, or run `python -m economic migrate`.",
        )
    if code in _STOPPING:
        return FatalError(f"{_STOPPING[code]} {words}.", hint="Make room; the next sync goes on by itself.")
    if code[:2] in {"22", "23"} or (not code and isinstance(error, psycopg.DataError)):
        return FatalError(f"The database refused a value where it should not: {words}.")
    return DatabaseUnavailable(f"The database failed ({code or type(error).__name__}): {words}.")


def is_lost(connection: Connection, error: psycopg.Error) -> bool:
    """Return whether the connection cannot be used any more, but another one may work."""
    code = error.sqlstate or ""
    return connection.closed or code in _GONE or code.startswith("08")


def is_obstructed(error: psycopg.Error) -> bool:
    """Return whether a transaction was aborted because of others, so that a retry may succeed."""
    return error.sqlstate in _OBSTRUCTED
