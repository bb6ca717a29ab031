"""Runs that fall due by themselves, alone and beside a backfill."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.airflow_settings import DAG_ID
from tests.live.live import TASKS, Live, at, now

DAYS = 2
_LONGEST_SECONDS = 240
_BACKFILL_STARTS_IN = timedelta(seconds=8)


@dataclass(frozen=True)
class Schedule:
    """A schedule that fell due in the minute in which it began, falls due in the next three, and at these times of any other day.

    :param since: when Airflow began to follow it.
    """

    since: datetime

    @property
    def ticks(self) -> list[datetime]:
        minute = self.since.replace(second=0, microsecond=0)
        return [minute + timedelta(minutes=each) for each in range(4)]

    @property
    def cron(self) -> str:
        minutes = ",".join(str(tick.minute) for tick in self.ticks)
        hours = ",".join(str(hour) for hour in sorted({tick.hour for tick in self.ticks}))
        return f"{minutes} {hours} * * *"


@pytest.fixture(scope="module")
def schedule(airflow: Live) -> Schedule:
    """The schedule of this module's tests."""
    chosen = Schedule(now())
    airflow.airflow.change({"AUTO_SYNC_ENABLED": "true", "ECONOMIC_SYNC_SCHEDULE": chosen.cron})
    return chosen


def test_a_run_that_is_due_starts_by_itself_and_syncs(live: Live, schedule: Schedule) -> None:
    (run, *_) = live.until(lambda: live.runs("scheduled", schedule.since), "there is a scheduled run")
    run_id = run["dag_run_id"]
    assert at(run["run_after"]) in schedule.ticks
    assert live.ended(run_id) == "success"
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["status"], sync["scope"]) == ("scheduled", "completed", "full")
    assert live.xcom(run_id) == sync["statistics"]
    live.holds()


def test_a_backfill_and_scheduled_runs_do_not_fail_each_other(live: Live, schedule: Schedule) -> None:
    """The backfill is created a few seconds before a tick, so that its runs and the scheduled one meet."""
    tick = next(tick for tick in schedule.ticks if tick > now() + _BACKFILL_STARTS_IN)
    time.sleep((tick - now() - _BACKFILL_STARTS_IN).total_seconds())
    first = (now() - timedelta(days=DAYS + 1)).date()
    last = first + timedelta(days=DAYS - 1)
    created = now()
    live.command(
        *("backfill", "create", "--dag-id", DAG_ID, "--max-active-runs", "1"),
        *("--from-date", f"{first}T00:00:00+00:00", "--to-date", f"{last}T23:59:00+00:00"),
    )
    backfill = live.runs("backfill", created)
    assert len(backfill) == DAYS * len(schedule.ticks)
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
    live.holds()


def did_what_a_backfill_run_does(live: Live, run: dict[str, Any]) -> None:
    run_id = run["dag_run_id"]
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["status"]) == ("backfill", "completed")
    assert live.xcom(run_id)["sync_id"] == sync["sync_id"]


def did_what_a_scheduled_run_beside_a_backfill_does(live: Live, run: dict[str, Any]) -> None:
    sync = live.sync(run["dag_run_id"])
    assert sync["run_type"] == "scheduled"
    assert sync["status"] in {"completed", "skipped"}
