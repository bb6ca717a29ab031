"""`python -m economic` as its users call it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from typing import Any

import psycopg
import pytest

from economic.cli import commands, health
from economic.db import sql
from economic.db.connection import connect
from economic.db.sql import translate_errors
from economic.errors import CredentialsRefused, EconomicError
from economic.sync import lifecycle
from simulator import InProcess
from tests.conftest import DefineConnection, postgres_connection
from tests.integration.conftest import Company, Done, economic, run
from tests.integration.test_quick_sync import sync_quickly


def is_unknown(done: Done) -> bool:
    """Return whether a check is UNKNOWN for monitoring: exit code 3, one line on standard output."""
    return (done.returncode, done.stdout[:9], done.stdout.count("\n"), done.stderr) == (3, "UNKNOWN: ", 1, "")


def test_check_reports_a_fresh_and_complete_copy(company: Company, database: str) -> None:
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
        "update economic.sync_run set scan_started_at = now() - interval '7 h 30 min', finished_at = now() - interval '6 h'"
    )
    old = economic(database, "check", "--max-age", "7h")
    assert (old.returncode, "NOT synced for 7 h 30 min" in old.stdout) == (2, True)
    assert economic(database, "check", "--max-age", "8h").returncode == 0
    company.connection.execute("update economic.sync_run set status = 'failed'")
    never = economic(database, "check")
    assert (never.returncode, "never synced" in never.stdout) == (2, True)


def test_check_limits_the_age_of_full_syncs(company: Company, database: str) -> None:
    company.sync()
    company.connection.execute("update economic.sync_run set scan_started_at = now() - interval '9 h'")
    assert economic(database, "check").returncode == 2
    sync_quickly(company)
    fresh = economic(database, "check")
    assert (fresh.returncode, "synced 0 s ago" in fresh.stdout) == (0, True)
    old = economic(database, "check", "--max-full-age", "7h")
    assert (old.returncode, "NO full sync for 9 h" in old.stdout) == (2, True)
    assert economic(database, "check", "--max-full-age", "10h").returncode == 0


def test_unproven_quick_sync_is_a_warning(company: Company, database: str) -> None:
    company.sync()
    company.books.fault("/invoices/unpaid", "status", at="all", status=404)
    assert sync_quickly(company)["status"] == "completed_with_errors"
    why = "the last quick sync is not proven: the changes cannot be read"
    done = economic(database, "check")
    assert (done.returncode, why in done.stdout) == (1, True)
    shown = economic(database, "status").stdout
    assert why.replace("the", "The", 1) in shown
    assert "manual, quick" in shown
    assert "complete     yes" in shown


def test_check_warns_of_rejected_and_incomplete_copies(company: Company, database: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    done = economic(database, "check")
    assert (done.returncode, "1 rejected" in done.stdout) == (1, True)
    company.books.heal(number)
    company.sync()
    assert economic(database, "check").returncode == 0
    company.connection.execute("update economic.sync_run set complete = false")
    assert "NOT PROVEN COMPLETE" in economic(database, "check").stdout


def test_check_distinguishes_running_from_stalled_syncs(company: Company, database: str) -> None:
    company.sync()
    company.fetch(company.order())
    running = economic(database, "check")
    assert (running.returncode, running.stdout.endswith("; running, 50.0 %\n")) == (0, True)
    company.connection.execute("update economic.sync_lease set expires_at = now() - interval '1 second'")
    stalled = economic(database, "check")
    assert (stalled.returncode, "STALLED" in stalled.stdout) == (1, True)


def test_check_line_is_harmless_and_worst_first(company: Company, database: str) -> None:
    company.sync()
    company.connection.execute(
        "insert into economic.agreement (agreement_number, conn_id, company_name) values (%s, %s, %s)",
        (9_999_999, "economic_other", "Pipe | and\nbreak\x1b[31m ApS"),
    )
    done = economic(database, "check")
    assert done.returncode == 2
    assert done.stdout.startswith(
        "CRITICAL: agreement 9999999 (Pipe / and break ApS): never synced / OK: agreement 1234567 "
    )
    assert (done.stdout.count("\n"), done.stdout.isprintable()) == (1, False)
    assert done.stdout.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--max-age=7"],
        ["check", "--max-age=h"],
        ["check", "--max-age=-1h"],
        ["check", "--max-age=7 hours"],
        ["check", "--max-age"],
        ["check", "--no-such-option"],
        ["check", "postgresql://user:password@host/database"],
        ["chek"],
        [],
    ],
)
def test_check_is_unknown_when_arguments_are_unusable(database: str, arguments: list[str]) -> None:
    done = run(*arguments, ECONOMIC_DSN=database)
    assert is_unknown(done), done
    assert "password" not in done.stdout
    for_people = run("status", "--syncs=many", ECONOMIC_DSN=database)
    assert (for_people.returncode, for_people.stdout, for_people.stderr.count("\n")) == (2, "", 1)


def test_check_is_unknown_when_database_gives_no_answer(
    empty_database: str, postgres: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "READING_TIMEOUT", "200ms")
    away = economic(psycopg.conninfo.make_conninfo(postgres, port="1"), "check")
    assert is_unknown(away)
    assert "it does not run" in away.stdout
    assert "Airflow" not in away.stdout
    empty = economic(empty_database, "check")
    assert is_unknown(empty)
    assert "economic migrate" in empty.stdout
    with psycopg.connect(database) as rival:
        rival.execute("lock table economic.sync_run")
        assert is_unknown(economic(database, "check"))


def test_check_is_unknown_after_unexpected_error(
    company: Company, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("Geheim")

    company.sync()
    monkeypatch.setattr(health, "judge", fail)
    assert commands.main(["check", "--dsn", database]) == 3
    assert capsys.readouterr() == ("UNKNOWN: unexpected KeyError\n", "")


@pytest.mark.parametrize(("command", "code"), [("check", 3), ("status", 1), ("migrate", 1)])
def test_command_is_quiet_when_its_pipe_closes(database: str, command: str, code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "economic", command, "--dsn", database]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, b"")


MALFORMED = {
    "blank": "host=127.0.0.1 user=x password=Geheim hunter2",
    "equals sign": "host=127.0.0.1 password=x hunter2=Geheim",
    "slash": "postgresql://user:" + "hunter2/Geheim@127.0.0.1/db",
    "at sign": "postgresql://user:" + "x@hunter2Geheim@127.0.0.1:1/db",
    "hash": "postgresql://user:" + "hunter2#Geheim@127.0.0.1/db",
    "percent sign": "postgresql://user:" + "hunter2%Geheim@127.0.0.1/db",
    "bracket": "postgresql://user:" + "x@[hunter2Geheim@127.0.0.1/db",
    "question mark": "postgresql://user:" + "x?hunter2Geheim@127.0.0.1/db",
    "port": "host=127.0.0.1 port=hunter2Geheim",
    "mode": "host=127.0.0.1 sslmode=hunter2Geheim",
    "service": "service=hunter2Geheim",
    "more ports than hosts": "host=127.0.0.1 port=1,hunter2Geheim",
    "options": "host=127.0.0.1 options=--hunter2=Geheim",
    "certificate": "host=127.0.0.1 port=1 sslmode=require sslcert=/hunter2Geheim sslkey=/hunter2Geheim sslrootcert=/hunter2Geheim",
}
BY_ENVIRONMENT = (
    "PGPORT PGSSLMODE PGHOST PGSERVICE PGOPTIONS PGREQUIREAUTH PGTARGETSESSIONATTRS PGCLIENTENCODING"
)


@pytest.mark.parametrize("dsn", MALFORMED.values(), ids=MALFORMED)
def test_no_text_of_malformed_connection_string_is_shown(dsn: str) -> None:
    for command in ("check", "status"):
        for done in (run(command, "--dsn", dsn), run(command, ECONOMIC_DSN=dsn)):
            assert is_unknown(done) if command == "check" else (done.returncode, done.stdout) == (1, "")
            assert not {"hunter2", "Geheim"} & set(re.findall("hunter2|Geheim", done.stdout + done.stderr))
    with pytest.raises((EconomicError, UnicodeError)) as caught, translate_errors():
        psycopg.connect(dsn)
    assert "Geheim" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("variable", BY_ENVIRONMENT.split())
def test_no_text_of_malformed_environment_is_shown(database: str, variable: str) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(database)
    parts["database"] = parts.pop("dbname")
    whole = {f"PG{name.upper()}": str(value) for name, value in parts.items()}
    done = run("check", ECONOMIC_DSN="", **(whole | {variable: "user:hunter2Geheim@host"}))
    assert is_unknown(done), done
    assert "Geheim" not in done.stdout


@pytest.mark.parametrize("place", ["dbname", "user", "password"])
def test_no_text_of_refused_login_is_shown(database: str, place: str) -> None:
    done = economic(psycopg.conninfo.make_conninfo(database, **{place: "Geheim"}), "check")
    assert is_unknown(done)
    assert "Geheim" not in done.stdout
    assert "PostgreSQL refused the connection" in done.stdout


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "user:x@Geheimhunter2"},
        {"extra": {"sslmode": "Geheimhunter2"}},
        {"extra": {"options": "Geheimhunter2"}},
        {"schema": "Geheimhunter2"},
    ],
    ids=["host", "sslmode", "options", "schema"],
)
def test_no_text_of_malformed_airflow_connection_is_shown(
    database: str, define_connection: DefineConnection, fields: dict[str, Any]
) -> None:
    define_connection("economic_postgres", **(postgres_connection(database) | fields))
    with pytest.raises(EconomicError) as caught:
        connect("economic_postgres")
    assert "Geheim" not in "".join(traceback.format_exception(caught.value))


def test_status_shows_copy_syncs_and_rejections(company: Company, database: str) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    company.fetch(company.order(force=True))
    shown = economic(database, "status").stdout
    for part in (
        "Prøvefirmaet Æble & Ørsted ApS (agreement 1234567, connection economic_default)",
        "last synced",
        "1 invoice rejected",
        "holds        249 invoices",
        "sync 2 running for",
        "50.0 %",
        "manual, forced",
        "completed_with_errors",
        f"{number}",
        "date is not a date: '2026-02-30'",
    ):
        assert part in shown


def test_status_leaves_out_quiet_syncs(company: Company, database: str) -> None:
    company.sync()
    company.connection.execute("update economic.sync_run set scan_started_at = now() - interval '9 h'")
    first = sync_quickly(company)["requests"]
    assert sync_quickly(company)["requests"] == 2
    shown = economic(database, "status").stdout
    assert re.search(r"last synced  \d s ago, ", shown)
    assert "last full    9 h" in shown
    assert f"requests     {7 + first + 2} of 50,000 by syncs in the last 24 h" in shown
    assert re.search(r"Looked \d s ago: nothing had changed\.", shown)
    assert "quick" not in shown


def test_names_not_refreshed_are_a_warning(company: Company, database: str) -> None:
    company.books.fault("/employees", "status", at="all", status=500)
    company.sync()
    why = "the employee names could not be refreshed"
    done = economic(database, "check")
    assert (done.returncode, why in done.stdout) == (1, True)
    assert f"WARNING: {why}" in economic(database, "status").stdout
    company.books.faults()
    company.sync()
    assert economic(database, "check").returncode == 0


def test_failed_first_sync_is_shown_with_its_reason(
    company: Company, simulated: InProcess, database: str
) -> None:
    assert economic(database, "status").stdout == "Nothing was ever synced.\n"
    simulated.fault("/self", "status", at="all", status=401)
    order = company.order()
    with pytest.raises(CredentialsRefused) as caught:
        company.fetch(order)
    lifecycle.close(company.connection, 1, "failed", str(caught.value))
    done = economic(database, "check")
    assert done.returncode == 2
    assert done.stdout.startswith(
        "CRITICAL: connection economic_default: never synced; the last sync FAILED: "
    )
    assert "app_secret_token" in done.stdout
    shown = economic(database, "status").stdout
    assert "connection economic_default, which has not reached its agreement yet" in shown
    assert "sync 1 failed: e-conomic answered 401" in shown


def test_unbind_lets_a_connection_reach_another_company(company: Company, database: str) -> None:
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
        "update economic.sync_run set scan_started_at = now() - interval '9 h', finished_at = now() - interval '9 h'"
        " where agreement_number = 1234567"
    )
    check = economic(database, "check")
    assert (check.returncode, "1234567" in check.stdout) == (0, False)
    assert "(agreement 1234567, no connection any more)" in economic(database, "status").stdout
    again = economic(database, "unbind", "no_such_connection")
    assert (again.returncode, "bound to no agreement" in again.stderr) == (1, True)


def test_printed_migration_holds_missing_steps_only(database: str, empty_database: str) -> None:
    """The owner of the database can read what an upgrade does, and apply it."""
    printed = economic(empty_database, "migrate", "--print").stdout
    with psycopg.connect(empty_database) as older:
        older.execute(printed.removeprefix("\\set ON_ERROR_STOP on\n").encode())  # psql's own command
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
