"""The JSON of the page's routes: each agreement's status, and the reason why nothing can be shown."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from dev.local.ports import free_port
from economic.web.queries import MOST_ROWS, MOST_SYNCS
from tests.conftest import DefineConnection, postgres_connection
from tests.support.faults.postgres import PostgresProxy
from tests.web.page import history
from tests.web.page.servers import Site

DAG = "api/agreements/economic_invoice_sync"
PATHS = ("api/agreements", DAG, f"{DAG}/syncs", f"{DAG}/rejections")
NOT_SYNCED: dict[str, Any] = {"complete": False, "held": None, "statistics": {}}


def standing(site: Site) -> Any:
    return site.told(DAG)["agreement"]["standing"]


def part(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in expected}


def test_status_of_a_synced_company_is_complete(site: Site, past: psycopg.Connection) -> None:
    (listed,) = site.told("api/agreements")["agreements"]
    expected: dict[str, Any] = {"dag_id": "economic_invoice_sync", "scheduled": True, "may_trigger": False}
    assert part(listed, expected) == expected
    expected = {"agreement": history.AGREEMENT, "company": history.COMPANY, "currency": "DKK"}
    expected |= {"complete": True, "reconciled": True, "booked": 22_540, "rejected": 0}
    expected |= {"warning": None, "missed_due": None}
    assert part(listed["standing"], expected) == expected
    assert 11 * 60 < listed["standing"]["age_seconds"] < 14 * 60
    held = listed["standing"]["held"]
    expected = {"invoices": 22_540, "not_due": 412, "overdue": 87, "credit": 19}
    assert part(held, expected) == expected
    assert held["months"][: len(history.MONTHS)] == sorted(map(list, history.MONTHS.items()))
    alone = site.told(DAG)["agreement"]
    for one in (listed, alone):  # what changes with the clock
        del one["standing"]["age_seconds"], one["standing"]["full_age_seconds"]
        del one["standing"]["outcome"]["age_seconds"], one["standing"]["sync"]["seconds"]
    assert alone == listed


def test_latest_fifty_syncs_are_listed(site: Site, past: psycopg.Connection) -> None:
    for _ in range(20):
        history.add_sync(past)
    syncs = site.told(f"{DAG}/syncs")["syncs"]
    assert len(syncs) == MOST_SYNCS == 50
    assert [sync["sync_id"] for sync in syncs] == sorted((sync["sync_id"] for sync in syncs), reverse=True)
    ranged = next(sync for sync in syncs if sync["range"])
    assert (ranged["trigger"], ranged["range"]) == ("backfill", ["2026-10-01", "2026-10-31"])
    forced = next(sync for sync in syncs if sync["forced"])
    assert (forced["trigger"], forced["counts"]["fetched"]) == ("manual", 22_540)
    assert set(forced["phases"]) == {"fetch", "upsert", "names"}


@pytest.mark.parametrize("whose", [{"dag_id": "theirs_of_a_dag"}, {"conn_id": "theirs_by_id"}])
@pytest.mark.parametrize("status", ["completed_with_errors", "failed", "abandoned", "running", "waiting"])
def test_run_of_another_airflow_shows_no_text(
    site: Site, past: psycopg.Connection, whose: dict[str, Any], status: str
) -> None:
    """It writes to the same company's copy; its run ids, connections and messages stay its own."""
    running = status in {"running", "waiting"}
    sync_id = history.add_sync(
        past,
        ended=None if running else timedelta(0),
        run_id="theirs_as_a_run",
        message="theirs in words",
        warning="theirs as a warning",
        status="running" if running else status,
        phase="waiting" if status == "waiting" else "fetch" if running else "ended",
        complete=False,
        **whose,
    )
    if status == "running":
        history.add_lease(past, sync_id)
    first, second = site.told(f"{DAG}/syncs")["syncs"][:2]
    assert (first["sync_id"], first["run_id"], first["message"]) == (sync_id, None, None)
    assert second["run_id"].startswith("scheduled__")
    if status == "running":
        sync = standing(site)["sync"]
        assert (sync["sync_id"], sync["running"]) == (sync_id, True)
    for path in PATHS[:3]:
        # The warning belongs to the copy, which is this company's, whichever Airflow synced it last.
        assert "theirs" not in site.page(path).text.replace("theirs as a warning", "")


def test_sync_of_another_company_stays_hidden(site: Site, past: psycopg.Connection) -> None:
    """Two Airflows on one database may give two companies the same connection id."""
    history.add_agreement(past, 99, conn_id="economic_aside", company="Somebody else")
    theirs = history.add_sync(past, 99, ended=None, percentage=70, message="Fetched 7 of 10 invoices")
    history.add_lease(past, theirs, 99)
    history.add_sync(past, 99, ended=None, phase="waiting", message="Waiting")
    sync = standing(site)["sync"]
    assert (sync["running"], sync["waiting"]) == (False, 0)
    assert theirs not in {sync["sync_id"] for sync in site.told(f"{DAG}/syncs")["syncs"]}


def test_running_sync_is_shown_before_waiting_ones(site: Site, past: psycopg.Connection) -> None:
    at_work = history.add_sync(past, ended=None, seconds=30, percentage=44.4, current=20_000, total=22_540)
    history.add_lease(past, at_work)
    history.add_sync(past, ended=timedelta(0), status="skipped", **NOT_SYNCED)
    for number in (history.AGREEMENT, None, None):
        history.add_sync(past, number, ended=None, phase="waiting", run_type="backfill", statistics={})
    status = standing(site)
    expected = {"sync_id": at_work, "running": True, "stalled": False, "phase": "fetch", "waiting": 3}
    expected |= {"percentage": 44.4, "current": 20_000, "total": 22_540}
    assert part(status["sync"], expected) == expected
    assert 29 < status["sync"]["seconds"] < 60
    assert status["outcome"]["status"] == "completed"
    listed = site.told(f"{DAG}/syncs")["syncs"][:5]
    assert [sync["phase"] for sync in listed] == ["waiting"] * 3 + ["ended", "fetch"]


def test_sync_stalls_and_is_superseded_by_newer_ones(site: Site, past: psycopg.Connection) -> None:
    dead = history.add_sync(past, ended=None, seconds=4000)
    history.add_lease(past, dead, expires=timedelta(seconds=-1))
    past.execute(
        "update economic.sync_run set updated_at = now() - interval '1 hour' where sync_id = %s", [dead]
    )
    assert standing(site)["sync"]["stalled"] is True
    newer = history.add_sync(past)
    sync = standing(site)["sync"]
    assert (sync["sync_id"], sync["running"], sync["stalled"]) == (newer, False, False)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("e-conomic answered 401 to GET /self (E02250).", "economic_default"),
        ("e-conomic answered 403 to GET /self.", "economic_default"),
        ("The connection economic_default has no host.", "economic_default"),
        ("e-conomic answered 503 to GET /invoices/booked (logId 4f1c401a9e).", None),
    ],
)
def test_failure_names_the_connection_to_correct(
    site: Site, past: psycopg.Connection, message: str, expected: str | None
) -> None:
    """Also when the sync never learned its agreement, and a skipped one came after it."""
    history.add_sync(past, None, ended=timedelta(minutes=1), status="failed", message=message, **NOT_SYNCED)
    history.add_sync(past, ended=timedelta(0), status="skipped", **NOT_SYNCED)
    outcome = standing(site)["outcome"]
    assert (outcome["status"], outcome["message"], outcome["connection"]) == ("failed", message, expected)
    assert site.told(f"{DAG}/syncs")["syncs"][1]["message"] == message


def test_rejected_items_come_first_and_without_raw_text(site: Site, past: psycopg.Connection) -> None:
    history.add_left_out(past, 5)
    history.add_left_out(past, 6)
    history.add_rejection(past, 7, healed=True)
    history.add_rejection(past, None, field="bookedInvoiceNumber", reason="missing")
    history.add_rejection(past, 9, reason="sqlstate_23514", field="(item)")
    answer = site.page(f"{DAG}/rejections")
    items = answer.json()["rejections"]
    rejected = [item for item in items if not item["degraded"]]
    assert [item["resolved"] is None for item in rejected] == [True, True, False]
    assert {item["reason"] for item in rejected} == {
        "not a date",
        "missing",
        "rejected by the database (23514)",
    }
    left_out = [(item["invoice"], item["seen"], item["message"]) for item in items if item["degraded"]]
    assert left_out == [(number, None, "recipient.zip is not a text: 8000.") for number in (6, 5)]
    assert "raw item" not in answer.text
    status = standing(site)
    assert (status["rejected"], status["degraded"]) == (2, 2)


def test_invoices_are_never_read(site: Site, past: psycopg.Connection, database: str) -> None:
    with psycopg.connect(database) as locking:
        for table in ("invoice", "invoice_history", "staged_invoice"):
            locking.execute(f"lock table economic.{table} in access exclusive mode".encode())
        assert {site.page(path).status_code for path in PATHS} == {200}


def test_answers_have_at_most_200_rows(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for invoice in range(1, MOST_ROWS + 20):
        history.add_rejection(past, invoice)
    assert len(site.told(f"{DAG}/rejections")["rejections"]) == MOST_ROWS == 200
    monkeypatch.setenv("ECONOMIC_AGREEMENTS", json.dumps([{"name": f"c{place}"} for place in range(250)]))
    first = site.told("api/agreements")
    assert len(first["agreements"]) == 200
    second = site.told(f"api/agreements?after={first['next']}")
    assert (len(second["agreements"]), second["next"]) == (51, None)
    assert len({one["dag_id"] for one in first["agreements"] + second["agreements"]}) == 251
    assert site.page("api/agreements?after=nothing").status_code == 404


def test_amounts_are_shown_only_by_setting(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add_rejection(past, 7, reason="sqlstate_23514", message="new row has 1830422.75")
    silent = "".join(site.page(path).text for path in PATHS)
    amounts = ("204949866.44", "204,949,866.44", "1830422.75", "301944.50")
    assert not [amount for amount in amounts if amount in silent]

    monkeypatch.setenv("ECONOMIC_PAGE_AMOUNTS", "true")
    status = standing(site)
    expected = {"net": "204949866.44", "unpaid": "1830422.75", "overdue_unpaid": "301944.50"}
    assert part(status["held"], expected) == expected
    assert status["booked_net"] == "204949866.44"
    assert "1830422.75" in site.told(f"{DAG}/rejections")["rejections"][0]["message"]


def test_copy_is_late_only_on_a_schedule(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_SYNC_SCHEDULE", "*/10 * * * *")
    past.execute("update economic.sync_run set started_at = started_at - interval '3 hours'")
    assert standing(site)["missed_due"] is not None
    monkeypatch.setenv("AUTO_SYNC_ENABLED", "false")
    agreement = site.told(DAG)["agreement"]
    assert (agreement["scheduled"], agreement["standing"]["missed_due"]) == (False, None)


def test_quick_sync_is_shown_apart(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_QUICK_SCHEDULE", "*/5 * * * *")
    quick: dict[str, Any] = {"scope": "quick", "dag_id": "economic_invoice_quick_sync"}
    nothing = history.statistics(fetched=0, unchanged=0, requests=2)
    listed = len(site.told(f"{DAG}/syncs")["syncs"])
    changed = history.add_sync(
        past, ended=timedelta(minutes=5), **quick, statistics=history.statistics(updated=1, requests=6)
    )
    history.add_sync(past, ended=timedelta(minutes=3), status="skipped", **quick, **NOT_SYNCED)
    history.add_sync(past, ended=timedelta(minutes=2), **quick, statistics=nothing)
    agreement = site.told(DAG)["agreement"]
    assert agreement["quick_dag_id"] == "economic_invoice_quick_sync"
    status = agreement["standing"]
    assert 110 < status["age_seconds"] < 200
    assert 11 * 60 < status["full_age_seconds"] < 15 * 60
    assert part(status["outcome"], {"quick": 0, "quiet": 0, "unproven": 0}) == {
        "quick": True,
        "quiet": True,
        "unproven": False,
    }
    assert 110 < status["outcome"]["age_seconds"] < 200
    answer = site.told(f"{DAG}/syncs")
    assert (len(answer["syncs"]), answer["usage"]["requests"]) == (listed + 1, 8)
    assert part(answer["syncs"][0], {"sync_id": 0, "dag_id": 0, "quick": 0}) == {
        "sync_id": changed,
        "dag_id": "economic_invoice_quick_sync",
        "quick": True,
    }
    assert answer["syncs"][0]["message"] is not None


def test_unproven_quick_sync_leaves_the_state(site: Site, past: psycopg.Connection) -> None:
    before = standing(site)
    why = "not proven: the list of unpaid invoices differs from e-conomic's totals"
    history.add_sync(
        past,
        ended=timedelta(minutes=1),
        scope="quick",
        dag_id="economic_invoice_quick_sync",
        status="completed_with_errors",
        complete=False,
        reconciled=False,
        warning=why,
    )
    after = standing(site)
    same = {"last_synced": 0, "last_full": 0, "complete": 0, "reconciled": 0, "warning": 0}
    assert part(after, same) == part(before, same)
    assert part(after["outcome"], {"unproven": 0, "warning": 0}) == {"unproven": True, "warning": why}
    assert site.told(f"{DAG}/syncs")["syncs"][0]["unproven"] is True


def test_full_syncs_are_late_behind_quick_ones(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_SYNC_SCHEDULE", "*/10 * * * *")
    past.execute("update economic.sync_run set started_at = started_at - interval '3 hours'")
    history.add_sync(past, ended=timedelta(minutes=1), scope="quick")
    history.add_sync(past, ended=None, scope="quick")
    status = standing(site)
    assert (status["missed_due"], status["missed_full"] is None) == (None, False)
    history.add_sync(past, ended=None)
    assert standing(site)["missed_full"] is None


def test_company_is_shown_before_its_first_sync(site: Site, connection: psycopg.Connection) -> None:
    status = standing(site)
    expected = dict.fromkeys(("agreement", "last_synced", "held", "sync", "outcome"))
    assert part(status, expected) == expected
    assert site.told(f"{DAG}/syncs") == {
        "syncs": [],
        "usage": {"requests": 0, "window_used": 0, "window_limit": 0},
    }
    history.add_sync(connection, None, status="failed", message="e-conomic answered 401", **NOT_SYNCED)
    status = standing(site)
    assert (status["agreement"], status["last_synced"], status["held"]) == (None, None, None)
    assert status["outcome"]["message"] == "e-conomic answered 401"
    assert len(site.told(f"{DAG}/syncs")["syncs"]) == 1
    assert site.told(f"{DAG}/rejections")["rejections"] == []


# -- why nothing can be shown -----------------------------------------------------------------------------------------

CHANGES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "empty database": ("no_tables", "drop schema economic cascade", {}),
    "older version": (
        "old_tables",
        "update economic.schema_version set version = 0 where version = (select max(version) from economic.schema_version)",
        {},
    ),
    "newer version": (
        "new_tables",
        "insert into economic.schema_version (version, name) values (999, 'later')",
        {},
    ),
    "missing tables": (
        "other_tables",
        "drop view economic.sync_status cascade; alter table economic.sync_run rename to a;"
        " alter table economic.rejected_invoice rename to b; alter table economic.agreement rename to c",
        {},
    ),
    "missing right": (
        "no_right",
        "drop role if exists stranger; create role stranger login password 'of-a-stranger'",
        {"login": "stranger", "password": "of-a-stranger"},
    ),
    "wrong database": ("no_connection", "select 1", {"schema": "no_such_database"}),
    "no connection": ("no_connection", "select 1", None),
    "down": ("unreachable", "select 1", {"port": 0}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.fault("W15")
def test_problem_is_named_without_details(
    site: Site,
    database: str,
    connection: psycopg.Connection,
    define_connection: DefineConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: str,
) -> None:
    """Every route gives the same problem, and no word of the driver's."""
    code, statements, fields = CHANGES[change]
    connection.execute(statements.encode())
    if fields is None:
        monkeypatch.delenv("AIRFLOW_CONN_ECONOMIC_POSTGRES")
    else:
        port = {"port": free_port()} if "port" in fields else {}
        define_connection("economic_postgres", **(postgres_connection(database) | fields | port))
    for path in PATHS:
        answer = site.page(path)
        assert answer.status_code == (200 if code == "no_tables" else 503)
        problem = answer.json()["problem"]
        assert (problem["code"], bool(problem["text"]), bool(problem["todo"])) == (code, True, True)
        for word in ("127.0.0.1", "password", "psycopg", "Traceback", "select", "relation", "postgres."):
            assert word not in answer.text.replace("login and password", "")
    assert site.page().status_code == 200
    (agreement,) = site.page("api/agreements").json()["agreements"]
    assert "standing" not in agreement
    if code == "other_tables":
        assert "cannot read the invoice database: other_tables (UndefinedTable, 42P01)." in caplog.text


def test_unusable_setting_is_named_without_its_value(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECONOMIC_PAGE_SIZE", "<many>")
    answer = site.page("api/agreements")
    page = site.page(headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (answer.status_code, answer.json()["problem"]["code"]) == (503, "bad_setting")
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "<p>A setting of the sync is not usable where Airflow&#x27;s API server runs.</p>" in page.text
    assert "<p>Airflow&#x27;s list of import errors names it; correct it" in page.text
    assert "many" not in answer.text + page.text


def test_statement_is_cancelled_when_it_waits_too_long(
    site: Site, past: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("economic.db.sql.READING_TIMEOUT", "300ms")
    with psycopg.connect(database) as locking:
        locking.execute("lock table economic.sync_run in access exclusive mode")
        answer = site.page(DAG)
    assert (answer.status_code, answer.json()["problem"]["code"]) == (503, "too_slow")
    assert answer.elapsed < timedelta(seconds=3)


def test_connection_is_cut_when_the_database_freezes(
    site: Site,
    database: str,
    define_connection: DefineConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("economic.web.queries.READ_SECONDS", 1)
    fields = postgres_connection(database)
    with PostgresProxy(fields["port"]) as proxy:
        proxy.trip(b"set_config", proxy.blackhole)
        define_connection("economic_postgres", **(fields | {"port": proxy.port}))
        answer = site.page(DAG)
    assert (answer.status_code, answer.json()["problem"]["code"]) == (503, "unreachable")
    assert answer.elapsed < timedelta(seconds=6)
