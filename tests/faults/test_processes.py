"""R01, R05, R06, R08, R10 to R19: task processes that die, freeze, starve, are overtaken, cleared, or told the wrong time.

The rows that are about what Airflow does are in `tests/dags/scheduler` and `tests/dags/tasks`. No row waits until a lease has run out: :func:`tests.support.invariants.let_time_pass` moves
the time that is noted for it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from functools import partial
from typing import Any

import pytest

from economic.db import sql
from tests.conftest import expect
from tests.faults.conftest import Case, CaseOn, RunsOn, syncs, until
from tests.support import invariants as oracle
from tests.support import write_auditor as referee
from tests.support.dag_runs import FETCH, NAMES, TASKS, UPSERT, Asked, Outcome, Try
from tests.support.faults import clocks
from tests.support.faults.clocks import Clock
from tests.support.faults.clusters import Cluster
from tests.support.faults.postgres import Fate, PostgresProxy
from tests.support.invariants import Bounds
from tests.support.process_runs import ProcessRuns
from tests.support.task_processes import Failed, TaskProcess, Work, fresh

STAGED = b"copy economic.staged_invoice"
STORED = b"insert into economic.invoice"
SCANNED = b"booked_count = "
RECONCILED = b"verdict = "
NAMED = b"set employee_name"
ENDED = b"closes the row of a running sync"
OFTEN = 20 if os.environ.get("ECONOMIC_SWEEP") else 4
PATIENT = Bounds(seconds=120)
"""Processes take their time to start, on a machine that has other things to do."""


def changed(case: Case, name: str = "Åse Ny-Navn") -> None:
    """Let something of each kind happen to the books."""
    first, second, *_ = sorted(case.books.ledger.items())
    case.books.pay(first, "1.00")
    case.books.control("remove", number=second)
    case.books.book()
    case.books.control("rename_employee", number=min(case.books.ledger.employees()), name=name)


def took_over(case: Case, sync_id: int) -> float:
    """Seconds since then that a sync has had the lease."""
    (hold,) = [hold for hold in referee.verdict(case.database).holds if hold.sync_id == sync_id]
    return hold.since.timestamp()


# -- death --------------------------------------------------------------------------------------------------------------


BOOKED = "/invoices/booked"
FATES: tuple[Fate, ...] = ("held back", "unanswered")
"""Of the COMMIT of a killed process: it never arrives, or it is done and nobody hears of it."""
ASKS = (("/self", 1), (BOOKED, 1), (BOOKED, 3), (BOOKED, 4), ("/invoices/totals", 1), ("/employees", 1))
WRITES = {
    FETCH: [(STAGED, 2, FATES), (SCANNED, 1, FATES)],
    UPSERT: [(STORED, 1, FATES), (STORED, 2, FATES), (RECONCILED, 1, FATES)],
    NAMES: [(NAMED, 1, FATES), (ENDED, 1, FATES[:1])],
}
"""By task: text of a statement, which time it is, and the fates of its transaction."""


def check_killed(case: Case, runs: ProcessRuns, number: int, task: str) -> list[str]:
    """Run a DAG in which one process of a task dies and its retry completes everything; the statuses of its syncs."""
    changed(case, f"Åse {number}")
    case.witness.look()
    asked = Asked(f"killed__{number}")
    outcome = runs.run(asked)
    assert outcome.state == "success", outcome.errors
    assert {each: outcome.tried(each) for each in TASKS} == {each: 1 + (each == task) for each in TASKS}
    counts = {"fetched": 250, "created": 1, "updated": 1, "unchanged": 248, "missing": 1, "discarded": 0}
    expect(outcome.statistics, status="completed", complete=True, **counts)
    case.witness.look()
    return [status for run_id, status in syncs(case) if run_id == asked.run_id]


@pytest.mark.fault("R01")
def test_task_killed_at_a_request_is_retried(
    case: Case, runs: ProcessRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_EMPLOYEE_CACHE_SECONDS", "0")
    case.synced()
    for number, (path, at) in enumerate(ASKS):
        case.books.when(at, runs.kill, match=path)
        # Before it has the lease, a process has no sync to go on with.
        before = ["abandoned"] if path == "/self" else []
        assert check_killed(case, runs, number, FETCH) == [*before, "completed"]
    assert case.heals(bounds=PATIENT)["unchanged"] == 250


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.fault("R01")
def test_task_killed_at_a_commit_is_retried(
    case: Case, runs: ProcessRuns, proxy: PostgresProxy, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_EMPLOYEE_CACHE_SECONDS", "0")
    case.synced()
    # Two pages have changes; each is a transaction of its own.
    runs.how = {"constants": {"economic.sync.upsert._MOST_PARSED": 1}}
    moments = [(text, at, fate) for text, at, fates in WRITES[task] for fate in fates]
    for number, (text, at, fate) in enumerate(moments):
        proxy.trip(text, partial(proxy.trip, b"commit\0", runs.kill, fate=fate), at=at)
        assert check_killed(case, runs, number, task) == ["completed"]
    assert case.heals(bounds=PATIENT)["unchanged"] == 250


@pytest.mark.fault("R01")
def test_task_killed_after_its_end_announces_on_retry(
    case: Case, runs: ProcessRuns, proxy: PostgresProxy
) -> None:
    """The sync has ended and Airflow has not heard of it: the next try finds nothing left to do, and raises the event."""
    proxy.trip(ENDED, lambda: proxy.trip(b"commit\0", runs.kill, fate="unanswered"))
    outcome = runs.run(Asked("manual__1"))
    assert (outcome.state, outcome.tried(NAMES)) == ("success", 2)
    assert outcome.statistics["announced_syncs"] == [1]
    assert len(outcome.events) == 1
    assert syncs(case) == [("manual__1", "completed")]
    assert case.heals(bounds=PATIENT)["unchanged"] == 250


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.fault("R02")
def test_attempt_without_lease_does_not_close_its_successor(
    case: Case, runs: ProcessRuns, force: bool
) -> None:
    """Goes on, after its first request, when the next try is in mid-scan."""
    asked = Asked("manual__1", conf={"force": force})
    stale = caught(case, runs, asked, "/self", 1)
    living = caught(case, runs, asked, number=2)
    assert woken(stale).state == "failed"
    assert case.paths().count(BOOKED) == 2
    assert syncs(case) == [("manual__1", "abandoned"), ("manual__1", "running")]
    outcome = Outcome(asked.run_id)
    outcome.add(woken(living))
    assert runs.run(asked, after=outcome).state == "success"
    assert syncs(case) == [("manual__1", "abandoned"), ("manual__1", "completed")]
    case.heals(bounds=PATIENT)


@pytest.mark.fault("R12")
def test_retry_resumes_after_the_last_committed_page(case: Case, runs: ProcessRuns) -> None:
    case.runs.page_size(50)

    def kill() -> None:
        runs.kill()
        case.books.reset()

    case.books.when(4, kill, match=BOOKED)
    outcome = runs.run(Asked("manual__1"))
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 2)
    # Two pages that were missing, the page that proves there are no more, the closing count; the killed one's own may still be noted.
    assert case.paths().count(BOOKED) in {4, 5}
    statistics = outcome.statistics
    assert [statistics[name] for name in ("fetched", "created", "pages", "discarded")] == [250, 250, 5, 0]
    case.heals(bounds=PATIENT)


# -- cleared ------------------------------------------------------------------------------------------------------------


def written(case: Case) -> list[dict[str, Any]]:
    """Return which transaction has written each row."""
    return case.witness.rows("select invoice_number, xmin::text from economic.invoice order by 1")


@pytest.mark.fault("R10")
def test_cleared_run_syncs_again_and_changes_nothing(case: Case, runs: ProcessRuns) -> None:
    assert runs.run(Asked("manual__1")).state == "success"
    before = written(case)
    outcome = runs.run(Asked("manual__1", cleared=1))
    assert outcome.state == "success"
    counted = ("created", "updated", "unchanged", "missing")
    assert [outcome.statistics[name] for name in counted] == [0, 0, 250, 0]
    assert written(case) == before
    assert syncs(case) == [("manual__1", "completed")] * 2
    case.heals(bounds=PATIENT)


@pytest.mark.parametrize("task", [UPSERT, NAMES])
@pytest.mark.fault("R11")
def test_later_task_cleared_alone_writes_nothing(
    case: Case, runs: ProcessRuns, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_EMPLOYEE_CACHE_SECONDS", "0")
    finished = runs.run(Asked("manual__1"))
    changed(case)
    case.witness.look()
    before = written(case)
    (one,) = runs.start(Asked("manual__1", cleared=1), task, number=2, xcom=finished.xcom).wait()
    assert one.state == "failed"
    assert "Clear fetch-pages with downstream" in str(one.error)
    assert written(case) == before
    assert syncs(case) == [("manual__1", "completed")]
    case.heals(bounds=PATIENT)


@pytest.mark.fault("R17")
def test_abandoned_lease_expires_for_the_next_sync(case: Case, runs: ProcessRuns) -> None:
    case.books.when(2, runs.kill)
    (died,) = runs.start(Asked("manual__1")).wait()
    assert died.state == "again"
    left = case.witness.value(
        "select extract(epoch from expires_at - clock_timestamp()) from economic.sync_lease"
    )
    assert 240 < left <= 300
    outcome = runs.run(Asked("manual__2"))
    assert (outcome.state, outcome.tried(FETCH)) == ("failed", 1)
    assert "(full) has been running since" in str(outcome.error)
    assert runs.run(Asked("scheduled__1", "scheduled")).state == "skipped"

    oracle.let_time_pass(case.witness)
    assert runs.run(Asked("scheduled__2", "scheduled")).state == "success"
    assert syncs(case) == [
        ("manual__1", "abandoned"),
        ("manual__2", "skipped"),
        ("scheduled__1", "skipped"),
        ("scheduled__2", "completed"),
    ]
    case.heals(bounds=PATIENT)


# -- frozen -------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("R05")
def test_process_frozen_past_its_lease_is_shut_out(case: Case, runs: ProcessRuns) -> None:
    """Holds a page that is older than what the other sync stores meanwhile."""
    case.books.when(3, lambda: sleeper.freeze())
    sleeper = runs.start(Asked("manual__1"))
    until(lambda: len(case.paths()) >= 4)
    oracle.let_time_pass(case.witness)
    changed(case)
    case.witness.look()
    assert runs.run(Asked("manual__2")).statistics["fetched"] == 250
    before = case.witness.rows("select invoice_number, xmin::text from economic.invoice")
    sleeper.wake()
    (one,) = sleeper.wait()
    assert (one.state, "was superseded" in str(one.error)) == ("failed", True)
    assert case.witness.rows("select invoice_number, xmin::text from economic.invoice") == before
    assert syncs(case) == [("manual__1", "abandoned"), ("manual__2", "completed")]
    case.heals(bounds=PATIENT)


TIMES = "IDLE_TIMEOUT LOCK_TIMEOUT STATEMENT_TIMEOUT"


@pytest.mark.parametrize("where", ["in the middle of a page", "between two statements"])
@pytest.mark.fault("R06")
def test_force_gets_past_a_frozen_transaction(
    case: Case, runs: ProcessRuns, proxy: PostgresProxy, where: str
) -> None:
    """PostgreSQL waits half a minute for the next statement; and for the rest of a page, until the statement takes too long."""
    # A tenth of the product's own times, so that its minute is six seconds.
    times = {name: int(getattr(sql, name).removesuffix("s")) for name in TIMES.split()}
    runs.how = {"constants": {f"economic.db.sql.{name}": f"{100 * value}ms" for name, value in times.items()}}

    def freeze() -> None:
        # The network of a frozen machine stands still too: what the process has sent already does not arrive.
        proxy.stall()
        frozen.freeze()

    if where == "in the middle of a page":
        number = sorted(case.books.ledger.items())[100]
        proxy.trip(f'"bookedinvoicenumber":{number}'.encode(), freeze, fate="held back")
    else:
        proxy.trip(STAGED, lambda: proxy.trip(b"commit\0", freeze, fate="held back"), at=2)
    frozen = runs.start(Asked("manual__1"))
    state = "active" if where == "in the middle of a page" else "idle in transaction"
    until(
        lambda: case.witness.rows(
            "select 1 from pg_stat_activity where state = %s and wait_event = 'ClientRead'"
            " and state_change < now() - interval '0.5 s'",
            state,
        )
    )
    case.reach_database_at(case.database)
    outcome = runs.run(Asked("manual__2", conf={"force": True}))
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 1), outcome.errors
    began = case.witness.value("select started_at from economic.sync_run where run_id = 'manual__2'")
    assert took_over(case, outcome.statistics["sync_id"]) - began.timestamp() < 60 / 10
    ended = "Ended PostgreSQL's session" in runs.said()
    assert ended == (where == "in the middle of a page")
    proxy.heal()
    frozen.wake()
    (one,) = frozen.wait()
    assert (one.state, "the newer sync updates the copy" in str(one.error)) == ("failed", True), one
    assert syncs(case) == [("manual__1", "superseded"), ("manual__2", "completed")]
    case.heals(bounds=PATIENT)


# -- starved ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("R08")
def test_process_without_memory_is_retried(case: Case, runs: ProcessRuns) -> None:
    case.synced()
    case.books.spoil(min(case.books.ledger.items()), "notes.textLine1", value="long " * 4_000_000)
    outcome = runs.run(Asked("manual__1"), again=lambda one: False, memory_mb=24)
    assert outcome.state == "again", outcome
    assert isinstance(outcome.error, Failed)
    assert outcome.error.kind == "MemoryError"
    assert "Will be tried again: Failed unexpectedly (MemoryError)" in case.last_sync()["message"]
    case.books.heal(min(case.books.ledger.items()))
    assert runs.run(Asked("manual__1"), after=outcome).state == "success"
    case.heals(bounds=PATIENT)


# -- several at once ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("R14")
def test_all_kinds_of_runs_at_once(case: Case, runs: ProcessRuns) -> None:
    dice = random.Random(20261125)
    case.synced()
    for number in range(OFTEN):
        changed(case)
        case.witness.look()
        outcomes = at_once(runs, number, dice)
        assert outcomes[f"forced__{number}"].state == "success", outcomes
        assert outcomes[f"scheduled__{number}"].state in {"success", "skipped", "failed"}
        for outcome in outcomes.values():
            case.witness.heard(outcome.xcom, outcome.events, *outcome.errors)
        case.witness.look()
    assert referee.verdict(case.database).offences == ()
    case.heals(bounds=Bounds(seconds=300))


def at_once(runs: ProcessRuns, number: int, dice: random.Random) -> dict[str, Outcome]:
    """A scheduled, a backfill's, a manual and a forced run, started in a random order within a tenth of a second."""
    kinds = ["scheduled", "backfill", "manual", "forced"]
    dice.shuffle(kinds)
    outcomes: dict[str, Outcome] = {}

    def again(one: Try) -> bool:
        time.sleep(0.1)
        return one.state in {"again", "waiting"}

    def run(kind: str) -> None:
        conf = {"force": True} if kind == "forced" else {}
        asked = Asked(f"{kind}__{number}", "manual" if kind == "forced" else kind, conf)
        outcomes[asked.run_id] = runs.run(asked, again=again)

    threads = [threading.Thread(target=run, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
        time.sleep(dice.uniform(0, 0.1))
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.fault("R13")
def test_one_of_two_simultaneous_manual_runs_syncs(case: Case, runs: ProcessRuns) -> None:
    """Concerns two Airflows: one runs them one after the other, which is tested under a real scheduler."""
    both = [runs.start(Asked(f"manual__{number}"), number=1) for number in (1, 2)]
    tries = [one for process in both for one in process.wait()]
    won, lost = sorted(tries, key=lambda one: one.state, reverse=True)
    assert (won.state, lost.state) == ("success", "failed"), tries
    assert "Not started: Sync" in str(lost.error)
    assert sorted(status for _, status in syncs(case)) == ["running", "skipped"]
    assert case.stored() == 0
    case.heals(bounds=PATIENT)


def caught(
    case: Case, runs: ProcessRuns, asked: Asked, path: str = BOOKED, at: int = 2, number: int = 1
) -> TaskProcess:
    """A run's first task, frozen at a request: by default in the middle of its scan, with the lease in its hands."""
    case.books.reset()
    case.books.when(at, lambda: process.freeze(), match=path)
    process = runs.start(asked, number=number)
    until(lambda: case.paths().count(path) == at)
    return process


def woken(process: TaskProcess) -> Try:
    process.wake()
    (one,) = process.wait()
    return one


@pytest.mark.fault("R15")
def test_force_displaces_stale_and_live_syncs(case: Case, runs: ProcessRuns) -> None:
    def forced(number: int) -> Outcome:
        return runs.run(Asked(f"forced__{number}", conf={"force": True}))

    assert forced(1).state == "success"

    stale = caught(case, runs, Asked("stale"))
    oracle.let_time_pass(case.witness)
    assert forced(2).state == "success"

    live = caught(case, runs, Asked("live"))
    assert forced(3).state == "success"
    for process in (stale, live):
        one = woken(process)
        assert (one.state, "superseded" in str(one.error)) == ("failed", True), one
    assert syncs(case) == [
        ("forced__1", "completed"),
        ("stale", "abandoned"),
        ("forced__2", "completed"),
        ("live", "superseded"),
        ("forced__3", "completed"),
    ]
    case.heals(bounds=PATIENT)


@pytest.mark.fault("R16")
def test_of_two_forced_syncs_the_newest_wins(case: Case, runs: ProcessRuns) -> None:
    """Wakes each while the next one has the lease, so that nothing but its old token can shut it out."""
    force = {"force": True}
    first = caught(case, runs, Asked("manual__1"))
    second = caught(case, runs, Asked("forced__1", conf=force))
    assert woken(first).state == "failed"
    third = caught(case, runs, Asked("forced__2", conf=force))
    assert woken(second).state == "failed"
    outcome = Outcome("forced__2")
    outcome.add(woken(third))
    assert runs.run(Asked("forced__2", conf=force), after=outcome).state == "success"
    assert syncs(case) == [
        ("manual__1", "superseded"),
        ("forced__1", "superseded"),
        ("forced__2", "completed"),
    ]
    case.heals(bounds=PATIENT)


# -- clocks -------------------------------------------------------------------------------------------------------------

needs_faketime = pytest.mark.skipif(clocks.library() is None, reason="libfaketime is not installed")


@needs_faketime
@pytest.mark.parametrize("wrong", ["+1h", "-1h", "@2038-01-19 03:14:00"])
@pytest.mark.fault("R18")
def test_a_wrong_clock_of_the_worker_changes_nothing(
    case: Case, runs: ProcessRuns, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes no lease that has not run out, and waits for none that has."""
    monkeypatch.setenv("ECONOMIC_EMPLOYEE_CACHE_SECONDS", "0")
    case.synced()
    changed(case)
    case.witness.look()
    live = caught(case, runs, Asked("live"))
    (refused,) = fresh(Work(Asked("manual__early"), TASKS, runs.log), clocks.told(wrong))
    assert (refused.state, "(full) has been running since" in str(refused.error)) == (
        "failed",
        True,
    )
    oracle.let_time_pass(case.witness)
    tries = fresh(Work(Asked("manual__wrong"), TASKS, runs.log), clocks.told(wrong))
    assert [one.state for one in tries] == ["success"] * 3, tries
    assert woken(live).state == "failed"
    statistics: dict[str, Any] = tries[-1].result
    assert [statistics[name] for name in ("created", "updated", "missing", "complete")] == [1, 1, 1, True]
    # Its own clock says so, and PostgreSQL's does not: that one counts.
    year = "2038" if "2038" in wrong else time.strftime("%Y")
    assert f"{year}-" in runs.said()
    apart = case.witness.value(
        "select extract(epoch from clock_timestamp() - max(finished_at)) from economic.sync_run"
    )
    assert 0 <= apart < 60
    assert 0 < statistics["duration_seconds"] < 60
    case.heals(bounds=PATIENT)


@needs_faketime
@pytest.mark.fault("R19")
def test_stepping_clock_of_postgresql_costs_only_time(own: Cluster, case_on: CaseOn, runs_on: RunsOn) -> None:
    clock = Clock(own)
    case = case_on(own.dsn)
    runs = runs_on(case)
    case.synced()

    live = caught(case, runs, Asked("live"))
    clock.set("+1h")
    assert runs.run(Asked("early")).state == "success"
    assert woken(live).state == "failed"

    left = caught(case, runs, Asked("left"))
    left.kill()
    clock.set("+0")
    outcome = runs.run(Asked("late"))
    assert (outcome.state, "(full) has been running since" in str(outcome.error)) == (
        "failed",
        True,
    )
    held = case.witness.value(
        "select extract(epoch from expires_at - clock_timestamp()) from economic.sync_lease"
    )
    assert 3000 < held <= 3900
    assert runs.run(Asked("forced", conf={"force": True})).state == "success"
    assert syncs(case)[1:] == [
        ("live", "abandoned"),
        ("early", "completed"),
        ("left", "superseded"),
        ("late", "skipped"),
        ("forced", "completed"),
    ]
    case.heals(bounds=PATIENT)
