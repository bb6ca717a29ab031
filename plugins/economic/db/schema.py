"""The schema of the database: migrations in numbered steps, and the check for foreign objects."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from economic.db.sql import (
    LOCK_TIMEOUT,
    STATEMENT_TIMEOUT,
    Connection,
    Migration,
    migrations,
    one,
    rows,
    run,
    statement,
    transaction,
)
from economic.errors import SchemaMismatch
from economic.outside_text import listed

OLDEST_SERVER = 150000
_MIGRATE = (
    "Let the owner of the database run `python -m economic migrate` (or apply what `migrate --print` prints), "
    "then include/sql/grants/grant_writer.sql."
)
_MADE_MEANWHILE = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateSchema,
    psycopg.errors.DuplicateTable,
)
"""How one of two concurrent first migrations fails: there is no table yet that could be locked."""
_SCRIPT_BEGIN = f"""\\set ON_ERROR_STOP on
begin;
set local statement_timeout = '{STATEMENT_TIMEOUT}';
set local lock_timeout = '{LOCK_TIMEOUT}';
set local search_path = pg_catalog, pg_temp;
set local client_encoding = 'UTF8';
set local standard_conforming_strings = on;
"""


def migrate(connection: Connection) -> list[str]:
    """Apply the missing steps in one transaction; a current schema is only read.

    :return: the names of the steps applied.
    :raises SchemaMismatch: the schema is newer, holds foreign objects, or this role may not change
        it.
    """
    with transaction(connection):
        missing = missing_steps(connection)
        _refuse_strangers(connection)
    if not missing:
        return []
    try:
        return _apply(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise SchemaMismatch(
            f"The database role may not create or change the tables: {error.diag.message_primary}.",
            hint=_MIGRATE,
        ) from None
    except _MADE_MEANWHILE:
        with transaction(connection):
            if missing_steps(connection):
                raise
        return []


def _apply(connection: Connection) -> list[str]:
    with transaction(connection):
        if version(connection):
            run(connection, "lock_migrations")
        missing = missing_steps(connection)
        for step in missing:
            connection.execute(step.text)
            run(connection, "insert_schema_version", version=step.version, name=step.name)
    return [step.name for step in missing]


def script(steps: Sequence[Migration]) -> str:
    """Return the SQL of steps for psql, which applies all of them or none."""
    if not steps:
        return ""
    lock = "" if steps[0].version == 1 else statement("lock_migrations").decode()
    applied = "".join(
        f"{step.text.decode()}\ninsert into economic.schema_version (version, name) values ({step.version}, '{step.name}');\n"
        for step in steps
    )
    return f"{_SCRIPT_BEGIN}{lock}{applied}commit;\n"


def _refuse_strangers(connection: Connection) -> None:
    """Reject tables, triggers and the like through which another role could act with this one's
    rights.
    """
    things = [f"{one['thing']} ({one['owner'] or 'a rule'})" for one in rows(connection, "select_strangers")]
    if things:
        raise SchemaMismatch(
            f"In the schema economic there is what somebody else made: {listed(things, 5, 200)}.",
            hint="What it runs, it runs with the rights of this role. Look at it; drop it, or let its owner be this role or the owner of the "
            "database, or migrate and sync as its owner.",
        )


def missing_steps(connection: Connection) -> list[Migration]:
    """Return the steps that the database has not seen.

    :raises SchemaMismatch: the server or the database is unsuitable, or the schema is newer than
        this version.
    """
    server = one(connection, "select_server_and_schema")
    if server["encoding"] != "UTF8":
        raise SchemaMismatch(
            f"The database's encoding is {server['encoding']}.",
            hint="Names need a database with encoding UTF8.",
        )
    if server["server_version"] < OLDEST_SERVER:
        raise SchemaMismatch("PostgreSQL is older than 15.", hint="Upgrade the server.")
    installed = version(connection) or 0
    if installed > newest():
        raise SchemaMismatch(
            f"The schema has version {installed}, this package knows {newest()}.",
            hint="Upgrade the package airflow-provider-economic: the database was migrated by a newer one.",
        )
    return [step for step in migrations() if step.version > installed]


def version(connection: Connection) -> int | None:
    """Return the newest step that was applied; None when the tables do not exist."""
    if not one(connection, "select_server_and_schema")["installed"]:
        return None
    return one(connection, "select_schema_version")["version"] or 0


def newest() -> int:
    """Return the step that this version works with."""
    return migrations()[-1].version
