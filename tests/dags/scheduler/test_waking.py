"""A DAG that waits for changed invoices, beside the sync: the documented example, under the real scheduler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dev import ROOT
from tests.dags.scheduler.live import Live

WAITING = "economic_reminders"
_LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
_FOLDERS = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
_OWN: list[dict[str, Any]] = [{"name": "dags-folder", "classpath": _LOCAL, "kwargs": {}}]


@pytest.fixture
def waiting(live: Live) -> Iterator[None]:
    """The example, known to Airflow and switched on."""
    examples = {"path": str(ROOT / "docs" / "examples")}
    both = [*_OWN, {"name": "examples", "classpath": _LOCAL, "kwargs": examples}]
    live.airflow.change({_FOLDERS: json.dumps(both)})
    live.until(lambda: live.api.get("dags", dag_id_pattern=WAITING)["dags"], "the example is known")
    live.api.patch(f"dags/{WAITING}", {"is_paused": False})
    yield
    live.airflow.change({_FOLDERS: json.dumps(_OWN)})


def woken(live: Live) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = live.api.get(f"dags/{WAITING}/dagRuns", order_by="id")["dag_runs"]
    return found


def told(live: Live) -> int:
    return int(live.api.get("assets/events")["total_entries"])


def change_something(live: Live) -> None:
    """Let an invoice be booked and synced; the example must be woken once, by that sync's event."""
    runs, events = len(woken(live)), told(live)
    live.books.book()
    changed = live.trigger()
    assert live.ended(changed) == "success"
    assert told(live) == events + 1
    live.until(lambda: len(woken(live)) == runs + 1, "the example is woken")
    run = live.until(
        lambda: (newest := woken(live)[-1])["state"] in {"success", "failed"} and newest,
        "the example has ended",
    )
    assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    sync = live.sync(changed)
    created, updated = sync["statistics"]["created"], sync["statistics"]["updated"]
    assert created >= 1
    assert f"Sync {sync['sync_id']}: {created} new, {updated} changed" in live.said()


def test_the_example_runs_when_a_sync_has_changed_something_and_only_then(live: Live, waiting: None) -> None:
    change_something(live)
    events = told(live)
    unchanged = live.trigger()
    assert live.ended(unchanged) == "success"
    assert told(live) == events
    change_something(live)
    live.holds()
