"""A payment, and the lines of a booking, show within a minute and the time of a task or two, with a quick sync each minute."""

from __future__ import annotations

import random
import time

import pytest

from economic.config.dags import LINES_DAG_ID, QUICK_DAG_ID
from tests.dags.scheduler.live import Live
from tests.integration.test_quick_sync import settled_numbers

SOON_SECONDS = 75
LAST = "select status, scope, complete from economic.sync_run order by sync_id desc limit 1"
SETTLED = "select 1 from economic.invoice where invoice_number = %s and remainder = 0"
CHECKED = "select status from economic.line_check where invoice_number = %s"
PROVEN = [{"status": "completed", "scope": "quick", "complete": True}]


@pytest.fixture(scope="module")
def chosen(airflow: Live) -> None:
    """A full sync by hand, then a quick one each minute."""
    late = {"ECONOMIC_ON_LATE": "", "ECONOMIC_LATE_AFTER_MINUTES": ""}
    schedules = {"ECONOMIC_SYNC_SCHEDULE": "0 0 1 1 *", "ECONOMIC_QUICK_SCHEDULE": "* * * * *"}
    wanted = {"AUTO_SYNC_ENABLED": "true", "ECONOMIC_LINES": "true"}
    airflow.airflow.change(wanted | late | schedules)
    run_id = airflow.trigger()
    assert airflow.ended(run_id) == "success"


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.fault("Q19")
def test_payment_shows_within_75_seconds(live: Live, times: int) -> None:
    """And the lines of what was booked with it soon after: the quick sync wakes them."""
    dice = random.Random(times)
    numbers = settled_numbers(live.books)[-times:]
    for number in numbers:
        live.books.unpay(number, "2.50")
    # A quick sync by the schedule, so that what follows is not the time of the start.
    live.until(lambda: live.rows(LAST) == PROVEN, "a quick sync has proven the copy", 2 * SOON_SECONDS)
    waited = []
    for number in numbers:
        time.sleep(dice.uniform(0, 60) if times > 1 else 0)
        live.books.pay(number)
        (booked,) = live.books.book()
        paid = time.monotonic()
        live.until(lambda: live.rows(SETTLED, number), "the payment shows", SOON_SECONDS)  # noqa: B023  # called at once
        waited.append(time.monotonic() - paid)
    print(f"\nA payment showed after {', '.join(f'{each:.0f}' for each in waited)} s.")
    live.until(lambda: live.rows(CHECKED, booked) == [{"status": "proven"}], "the lines show", SOON_SECONDS)
    runs = live.api.get(f"dags/{LINES_DAG_ID}/dagRuns")["dag_runs"]
    assert {run["run_type"] for run in runs} >= {"asset_triggered"}
    live.api.patch(f"dags/{QUICK_DAG_ID}", {"is_paused": True})
    live.until(
        lambda: not live.rows("select 1 from economic.sync_run where status = 'running'"),
        "none runs any more",
    )
    live.holds()
