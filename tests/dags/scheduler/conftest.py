"""One Airflow for all tests here; what its processes and tasks said is shown with a test that fails.

A changed setting costs a restart, so it begins with the alerts and the example of the documents.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev import ROOT
from tests.dags.scheduler import live as harness
from tests.dags.scheduler.live import UNSCHEDULED, Live

ALERTS = """
import json
from pathlib import Path

from economic.config.callbacks import log_late


def note(*line):
    with Path(__file__).with_name("heard").open("a") as file:
        file.write(json.dumps(line) + "\\n")


def failed(context):
    note("failed", context["dag_run"].run_id, str(context["exception"]))


def late(context, **kwargs):
    note("late", context["dag_run"]["dag_run_id"])
    log_late(context)
"""
LATE_AFTER_MINUTES = 30
LATE = {"ECONOMIC_ON_LATE": "live_alerts.late", "ECONOMIC_LATE_AFTER_MINUTES": str(LATE_AFTER_MINUTES)}
_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
_BUNDLES = [
    {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}},
    {"name": "examples", "classpath": _BUNDLE, "kwargs": {"path": str(ROOT / "docs" / "examples")}},
]
_SHOWN_LINES = 20
_SHOWN_WIDTH = 300


@pytest.fixture(scope="session")
def airflow(request: pytest.FixtureRequest) -> Iterator[Live]:
    """The running Airflow."""
    home = Path(tempfile.mkdtemp(prefix="economic-live-"))
    (home / "live_alerts.py").write_text(ALERTS)
    settings = LATE | {
        "ECONOMIC_ON_FAILURE": "live_alerts.failed",
        "PYTHONPATH": f"{home}:{os.environ['PYTHONPATH']}",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_BUNDLES),
    }
    with harness.running(home, settings) as started:
        yield started
        harness.look_for_secrets(request.config, started)
    if request.session.testsfailed:
        print(f"\nThe logs are kept in {home}.")
    else:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def chosen(airflow: Live) -> object:
    """The settings of a module's tests; these, unless the module has its own.

    Airflow 3.3.2 cannot clear a run with a deadline that has not passed.
    """
    airflow.airflow.change(UNSCHEDULED | {"ECONOMIC_ON_LATE": "", "ECONOMIC_LATE_AFTER_MINUTES": ""})
    return None


@pytest.fixture
def live(airflow: Live, chosen: object) -> Iterator[Live]:
    """The running Airflow, with an account that answers well and an empty journal."""
    airflow.books.faults()
    airflow.books.reset()
    yield airflow
    airflow.books.faults()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the ends of the logs to the report of a failed test."""
    outcome: Any = yield
    report = outcome.get_result()
    started = getattr(item, "funcargs", {}).get("airflow")
    if report.failed and isinstance(started, Live):
        logs = started.parts.logs
        tasks = (logs.parent / "airflow" / "logs").glob("dag_id=*/**/*.log")
        newest = sorted(tasks, key=lambda path: path.stat().st_mtime)[-3:]
        for path in (*sorted(logs.glob("*.log")), *newest):
            lines = path.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
            shown = "\n".join(line[:_SHOWN_WIDTH] for line in lines)
            report.sections.append((f"end of {path.relative_to(logs.parent)}", shown))
