"""Roles that own nothing, for readers, syncs, monitoring and the page: each can do its work and no more."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from deploy.container import logins
from dev.local import embedded_postgres
from economic.db import agreements
from economic.db.sql import prepare, sql_folder, transaction
from economic.web import queries
from tests.conftest import DefineConnection, postgres_connection
from tests.integration.conftest import Company, economic
from tests.integration.test_lines import read_lines

PASSWORD = "long enough to be one"


@pytest.fixture(params=["writer", "monitor", "page", "reader"])
def granted(request: pytest.FixtureRequest, company: Company, database: str) -> Iterator[str]:
    """Connection string of a login with the role of a grant script."""
    role = f"economic_{request.param}"
    script = (sql_folder() / "grants" / f"grant_{request.param}.sql").read_bytes()
    company.connection.execute("drop role if exists somebody")
    company.connection.execute(script)
    company.connection.execute(script)
    company.connection.execute(
        sql.SQL("create role somebody login password {} in role {}").format(PASSWORD, sql.Identifier(role))
    )
    yield psycopg.conninfo.make_conninfo(database, user="somebody", password=PASSWORD)
    company.connection.execute(
        sql.SQL("drop owned by {role}; drop role somebody; drop role {role}").format(
            role=sql.Identifier(role)
        )
    )


def refused(dsn: str, *statements: str) -> None:
    for statement in statements:
        with (
            psycopg.connect(dsn) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


@pytest.mark.parametrize("granted", ["writer"], indirect=True)
def test_writer_syncs_reads_lines_changes_no_table(company: Company, granted: str) -> None:
    company.connection.execute("create table economic.invoice_backup as select * from economic.invoice")
    with prepare(psycopg.connect(granted)) as connection:
        writer = replace(company, connection=connection)
        number = min(company.books.ledger.items())
        company.books.spoil(number, "date", value="2026-02-30")
        assert writer.sync()["created"] == 249
        company.books.heal(number)
        assert writer.sync(force=True)["created"] == 1
        assert read_lines(writer)["proven"] == 250
        company.books.control("remove", number=number)
        assert writer.sync()["missing"] == 1
        company.connection.execute("update economic.line_reading set counted_at = now() - interval '1 day'")
        assert read_lines(writer)["proven"] == 249
    refused(
        granted,
        "delete from economic.invoice",
        "truncate economic.invoice_history",
        "alter table economic.invoice add column mine text",
        "update economic.schema_version set version = 99",
        "create table economic.mine (number int)",
        "update economic.invoice_history set new_values = '{}'",
        "select 1 from economic.invoice_backup",
        "lock table economic.schema_version in share row exclusive mode",
    )


ANSWERS = {
    "customer_statement": ["1003"],
    "days_sales_outstanding": ["2026-11-01", "1234567"],
    "receivables_as_of": ["2026-11-01", "1234567"],
    "receivables_aging_as_of": ["2026-11-01", "1234567"],
}
"""The functions that answer questions, with arguments."""


def ask(connection: psycopg.Connection, function: str) -> list[tuple[object, ...]]:
    arguments = sql.SQL(", ").join(map(sql.Literal, ANSWERS[function]))
    return connection.execute(
        sql.SQL("select * from economic.{}({})").format(sql.Identifier(function), arguments)
    ).fetchall()


@pytest.mark.parametrize("granted", ["reader", "writer"], indirect=True)
def test_reader_reads_every_view_and_function(company: Company, granted: str) -> None:
    company.sync()
    company.connection.execute("update economic.agreement set complete_since = '2026-10-01'")
    company.connection.execute(
        "update economic.invoice set first_seen_at = '2026-10-01', customer_number = 1003"
    )
    views = company.rows("select viewname from pg_views where schemaname = 'economic'")
    assert len(views) > 5
    with psycopg.connect(granted) as reader:
        for view in views:
            reader.execute(sql.SQL("select * from economic.{}").format(sql.Identifier(view["viewname"])))
        for function in ANSWERS:
            assert ask(reader, function) == ask(company.connection, function) != []


@pytest.mark.parametrize("granted", ["reader"], indirect=True)
def test_reader_reads_no_table(company: Company, granted: str) -> None:
    tables = company.rows("select tablename from pg_tables where schemaname = 'economic'")
    assert len(tables) > 8
    with psycopg.connect(granted, autocommit=True) as reader:
        for table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(sql.SQL("table economic.{}").format(sql.Identifier(table["tablename"])))


@pytest.mark.parametrize("granted", ["monitor", "page"], indirect=True)
def test_others_may_not_ask_what_is_owed(company: Company, granted: str) -> None:
    with psycopg.connect(granted, autocommit=True) as connection:
        for function in ANSWERS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ask(connection, function)


def test_functions_with_rights_of_the_owner_are_safe(connection: psycopg.Connection) -> None:
    """They have a fixed search path, only granted roles may call them, and the tests above call each."""
    found = connection.execute(
        "select proname, proconfig::text, has_function_privilege('public', oid, 'execute') from pg_proc"
        " where pronamespace = 'economic'::regnamespace and prosecdef"
    ).fetchall()
    assert {name for name, _, _ in found} == ANSWERS.keys()
    for name, settings, public in found:
        assert "search_path=pg_catalog, pg_temp" in settings, name
        assert not public, name


@pytest.mark.parametrize("granted", ["monitor"], indirect=True)
def test_monitor_sees_no_invoice_sum_or_rejected_value(company: Company, granted: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    sums = company.rows(
        "select held ->> 'net_amount_base' as net, held ->> 'remainder_base' as owed, held ->> 'overdue_base' as overdue"
        " from economic.sync_run"
    )[0]
    for command, code in (("check", 1), ("status", 0)):
        done = economic(granted, command)
        assert (done.returncode, done.stderr) == (code, "")
        assert "249 invoices" in done.stdout
        assert "owed" not in done.stdout
    with psycopg.connect(granted) as connection:
        shown = str(connection.execute("select * from economic.sync_status").fetchall())
    assert [name for name, value in sums.items() if value in shown] == []
    assert "net" not in shown
    refused(
        granted,
        "select 1 from economic.invoice",
        "select 1 from economic.invoice_history",
        "select 1 from economic.invoice_overview",
        "select raw_data from economic.rejected_invoice",
        "select message from economic.rejected_invoice",
        "select held from economic.sync_run",
        "select totals from economic.sync_run",
        "select verdict from economic.sync_run",
        "select 1 from economic.staged_invoice",
        "update economic.sync_run set status = 'completed'",
    )


@pytest.mark.parametrize("granted", ["page"], indirect=True)
def test_page_role_reads_what_the_page_shows(
    company: Company, granted: str, define_connection: DefineConnection
) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    define_connection("economic_postgres", **postgres_connection(granted))
    (standing,) = queries.agreement_statuses("economic_postgres", [company.conn_id])
    assert (standing["invoices"], standing["held"]["overdue_base"] is None) == (249, False)
    assert len(queries.latest_syncs("economic_postgres", company.conn_id)[0]) == 1
    (rejection,) = queries.rejections("economic_postgres", company.conn_id)
    assert rejection["message"]
    refused(
        granted,
        "select 1 from economic.invoice",
        "select raw_data from economic.rejected_invoice",
        "update economic.sync_run set status = 'completed'",
    )


@pytest.fixture
def with_lines(company: Company) -> tuple[int, int]:
    """Read the lines of all invoices; return one that differs and one with an unusable line."""
    company.sync()
    differing, rejected = company.books.ledger.numbers[3:5]
    company.books.differ(differing, "0.25")
    company.books.spoil_line(rejected, 1, "totalNetAmount", value="much")
    read_lines(company)
    return differing, rejected


@pytest.mark.parametrize("granted", ["page"], indirect=True)
def test_page_role_reads_differences_of_lines_only(
    company: Company, granted: str, with_lines: tuple[int, int], define_connection: DefineConnection
) -> None:
    define_connection("economic_postgres", **postgres_connection(granted))
    (standing,) = queries.agreement_statuses("economic_postgres", [company.conn_id])
    lines = standing["lines"]
    assert (lines["proven"], lines["differing"], lines["rejected"], lines["unread"]) == (248, 1, 1, 0)
    unproven = queries.unproven_lines("economic_postgres", company.conn_id)
    assert unproven is not None
    found = {row["invoice_number"]: (row["status"], row["field"]) for row in unproven}
    assert found == {with_lines[0]: ("differing", None), with_lines[1]: ("rejected", "totalNetAmount")}
    assert str(unproven[1]["difference"]) == "0.25"
    refused(
        granted,
        "select 1 from economic.invoice_line",
        "select lines_net_amount from economic.line_check",
        "select invoice_net_amount from economic.line_check",
        "select rejected_item from economic.line_check",
        "update economic.line_reading set status = 'completed'",
    )


OLDER_GRANT = "revoke all on economic.line_reading, economic.line_check from economic_{0}"


@pytest.mark.parametrize("granted", ["page"], indirect=True)
def test_older_grant_of_the_page_hides_lines_only(
    company: Company, granted: str, with_lines: tuple[int, int], define_connection: DefineConnection
) -> None:
    company.connection.execute(OLDER_GRANT.format("page").encode())
    define_connection("economic_postgres", **postgres_connection(granted))
    (standing,) = queries.agreement_statuses("economic_postgres", [company.conn_id])
    assert (standing["invoices"], standing["lines"], standing["lines_granted"]) == (250, None, False)
    assert queries.unproven_lines("economic_postgres", company.conn_id) is None


@pytest.mark.parametrize("granted", ["monitor"], indirect=True)
def test_monitor_checks_lines_and_names_the_grant(
    company: Company, granted: str, with_lines: tuple[int, int]
) -> None:
    done = economic(granted, "check", "--lines")
    assert (done.returncode, "248 of 250 invoices proven, 1 differing, 1 rejected" in done.stdout) == (
        1,
        True,
    )
    assert "lines        248 of 250 invoices proven" in economic(granted, "status").stdout
    refused(granted, "select 1 from economic.line_check", "select 1 from economic.invoice_line")
    company.connection.execute(OLDER_GRANT.format("monitor").encode())
    for words, code in ((["check"], 0), (["check", "--lines"], 3), (["status"], 0)):
        done = economic(granted, *words)
        assert (done.returncode, done.stderr) == (code, "")
        assert ("run grant_monitor.sql" in done.stdout) == (words != ["check"])
    # What is known to be too old is not hidden by what cannot be known.
    company.connection.execute("update economic.sync_run set scan_started_at = now() - interval '2 d'")
    done = economic(granted, "check", "--lines")
    assert (done.returncode, done.stdout[:9]) == (2, "CRITICAL:"), done.stdout


def test_airflows_logins_own_nothing_and_change_no_table() -> None:
    passwords = {login: secrets.token_urlsafe(12) for login in (logins.OWNER, logins.SYNC, logins.PAGE)}
    with embedded_postgres.server(["economic"], durable=False) as server:
        for _ in range(2):  # each `up` does it again
            logins.make_logins(server.dsn("economic"), passwords)

        def connect(login: str) -> psycopg.Connection[tuple[object, ...]]:
            return psycopg.connect(
                server.dsn("economic"), user=login, password=passwords[login], autocommit=True
            )

        with psycopg.connect(server.dsn("economic")) as superuser:
            owners = superuser.execute(
                "select distinct tableowner from pg_tables where schemaname = 'economic'"
            )
            assert owners.fetchall() == [(logins.OWNER,)]
            supers = superuser.execute("select rolname from pg_roles where rolsuper")
            assert supers.fetchall() == [(embedded_postgres.USER,)]
        with connect(logins.SYNC) as sync, connect(logins.PAGE) as page:
            for connection, refused in (
                (sync, "drop table economic.invoice"),
                (sync, "truncate economic.invoice_history"),
                (sync, "create role more"),
                (page, "select 1 from economic.invoice"),
                (page, "update economic.sync_run set message = ''"),
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(refused.encode())
            sync.execute("insert into economic.agreement (agreement_number, conn_id) values (1, 'one')")
        with prepare(connect(logins.PAGE)) as connection, transaction(connection):  # type: ignore[arg-type]
            assert [row["agreement_number"] for row in agreements.statuses(connection, None)] == [1]
