"""One Airflow for all tests here; what its processes and tasks said is shown with a test that fails."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dags.scheduler import live as harness
from tests.dags.scheduler.live import UNSCHEDULED, Live

_SHOWN_LINES = 20
_SHOWN_WIDTH = 300


@pytest.fixture(scope="session")
def airflow(request: pytest.FixtureRequest) -> Iterator[Live]:
    """The running Airflow."""
    home = Path(tempfile.mkdtemp(prefix="economic-live-"))
    with harness.running(home) as started:
        yield started
        harness.look_for_secrets(request.config, started)
    if request.session.testsfailed:
        print(f"\nThe logs are kept in {home}.")
    else:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def schedule(airflow: Live) -> object:
    """What the DAG's schedule is for the tests of a module: none, unless the module has its own."""
    airflow.airflow.change(UNSCHEDULED)
    return None


@pytest.fixture
def live(airflow: Live, schedule: object) -> Iterator[Live]:
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
