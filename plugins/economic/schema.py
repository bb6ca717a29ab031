"""The schema of the database: brought up to date in numbered steps, and checked before a sync relies on it."""

from __future__ import annotations

import psycopg

from economic.database import Connection, one, rows, run, transaction
from economic.errors import SchemaMismatch
from economic.statements import Migration, migrations

OLDEST_SERVER = 150000
_MIGRATE = (
    "Let the owner of the database run `python -m economic migrate` (or apply what `migrate --print` prints), "
    "then include/sql/grants/grant_writer.sql."
)
_GRANT = "Let the owner of the database run include/sql/grants/grant_writer.sql, and grant the role economic_writer to this one."


def prepare(connection: Connection) -> None:
    """Make sure that the tables are those this version works with, and that this role may use them.

    A current schema is only read. An older or missing one is brought up to date, when the role may.

    :raises SchemaMismatch: it is newer than this version, cannot be brought up to date, or a column or a right is missing; says which.
    """
    migrate(connection)
    with transaction(connection):
        columns = rows(connection, "check_columns")
        rights = [] if columns else rows(connection, "check_rights")
    if columns:
        off = _some(
            [f"{c['column_name']} is {c['found'] or 'missing'} instead of {c['expected']}" for c in columns]
        )
        raise SchemaMismatch(
            f"The tables were changed by somebody else: {off}.",
            hint="Change them back; migrations make no such change.",
        )
    if rights:
        lacking = _some([f"{right['privilege']} on {right['object']}" for right in rights])
        raise SchemaMismatch(f"The database role lacks {lacking}.", hint=_GRANT)


def _some(things: list[str]) -> str:
    more = f" and {len(things) - 5} more" if len(things) > 5 else ""
    return ", ".join(things[:5]) + more


def migrate(connection: Connection) -> list[str]:
    """Apply the steps that are missing, all in one transaction.

    :return: the names of the steps applied; empty when the schema was current.
    :raises SchemaMismatch: the schema is newer than this version, or this role may not change it.
    """
    with transaction(connection):
        if not _missing_after(_installed(connection)):
            return []
    try:
        with transaction(connection):
            run(connection, "lock_migrations")
            missing = _missing_after(_installed(connection))
            for step in missing:
                connection.execute(step.text)
                run(connection, "insert_schema_version", version=step.version, name=step.name)
    except psycopg.errors.InsufficientPrivilege as error:
        raise SchemaMismatch(
            f"The database role may not create or change the tables: {error.diag.message_primary}.",
            hint=_MIGRATE,
        ) from None
    return [step.name for step in missing]


def missing_steps(connection: Connection) -> list[Migration]:
    """The steps that this version knows and the database has not seen.

    :raises SchemaMismatch: the schema is newer than this version.
    """
    return _missing_after(_installed(connection))


def version(connection: Connection) -> int | None:
    """Return the newest step that was applied; None when the tables do not exist."""
    if not one(connection, "find_schema")["installed"]:
        return None
    return one(connection, "select_schema_version")["version"] or 0


def newest() -> int:
    """The step that this version works with."""
    return migrations()[-1].version


def _installed(connection: Connection) -> int:
    server = one(connection, "find_schema")
    if server["encoding"] != "UTF8":
        raise SchemaMismatch(
            f"The database's encoding is {server['encoding']}.",
            hint="Names need a database with encoding UTF8.",
        )
    if server["server_version"] < OLDEST_SERVER:
        raise SchemaMismatch("PostgreSQL is older than 15.", hint="Upgrade the server.")
    return version(connection) or 0


def _missing_after(installed: int) -> list[Migration]:
    if installed > newest():
        raise SchemaMismatch(
            f"The schema has version {installed}, this package knows {newest()}.",
            hint="Upgrade the package airflow-provider-economic: the database was migrated by a newer one.",
        )
    return [step for step in migrations() if step.version > installed]
