"""`python -m economic migrate`: for the owner of the database, without Airflow."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import psycopg

from economic import schema
from economic.database import prepare, translated
from economic.errors import EconomicError
from economic.statements import migrations


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did its work, 1 when it could not (the reason goes to standard error)."""
    parser = argparse.ArgumentParser(prog="python -m economic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    migrate = commands.add_parser("migrate", help="create the tables or bring them up to date")
    migrate.add_argument("--print", action="store_true", help="print the SQL of all steps and change nothing")
    migrate.add_argument(
        "--dsn",
        default=os.environ.get("ECONOMIC_DSN", ""),
        help="libpq connection string or URL; default: ECONOMIC_DSN, else libpq's own environment (PGHOST, ...)",
    )
    given = parser.parse_args(arguments)
    if given.print:
        for step in migrations():
            sys.stdout.write(step.text.decode())
            sys.stdout.write(
                f"\ninsert into economic.schema_version (version, name) values ({step.version}, '{step.name}');\n"
            )
        return 0
    try:
        with translated(), prepare(psycopg.connect(given.dsn, connect_timeout=10)) as connection:
            applied = schema.migrate(connection)
    except EconomicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Applied: {', '.join(applied)}\n" if applied else "The tables are up to date.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
