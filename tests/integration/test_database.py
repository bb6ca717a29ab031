"""What a session, a role or a server prefers changes no value, and no statement waits without an end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import psycopg
import pytest

from economic.db import agreements, invoices, lease, runs, sql
from economic.db.connection import connect
from economic.web import queries
from tests.conftest import DefineConnection, postgres_connection
from tests.integration.conftest import Company, economic

ODD = {
    "array_nulls": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "DateStyle": "German, DMY",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "IntervalStyle": "sql_standard",
    "lock_timeout": "1ms",
    "quote_all_identifiers": "on",
    "search_path": "odd, public",
    "standard_conforming_strings": "off",
    "statement_timeout": "100ms",
    "TimeZone": "America/St_Johns",
    "transform_null_equals": "on",
}
ODD_BY_ENVIRONMENT = {
    "PGCLIENTENCODING": "SQL_ASCII",
    "PGDATESTYLE": "SQL, DMY",
    "PGOPTIONS": "-c IntervalStyle=iso_8601 -c DateStyle=Postgres,MDY -c extra_float_digits=-10",
    "PGTZ": "Asia/Kathmandu",
}
SHADOWS = """
create schema odd;
create function odd.clock_timestamp() returns timestamptz language sql as $$ select timestamptz '2001-01-01 00:00Z' $$;
create function odd.now() returns timestamptz language sql as $$ select timestamptz '2001-01-01 00:00Z' $$;
create function odd.count(anyelement) returns bigint language sql as $$ select 0::bigint $$;
create table odd.pg_class (relname text);
"""


@pytest.mark.parametrize("means", ["role", "environment"])
def test_odd_settings_change_no_value(
    company: Company,
    database: str,
    define_connection: DefineConnection,
    monkeypatch: pytest.MonkeyPatch,
    means: str,
) -> None:
    """All settings at once that change what values look like, how names are found or when a statement is ended."""
    admin = company.connection
    define_connection("economic_postgres", **postgres_connection(database))
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    if means == "role":
        admin.execute(SHADOWS.encode())
        name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        for setting, value in ODD.items():
            quoted = value if setting == "search_path" else f"'{value}'"
            admin.execute(f"alter database {name} set {setting} = {quoted}".encode())
    for variable, value in ODD_BY_ENVIRONMENT.items() if means == "environment" else ():
        monkeypatch.setenv(variable, value)
    with connect("economic_postgres") as company.connection:
        assert company.sync()["created"] == 249
        company.books.heal(number)
        company.books.pay(number + 1, 1)
        second = company.sync()
    assert (second["created"], second["updated"], second["unchanged"]) == (1, 1, 248)
    (standing,) = queries.agreement_statuses("economic_postgres", [company.conn_id])
    assert standing["company_name"] == "Prøvefirmaet Æble & Ørsted ApS"
    assert (standing["complete"], standing["reconciled"], standing["held"]["invoice_count"]) == (
        True,
        True,
        250,
    )
    assert 0 <= standing["age_seconds"] < 60
    assert standing["last_synced_at"].utcoffset() == timedelta(0)
    assert [
        sync["seconds"] < 60 for sync in queries.latest_syncs("economic_postgres", company.conn_id)[0]
    ] == [True] * 2
    (healed,) = queries.rejections("economic_postgres", company.conn_id)
    assert healed["resolved_at"].astimezone(UTC) > healed["first_seen_at"]
    for command, words in (("check", "OK: agreement 1234567 (Prøvefirmaet Æble"), ("status", "250 invoices")):
        done = economic(database, command)
        assert (done.returncode, done.stderr) == (0, "")
        assert words in done.stdout
    company.connection = admin
    names = company.rows("select name from economic.employee")
    # six are listed; of the one that has left, whose name is not known, nothing is
    assert sorted(row["name"] is None for row in names) == [False] * 6 + [True]


class InTransactions(psycopg.Cursor[Any]):
    """A cursor that refuses to work outside a transaction."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        assert self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE, query
        return super().execute(query, *arguments, **options)

    def copy(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        assert self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE, statement
        return super().copy(statement, *arguments, **options)


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "backfill"])
def test_every_statement_runs_in_limited_transaction(company: Company, run_type: str) -> None:
    company.connection.cursor_factory = InTransactions
    company.sync(run_type=run_type)
    company.sync(run_type=run_type, force=True)


READS: dict[str, Callable[[psycopg.Connection], object]] = {
    "a sync's row": lambda connection: runs.sync_run(connection, 1),
    "a connection's agreement": lambda connection: agreements.bound_agreement(connection, "economic_default"),
    "how agreements stand": lambda connection: agreements.statuses(connection, None),
    "latest syncs": lambda connection: agreements.latest_syncs(connection, 1, "economic_default", 5),
    "rejections": lambda connection: invoices.rejections(connection, 1, 5),
    "a free lease": lambda connection: lease.check_free(connection, 1, 1),
}


def test_no_read_waits_for_a_lock_without_end(
    connection: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "100ms")
    tables = "sync_run", "agreement", "rejected_invoice", "sync_lease"
    with psycopg.connect(database) as rival:
        rival.execute(f"lock table {', '.join(f'economic.{table}' for table in tables)}".encode())
        for read in READS.values():
            with pytest.raises(psycopg.errors.LockNotAvailable):
                read(connection)
