"""Whose sync is it: the tasks as the DAG file has them, in Airflows that share an invoice database and the run ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import simulator
from simulator import InProcess
from tests.conftest import DefineConnection, postgres_connection
from tests.support.dag_runs import FETCH, NAMES, TASKS, UPSERT, Asked, DagRuns, Try, try_once

SCHEDULED = "scheduled__2026-11-29T06:00:00+00:00"


@dataclass
class Copy:
    """One invoice database, and what the tasks of several Airflows did to it."""

    books: InProcess
    connection: psycopg.Connection
    define_connection: DefineConnection
    xcom: dict[str, dict[str, Any]] = field(default_factory=dict)

    def attempt(self, task: str, asked: Asked, *, number: int = 1, most: int = 3, **how: Any) -> Try:
        kept = self.xcom.setdefault(f"{asked.airflow} {asked.run_id}", {})
        one = try_once(asked, task, number, most, kept, **how)
        kept[task] = one.result
        return one

    def run(self, asked: Asked, **how: Any) -> Try:
        """All tasks, as far as each succeeds; the last one's try."""
        for task in TASKS:
            one = self.attempt(task, asked, **how)
            if one.state != "success":
                break
        return one

    def syncs(self, *columns: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute("select * from economic.sync_run order by sync_id")
            return [tuple(row[column] for column in columns) for row in cursor.fetchall()]

    def value(self, query: str) -> Any:
        found = self.connection.execute(query.encode()).fetchone()
        assert found is not None
        return found[0]

    def reach(self, books: InProcess, conn_id: str = "economic_default") -> None:
        """Define the connection to e-conomic anew."""
        tokens = {
            "app_secret_token": books.app_secret_token,
            "agreement_grant_token": books.agreement_grant_token,
        }
        self.define_connection(conn_id, conn_type="economic", host=books.base_url, extra=tokens)

    @contextmanager
    def another_company(self) -> Iterator[InProcess]:
        """Let the connection reach another company."""
        with simulator.running(invoices=20, seed=9, agreement=42, company="Nr. 2") as second:
            self.reach(second)
            yield second


@pytest.fixture
def copy(
    simulated: InProcess,
    connection: psycopg.Connection,
    database: str,
    economic_default: str,
    define_connection: DefineConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> Copy:
    define_connection("economic_postgres", **postgres_connection(database))
    DagRuns(monkeypatch)
    return Copy(simulated, connection, define_connection)


def ours(**chosen: Any) -> Asked:
    return Asked(SCHEDULED, "scheduled", airflow="ours", **chosen)


def theirs(**chosen: Any) -> Asked:
    return Asked(SCHEDULED, "scheduled", airflow="theirs", **chosen)


def broken_off(copy: Copy) -> None:
    """A scan of ours that fails after its second page and will be tried again."""
    copy.books.fault("/invoices/booked", "status", at=3, times=3, status=500)
    assert copy.attempt(FETCH, ours()).state == "again"
    copy.books.faults()


# -- another Airflow ------------------------------------------------------------------------------------------------


def test_equal_run_of_another_airflow_meets_the_lease(copy: Copy) -> None:
    broken_off(copy)
    assert copy.attempt(FETCH, theirs()).state == "skipped"
    assert copy.syncs("sync_id", "status") == [(1, "running"), (2, "skipped")]
    assert copy.attempt(FETCH, ours(), number=2).result["sync_id"] == 1


def test_run_of_another_company_never_reads_into_ours(copy: Copy) -> None:
    broken_off(copy)
    with copy.another_company() as second:
        assert copy.attempt(FETCH, theirs()).state == "skipped"
        copy.reach(copy.books)
        assert copy.run(ours(), number=2).result["created"] == 250
        copy.reach(second)
        refused = copy.attempt(FETCH, theirs())
        assert [entry["path"] for entry in second.requests()] == ["/self"]
    assert refused.state == "failed"
    assert copy.syncs("status", "agreement_number") == [
        ("completed", 1234567),
        ("skipped", None),
        ("failed", None),
    ]
    ((message,),) = copy.syncs("message")[-1:]
    assert not any(name in message for name in ("42", "Nr. 2", "1234567"))


def test_run_without_a_connection_closes_nothing_of_ours(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_off(copy)
    with monkeypatch.context() as patch:
        patch.delenv("AIRFLOW_CONN_ECONOMIC_DEFAULT")
        assert copy.attempt(FETCH, theirs()).state == "skipped"
        copy.connection.execute("update economic.sync_lease set expires_at = now() - interval '1 s'")
        assert copy.attempt(FETCH, theirs()).state == "failed"
    assert copy.syncs("status") == [("running",), ("skipped",), ("failed",)]


def test_retry_that_reaches_another_company_begins_anew(copy: Copy) -> None:
    """Happens when its connection gets the tokens of another company between two tries."""
    broken_off(copy)
    copy.connection.execute("update economic.agreement set conn_id = 'unbound:1234567'")
    with copy.another_company():
        assert copy.run(ours(), number=2).result["created"] == 20
    assert copy.syncs("status", "agreement_number") == [("abandoned", 1234567), ("completed", 42)]
    assert copy.value("select holder from economic.sync_lease where agreement_number = 1234567") is None


@pytest.mark.parametrize("task", [UPSERT, NAMES])
def test_later_task_refuses_the_sync_of_another_run(copy: Copy, task: str) -> None:
    """The database was put back, or exchanged, and counts its syncs anew."""
    broken_off(copy)
    copy.attempt(FETCH, ours(), number=2)
    stranger = theirs()
    copy.xcom[f"theirs {SCHEDULED}"] = {FETCH: {"sync_id": 1, "run_key": "theirs"}}
    refused = copy.attempt(task, stranger)
    assert (refused.state, "another DAG run or connection" in str(refused.error)) == ("failed", True)
    assert copy.syncs("status") == [("running",)]
    assert copy.attempt(UPSERT, ours()).result["created"] == 250


def test_names_of_another_company_are_never_stored(copy: Copy) -> None:
    """The connection was given another company's tokens before the last task."""
    asked = Asked("manual__1")
    copy.attempt(FETCH, asked)
    copy.attempt(UPSERT, asked)
    copy.connection.execute("delete from economic.employee")
    with copy.another_company() as second:
        ended = copy.attempt(NAMES, asked)
        assert [entry["path"] for entry in second.requests()] == ["/self"]
    assert ended.result["status"] == "completed_with_errors"
    assert "another company" in copy.syncs("message")[0][0]
    assert copy.value("select count(*) from economic.employee") == 0


def test_cleared_run_resumes_what_it_left_behind(copy: Copy) -> None:
    """A run that was marked as failed leaves its lease; when it is cleared, it is not a stranger to it."""
    broken_off(copy)
    assert copy.run(ours(cleared=1)).result["created"] == 250
    assert copy.syncs("status", "clear_number") == [("completed", 1)]


# -- a run that never began -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("manual__1", conf={"froce": True}), "froce"),
        (Asked("manual__1", conf={"date_from": "2026-02-02", "date_to": "2026-01-01"}), "is after"),
        (Asked("manual__1", conf={"date_from": "yesterday"}), "date_from"),
    ],
)
def test_conf_error_leaves_a_failed_row(copy: Copy, asked: Asked, message: str) -> None:
    assert copy.attempt(FETCH, asked).state == "failed"
    ((status, text),) = copy.syncs("status", "message")
    assert (status, message in text) == ("failed", True)


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        (Asked("manual__2"), "failed"),
        (Asked("asset_triggered__2", "asset_triggered"), "failed"),
        (Asked("scheduled__2", "scheduled"), "skipped"),
    ],
)
def test_run_that_found_another_leaves_the_verdict(copy: Copy, asked: Asked, state: str) -> None:
    """Says nothing about the copy and names no other run: it never held the lease."""
    from economic.cli import health
    from economic.db import agreements

    assert copy.run(Asked("manual__1")).state == "success"
    before = health.judge(agreements.statuses(copy.connection, None)[0], timedelta(days=1)).level
    assert copy.attempt(FETCH, Asked("manual__at_work")).state == "success"
    assert copy.attempt(FETCH, asked).state == state
    ((verdict, message),) = copy.syncs("status", "message")[-1:]
    assert (verdict, "manual__at_work" in message) == ("skipped", False)
    copy.connection.execute(
        "update economic.sync_run set status = 'superseded', finished_at = now() where sync_id = 2"
    )
    assert health.judge(agreements.statuses(copy.connection, None)[0], timedelta(days=1)).level == before


# -- how old a scan may be ------------------------------------------------------------------------------------------

HOURS_AGO = "update economic.sync_run set {} = {} - interval '{}' where status = 'running'"


def age(copy: Copy, interval: str) -> None:
    """Let time pass for the scan at work."""
    for column in ("scan_started_at", "scan_advanced_at", "started_at", "updated_at"):
        copy.connection.execute(HOURS_AGO.format(column, column, interval).encode())


def test_scan_of_a_paused_dag_is_not_stored(copy: Copy) -> None:
    asked = Asked("manual__1")
    copy.attempt(FETCH, asked)
    age(copy, "3 days")
    late = copy.attempt(UPSERT, asked)
    assert (late.state, "more than 60 minutes ago" in str(late.error)) == ("failed", True)
    assert "clear fetch-pages with downstream" in str(late.error)
    assert copy.value("select count(*) from economic.invoice") == 0
    assert copy.syncs("status") == [("failed",)]
    assert copy.run(Asked("manual__1", cleared=1)).result["created"] == 250


def test_scan_of_fifty_minutes_ago_is_stored(copy: Copy) -> None:
    asked = Asked("manual__1")
    copy.attempt(FETCH, asked)
    age(copy, "50 minutes")
    assert copy.attempt(UPSERT, asked).result["created"] == 250
    assert copy.attempt(NAMES, asked).state == "success"
    seconds = copy.value("select extract(epoch from now() - last_synced_at) from economic.sync_status")
    assert 3000 <= seconds < 3060


def test_upsert_resumed_late_stores_no_more_pages(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what was stored in time; the rest waits for a new scan."""
    from economic.sync import upsert

    asked = Asked("manual__1")
    copy.attempt(FETCH, asked)
    stored = upsert._store_pages

    def dies_after_the_first(attempt: Any, first: int, last: int) -> Any:
        if first == 2:
            raise psycopg.OperationalError("the connection is gone")
        return stored(attempt, first, last)

    with monkeypatch.context() as patch:
        patch.setattr(upsert, "_MOST_PARSED", 100)
        patch.setattr(upsert, "_store_pages", dies_after_the_first)
        assert copy.attempt(UPSERT, asked).state == "again"
    age(copy, "61 minutes")
    assert copy.attempt(UPSERT, asked, number=2).state == "failed"
    assert copy.value("select count(*) from economic.invoice") == 100
    assert copy.run(Asked("manual__2")).result["created"] == 150


def test_missing_is_not_marked_by_an_old_scan(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    from economic.sync import upsert

    assert copy.run(Asked("manual__1")).state == "success"
    copy.books.control("remove", number=min(copy.books.ledger.items()))
    asked = Asked("manual__2")
    copy.attempt(FETCH, asked)
    with monkeypatch.context() as patch:
        patch.setattr(upsert, "reconcile", lambda _: (_ for _ in ()).throw(psycopg.OperationalError("gone")))
        assert copy.attempt(UPSERT, asked).state == "again"
    age(copy, "2 hours")
    assert copy.attempt(UPSERT, asked, number=2).state == "failed"
    assert copy.value("select count(*) from economic.invoice where missing_since is not null") == 0


@pytest.mark.parametrize("column", ["scan_advanced_at", "scan_started_at"])
def test_failure_note_does_not_make_a_scan_young(copy: Copy, column: str) -> None:
    broken_off(copy)
    copy.connection.execute(HOURS_AGO.format(column, column, "61 minutes").encode())
    copy.connection.execute("update economic.sync_run set updated_at = now()")
    fetched = copy.attempt(FETCH, ours(), number=2)
    assert (fetched.state, fetched.result["sync_id"], fetched.result["pages"]) == ("success", 2, 3)
    assert copy.syncs("status") == [("abandoned",), ("running",)]


# -- what is announced ----------------------------------------------------------------------------------------------


def announced(one: Try) -> list[list[int]]:
    return [extra["announced_syncs"] for _, _, extra in one.events]


def test_event_covers_what_a_failed_sync_stored(copy: Copy) -> None:
    asked = Asked("manual__1")
    copy.attempt(FETCH, asked)
    copy.attempt(UPSERT, asked)
    copy.connection.execute(
        "update economic.sync_run set status = 'failed', phase = 'ended', finished_at = now()"
    )
    copy.connection.execute(
        "update economic.sync_lease set holder = null, expires_at = null, token = token + 1"
    )
    second = copy.run(Asked("manual__2"))
    assert (second.result["created"], second.result["unchanged"]) == (0, 250)
    assert announced(second) == [[1]]
    assert announced(copy.run(Asked("manual__3"))) == []


def test_event_that_airflow_did_not_record_is_repeated(copy: Copy) -> None:
    assert announced(copy.run(Asked("manual__1"), recorded=False)) == [[1]]
    assert announced(copy.run(Asked("manual__2"), recorded=False)) == [[1]]
    assert announced(copy.run(Asked("manual__3"))) == [[1]]
    assert announced(copy.run(Asked("manual__4"))) == []


def test_events_of_two_companies_are_apart(copy: Copy) -> None:
    from economic.sync import ending

    copy.run(Asked("manual__1"), recorded=False)
    assert ending.pending(copy.connection, 1234567) == [1]
    assert ending.pending(copy.connection, 42) == []
    ending.confirm(copy.connection, [1])
    assert ending.pending(copy.connection, 1234567) == []
