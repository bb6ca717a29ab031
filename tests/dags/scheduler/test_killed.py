"""Processes that die in mid-fetch, or are ended by somebody: the task itself, and those of Airflow that it depends on."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
import pytest

from dev.local.airflow_settings import DAG_ID
from dev.local.local_airflow import API_SERVER, SCHEDULER
from dev.local.parts import Part
from tests.dags.scheduler.live import HEARTBEAT_TIMEOUT, PAGE_SIZE, PAGES, TASKS, Live

INVOICES = PAGE_SIZE * PAGES
CAUGHT_AT = 4
AWAY_SECONDS = 10


def ended_well(live: Live, run_id: str) -> None:
    """One sync, in two tries, of which the second began where the first one had stopped."""
    statistics = live.xcom(run_id)
    assert (statistics["fetched"], statistics["pages"], statistics["discarded"]) == (INVOICES, PAGES, 0)
    assert (statistics["complete"], statistics["reconciled"]) == (True, True)
    tries = {task_id: task["try_number"] for task_id, task in live.tasks(run_id).items()}
    assert tries == {TASKS[0]: 2, TASKS[1]: 1, TASKS[2]: 1}
    sync = live.sync(run_id)
    assert (sync["status"], sync["staged_rows"]) == ("completed", [PAGE_SIZE] * PAGES)
    live.holds(run_id)


@pytest.mark.fault("R01")
def test_a_killed_task_is_tried_again_and_goes_on_after_the_last_committed_page(live: Live) -> None:
    live.books.fault("/invoices/booked", "slow", at=CAUGHT_AT, seconds=20)
    run_id = live.trigger()
    live.caught_in_mid_fetch(run_id, CAUGHT_AT).kill()
    live.books.faults()
    live.books.reset()
    live.let_the_retry_delay_pass(run_id)
    assert live.ended(run_id) == "success"
    # the pages that were missing, the page that proves there are no more, the closing count
    assert live.asked_for_pages() == PAGES - (CAUGHT_AT - 1) + 2
    ended_well(live, run_id)


@pytest.mark.fault("R02")
def test_a_task_that_outlives_its_killed_supervisor_is_shut_out(live: Live) -> None:
    """The orphan wakes up in the middle of the second try, with a page in its hands that it must not write."""
    live.books.fault("/invoices/booked", "slow", at=CAUGHT_AT, seconds=5)
    run_id = live.trigger()
    orphan = live.caught_in_mid_fetch(run_id, CAUGHT_AT)
    supervisor = orphan.parent()
    assert supervisor is not None
    assert supervisor.ppid() == live.airflow.scheduler.process.pid
    supervisor.kill()
    # Only then: the kernel ends a process that is suspended when it becomes an orphan.
    live.until(lambda: gone(supervisor), "the supervisor has died")
    orphan.suspend()
    try:
        live.books.fault("/invoices/booked", "slow", at=1, seconds=8)
        live.books.reset()
        live.let_the_retry_delay_pass(run_id, seconds=HEARTBEAT_TIMEOUT + 30)
        live.until(lambda: live.asked_for_pages() == 1, "the second try asks for a page")
        assert live.sync(run_id)["staged_rows"] == [PAGE_SIZE] * (CAUGHT_AT - 1)
    finally:
        orphan.resume()
    live.until(lambda: gone(orphan), "the orphan has ended", 6)
    assert live.sync(run_id)["staged_rows"] == [PAGE_SIZE] * (CAUGHT_AT - 1)
    assert live.ended(run_id) == "success"
    ended_well(live, run_id)


@pytest.mark.fault("R03")
def test_a_scheduler_that_dies_with_all_it_started_goes_on_when_it_is_there_again(live: Live) -> None:
    live.books.fault("/invoices/booked", "slow", at=CAUGHT_AT, seconds=20)
    run_id = live.trigger()
    task = live.caught_in_mid_fetch(run_id, CAUGHT_AT)
    kill_all(live.airflow.scheduler)
    live.airflow.start_again(SCHEDULER)
    assert gone(task)
    live.books.faults()
    assert live.ended_in_time(run_id, HEARTBEAT_TIMEOUT + 60) == "success"
    ended_well(live, run_id)


@pytest.mark.fault("R04")
def test_a_sync_survives_an_api_server_that_dies(live: Live) -> None:
    """The task goes on, or Airflow ends it and tries it again: either way it is one whole sync."""
    live.books.fault("/invoices/booked", "slow", at=CAUGHT_AT, seconds=AWAY_SECONDS)
    run_id = live.trigger()
    live.caught_in_mid_fetch(run_id, CAUGHT_AT)
    kill_all(live.airflow.part(API_SERVER))
    time.sleep(AWAY_SECONDS)
    live.airflow.start_again(API_SERVER)
    live.books.faults()
    assert live.ended_in_time(run_id, 90) == "success"
    statistics = live.xcom(run_id)
    assert (statistics["fetched"] - statistics["discarded"], statistics["complete"]) == (INVOICES, True)
    live.holds(run_id)


@pytest.mark.fault("R07")
def test_a_run_that_is_marked_as_failed_leaves_a_lease_that_force_takes(live: Live) -> None:
    live.books.fault("/invoices/booked", "slow", at=CAUGHT_AT, seconds=20)
    run_id = live.trigger()
    task = live.caught_in_mid_fetch(run_id, CAUGHT_AT)
    live.api.patch(f"dags/{DAG_ID}/dagRuns/{run_id}", {"state": "failed"})
    live.until(lambda: gone(task), "Airflow has ended the task", 30)
    live.books.faults()
    assert live.sync(run_id)["staged_rows"] == [PAGE_SIZE] * (CAUGHT_AT - 1)

    following = live.trigger()
    assert live.ended(following) == "failed"
    message = live.sync(following)["message"]
    assert ("has been running since" in message, run_id in message) == (True, False)
    forced = live.trigger({"force": True})
    assert live.ended(forced) == "success"
    assert live.sync(run_id)["status"] == "superseded"
    live.holds(forced)


def kill_all(part: Part) -> None:
    """Kill a program and all it started, itself first: it is to see nothing of it."""
    for process in (part.process, *part.members()):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
