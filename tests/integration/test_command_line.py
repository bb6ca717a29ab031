"""`python -m economic` as its users call it."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from economic import sync
from economic.errors import CredentialsRefused
from simulator import InProcess
from tests.integration.conftest import Company


def economic(dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "economic", *arguments, "--dsn", dsn],
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_tells_a_fresh_and_complete_copy(company: Company, database: str) -> None:
    company.sync()
    done = economic(database, "check", "--max-age", "7h")
    assert done.returncode == 0
    assert done.stdout.startswith("OK: agreement 1234567 (Prøvefirmaet Æble & Ørsted ApS): synced ")
    assert done.stdout.endswith("ago, 250 invoices, complete, agrees with e-conomic\n")
    assert done.stdout.count("\n") == 1


def test_check_is_critical_without_a_sync_in_time(company: Company, database: str) -> None:
    assert economic(database, "check").stdout == "CRITICAL: no agreement was ever synced\n"
    company.sync()
    company.connection.execute(
        "update economic.sync_run set started_at = now() - interval '8 h', finished_at = now() - interval '7 h 30 min'"
    )
    old = economic(database, "check", "--max-age", "7h")
    assert (old.returncode, "NOT synced for 7 h 30 min" in old.stdout) == (2, True)
    assert economic(database, "check", "--max-age", "8h").returncode == 0
    company.connection.execute("update economic.sync_run set status = 'failed'")
    never = economic(database, "check")
    assert (never.returncode, "never synced" in never.stdout) == (2, True)


def test_check_warns_of_what_a_person_should_look_at(company: Company, database: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    done = economic(database, "check")
    assert (done.returncode, "1 refused" in done.stdout) == (1, True)
    company.books.heal(number)
    company.sync()
    assert economic(database, "check").returncode == 0
    company.connection.execute("update economic.sync_run set complete = false")
    assert "NOT PROVEN COMPLETE" in economic(database, "check").stdout


def test_check_tells_a_running_sync_from_a_stalled_one(company: Company, database: str) -> None:
    company.sync()
    company.fetch(company.order())
    running = economic(database, "check")
    assert (running.returncode, running.stdout.endswith("; running, 50.0 %\n")) == (0, True)
    company.connection.execute("update economic.sync_lease set expires_at = now() - interval '1 second'")
    stalled = economic(database, "check")
    assert (stalled.returncode, "STALLED" in stalled.stdout) == (1, True)


def test_check_does_not_know_when_it_cannot_ask(empty_database: str, postgres: str) -> None:
    away = economic(psycopg.conninfo.make_conninfo(postgres, port="1"), "check")
    assert (away.returncode, away.stdout, away.stderr.count("\n")) == (3, "", 1)
    empty = economic(empty_database, "check")
    assert (empty.returncode, "economic migrate" in empty.stderr) == (3, True)


@pytest.mark.parametrize("age", ["7", "h", "-1h", "7 hours"])
def test_an_age_that_is_none_is_refused(database: str, age: str) -> None:
    done = economic(database, "check", f"--max-age={age}")
    assert (done.returncode, "no length of time" in done.stderr) == (2, True)


def test_status_shows_what_there_is_to_know(company: Company, database: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    company.fetch(company.order(force=True))
    shown = economic(database, "status").stdout
    for part in (
        "Prøvefirmaet Æble & Ørsted ApS (agreement 1234567, connection economic_default)",
        "last synced",
        "1 invoice refused and kept aside",
        "holds        249 invoices",
        "sync 2 running for",
        "50.0 %",
        "manual, forced",
        "completed_with_errors",
        f"{number}",
        "date is no day of the calendar",
    ):
        assert part in shown


def test_names_that_were_not_refreshed_are_said_everywhere(company: Company, database: str) -> None:
    company.books.fault("/employees", "status", at="all", status=500)
    company.sync()
    why = "the employee names could not be refreshed"
    done = economic(database, "check")
    assert (done.returncode, why in done.stdout) == (1, True)
    assert f"LOOK: {why}" in economic(database, "status").stdout
    company.books.faults()
    company.sync()
    assert economic(database, "check").returncode == 0


def test_a_first_sync_that_was_refused_is_said_with_its_reason(
    company: Company, simulated: InProcess, database: str
) -> None:
    assert economic(database, "status").stdout == "Nothing was ever synced.\n"
    simulated.fault("/self", "status", at="all", status=401)
    order = company.order()
    with pytest.raises(CredentialsRefused) as caught:
        company.fetch(order)
    sync.close(company.connection, 1, "failed", str(caught.value))
    done = economic(database, "check")
    assert done.returncode == 2
    assert done.stdout.startswith(
        "CRITICAL: connection economic_default: never synced; the last sync FAILED: "
    )
    assert "app_secret_token" in done.stdout
    shown = economic(database, "status").stdout
    assert "connection economic_default, which has not reached its agreement yet" in shown
    assert "sync 1 failed: e-conomic answered 401" in shown


def test_a_connection_that_moved_is_unbound_and_reaches_the_other_company(
    company: Company, database: str
) -> None:
    company.sync()
    company.books.control("agreement", number=7654321, company="En anden ApS")
    done = economic(database, "unbind", "economic_default")
    assert (done.returncode, "no longer bound to agreement 1234567" in done.stdout) == (0, True)
    statistics = company.sync()
    assert (statistics["agreement_number"], statistics["created"]) == (7654321, 250)
    held = company.rows("select agreement_number, conn_id from economic.agreement order by 1")
    assert held == [
        {"agreement_number": 1234567, "conn_id": "unbound:1234567"},
        {"agreement_number": 7654321, "conn_id": "economic_default"},
    ]
    assert company.value("select count(*) from economic.invoice") == 500
    company.connection.execute(
        "update economic.sync_run set started_at = now() - interval '9 h', finished_at = now() - interval '9 h'"
        " where agreement_number = 1234567"
    )
    check = economic(database, "check")
    assert (check.returncode, "1234567" in check.stdout) == (0, False)
    assert "(agreement 1234567, no connection any more)" in economic(database, "status").stdout
    again = economic(database, "unbind", "no_such_connection")
    assert (again.returncode, "bound to no agreement" in again.stderr) == (1, True)


def test_printed_migration_holds_missing_steps_only(database: str, empty_database: str) -> None:
    """The owner of the database may want to see, and to apply, what an upgrade does."""
    printed = economic(empty_database, "migrate", "--print").stdout
    with psycopg.connect(empty_database) as older:
        older.execute(printed.encode())
    assert economic(empty_database, "migrate").stdout == "The tables are up to date.\n"
    assert economic(database, "migrate", "--print").stdout == ""
    assert economic("", "migrate", "--print").stdout == printed


def test_no_text_in_the_tables_forges_a_line(company: Company, database: str) -> None:
    company.sync()
    hostile = "Evil\nCRITICAL: agreement 1 (Other)\x1b[2J\u202e ApS" + "x" * 10_000
    company.connection.execute("update economic.agreement set company_name = %s", [hostile])
    company.connection.execute(
        "update economic.sync_run set status = 'failed', message = %s, warning = %s", [hostile] * 2
    )
    for command in ("check", "status"):
        shown = economic(database, command).stdout
        assert "Evil CRITICAL: agreement 1 (Other) ApSxxx" in shown
        for line in shown.splitlines():
            assert line.isprintable()
            assert len(line) < 1200
        assert len([line for line in shown.splitlines() if line.startswith("CRITICAL")]) == (
            command == "check"
        )
