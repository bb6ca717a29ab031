"""The logins that compose and demo give to Airflow: enough for their work, and owners of nothing."""

from __future__ import annotations

import secrets

import psycopg
import pytest

from deploy.container import logins
from dev.local import embedded_postgres
from economic.db import agreements
from economic.db.sql import prepare, transaction


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
