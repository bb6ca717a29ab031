"""What Airflow calls when a sync fails or is late, and the DAG that waits for changed invoices, as the documents have them."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from dev.local.airflow_settings import DAG_ID
from tests.dags.scheduler.conftest import LATE, LATE_AFTER_MINUTES
from tests.dags.scheduler.live import TASKS, Live

EXAMPLE = "economic_reminders"


# The module comes first: Airflow begins with these settings.
@pytest.fixture(scope="module")
def chosen(airflow: Live) -> None:
    """The settings as they are: with alerts."""
    airflow.airflow.change(LATE)


def noted(live: Live, kind: str) -> list[list[str]]:
    """Return what the alerts of a kind were called with."""
    heard = live.parts.logs.parent / "heard"
    lines = heard.read_text().splitlines() if heard.exists() else []
    return [rest for found, *rest in map(json.loads, lines) if found == kind]


def last_line(live: Live, run_id: str) -> str:
    """Return the last line in the newest log of the first task, without Airflow's own marks for folding."""
    logs = live.parts.logs.parent / "airflow" / "logs"
    folder = logs / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={TASKS[0]}"
    newest = max(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line)["event"] for line in newest.read_text().splitlines()]
    return str([event for event in events if not event.startswith("::")][-1])


def test_failed_and_late_syncs_are_reported(live: Live) -> None:
    live.books.fault("/self", "status", at="all", status=401)
    failed = live.trigger()
    assert live.ended(failed) == "failed"
    ((run_id, reason),) = live.until(lambda: noted(live, "failed"), "the failure is reported")
    assert (run_id, "e-conomic answered 401" in reason) == (failed, True)
    assert last_line(live, failed) == live.sync(failed)["message"]

    live.books.faults()
    live.books.fault("/invoices/booked", "slow", at="all", seconds=15)
    late = live.trigger()
    with psycopg.connect(live.metadata) as connection:
        # The time is not worth waiting for: it has passed as soon as the run was queued.
        moved = connection.execute(
            "update deadline set deadline_time = deadline_time - make_interval(mins => %s) from dag_run"
            " where dag_run.id = dagrun_id returning run_id, deadline_time = queued_at",
            (LATE_AFTER_MINUTES,),
        ).fetchall()
    assert sorted(moved) == sorted([(failed, True), (late, True)])
    # A run that has failed is late too: it has not ended well.
    live.until(
        lambda: sorted(noted(live, "late")) == sorted([[failed], [late]]), "both delays are reported", 40
    )
    live.books.faults()
    assert live.ended(late) == "success"
    assert len(noted(live, "failed")) == 1
    text = f"The invoice sync is late: run {late} has not succeeded in time"
    live.until(lambda: text in live.said(), "the log says so")
    live.holds(late)


def woken(live: Live) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = live.api.get(f"dags/{EXAMPLE}/dagRuns", order_by="id")["dag_runs"]
    return found


def event_count(live: Live) -> int:
    return int(live.api.get("assets/events")["total_entries"])


def wake_it(live: Live) -> None:
    """Let an invoice be paid and synced; the example must be woken once, by that sync's event."""
    runs, events = len(woken(live)), event_count(live)
    live.books.pay(min(live.books.ledger.items()), "1.00")
    changed = live.trigger()
    assert live.ended(changed) == "success"
    assert event_count(live) == events + 1
    live.until(lambda: len(woken(live)) == runs + 1, "the example is woken")
    run = live.until(
        lambda: (newest := woken(live)[-1])["state"] in {"success", "failed"} and newest,
        "the example has ended",
    )
    assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    sync = live.sync(changed)
    created = sync["statistics"]["created"]
    assert f"Sync {sync['sync_id']}: {created} new, 1 changed" in live.said()


def test_example_runs_after_changes_only(live: Live) -> None:
    live.until(lambda: live.api.get("dags", dag_id_pattern=EXAMPLE)["dags"], "the example is known")
    live.api.patch(f"dags/{EXAMPLE}", {"is_paused": False})
    wake_it(live)
    events = event_count(live)
    unchanged = live.trigger()
    assert live.ended(unchanged) == "success"
    assert event_count(live) == events
    wake_it(live)
    live.api.patch(f"dags/{EXAMPLE}", {"is_paused": True})
    live.holds()
