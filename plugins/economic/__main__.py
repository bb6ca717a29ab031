"""`python -m economic`: for owners of the database and for monitoring, with a libpq connection string and without Airflow."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import TextIOWrapper
from typing import NoReturn

import psycopg
from psycopg.conninfo import conninfo_to_dict

from economic.cli import health
from economic.cli.output import check_line, status_lines
from economic.db import agreements, invoices, runs, schema
from economic.db.opening import open_connection
from economic.db.sql import Connection, Migration, migrations, reading, transaction, translate_errors
from economic.errors import ConfigurationError, EconomicError

_AGE = re.compile(r"(\d{1,6})(s|m|h|d)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FOR_PEOPLE = {"migrate", "status", "unbind"}
"""Commands that report failures to a person. All else is monitoring's, also a word that is not a command."""
_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
FAILED, UNUSABLE = 1, 2
"""Exit codes of commands for people: the command failed, its arguments are not usable."""


class _UnusableArguments(Exception):
    """The command line is not usable."""


class _Parser(argparse.ArgumentParser):
    """Raises an error where argparse would exit, without values: one may be a connection string with its password."""

    def error(self, message: str) -> NoReturn:
        what = re.split(r": invalid choice|: '|: \"|'|\"", message)[0]
        raise _UnusableArguments(f"{what}. See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = next((word for word in words if not word.startswith("-")), "")
    monitored = command not in _FOR_PEOPLE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows escapes
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _monitored(words) if monitored else _answered(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`status | head`); Python's own flush at the end must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return health.UNKNOWN if monitored else FAILED
    return code


def _run(words: Sequence[str]) -> int:
    parser = _parser()
    given, unknown = parser.parse_known_args(words)
    if unknown:
        names = ", ".join(word.partition("=")[0] for word in unknown if word.startswith("--"))
        parser.error(f"unrecognized arguments {names}".rstrip())
    code: int = given.run(given)
    return code


def _answered(words: Sequence[str]) -> int:
    """Run a command for a person: what went wrong goes to standard error, in one line."""
    try:
        return _run(words)
    except (EconomicError, _UnusableArguments) as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE if isinstance(error, _UnusableArguments) else FAILED


def _monitored(words: Sequence[str]) -> int:
    """Run a command for monitoring: whatever is not an answer is UNKNOWN, in one line on standard output."""
    try:
        return _run(words)
    except BrokenPipeError:
        raise
    except (EconomicError, _UnusableArguments) as error:
        reason = str(error)
    except Exception as error:
        # Monitoring shows this line to many: the kind of error, not its text.
        reason = f"unexpected {type(error).__name__}"
    sys.stdout.write(check_line([health.Health(health.UNKNOWN, reason)]))
    return health.UNKNOWN


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m economic", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    database = _Parser(add_help=False)
    database.add_argument(
        "--dsn",
        default=os.environ.get("ECONOMIC_DSN", ""),
        help="libpq connection string or URL; default: ECONOMIC_DSN, else libpq's own environment (PGHOST, ...). "
        "A password belongs into ECONOMIC_DSN or a password file: other users of the machine see arguments.",
    )
    one = _Parser(add_help=False)
    one.add_argument("--conn-id", help="only the agreement that this Airflow connection reaches")

    def add(name: str, *parents: _Parser, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=parents, help=about, allow_abbrev=False)

    migrate = add("migrate", database, about="create the tables or bring them up to date")
    migrate.add_argument(
        "--print",
        action="store_true",
        help="print the SQL of the steps that are missing, for psql, and change nothing; without a connection string, of all steps",
    )
    migrate.set_defaults(run=_migrate)

    check = add(
        "check",
        database,
        one,
        about="one line for monitoring; exit code 0 fine, 1 look at it, 2 the copy is too old, 3 not known",
    )
    check.add_argument(
        "--max-age",
        type=_age,
        default=timedelta(hours=7),
        help="oldest last sync that is fine, such as 90m, 7h, 2d (default: 7h)",
    )
    check.set_defaults(run=_check)

    show = add("status", database, one, about="how the copy stands, and the latest syncs")
    show.add_argument("--syncs", type=int, default=10, help="how many syncs to show (default: 10)")
    show.set_defaults(run=_status)

    unbind = add("unbind", database, about="let a connection reach another agreement from now on")
    unbind.add_argument("conn_id", help="the Airflow connection that has moved to another company")
    unbind.set_defaults(run=_unbind)
    return parser


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError("not a length of time such as 90m, 7h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@contextmanager
def _connected(given: argparse.Namespace) -> Iterator[Connection]:
    try:
        options = conninfo_to_dict(given.dsn)
    except (psycopg.Error, UnicodeError):
        raise ConfigurationError(
            "The connection string of the database cannot be read.",
            hint="In a URL, special characters of a password are written as %XX; elsewhere a value with blanks stands in single quotes.",
        ) from None
    with translate_errors(), open_connection("the connection string", _CONNECTING | options) as connection:
        yield connection


def _migrate(given: argparse.Namespace) -> int:
    if given.print:
        sys.stdout.write(schema.script(_steps(given)))
        return 0
    with _connected(given) as connection:
        applied = schema.migrate(connection)
    sys.stdout.write(f"Applied: {', '.join(applied)}\n" if applied else "The tables are up to date.\n")
    return 0


def _steps(given: argparse.Namespace) -> Sequence[Migration]:
    if not given.dsn:
        return migrations()
    with _connected(given) as connection, reading(connection):
        return schema.missing_steps(connection)


def _conn_ids(given: argparse.Namespace) -> list[str] | None:
    return None if given.conn_id is None else [given.conn_id]


def _check(given: argparse.Namespace) -> int:
    with _connected(given) as connection, reading(connection):
        found = agreements.statuses(connection, _conn_ids(given))
    judged = [health.judge(one, given.max_age) for one in found if not agreements.is_unbound(one)]
    if not judged:
        judged = [health.Health(health.CRITICAL, "no agreement was ever synced")]
    sys.stdout.write(check_line(judged))
    return max(one.level for one in judged)


def _status(given: argparse.Namespace) -> int:
    shown: list[str] = []
    with _connected(given) as connection, reading(connection):
        found = agreements.statuses(connection, _conn_ids(given))
        for one in found if any(one["last_sync_id"] for one in found) else ():
            number = one["agreement_number"]
            syncs = runs.latest_syncs(connection, number, one["conn_id"], given.syncs)
            refused = [] if number is None else invoices.rejections(connection, number, given.syncs)
            shown += [*status_lines(one, syncs, refused), ""]
    sys.stdout.writelines(f"{line}\n" for line in shown or ["Nothing was ever synced."])
    return 0


def _unbind(given: argparse.Namespace) -> int:
    with _connected(given) as connection, transaction(connection):
        released = agreements.unbind_agreement(connection, given.conn_id)
    if released is None:
        raise ConfigurationError(
            f"The connection {given.conn_id} is bound to no agreement.",
            hint="`python -m economic status` lists the connections.",
        )
    sys.stdout.write(
        f"The connection {given.conn_id} is no longer bound to agreement {released}; its rows stay. The next sync binds it to the "
        "agreement it reaches then.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
