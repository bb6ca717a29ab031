"""L01 to L03: processes that read lines die, and others go on where they were overtaken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import count

import pytest

from tests.faults.conftest import Case, commits_of, until
from tests.faults.lines.conftest import (
    LINES,
    SMALL,
    asleep,
    checks,
    forget,
    heals,
    let_a_day_pass,
    no_false_proof,
    proves,
    reading_row,
    wrong,
)
from tests.support.dag_runs import FETCH_LINES, Asked
from tests.support.faults.postgres import Fate, PostgresProxy
from tests.support.process_runs import ProcessRuns
from tests.support.task_processes import TaskProcess

INVOICES = 60
STEP = 1 if os.environ.get("ECONOMIC_SWEEP") else 2
"""Every second request; all of them when the variable is set."""
CONSTANTS = {f"economic.lines.{name}": value for name, value in SMALL.items()}


@pytest.fixture
def small_runs(runs: ProcessRuns) -> ProcessRuns:
    runs.how = {"constants": CONSTANTS}
    return runs


def held(case: Case) -> bool:
    """Whether a run has the place, by the database."""
    return bool(case.witness.value("select count(*) from economic.line_reading where attempt is not null"))


def kill_each(
    case: Case,
    runs: ProcessRuns,
    proxy: PostgresProxy,
    fate: Fate | None,
    prepare: Callable[[], object],
) -> int:
    """Kill a run at one request after the other, until one gets by, or at each kind of its commits; the last of these moments."""
    moments: Iterable[int] = count(1, STEP)
    if fate:
        prepare()
        moments = commits_of(proxy, lambda: runs.run(Asked("lines__0"), lines=True))
    for place, at in enumerate(moments):
        proxy.heal()
        prepare()
        killed: list[int] = []

        def kill(killed: list[int] = killed) -> None:
            killed.append(1)
            runs.kill()

        if fate:
            proxy.trip(b"commit\0", kill, at=at, fate=fate)
        else:
            case.books.when(at, kill, match="/")
        asked = Asked(f"lines__{at}")
        (one,) = runs.start(asked, FETCH_LINES).wait()
        proxy.heal()
        case.books.control("when", clear=True)
        assert one.state == ("again" if killed else "success"), (at, one)
        no_false_proof(case)
        if held(case):
            # Another run is kept apart; the next try of the same one is not.
            other = case.run(lines=True)
            assert (other.state, "Another run" in str(other.error)) == ("skipped", True), (at, other)
            if place % 2:
                let_a_day_pass(case)
                asked = Asked("another")
        outcome = case.run(lines=True, run_id=asked.run_id)
        assert outcome.state == "success", (at, outcome.errors)
        assert wrong(case) == [], at
        assert checks(case) == {"proven": len(case.books.ledger.numbers)}, at
        row = reading_row(case)
        assert (row["status"], row["attempt"]) == ("completed", None), at
        assert killed or not fate, at
        if not killed:
            break
    return at


FATES = pytest.mark.parametrize(
    "fate", [None, "held back", "unanswered"], ids=["request", "commit", "commit unheard"]
)


@FATES
@pytest.mark.fault("L01")
def test_first_load_killed_at_each_moment(
    copied: Case, small_runs: ProcessRuns, proxy: PostgresProxy, fate: Fate | None
) -> None:
    assert kill_each(copied, small_runs, proxy, fate, lambda: forget(copied)) > 8
    heals(copied)


@pytest.mark.fault("L01")
def test_killed_load_keeps_what_is_stored(copied: Case, small_runs: ProcessRuns) -> None:
    """It goes on at the chunk in which it died, and asks for nothing again."""
    copied.books.when(6, small_runs.kill, match="/")
    small_runs.start(Asked("lines"), FETCH_LINES).wait()
    stored = checks(copied)["proven"]
    assert 0 < stored < INVOICES
    before = copied.witness.rows("select invoice_number, xmin::text from economic.line_check order by 1")
    outcome = copied.run(lines=True, run_id="lines")
    assert (outcome.state, outcome.statistics["invoices"]) == ("success", INVOICES - stored)
    after = copied.witness.rows("select invoice_number, xmin::text from economic.line_check order by 1")
    assert [row for row in after if row in before] == before
    heals(copied)


@FATES
@pytest.mark.fault("L02")
def test_small_run_killed_at_each_moment(
    read: Case, small_runs: ProcessRuns, proxy: PostgresProxy, fate: Fate | None
) -> None:
    def book_some() -> None:
        first, *_ = read.books.book(2)
        read.books.credit(first)
        assert read.run().state == "success"

    assert kill_each(read, small_runs, proxy, fate, book_some) > 2
    heals(read)


@pytest.mark.parametrize("by", ["next try", "another run"])
@pytest.mark.parametrize("where", ["page of lines", "count", "commit"])
@pytest.mark.fault("L03")
def test_overtaken_process_writes_nothing(
    copied: Case, small_runs: ProcessRuns, proxy: PostgresProxy, where: str, by: str
) -> None:
    """Its lines are older than what the other run stores: e-conomic delivered one of them otherwise."""
    number = copied.books.ledger.numbers[30]
    copied.books.differ(number, "5")
    if where == "commit":
        proxy.trip(b"copy economic.invoice_line", lambda: sleeper.freeze(), fate="held back")
    else:
        copied.books.when(
            4 if where == "page of lines" else 1,
            lambda: sleeper.freeze(),
            match=LINES if where == "page of lines" else f"{LINES}/count",
        )
    sleeper = small_runs.start(Asked("lines"), FETCH_LINES)
    until(lambda: held(copied) and asleep(sleeper))
    if where == "commit":
        # PostgreSQL ends a transaction that is idle for half a minute; here at once.
        copied.witness.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where state like 'idle in transaction%%'"
            " or (state = 'active' and wait_event = 'ClientRead')"
        )
    copied.books.heal(number)
    let_a_day_pass(copied)
    outcome = copied.run(lines=True, run_id="lines" if by == "next try" else "another")
    assert outcome.state == "success", outcome.errors
    before = copied.witness.rows("select *, xmin::text from economic.line_reading")
    written = copied.witness.rows("select invoice_number, xmin::text from economic.line_check order by 1")
    sleeper.wake()
    (one,) = sleeper.wait()
    expected = "failed" if where != "commit" else "again"
    assert one.state == expected, one
    if where != "commit":
        assert "Another run reads the lines now" in str(one.error)
    assert copied.witness.rows("select *, xmin::text from economic.line_reading") == before
    after = copied.witness.rows("select invoice_number, xmin::text from economic.line_check order by 1")
    assert after == written
    assert wrong(copied) == []
    heals(copied)


@pytest.mark.fault("L03")
def test_runs_of_two_airflows_are_kept_apart(copied: Case, small_runs: ProcessRuns) -> None:
    """Their scheduled runs have equal ids: one must not take the other for its own earlier try."""
    copied.books.when(3, lambda: sleeper.freeze(), match=LINES)
    sleeper = small_runs.start(Asked("scheduled__1", airflow="the other one"), FETCH_LINES)
    until(lambda: held(copied) and asleep(sleeper))
    outcome = copied.run(lines=True, run_id="scheduled__1")
    assert (outcome.state, "Another run" in str(outcome.error)) == ("skipped", True)
    sleeper.wake()
    (one,) = sleeper.wait()
    assert one.state == "success", one
    assert reading_row(copied)["status"] == "completed"
    proves(copied)
    heals(copied)


@pytest.mark.fault("L03")
def test_sleeper_does_not_write_in_its_successors_place(copied: Case, small_runs: ProcessRuns) -> None:
    """It wakes while the next try of its own run is at work: only the token tells them apart."""
    first = _stopped(copied, small_runs, 3)
    second = _stopped(copied, small_runs, 3)
    before = reading_row(copied)
    first.wake()
    (one,) = first.wait()
    assert (one.state, "Another run reads the lines now" in str(one.error)) == ("failed", True), one
    assert reading_row(copied) == before
    second.wake()
    (one,) = second.wait()
    assert one.state == "success", one
    heals(copied)


def _stopped(case: Case, runs: ProcessRuns, at: int) -> TaskProcess:
    """Start a try of one run that stops at a page of lines."""
    case.books.when(at, lambda: process.freeze(), match=LINES)
    process = runs.start(Asked("lines"), FETCH_LINES)
    until(lambda: asleep(process))
    return process
