"""L07 and L08: PostgreSQL breaks off, is read-only, full, in the way, or does not let the role write lines."""

from __future__ import annotations

import psycopg
import pytest

from economic.db import connection as connections
from economic.db import sql
from tests.faults.conftest import Case, CaseOn, commits_of, plain_role
from tests.faults.lines.conftest import (
    PAGE,
    checks,
    forget,
    heals,
    no_false_proof,
    proves,
    reading_row,
    wrong,
)
from tests.support.faults.clusters import Cluster
from tests.support.faults.postgres import Fate, PostgresProxy

INVOICES = 60
RAISES = (
    "create or replace function public.trouble() returns trigger language plpgsql as"
    " $$ begin raise exception 'trouble' using errcode = '{}'; end $$",
    "create trigger trouble before insert on economic.line_check for each row"
    " when (new.invoice_number > {}) execute function public.trouble()",
)


def as_admin(case: Case, *statements: str) -> None:
    with case.witness.connect() as admin:
        for statement in statements:
            admin.execute(statement.encode())


@pytest.mark.parametrize("fate", ["held back", "unanswered"])
@pytest.mark.fault("L07")
def test_connection_lost_at_each_commit(copied: Case, proxy: PostgresProxy, fate: Fate) -> None:
    """The next try of the run has a connection of its own, and reads the rest."""
    for at in commits_of(proxy, lambda: copied.run(lines=True)):
        forget(copied)
        proxy.heal()
        trip = proxy.trip(b"commit\0", proxy.reset, at=at, fate=fate)
        outcome = copied.run(lines=True, retries=1)
        assert outcome.state == "success", (at, outcome.errors)
        assert wrong(copied) == [], at
        assert reading_row(copied)["status"] == "completed", at
        assert trip.seen == at
    proxy.heal()
    heals(copied)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("40P01", "failed (40P01)"),
        ("40001", "failed (40001)"),
        ("57014", "failed (57014)"),
        ("53100", "disk is full"),
        ("55P03", "failed (55P03)"),
        ("25006", "failed (25006)"),
    ],
    ids=["deadlock", "serialization", "statement timeout", "disk full", "lock timeout", "read-only"],
)
@pytest.mark.fault("L07")
def test_refused_write_is_named_and_read_again(copied: Case, code: str, text: str) -> None:
    """Of a later chunk: those before it stay, and its own lines are rolled back with it."""
    raises, trigger = RAISES
    as_admin(copied, raises.format(code), trigger.format(copied.books.ledger.numbers[25]))
    outcome = copied.run(lines=True, retries=0)
    assert text in str(outcome.error)
    stored = checks(copied)["proven"]
    assert 0 < stored < INVOICES
    lines = copied.witness.value("select count(distinct invoice_number) from economic.invoice_line")
    assert lines == stored
    row = reading_row(copied)
    # What people see says the same, and nobody has to wait for the place.
    assert (row["status"], row["attempt"], text in row["message"]) == ("failed", None, True), row
    as_admin(copied, "drop trigger trouble on economic.line_check")
    heals(copied)


@pytest.mark.fault("L07")
def test_server_restarts_and_turns_read_only(
    own: Cluster, case_on: CaseOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 1.0)
    case = case_on(own.dsn)
    case.synced()
    case.books.lines(page=PAGE)
    for trouble in ("crash", "read-only"):
        forget(case)

        def strike(trouble: str = trouble) -> None:
            if trouble == "crash":
                own.crash()
                own.start()
            else:
                own.execute("alter system set default_transaction_read_only = on")
                own.execute("select pg_reload_conf()")
                own.restart()

        case.books.when(6, strike, match="/")
        outcome = case.run(lines=True, run_id=trouble, retries=1)
        assert outcome.tries[0].state == "again", (trouble, outcome.errors)
        if trouble == "read-only":
            assert outcome.state == "failed"
            no_false_proof(case)
            with psycopg.connect(own.dsn, autocommit=True) as admin:
                admin.execute("set default_transaction_read_only = off")
                admin.execute("alter system reset default_transaction_read_only")
            own.restart()
            outcome = case.run(lines=True, run_id=trouble)
        assert outcome.state == "success", (trouble, outcome.errors)
        assert wrong(case) == []
    heals(case)


@pytest.mark.fault("L07")
def test_lock_in_the_way_ends_the_try(copied: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "200ms")
    with psycopg.connect(copied.database, application_name="somebodys report") as other:
        other.execute("lock table economic.invoice_line in share mode")
        outcome = copied.run(lines=True, retries=0)
        assert "55P03" in str(outcome.error)
        # A sync does not meet it.
        assert copied.run().state == "success"
        other.rollback()
    assert checks(copied) == {}
    heals(copied)


@pytest.mark.parametrize("table", ["line_check", "line_reading", "invoice_line"])
@pytest.mark.fault("L08")
def test_role_without_rights_on_lines_says_what_to_do(own: Cluster, case_on: CaseOn, table: str) -> None:
    """As after an upgrade, when the grants of an older version are still in force."""
    case = case_on(own.dsn)
    case.reach_database_at(plain_role(own))
    case.synced()
    own.execute(f"revoke all on economic.{table} from economic_writer")
    outcome = case.run(lines=True)
    assert (outcome.state, len(outcome.tries)) == ("failed", 1)
    assert table in str(outcome.error)
    assert "grant_writer.sql" in str(outcome.error)
    if table == "invoice_line":
        assert "grant_writer.sql" in reading_row(case)["message"]
    assert case.run().state == "success"
    own.execute((sql.sql_folder() / "grants" / "grant_writer.sql").read_text())
    proves(case)
    heals(case)
