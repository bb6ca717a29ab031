"""The commands of `python -m economic`: dags, grants, migrate, check, status, unbind."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import psycopg
from psycopg.conninfo import conninfo_to_dict

from economic.cli import health
from economic.cli.output import check_line, status_lines
from economic.db import agreements, invoices, schema
from economic.db.opening import open_connection
from economic.db.sql import (
    Connection,
    Migration,
    migrations,
    reading,
    sql_folder,
    transaction,
    translate_errors,
)
from economic.errors import ConfigurationError, EconomicError

FAILED, UNUSABLE = 1, 2
"""Exit codes of commands for people: the command failed, its arguments are not usable."""

_PACKAGE = Path(__file__).resolve().parents[1]
_FOR_PEOPLE = {"dags", "grants", "migrate", "status", "unbind"}
"""Commands that report errors to a person. All others, also unknown words, report to monitoring."""
_AGE = re.compile(r"(\d{1,6})(s|m|h|d)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _UsageError(Exception):
    """The command line is not usable."""


class _Parser(argparse.ArgumentParser):
    """Raises an error where argparse exits, without values: one may hold a password."""

    def error(self, message: str) -> NoReturn:
        reason = re.split(r": invalid choice|: '|: \"|'|\"", message)[0]
        raise _UsageError(f"{reason}. See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    monitored = next((word for word in words if not word.startswith("-")), "") not in _FOR_PEOPLE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows escapes
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words, monitored)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`status | head`); Python's own flush at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return health.UNKNOWN if monitored else FAILED
    return code


def _run(words: Sequence[str], monitored: bool) -> int:
    try:
        arguments, unknown = parser().parse_known_args(words)
        if unknown:
            names = ", ".join(word.partition("=")[0] for word in unknown if word.startswith("--"))
            raise _UsageError(f"unrecognized arguments {names}".rstrip())
        code: int = arguments.run(arguments)
        return code
    except BrokenPipeError:
        raise
    except Exception as error:
        expected = isinstance(error, EconomicError | _UsageError)
        if monitored:
            # Many people read this line: it has the type of an unexpected error, not its text.
            reason = str(error) if expected else f"unexpected {type(error).__name__}"
            sys.stdout.write(check_line([health.Health(health.UNKNOWN, reason)]))
            return health.UNKNOWN
        if not expected:
            raise
        sys.stderr.write(f"{error}\n")
        return UNUSABLE if isinstance(error, _UsageError) else FAILED


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    about = "Commands for owners of the database and for monitoring. They work without Airflow."
    root = _Parser(prog="python -m economic", description=about, allow_abbrev=False)
    commands = root.add_subparsers(dest="command", required=True)
    database = _Parser(add_help=False)
    database.add_argument(
        "--dsn",
        default=os.environ.get("ECONOMIC_DSN", ""),
        help="libpq connection string or URL; default: ECONOMIC_DSN, else libpq's own environment "
        "(PGHOST, ...). Put a password into ECONOMIC_DSN or a password file: other users of the "
        "machine can see arguments.",
    )
    agreement = _Parser(add_help=False)
    agreement.add_argument("--conn-id", help="only the agreement that this Airflow connection reaches")

    def add(name: str, *parents: _Parser, about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=parents, help=about, allow_abbrev=False)
        command.set_defaults(run=_COMMANDS[name])
        return command

    add("dags", about="print the folder of the DAG files that belong to this version")
    add("grants", about="print the folder of the scripts that give rights to database roles")
    add("migrate", database, about="create or upgrade the tables").add_argument(
        "--print",
        action="store_true",
        help="print the SQL of the missing steps for psql and change nothing; without a connection "
        "string, of all steps",
    )
    about = "one line for monitoring; exit code 0 OK, 1 warning, 2 the copy is too old, 3 unknown"
    check = add("check", database, agreement, about=about)
    check.add_argument(
        "--max-age",
        type=_age,
        default=timedelta(hours=7),
        help="maximum age of the last full or proven quick sync, such as 90m, 7h, 2d (default: 7h)",
    )
    check.add_argument("--max-full-age", type=_age, help="maximum age of the last full sync (default: any)")
    check.add_argument(
        "--lines",
        nargs="?",
        type=_age,
        const=agreements.LINES_LATE_AFTER,
        metavar="MAX_AGE",
        help="judge the lines of invoices too; with a length of time: the maximum age of the latest run "
        "that ended well (default: 2d)",
    )
    add("status", database, agreement, about="the state of the copy, and the latest syncs").add_argument(
        "--syncs", type=int, default=10, help="how many syncs to show (default: 10)"
    )
    add("unbind", database, about="let a connection reach another agreement").add_argument(
        "conn_id", help="the Airflow connection that was moved to another company"
    )
    return root


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError("not a length of time such as 90m, 7h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@contextmanager
def _connected(arguments: argparse.Namespace) -> Iterator[Connection]:
    try:
        options = conninfo_to_dict(arguments.dsn)
    except (psycopg.Error, UnicodeError):
        raise ConfigurationError(
            "The connection string of the database cannot be read.",
            hint="In a URL, write special characters of a password as %XX; elsewhere put a value with "
            "blanks into single quotes.",
        ) from None
    with translate_errors(), open_connection("connection string", options) as connection:
        yield connection


def _dags(arguments: argparse.Namespace) -> int:
    for folder in (_PACKAGE / "_dags", _PACKAGE.parents[1] / "dags"):
        if folder.is_dir():
            sys.stdout.write(f"{folder}\n")
            return 0
    raise ConfigurationError(
        "The DAG files are neither in the package nor beside the plugins folder.",
        hint="Install the package with pip, or copy them from its source archive.",
    )


def _grants(arguments: argparse.Namespace) -> int:
    sys.stdout.write(f"{sql_folder() / 'grants'}\n")
    return 0


def _migrate(arguments: argparse.Namespace) -> int:
    if arguments.print:
        sys.stdout.write(schema.script(_missing_steps(arguments)))
        return 0
    with _connected(arguments) as connection:
        applied = schema.migrate(connection)
    sys.stdout.write(f"Applied: {', '.join(applied)}\n" if applied else "The tables are up to date.\n")
    return 0


def _missing_steps(arguments: argparse.Namespace) -> Sequence[Migration]:
    if not arguments.dsn:
        return migrations()
    with _connected(arguments) as connection, reading(connection):
        return schema.missing_steps(connection)


def _conn_ids(arguments: argparse.Namespace) -> list[str] | None:
    return None if arguments.conn_id is None else [arguments.conn_id]


def _check(arguments: argparse.Namespace) -> int:
    with _connected(arguments) as connection, reading(connection):
        statuses = agreements.statuses(connection, _conn_ids(arguments))
    bound = [row for row in statuses if not agreements.is_unbound(row)]
    verdicts = [health.judge(row, arguments.max_age, arguments.max_full_age) for row in bound]
    if arguments.lines:
        verdicts += [health.judge_lines(row, arguments.lines) for row in bound]
    if not verdicts:
        verdicts = [health.Health(health.CRITICAL, "no agreement was ever synced")]
    verdicts = health.worst_first(verdicts)
    sys.stdout.write(check_line(verdicts))
    return verdicts[0].level


def _status(arguments: argparse.Namespace) -> int:
    lines: list[str] = []
    most = arguments.syncs
    with _connected(arguments) as connection, reading(connection):
        statuses = agreements.statuses(connection, _conn_ids(arguments))
        for row in statuses if any(row["last_sync_id"] for row in statuses) else ():
            number = row["agreement_number"]
            syncs = agreements.latest_syncs(connection, number, row["conn_id"], most)
            rejections = [] if number is None else invoices.rejections(connection, number, most)
            requests = agreements.usage_of_day(connection, number).requests
            lines += [*status_lines(row, syncs, requests, rejections), ""]
    sys.stdout.writelines(f"{line}\n" for line in lines or ["Nothing was ever synced."])
    return 0


def _unbind(arguments: argparse.Namespace) -> int:
    conn_id = arguments.conn_id
    with _connected(arguments) as connection, transaction(connection):
        number = agreements.unbind_agreement(connection, conn_id)
    if number is None:
        raise ConfigurationError(
            f"The connection {conn_id} is bound to no agreement.",
            hint="`python -m economic status` lists the connections.",
        )
    sys.stdout.write(
        f"The connection {conn_id} is no longer bound to agreement {number}, whose rows stay. "
        "The next sync binds it to the agreement it then reaches.\n"
    )
    return 0


_COMMANDS = {
    "dags": _dags,
    "grants": _grants,
    "migrate": _migrate,
    "check": _check,
    "status": _status,
    "unbind": _unbind,
}
