"""A restored database: what a dump turns back must not let a process of before the restore write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from economic.db.lease import fenced
from economic.db.sql import prepare
from economic.errors import LeaseLost
from economic.lines import store
from tests.conftest import expect
from tests.integration.conftest import Company
from tests.integration.test_lines import read_lines

AFTER_RESTORE = Path(__file__).resolve().parents[2] / "deploy" / "after_restore.sql"


@pytest.fixture
def restored(
    company: Company, postgres: str, database: str, request: pytest.FixtureRequest
) -> Iterator[Company]:
    """The company's copy as a dump of this moment brings it back, in a database of its own.

    A parameter says whether lines were read before.
    """
    source = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    name = f"{source}_restored"
    company.sync()
    if getattr(request, "param", False):
        read_lines(company)
    company.fetch(company.order())  # a sync that the dump shows as running
    company.connection.close()  # a database is cloned only while nobody is in it
    with psycopg.connect(postgres, autocommit=True) as admin:
        clone = sql.SQL("create database {} template {}")
        admin.execute(clone.format(sql.Identifier(name), sql.Identifier(str(source))))
        with (
            prepare(psycopg.connect(database)) as company.connection,
            prepare(psycopg.connect(psycopg.conninfo.make_conninfo(database, dbname=name))) as connection,
        ):
            yield replace(company, connection=connection)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_restore_reuses_no_token_and_no_number(company: Company, restored: Company) -> None:
    before = [company.fetch(company.order(force=True)) for _ in range(3)]
    restored.connection.execute(AFTER_RESTORE.read_bytes())
    for number in range(3):
        now = restored.fetch(restored.order(run_id=f"after__{number}", force=True))
        assert now.run.sync_id not in {attempt.run.sync_id for attempt in before}
        for attempt in before:
            with pytest.raises(LeaseLost), fenced(restored.connection, attempt.lease):
                pass


@pytest.mark.parametrize("restored", [False, True], indirect=True, ids=["never read", "read"])
def test_restored_reading_of_lines_gives_way(company: Company, restored: Company) -> None:
    """A run since before the restore can write nothing more, and blocks nobody."""
    number = company.value("select agreement_number from economic.agreement")
    before = store.take_place(company.connection, number, "before")
    assert before is not None
    time.sleep(1)  # The first token is the time in seconds.
    restored.connection.execute(AFTER_RESTORE.read_bytes())
    now = store.take_place(restored.connection, number, "after")
    assert now is not None
    with pytest.raises(LeaseLost):
        store.renew(replace(before, connection=restored.connection))
    store.renew(now)


def test_restore_closes_running_syncs_of_the_dump(restored: Company) -> None:
    restored.connection.execute(AFTER_RESTORE.read_bytes())
    assert restored.value("select count(*) from economic.sync_run where status = 'running'") == 0
    assert restored.value("select count(*) from economic.sync_lease where holder is not null") == 0
    statistics = restored.sync(run_id="after")
    expect(statistics, status="completed", unchanged=250, reconciled=True)
