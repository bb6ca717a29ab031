"""What Airflow keeps for a DAG run, and what it shows and records of one, under the real scheduler."""

from __future__ import annotations

import json
from pathlib import Path

from dev.local.airflow_settings import DAG_ID
from tests.dags.scheduler.live import PAGE_SIZE, PAGES, TASKS, Live
from tests.dags.scheduler.test_killed import CAUGHT_AT, gone


def last_lines(live: Live, run_id: str, task_id: str) -> list[str]:
    """What the newest log of a task says, without Airflow's own marks for folding."""
    logs = Path(live.parts.logs).parent / "airflow" / "logs"
    folder = logs / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task_id}"
    newest = max(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    events = [json.loads(line)["event"] for line in newest.read_text().splitlines()]
    return [event for event in events if not event.startswith("::")]


def test_marked_and_cleared_run_resumes_its_own_sync(live: Live) -> None:
    """It meets the lease that it has left behind itself, and is not a stranger to it."""
    # Only a sync with changes is announced.
    owing = next(number for number, item in live.books.ledger.items().items() if item["remainder"] > 1)
    live.books.pay(owing, 1)
    live.books.fault("/invoices/booked", "slow", at=CAUGHT_AT, seconds=20)
    run_id = live.trigger()
    task = live.caught_in_mid_fetch(run_id, CAUGHT_AT)
    before = live.sync(run_id)
    live.api.patch(f"dags/{DAG_ID}/dagRuns/{run_id}", {"state": "failed"})
    live.until(lambda: gone(task), "Airflow has ended the task", 30)
    live.books.faults()
    live.api.post(f"dags/{DAG_ID}/dagRuns/{run_id}/clear", {"dry_run": False})
    assert live.ended(run_id) == "success"
    after = live.sync(run_id)
    assert (after["sync_id"], after["run_key"]) == (before["sync_id"], before["run_key"])
    assert (before["clear_number"], after["clear_number"], after["status"]) == (0, 1, "completed")
    assert after["staged_rows"] == [PAGE_SIZE] * PAGES
    live.until(lambda: live.sync(run_id)["announced_at"], "the event is noted as recorded", 20)
    live.holds()


def test_reason_of_a_failure_is_the_last_line(live: Live) -> None:
    live.books.fault("/self", "status", at="all", status=401)
    run_id = live.trigger()
    assert live.ended(run_id) == "failed"
    message = live.sync(run_id)["message"]
    assert last_lines(live, run_id, TASKS[0])[-1] == message
