"""Backfills as a user types them, beside full syncs that fall due meanwhile: everything is read, nobody is lost, and how long it takes.

Half an hour and more: `./run test --backfill`, not part of `make test`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from croniter import croniter

from dev.local.airflow_settings import DAG_ID
from tests.dags.scheduler.live import Live, at, now
from tests.support import write_auditor as referee

pytestmark = pytest.mark.long

SCHEDULE = timedelta(minutes=2)
"""How long before the first full sync that falls due beside a backfill."""


@dataclass(frozen=True)
class Plan:
    """A schedule that falls due soon, and a range of days in which it fell due before.

    :param often: minutes between two times it falls due now; None: once.
    """

    name: str
    first: date
    last: date
    runs: int
    often: int | None = None
    weekly: bool = False

    def cron(self, moment: datetime) -> str:
        soon = (moment + SCHEDULE).replace(second=0, microsecond=0)
        if self.weekly:
            return f"{soon.minute} {soon.hour} * * {soon.isoweekday() % 7}"
        if self.often is None:
            return f"{soon.minute} * * * *"
        later = soon + timedelta(minutes=self.often)
        minutes = sorted({soon.minute, later.minute})
        return f"{minutes[0]},{minutes[1]} {soon.hour},{(soon.hour + 1) % 24} * * *"


PLANS = (
    Plan("four times a day, 30 days", date(2026, 9, 30), date(2026, 10, 29), 120, often=10),
    Plan("every hour, 2 days", date(2026, 10, 28), date(2026, 10, 29), 48),
    Plan("once a week, 10 weeks", date(2026, 8, 1), date(2026, 10, 9), 10, weekly=True),
)


@pytest.mark.parametrize("plan", PLANS, ids=[plan.name for plan in PLANS])
def test_a_backfill_reads_everything_again_beside_full_syncs(live: Live, plan: Plan) -> None:
    cron = plan.cron(now())
    before = last_note(live)
    live.airflow.change({"AUTO_SYNC_ENABLED": "true", "ECONOMIC_SYNC_SCHEDULE": cron})
    live.books.reset()
    created = now()
    live.command(
        *("backfill", "create", "--dag-id", DAG_ID),
        *("--from-date", f"{plan.first}T00:00:00+00:00", "--to-date", f"{plan.last}T23:59:00+00:00"),
    )
    backfill = live.runs("backfill", created)
    assert len(backfill) == plan.runs
    began = time.monotonic()
    for run in backfill:
        assert live.ended(run["dag_run_id"], 3600) == "success", run["dag_run_id"]
    seconds = time.monotonic() - began
    due = fell_due(live, cron, created, now())
    for run in due:
        assert live.ended(run["dag_run_id"], 600) == "success"
    live.until(
        lambda: all(each["completed_at"] for each in live.api.get("backfills", dag_id=DAG_ID)["backfills"]),
        "Airflow counts the backfill as completed",
    )
    live.airflow.change({"AUTO_SYNC_ENABLED": "false"})
    for run in backfill:
        read_its_days_again(live, run, cron)
    waited = [synced_in_full(live, run) for run in due]
    holds = one_at_a_time(live, before)
    assert live.rows("select count(*) from economic.invoice where missing_since is not null")[0]["count"] == 0
    live.holds()
    tell(live, plan, backfill, seconds, waited, holds)


def fell_due(live: Live, cron: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """The scheduled runs of that time; there is one for each time the schedule fell due."""
    ticks = croniter(cron, since)
    expected = []
    while (tick := datetime.fromtimestamp(ticks.get_next(float), UTC)) < until:
        expected.append(tick)
    found = live.until(
        lambda: len(runs := live.runs("scheduled", since)) >= len(expected) and runs, f"{expected} have runs"
    )
    assert [at(run["run_after"]) for run in found if at(run["run_after"]) > since] == expected
    assert expected, "no full sync fell due beside the backfill"
    return list(found)


def read_its_days_again(live: Live, run: dict[str, Any], cron: str) -> None:
    """From the day of the time before its own to its own day, every invoice of those days."""
    due = at(run["logical_date"])
    earlier = datetime.fromtimestamp(croniter(cron, due).get_prev(float), UTC)
    sync = live.sync(run["dag_run_id"])
    assert (sync["run_type"], sync["scope"], sync["status"]) == ("backfill", "range", "completed")
    assert (sync["date_from"], sync["date_to"]) == (earlier.date(), due.date())
    dated = [
        one
        for one in live.books.ledger.invoices.values()
        if str(earlier.date()) <= one.date <= str(due.date())
    ]
    statistics = sync["statistics"]
    assert (statistics["fetched"], statistics["complete"], statistics["missing"]) == (len(dated), True, 0)


def synced_in_full(live: Live, run: dict[str, Any]) -> float:
    """It was not skipped; for how many seconds it waited for its turn, since there was a run.

    The first one after a schedule begins is of a time that has long passed.
    """
    sync = live.sync(run["dag_run_id"])
    assert (sync["run_type"], sync["scope"], sync["status"]) == ("scheduled", "full", "completed")
    (hold,) = [hold for hold in referee.verdict(live.invoices).holds if hold.sync_id == sync["sync_id"]]
    return (hold.since - max(at(run["run_after"]), at(run["queued_at"]))).total_seconds()


def last_note(live: Live) -> int:
    return int(live.rows("select coalesce(max(at), 0) as last from referee.note")[0]["last"])


def one_at_a_time(live: Live, after: int) -> Sequence[referee.Hold]:
    """No two writers, by the referee's notes and by the times in the syncs' own rows."""
    found = referee.verdict(live.invoices, after)
    assert found.offences == ()
    ended = {row["sync_id"]: row["finished_at"] for row in live.rows("select * from economic.sync_run")}
    for earlier, later in zip(found.holds, found.holds[1:], strict=False):
        assert ended[earlier.sync_id] <= later.since
    return found.holds


def tell(
    live: Live,
    plan: Plan,
    backfill: list[dict[str, Any]],
    seconds: float,
    waited: list[float],
    holds: Sequence[referee.Hold],
) -> None:
    """What it took, for whoever runs this to know."""
    at_work = sum((hold.until - hold.since).total_seconds() for hold in holds if hold.until)
    with psycopg.connect(live.metadata) as connection:
        looks = connection.execute("select count(*) from task_reschedule").fetchone()
    print(
        f"\n{plan.name}: {len(backfill)} runs in {seconds:.0f} s ({seconds / len(backfill):.1f} s a run), the lease held for {at_work:.0f} s of it;"
        f" {len(waited)} full syncs fell due and waited {', '.join(f'{wait:.0f}' for wait in waited)} s; looked in vain {looks and looks[0]} times so far"
    )
