"""Roles that own nothing: one that syncs, one that watches. Each may do its work and no more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from economic.database import prepare
from economic.statements import sql_folder
from tests.integration.conftest import Company

PASSWORD = "long enough to be one"


@pytest.fixture(params=["writer", "monitor"])
def granted(request: pytest.FixtureRequest, company: Company, database: str) -> Iterator[str]:
    """Connection string of somebody who was given the role of a script."""
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
def test_a_writer_syncs_and_changes_no_table(company: Company, granted: str) -> None:
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
    )


@pytest.mark.parametrize("granted", ["monitor"], indirect=True)
def test_a_monitor_checks_and_sees_no_invoice(company: Company, granted: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    for command, code in (("check", 1), ("status", 0)):
        done = subprocess.run(
            [sys.executable, "-m", "economic", command, "--dsn", granted],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (code, "")
        assert "249 invoices" in done.stdout
    refused(
        granted,
        "select 1 from economic.invoice",
        "select 1 from economic.invoice_history",
        "select 1 from economic.invoice_overview",
        "select raw_data from economic.rejected_invoice",
        "select 1 from economic.staged_invoice",
        "update economic.sync_run set status = 'completed'",
    )
