"""Runs that fall due by themselves, alone and beside a backfill."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.local.airflow_settings import DAG_ID
from tests.dags.scheduler.live import PAGE_SIZE, PAGES, TASKS, Live, at, now

DAYS = 1
_LONGEST_SECONDS = 240
_BACKFILL_STARTS_IN = timedelta(seconds=8)


@dataclass(frozen=True)
class Schedule:
    """A schedule that fell due in the minute in which it began, falls due in the next three, and at these times of any other day.

    Where an hour ends among these minutes it also falls due at each of them in both hours: cron has no other way to say it.

    :param since: when Airflow began to follow it.
    """

    since: datetime

    @property
    def ticks(self) -> list[datetime]:
        minute = self.since.replace(second=0, microsecond=0)
        return [minute + timedelta(minutes=each) for each in range(4)]

    @property
    def minutes(self) -> list[int]:
        return sorted({tick.minute for tick in self.ticks})

    @property
    def hours(self) -> list[int]:
        return sorted({tick.hour for tick in self.ticks})

    @property
    def times_a_day(self) -> int:
        return len(self.minutes) * len(self.hours)

    @property
    def cron(self) -> str:
        return f"{','.join(map(str, self.minutes))} {','.join(map(str, self.hours))} * * *"


# The module comes last: what follows would cost another restart.
@pytest.fixture(scope="module")
def chosen(airflow: Live) -> Schedule:
    """The schedule of this module's tests."""
    schedule = Schedule(now())
    settings = {"ECONOMIC_ON_LATE": "", "ECONOMIC_LATE_AFTER_MINUTES": ""}
    airflow.airflow.change(settings | {"AUTO_SYNC_ENABLED": "true", "ECONOMIC_SYNC_SCHEDULE": schedule.cron})
    return schedule


def test_due_run_starts_by_itself_and_syncs(live: Live, chosen: Schedule) -> None:
    (run, *_) = live.until(lambda: live.runs("scheduled", chosen.since), "there is a scheduled run")
    run_id = run["dag_run_id"]
    assert at(run["run_after"]) in chosen.ticks
    assert live.ended(run_id) == "success"
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["status"], sync["scope"]) == ("scheduled", "completed", "full")
    assert live.xcom(run_id) == sync["statistics"]
    live.holds()


def test_backfill_and_scheduled_runs_spare_each_other(live: Live, chosen: Schedule) -> None:
    """The backfill is created a few seconds before a tick, so that its runs and the scheduled one meet."""
    tick = next(tick for tick in chosen.ticks if tick > now() + _BACKFILL_STARTS_IN)
    time.sleep((tick - now() - _BACKFILL_STARTS_IN).total_seconds())
    first = (now() - timedelta(days=DAYS + 1)).date()
    last = first + timedelta(days=DAYS - 1)
    created = now()
    live.command(
        *("backfill", "create", "--dag-id", DAG_ID, "--max-active-runs", "1"),
        *("--from-date", f"{first}T00:00:00+00:00", "--to-date", f"{last}T23:59:00+00:00"),
    )
    backfill = live.runs("backfill", created)
    assert len(backfill) == DAYS * chosen.times_a_day
    fell_due = live.until(
        lambda: [run for run in live.runs("scheduled", created) if at(run["run_after"]) >= tick],
        f"the run of {tick} exists",
    )
    for run in (*backfill, *fell_due):
        assert live.ended(run["dag_run_id"], _LONGEST_SECONDS) == "success"
    for run in backfill:
        did_what_a_backfill_run_does(live, run)
    for run in fell_due:
        did_what_a_scheduled_run_beside_a_backfill_does(live, run)
    holds_at_rest(live, created)


def test_backfill_repeats_runs_that_were_completed(live: Live, chosen: Schedule) -> None:
    """As README has it: without that behaviour Airflow leaves every such time out, and the range unread."""
    live.until(
        lambda: all(each["completed_at"] for each in live.api.get("backfills", dag_id=DAG_ID)["backfills"]),
        "Airflow counts the backfill before as completed",
        120,
    )
    (run, *_) = live.runs("scheduled", chosen.since)
    run_id, due = run["dag_run_id"], at(run["logical_date"])
    when = ("--from-date", due.isoformat(), "--to-date", due.isoformat())
    created = now()
    said = live.command("backfill", "create", "--dag-id", DAG_ID, "--reprocess-behavior", "completed", *when)
    assert run_id in [again["dag_run_id"] for again in live.runs("backfill", created)], said
    assert live.ended(run_id, _LONGEST_SECONDS) == "success"
    first, second = live.rows("select * from economic.sync_run where run_id = %s order by sync_id", run_id)
    assert (first["run_type"], first["scope"], first["status"]) == ("scheduled", "full", "completed")
    assert (second["run_type"], second["scope"], second["status"]) == ("backfill", "range", "completed")
    assert second["date_to"] == due.date()
    assert (second["statistics"]["complete"], second["statistics"]["missing"]) == (True, 0)
    holds_at_rest(live, chosen.since)


def holds_at_rest(live: Live, since: datetime) -> None:
    """Check the invariants once no run falls due any more and those that did have ended."""
    paused = False
    while not paused:
        for run in live.runs("scheduled", since):
            live.ended(run["dag_run_id"])
        live.api.patch(f"dags/{DAG_ID}", {"is_paused": True})
        # A run that fell due meanwhile gets no task while its DAG is paused: let it end first.
        paused = all(run["state"] in {"success", "failed"} for run in live.runs("scheduled", since))
        if not paused:
            live.api.patch(f"dags/{DAG_ID}", {"is_paused": False})
    live.holds()
    live.api.patch(f"dags/{DAG_ID}", {"is_paused": False})


def did_what_a_backfill_run_does(live: Live, run: dict[str, Any]) -> None:
    run_id = run["dag_run_id"]
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["scope"], sync["status"]) == ("backfill", "range", "completed")
    assert (sync["statistics"]["complete"], sync["statistics"]["missing"]) == (True, 0)
    assert live.xcom(run_id)["sync_id"] == sync["sync_id"]


def did_what_a_scheduled_run_beside_a_backfill_does(live: Live, run: dict[str, Any]) -> None:
    """It has waited for its turn if it had to: a range that is read is no reason to skip a full sync."""
    run_id = run["dag_run_id"]
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["scope"], sync["status"]) == ("scheduled", "full", "completed")
    assert (sync["statistics"]["complete"], sync["statistics"]["fetched"]) == (True, PAGE_SIZE * PAGES)
