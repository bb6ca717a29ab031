"""Opens connections to PostgreSQL, and finds out why one could not be opened.

The driver raises the same error for a rejected login, a misspelled option and a server that is
down; only the text differs, and its language depends on the server and the system. So no text is
read here. libpq is asked which option it rejects, and a trace of a second try holds the server's
SQLSTATE.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from economic.db.sql import Connection, error_text, prepare, to_economic_error
from economic.errors import ConfigurationError
from economic.outside_text import bounded

_LIMITS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Without these a cut network cable is noticed after hours."""
_PATIENCE_SECONDS = 10.0
_FINAL = frozenset({"0A", "22", "28", "3D", "42"})
"""SQLSTATE classes that a retry cannot change: a wrong login, database or setting."""
_FIXED_SETTING = "55P02"
_ANSWERED = re.compile(rb'\tErrorResponse\t S "[^"]*" V "[A-Z]+" C "([0-9A-Z]{5})"')
_WHERE = frozenset({"host", "hostaddr", "port", "dbname", "user", "password", "passfile"})
"""Options that are checked here, or may have any value; libpq is not asked about them."""
_WAITS = {
    pq.PollingStatus.READING: selectors.EVENT_READ,
    pq.PollingStatus.WRITING: selectors.EVENT_WRITE,
}


def open_connection(where: str, options: Mapping[str, Any]) -> Connection:
    """Open a connection for the functions of this package.

    :param where: the connection's name in errors: ``connection economic_postgres``.
    :param options: libpq's options by name, which override the limits; None means not set.
    :raises ConfigurationError: an option cannot be used, or the server rejects the login. The
        message names the option and never its value.
    :raises DatabaseUnavailable: the server cannot be reached at present.
    """
    given = _LIMITS | {name: value for name, value in options.items() if value is not None}
    _check(where, given)
    try:
        return prepare(psycopg.connect(make_conninfo(**given)))
    except psycopg.Error as error:
        rejected = _rejected_option(given)
        if rejected is not None:
            raise _unusable(where, rejected) from None
        answers = [] if isinstance(error, psycopg.errors.ConnectionTimeout) else _server_codes(given)
        if answers and all(code[:2] in _FINAL or code == _FIXED_SETTING for code in answers):
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
    if not re.fullmatch(r"\s*[0-9]{1,6}(\.[0-9]*)?\s*", str(given["connect_timeout"]), re.ASCII):
        raise _unusable(where, "connect_timeout", "is not a number of seconds")
    for number in str(given.get("port") or 5432).split(","):
        if not (re.fullmatch(r"\s*[0-9]{1,9}\s*", number, re.ASCII) and 0 < int(number) < 65536):
            raise _unusable(where, "port", "is not a port number")
    authority = str(given.get("sslrootcert", "system"))
    verifies = str(given.get("sslmode", "")).startswith("verify-")
    if verifies and authority not in {"system", ""} and not Path(authority).is_file():
        raise _unusable(where, "sslrootcert", "is not a file on this machine")


def _unusable(where: str, option: str, why: str = "has a value that cannot be used") -> ConfigurationError:
    return ConfigurationError(
        f"`{bounded(option, 60)}` of the {where} {why}.",
        hint="Correct it there. Host, port, login, password and database are fields of the connection; "
        "libpq's other options go into its extra.",
    )


def _rejected_option(given: Mapping[str, Any]) -> str | None:
    """Return the option that libpq rejects, or None.

    libpq is made to begin a connection to a port of this process that never answers.
    """
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


def _server_codes(given: Mapping[str, Any]) -> list[str]:
    """Return the SQLSTATE of each server that rejects these options, from libpq's trace of a retry.

    Return none where no server answers, or on a system other than Linux: psycopg traces only there.
    """
    if not hasattr(os, "memfd_create"):
        return []
    # The trace holds the login: it is kept in memory, never in a file that others can read.
    with os.fdopen(os.memfd_create("libpq-trace"), "rb") as trace:
        connecting = pq.PGconn.connect_start(make_conninfo(**given).encode())
        try:
            if connecting.status != pq.ConnStatus.BAD:
                connecting.trace(trace.fileno())
                _poll(connecting, float(given["connect_timeout"] or _PATIENCE_SECONDS))
                connecting.untrace()
        finally:
            connecting.finish()
        trace.seek(0)
        return [code.decode() for code in _ANSWERED.findall(trace.read())]


def _poll(connecting: pq.abc.PGconn, seconds: float) -> None:
    """Continue to connect until it succeeds, fails, or takes longer than this."""
    until = time.monotonic() + seconds
    status = pq.PollingStatus.WRITING
    while connecting.status != pq.ConnStatus.BAD and status in _WAITS:
        with selectors.DefaultSelector() as selector:
            selector.register(connecting.socket, _WAITS[status])
            if not selector.select(max(0.0, until - time.monotonic())):
                return
        status = pq.PollingStatus(connecting.connect_poll())
