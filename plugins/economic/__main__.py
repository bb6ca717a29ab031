"""`python -m economic`: for owners of the database and for monitoring, with a libpq connection string and without Airflow."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import psycopg

from economic import schema, status, store
from economic.database import Connection, Row, prepare, transaction, translated
from economic.errors import ConfigurationError, EconomicError
from economic.statements import Migration, migrations
from economic.terminal import status_lines

_AGE = re.compile(r"(\d{1,6})(s|m|h|d)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. What went wrong goes to standard error, in one line."""
    given = _parser().parse_args(arguments)
    try:
        code: int = given.run(given)
        return code
    except EconomicError as error:
        sys.stderr.write(f"{error}\n")
        return int(given.failure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m economic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument(
        "--dsn",
        default=os.environ.get("ECONOMIC_DSN", ""),
        help="libpq connection string or URL; default: ECONOMIC_DSN, else libpq's own environment (PGHOST, ...)",
    )
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--conn-id", help="only the agreement that this Airflow connection reaches")

    migrate = commands.add_parser(
        "migrate", parents=[database], help="create the tables or bring them up to date"
    )
    migrate.add_argument(
        "--print",
        action="store_true",
        help="print the SQL of the steps that are missing and change nothing; without a connection string, of all steps",
    )
    migrate.set_defaults(run=_migrate, failure=1)

    check = commands.add_parser(
        "check",
        parents=[database, one],
        help="one line for monitoring; exit code 0 fine, 1 look at it, 2 the copy is too old, 3 not known",
    )
    check.add_argument(
        "--max-age",
        type=_age,
        default=timedelta(hours=7),
        help="oldest last sync that is fine, such as 90m, 7h, 2d (default: 7h)",
    )
    check.set_defaults(run=_check, failure=status.UNKNOWN)

    show = commands.add_parser(
        "status", parents=[database, one], help="how the copy stands, and the latest syncs"
    )
    show.add_argument("--syncs", type=int, default=10, help="how many syncs to show (default: 10)")
    show.set_defaults(run=_status, failure=1)

    unbind = commands.add_parser(
        "unbind", parents=[database], help="let a connection reach another agreement from now on"
    )
    unbind.add_argument("conn_id", help="the Airflow connection that has moved to another company")
    unbind.set_defaults(run=_unbind, failure=1)
    return parser


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time such as 90m, 7h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@contextmanager
def _connected(given: argparse.Namespace) -> Iterator[Connection]:
    with translated(), prepare(psycopg.connect(given.dsn, connect_timeout=10)) as connection:
        yield connection


def _migrate(given: argparse.Namespace) -> int:
    if given.print:
        for step in _steps(given):
            sys.stdout.write(step.text.decode())
            sys.stdout.write(
                f"\ninsert into economic.schema_version (version, name) values ({step.version}, '{step.name}');\n"
            )
        return 0
    with _connected(given) as connection:
        applied = schema.migrate(connection)
    sys.stdout.write(f"Applied: {', '.join(applied)}\n" if applied else "The tables are up to date.\n")
    return 0


def _steps(given: argparse.Namespace) -> Sequence[Migration]:
    if not given.dsn:
        return migrations()
    with _connected(given) as connection, transaction(connection):
        return schema.missing_steps(connection)


def _check(given: argparse.Namespace) -> int:
    judged = [status.health(one, given.max_age) for one in _standing(given) if not status.is_unbound(one)]
    if not judged:
        judged = [status.Health(status.CRITICAL, "no agreement was ever synced")]
    worst = max(one.level for one in judged)
    sys.stdout.write(f"{status.LEVELS[worst]}: {' | '.join(one.words for one in judged)}\n")
    return worst


def _standing(given: argparse.Namespace) -> list[Row]:
    with _connected(given) as connection, transaction(connection):
        return status.connections(connection, None if given.conn_id is None else [given.conn_id])


def _status(given: argparse.Namespace) -> int:
    found = _standing(given)
    if not any(one["last_sync_id"] for one in found):
        sys.stdout.write("Nothing was ever synced.\n")
        return 0
    with _connected(given) as connection, transaction(connection):
        for one in found:
            number = one["agreement_number"]
            syncs = status.latest_syncs(connection, number, one["conn_id"], given.syncs)
            refused = [] if number is None else status.rejections(connection, number, given.syncs)
            sys.stdout.writelines(f"{line}\n" for line in status_lines(one, syncs, refused))
            sys.stdout.write("\n")
    return 0


def _unbind(given: argparse.Namespace) -> int:
    with _connected(given) as connection, transaction(connection):
        released = store.unbind_agreement(connection, given.conn_id)
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
