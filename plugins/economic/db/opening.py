"""Opens connections to PostgreSQL, and finds out why one could not be opened.

The driver reports a refused login, a misspelled option and a server that is away as the same error, with nothing but a text to
tell them apart. The texts come in the server's or the system's language, so none is read here: libpq itself is asked which option it
rejects, and the server which SQLSTATE it answered with.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from economic.db.sql import Connection, error_text, prepare, to_economic_error
from economic.errors import ConfigurationError
from economic.outside_text import bounded

_PATIENCE_SECONDS = 10.0
_LONGEST_TIMEOUT = 1_000_000
_FINAL = frozenset({"0A", "22", "28", "3D", "42"})
"""Classes of a server's SQLSTATE that another try cannot change: a wrong login, database or setting. With 55P02, of a fixed setting."""
_LONGEST_TRACE = 1_000_000
_ANSWERED = re.compile(rb'\tErrorResponse\t S "[^"]*" V "[A-Z]+" C "([0-9A-Z]{5})"')
_WHERE = frozenset({"host", "hostaddr", "port", "dbname", "user", "password", "passfile"})
"""What is looked at by itself, or may be anything: libpq is not asked about it."""


def open_connection(where: str, options: Mapping[str, Any]) -> Connection:
    """Open a connection that is fit for the functions of this package.

    :param where: which connection it is, for errors: ``connection economic_postgres``.
    :param options: libpq's, by name; those that are None do not count.
    :raises ConfigurationError: an option cannot be used, or the server refuses the login. Names the option, never its value.
    :raises DatabaseUnavailable: the server cannot be reached just now.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _check(where, given)
    try:
        return prepare(psycopg.connect(make_conninfo(**given)))
    except psycopg.Error as error:
        rejected = _rejected_option(given)
        if rejected is not None:
            raise _unusable(where, rejected) from None
        answers = [] if isinstance(error, psycopg.errors.ConnectionTimeout) else _answers(given)
        if answers and all(answer[:2] in _FINAL or answer == "55P02" for answer in answers):
            raise ConfigurationError(
                f"PostgreSQL refused the {where} ({answers[-1]}): {error_text(error)}.",
                hint="Check host, database, login and password of the PostgreSQL connection.",
            ) from None
        # Not chained: the driver's text quotes what it was given.
        raise to_economic_error(error) from None


def _check(where: str, given: Mapping[str, Any]) -> None:
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name, value in given.items():
        if name not in known:
            raise _unusable(where, name, "is not an option of a connection to PostgreSQL")
        if not isinstance(value, str | int | float) or "\0" in str(value):
            raise _unusable(where, name)
    if not _is_number(given.get("connect_timeout", 0)):
        raise _unusable(where, "connect_timeout", "is not a number of seconds")
    for number in str(given.get("port") or 5432).split(","):
        if not (number.strip().isascii() and number.strip().isdigit() and 0 < int(number[:9]) < 65536):
            raise _unusable(where, "port", "is not a port number")
    authority = str(given.get("sslrootcert", "system"))
    verifies = str(given.get("sslmode", "")).startswith("verify-")
    if verifies and authority not in {"system", ""} and not Path(authority).is_file():
        raise _unusable(where, "sslrootcert", "is not a file on this machine")


def _is_number(value: Any) -> bool:
    try:
        return 0 <= float(value) < _LONGEST_TIMEOUT
    except ValueError:
        return False


def _unusable(where: str, option: str, why: str = "has a value that cannot be used") -> ConfigurationError:
    return ConfigurationError(
        f"`{bounded(option, 60)}` of {where} {why}.",
        hint="Correct it there; host, port, login, password and database have fields of their own, libpq's other options go into the extra.",
    )


def _rejected_option(given: Mapping[str, Any]) -> str | None:
    """The option that libpq does not accept, None when it accepts all; asked of a port of this process, which never answers."""
    options = {name: value for name, value in given.items() if name not in _WHERE}
    if _starts(options):
        return None
    if not _starts({}):
        return "one of the environment's PG variables"
    return next((name for name in options if not _starts({name: options[name]})), ", ".join(options))


def _starts(options: Mapping[str, Any]) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = {"hostaddr": "127.0.0.1", "port": silent.getsockname()[1], "user": "nobody", "dbname": "none"}
        try:
            started = pq.PGconn.connect_start(make_conninfo(**options, **here).encode())
        except psycopg.Error:
            return False
        good = started.status != pq.ConnStatus.BAD
        started.finish()
        return good


def _answers(given: Mapping[str, Any]) -> list[str]:
    """The SQLSTATE of each server that refuses these options, read from libpq's trace of another try; none when none answers."""
    with _memory_file() as trace:
        connecting = pq.PGconn.connect_start(make_conninfo(**given).encode())
        try:
            if connecting.status != pq.ConnStatus.BAD:
                connecting.trace(trace)
                _poll(connecting, float(given.get("connect_timeout") or _PATIENCE_SECONDS))
                connecting.untrace()
        finally:
            connecting.finish()
        os.lseek(trace, 0, os.SEEK_SET)
        return [answer.decode() for answer in _ANSWERED.findall(os.read(trace, _LONGEST_TRACE))]


def _poll(connecting: pq.abc.PGconn, seconds: float) -> None:
    until = time.monotonic() + seconds
    status = pq.PollingStatus.WRITING
    while connecting.status != pq.ConnStatus.BAD and status in _WAITS:
        with selectors.DefaultSelector() as selector:
            selector.register(connecting.socket, _WAITS[status])
            if not selector.select(max(0.0, until - time.monotonic())):
                return
        status = pq.PollingStatus(connecting.connect_poll())


_WAITS = {
    pq.PollingStatus.READING: selectors.EVENT_READ,
    pq.PollingStatus.WRITING: selectors.EVENT_WRITE,
}


@contextmanager
def _memory_file() -> Iterator[int]:
    # A trace holds the login: it must never be a file that others can read.
    file = os.memfd_create("libpq-trace")
    try:
        yield file
    finally:
        os.close(file)
