"""Roles that own nothing, for syncs, monitoring and the page: each can do its work and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from economic.db.sql import prepare, sql_folder
from economic.web import queries
from tests.conftest import DefineConnection, postgres_connection
from tests.integration.conftest import Company, economic

PASSWORD = "long enough to be one"


@pytest.fixture(params=["writer", "monitor", "page"])
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
def test_writer_syncs_and_changes_no_table(company: Company, granted: str) -> None:
    company.connection.execute("create table economic.invoice_backup as select * from economic.invoice")
    with prepare(psycopg.connect(granted)) as connection:
        writer = replace(company, connection=connection)
        number = min(company.books.ledger.items())
        company.books.spoil(number, "date", value="2026-02-30")
        assert writer.sync()["created"] == 249
        company.books.heal(number)
        assert writer.sync(force=True)["created"] == 1
        company.books.control("remove", number=number)
        assert writer.sync()["missing"] == 1
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


@pytest.mark.parametrize("granted", ["monitor"], indirect=True)
def test_monitor_sees_no_invoice_sum_or_rejected_value(company: Company, granted: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    secrets = company.rows(
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
    assert [name for name, value in secrets.items() if value in shown] == []
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
    assert len(queries.latest_syncs("economic_postgres", company.conn_id)) == 1
    (rejection,) = queries.rejections("economic_postgres", company.conn_id)
    assert rejection["message"]
    refused(
        granted,
        "select 1 from economic.invoice",
        "select raw_data from economic.rejected_invoice",
        "update economic.sync_run set status = 'completed'",
    )
