"""Processes that die in mid-fetch, or are ended by somebody: the task itself, and those of Airflow that it depends on."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
import pytest

from dev.local.airflow_settings import DAG_ID
from dev.local.local_airflow import API_SERVER, SCHEDULER
from dev.local.parts import Part
from tests.dags.scheduler.live import HEARTBEAT_TIMEOUT, PAGE_SIZE, PAGES, TASKS, Live, gone

INVOICES = PAGE_SIZE * PAGES
CAUGHT_AT = 4
HELD = [PAGE_SIZE] * (CAUGHT_AT - 1)
AWAY_SECONDS = 5


def ended_well(live: Live, run_id: str) -> None:
    """Check that the run is one sync in two tries, of which the second resumed the first."""
    assert live.ended(run_id, HEARTBEAT_TIMEOUT + 60) == "success"
    statistics = live.xcom(run_id)
    assert (statistics["fetched"], statistics["pages"], statistics["discarded"]) == (INVOICES, PAGES, 0)
    assert (statistics["complete"], statistics["reconciled"]) == (True, True)
    tries = {task_id: task["try_number"] for task_id, task in live.tasks(run_id).items()}
    assert tries == {TASKS[0]: 2, TASKS[1]: 1, TASKS[2]: 1}
    sync = live.sync(run_id)
    assert (sync["status"], sync["staged_rows"]) == ("completed", [PAGE_SIZE] * PAGES)
    live.holds(run_id)


@pytest.mark.fault("R01")
def test_killed_task_resumes_after_last_committed_page(live: Live) -> None:
    run_id, task = live.trigger_and_catch(CAUGHT_AT)
    task.kill()
    live.books.faults()
    live.books.reset()
    ended_well(live, run_id)
    # the pages that were missing, the page that proves there are no more, the closing count
    assert live.asked_for_pages() == PAGES - (CAUGHT_AT - 1) + 2


@pytest.mark.fault("R02")
def test_task_that_outlives_its_supervisor_is_fenced(live: Live) -> None:
    """The orphan wakes up in the middle of the second try, with a page in its hands that it must not write."""
    run_id, orphan = live.trigger_and_catch(CAUGHT_AT, seconds=5)
    supervisor = orphan.parent()
    assert supervisor is not None
    assert supervisor.ppid() == live.airflow.scheduler.process.pid
    supervisor.kill()
    # Only then: the kernel ends a process that is suspended when it becomes an orphan.
    live.until(lambda: gone(supervisor), "the supervisor has died")
    orphan.suspend()

    def asked_again() -> bool:
        live.end_retry_delays(run_id)
        return live.asked_for_pages() == 1

    try:
        live.books.fault("/invoices/booked", "slow", at=1, seconds=8)
        live.books.reset()
        live.until(asked_again, "the second try asks for a page", HEARTBEAT_TIMEOUT + 60)
        assert live.sync(run_id)["staged_rows"] == HELD
    finally:
        orphan.resume()
    live.until(lambda: gone(orphan), "the orphan has ended", 6)
    assert live.sync(run_id)["staged_rows"] == HELD
    ended_well(live, run_id)


@pytest.mark.fault("R03")
def test_sync_resumes_when_the_scheduler_is_back(live: Live) -> None:
    run_id, task = live.trigger_and_catch(CAUGHT_AT)
    kill_all(live.airflow.scheduler)
    live.airflow.start_again(SCHEDULER)
    assert gone(task)
    live.books.faults()
    ended_well(live, run_id)


@pytest.mark.fault("R04")
def test_sync_survives_an_api_server_that_dies(live: Live) -> None:
    """The task goes on, or Airflow ends it and tries it again: either way it is one whole sync."""
    run_id, _ = live.trigger_and_catch(CAUGHT_AT, seconds=AWAY_SECONDS)
    kill_all(live.airflow.part(API_SERVER))
    time.sleep(AWAY_SECONDS)
    live.airflow.start_again(API_SERVER)
    live.books.faults()
    assert live.ended(run_id, 90) == "success"
    statistics = live.xcom(run_id)
    assert (statistics["fetched"] - statistics["discarded"], statistics["complete"]) == (INVOICES, True)
    live.holds(run_id)


@pytest.mark.fault("R07")
def test_force_takes_the_lease_of_a_marked_run(live: Live) -> None:
    run_id, task = live.trigger_and_catch(CAUGHT_AT)
    live.mark_failed(run_id, task)
    assert live.sync(run_id)["staged_rows"] == HELD
    following = live.trigger()
    assert live.ended(following) == "failed"
    message = live.sync(following)["message"]
    assert ("has been running since" in message, run_id in message) == (True, False)
    forced = live.trigger({"force": True})
    assert live.ended(forced) == "success"
    assert live.sync(run_id)["status"] == "superseded"
    live.holds(forced)


def test_marked_and_cleared_run_resumes_its_sync(live: Live) -> None:
    """It meets the lease that it has left behind itself, and is not a stranger to it."""
    # Only a sync with changes is announced.
    owing = next(number for number, item in live.books.ledger.items().items() if item["remainder"] > 1)
    live.books.pay(owing, 1)
    run_id, task = live.trigger_and_catch(CAUGHT_AT)
    before = live.sync(run_id)
    live.mark_failed(run_id, task)
    live.api.post(f"dags/{DAG_ID}/dagRuns/{run_id}/clear", {"dry_run": False})
    assert live.ended(run_id) == "success"
    after = live.sync(run_id)
    assert (after["sync_id"], after["run_key"]) == (before["sync_id"], before["run_key"])
    assert (before["clear_number"], after["clear_number"], after["status"]) == (0, 1, "completed")
    assert after["staged_rows"] == [PAGE_SIZE] * PAGES
    live.until(lambda: live.sync(run_id)["announced_at"], "the event is noted as recorded", 20)
    live.holds()


def kill_all(part: Part) -> None:
    """Kill a program and all it started, itself first: it is to see nothing of it."""
    for process in (part.process, *part.members()):
        with suppress(psutil.NoSuchProcess):
            process.kill()
