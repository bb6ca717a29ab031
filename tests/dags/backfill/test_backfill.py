"""Backfills as a user types them, beside full syncs that fall due meanwhile: everything is read, nobody is lost, and how long it takes.

Half an hour and more: `./run test --backfill`, not part of `make test`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from croniter import croniter

from dev.local.airflow_settings import DAG_ID
from tests.dags.scheduler.live import Live, at, now
from tests.support import write_auditor as referee

pytestmark = pytest.mark.long

SOON = timedelta(minutes=2)
"""How long before the first full sync that falls due beside a backfill."""


@dataclass(frozen=True)
class Plan:
    """A schedule that falls due soon, and a range of days in which it fell due before.

    :param cron: with the minute, hour and day of the week at which it falls due soon, and the minute and hour ten minutes later.
    """

    name: str
    first: date
    last: date
    runs: int
    cron: str

    def schedule(self, moment: datetime) -> str:
        soon, later = moment + SOON, moment + SOON + timedelta(minutes=10)
        minutes = ",".join(map(str, sorted({soon.minute, later.minute})))
        hours = f"{soon.hour},{(soon.hour + 1) % 24}"
        return self.cron.format(soon=soon, minutes=minutes, hours=hours, day=soon.isoweekday() % 7)


PLANS = (
    Plan("four times a day, 30 days", date(2026, 9, 30), date(2026, 10, 29), 120, "{minutes} {hours} * * *"),
    Plan("every hour, 2 days", date(2026, 10, 28), date(2026, 10, 29), 48, "{soon.minute} * * * *"),
    Plan(
        "once a week, 10 weeks",
        date(2026, 8, 1),
        date(2026, 10, 9),
        10,
        "{soon.minute} {soon.hour} * * {day}",
    ),
)


@pytest.mark.parametrize("plan", PLANS, ids=[plan.name for plan in PLANS])
def test_backfill_reads_everything_beside_full_syncs(live: Live, plan: Plan) -> None:
    cron = plan.schedule(now())
    before = live.rows("select coalesce(max(at), 0) as last from referee.note")[0]["last"]
    live.airflow.change({"AUTO_SYNC_ENABLED": "true", "ECONOMIC_SYNC_SCHEDULE": cron})
    live.books.reset()
    created = now()
    live.command(
        *("backfill", "create", "--dag-id", DAG_ID),
        *("--from-date", f"{plan.first}T00:00:00+00:00", "--to-date", f"{plan.last}T23:59:00+00:00"),
    )
    backfill = live.runs("backfill", created)
    assert len(backfill) == plan.runs
    for run in backfill:
        assert live.ended(run["dag_run_id"], 3600) == "success", run["dag_run_id"]
    seconds = (now() - created).total_seconds()
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
    for run in due:
        sync = live.sync(run["dag_run_id"])
        assert (sync["run_type"], sync["scope"], sync["status"]) == ("scheduled", "full", "completed")
    verdict = referee.verdict(live.invoices, int(before))
    assert verdict.offences == ()
    ended = {row["sync_id"]: row["finished_at"] for row in live.rows("select * from economic.sync_run")}
    for earlier, later in pairwise(verdict.holds):
        assert ended[earlier.sync_id] <= later.since
    assert live.rows("select 1 from economic.invoice where missing_since is not null") == []
    live.holds()
    since = {hold.sync_id: hold.since for hold in verdict.holds}
    waits = [
        since[live.sync(run["dag_run_id"])["sync_id"]] - max(at(run["run_after"]), at(run["queued_at"]))
        for run in due
    ]
    print(
        f"\n{plan.name}: {len(backfill)} runs in {seconds:.0f} s; {len(due)} full syncs waited {max(waits)} at most"
    )


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
