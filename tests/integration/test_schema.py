"""The schema is brought up to date by whoever may, and says who must when not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from economic.db import schema, sql
from economic.db.sql import migrations, one, prepare, sql_folder
from economic.errors import SchemaMismatch

PARAMETER = re.compile(r"%\((\w+)\)s")


@pytest.fixture
def plain_user(postgres: str) -> Iterator[str]:
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("drop role if exists plain")
        admin.execute("create role plain login password 'long enough to be one'")
        yield "plain"


def as_user(dsn: str, user: str) -> psycopg.Connection:
    return prepare(
        psycopg.connect(psycopg.conninfo.make_conninfo(dsn, user=user, password="long enough to be one"))
    )


def test_role_without_rights_is_referred_to_the_owner(empty_database: str, plain_user: str) -> None:
    with (
        as_user(empty_database, plain_user) as connection,
        pytest.raises(SchemaMismatch, match="economic migrate"),
    ):
        schema.migrate(connection)


def test_a_newer_schema_is_not_touched(connection: psycopg.Connection) -> None:
    connection.execute("insert into economic.schema_version (version, name) values (9999, 'from_the_future')")
    with pytest.raises(SchemaMismatch, match="Upgrade the package"):
        schema.migrate(connection)


def test_concurrent_first_migrations_create_the_tables_once(empty_database: str) -> None:
    command = [sys.executable, "-m", "economic", "migrate", "--dsn", empty_database]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    names = ", ".join(step.name for step in migrations())
    assert said == [f"Applied: {names}", "The tables are up to date."]


def psql(dsn: str, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["psql", "-X", dsn], input=script, capture_output=True, text=True, check=False)


def printed() -> str:
    command = [sys.executable, "-m", "economic", "migrate", "--print"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"ECONOMIC_DSN": ""}
    ).stdout


@pytest.mark.skipif(not shutil.which("psql"), reason="psql is not installed")
def test_printed_migration_is_atomic_in_psql(empty_database: str) -> None:
    script = printed()
    with prepare(psycopg.connect(empty_database)) as connection:
        for broken in (
            script.replace("create view economic.payments", "create view economic.payments_ of"),
            script.replace(
                "insert into economic.schema_version", "select 1/0; insert into economic.schema_version"
            ),
            script.removesuffix("commit;\n"),
        ):
            done = psql(empty_database, broken)
            assert done.returncode == (3 if "commit;" in broken else 0), done.stderr
            assert not one(connection, "select_server_and_schema")["installed"]
        assert psql(empty_database, script).returncode == 0
        assert schema.migrate(connection) == []
        again = psql(empty_database, script)
        assert (again.returncode, "already exists" in again.stderr) == (3, True)


@pytest.mark.parametrize("means", ["migrate", "psql"])
@pytest.mark.parametrize(
    "gift",
    [
        "create schema economic authorization plain",
        "create schema economic; grant create, usage on schema economic to plain",
    ],
    ids=["owner", "may create"],
)
def test_schema_that_was_given_away_is_migrated(
    empty_database: str, plain_user: str, gift: str, means: str
) -> None:
    """The role may make tables in the schema, and nothing in the database."""
    if means == "psql" and not shutil.which("psql"):
        pytest.skip("psql is not installed")
    with prepare(psycopg.connect(empty_database)) as admin:
        admin.execute(gift.encode())
        with as_user(empty_database, plain_user) as connection:
            if means == "psql":
                theirs = psycopg.conninfo.make_conninfo(
                    empty_database, user=plain_user, password="long enough to be one"
                )
                assert psql(theirs, printed()).returncode == 0
            else:
                assert schema.migrate(connection) == [step.name for step in migrations()]
            assert schema.migrate(connection) == []
        admin.execute("drop owned by plain cascade")


STRANGERS = {
    "tables made beforehand": (
        "alter schema economic owner to plain",
        "alter table economic.agreement owner to plain",
    ),
    "a table": ("alter table economic.agreement owner to plain",),
    "a view": ("alter view economic.sync_status owner to plain",),
    "a trigger": (
        "grant usage on schema economic to plain",
        "grant trigger on economic.agreement to plain",
        "set role plain",
        "create function theirs.f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger theirs before update on economic.agreement for each row execute function theirs.f()",
        "reset role",
    ),
    "a default": (
        "set role plain",
        "create function theirs.g() returns text language sql as 'select null::text'",
        "reset role",
        "alter table economic.agreement alter column company_name set default theirs.g()",
    ),
    "a check": (
        "set role plain",
        "create function theirs.h(text) returns boolean language sql as 'select true'",
        "reset role",
        "alter table economic.agreement add constraint theirs check (theirs.h(company_name))",
    ),
    "an index": (
        "set role plain",
        "create function theirs.i(text) returns text language sql immutable as 'select $1'",
        "reset role",
        "create index agreement_theirs on economic.agreement (theirs.i(company_name))",
    ),
    "a rule": ("create rule theirs as on update to economic.agreement do also select 1",),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_what_a_stranger_made_is_refused_by_name(
    connection: psycopg.Connection, plain_user: str, stranger: tuple[str, ...]
) -> None:
    """Would run with the rights of whoever syncs, of a superuser too."""
    connection.execute("create schema theirs authorization plain")
    for statement in stranger:
        connection.execute(statement.encode())
    try:
        with pytest.raises(SchemaMismatch, match=r"somebody else made: .*(agreement|sync_status)"):
            schema.migrate(connection)
    finally:
        connection.execute("drop owned by plain cascade")


def test_owners_own_trigger_is_accepted(connection: psycopg.Connection) -> None:
    connection.execute(
        "create function public.audit() returns trigger language plpgsql as 'begin return new; end'"
    )
    connection.execute(
        "create trigger audit before update on economic.agreement for each row execute function public.audit()"
    )
    assert schema.migrate(connection) == []


def test_role_without_rights_cannot_hold_up_a_migration(
    empty_database: str, plain_user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "500ms")
    with (
        as_user(empty_database, plain_user) as stranger,
        prepare(psycopg.connect(empty_database)) as connection,
    ):
        stranger.execute("select pg_advisory_lock(hashtext('economic.schema_version'))")
        assert schema.migrate(connection)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute("begin; lock table economic.schema_version in access share mode")


def test_invoices_leave_room_for_payments(connection: psycopg.Connection) -> None:
    (options,) = connection.execute(
        "select reloptions from pg_class where oid = 'economic.invoice'::regclass"
    ).fetchone() or (None,)
    assert options == ["fillfactor=80"]


def test_every_statement_can_be_prepared(connection: psycopg.Connection) -> None:
    """PostgreSQL itself checks the syntax, tables and columns of each statement."""
    paths = [path for path in sql_folder().rglob("*.sql") if not re.match(r"\d{4}_|grant_", path.name)]
    assert len(paths) == len({path.stem for path in paths}) > 30
    for path in paths:
        name, text = path.stem, path.read_text()
        if "from stdin" in text or "lock table" in text:  # neither can be prepared
            continue
        parameters = {
            found: f"${number}" for number, found in enumerate(sorted(set(PARAMETER.findall(text))), 1)
        }
        query = text
        for found, position in parameters.items():
            query = query.replace(f"%({found})s", position)
        connection.execute(f"prepare {name} as {query}".encode())
