"""What Airflow calls when a sync fails or is late, and the DAG that waits for changed invoices: each hooked up as the documents say."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dags.scheduler.live import UNSCHEDULED, Live

LATE_AFTER_MINUTES = 1
ALERTS = """
import json
from pathlib import Path

from economic.config.callbacks import log_late

HEARD = Path({heard!r})


def note(kind, run_id, why=""):
    with HEARD.open("a") as file:
        file.write(json.dumps({{"kind": kind, "run_id": run_id, "why": why}}) + "\\n")


def failed(context):
    note("failed", context["dag_run"].run_id, str(context["exception"]))


def late(context, **kwargs):
    note("late", context["dag_run"]["dag_run_id"])
    log_late(context)
"""


@pytest.fixture
def heard(live: Live, tmp_path: Path) -> Iterator[Path]:
    """The file in which the alerts note what they are told."""
    home = live.parts.logs.parent
    (home / "live_alerts.py").write_text(ALERTS.format(heard=str(home / "heard")))
    before = live.airflow.environment.get("PYTHONPATH", "")
    live.airflow.change(
        {
            "ECONOMIC_ON_FAILURE": "live_alerts.failed",
            "ECONOMIC_ON_LATE": "live_alerts.late",
            "ECONOMIC_LATE_AFTER_MINUTES": str(LATE_AFTER_MINUTES),
            "PYTHONPATH": f"{home}:{before}",
        }
    )
    yield home / "heard"
    live.airflow.change(
        UNSCHEDULED
        | {
            "ECONOMIC_ON_FAILURE": "",
            "ECONOMIC_ON_LATE": "",
            "ECONOMIC_LATE_AFTER_MINUTES": "",
            "PYTHONPATH": before,
        }
    )


def told(heard: Path, kind: str) -> list[dict[str, str]]:
    lines = heard.read_text().splitlines() if heard.exists() else []
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def test_a_failed_and_a_late_sync_are_told_to_whoever_wants_to_know(live: Live, heard: Path) -> None:
    live.books.fault("/self", "status", at="all", status=401)
    failed = live.trigger()
    assert live.ended(failed) == "failed"
    (one,) = live.until(lambda: told(heard, "failed"), "the failure is told")
    assert (one["run_id"], "e-conomic answered 401" in one["why"]) == (failed, True)

    live.books.faults()
    live.books.fault("/invoices/booked", "slow", at="all", seconds=15)
    began = time.monotonic()
    late = live.trigger()
    live.until(
        lambda: [one for one in told(heard, "late") if one["run_id"] == late],
        "the delay is told",
        60 * LATE_AFTER_MINUTES + 40,
    )
    assert time.monotonic() - began >= 60 * LATE_AFTER_MINUTES
    live.books.faults()
    assert live.ended(late) == "success"
    assert len(told(heard, "failed")) == 1
    # A run that has failed is late too: it has not ended well.
    assert [one["run_id"] for one in told(heard, "late")] == [failed, late]
    live.until(
        lambda: f"The invoice sync is late: run {late} has not succeeded in time" in live.said(),
        "the log says so",
    )
    live.holds(late)
