"""An Airflow as it is delivered, with the books of a company of ordinary size."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dags.scheduler import live as harness
from tests.dags.scheduler.live import Live
from tests.support import write_auditor as referee

INVOICES = 22_500
# A changed schedule counts as soon as it is read; all else is as it is delivered.
TOLD = {"AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0"}


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    """The running Airflow, synced once."""
    home = Path(tempfile.mkdtemp(prefix="economic-backfill-"))
    with harness.running(home, TOLD, INVOICES, quick={}) as started:
        assert started.wait(started.trigger())["state"] == "success"
        referee.watch(started.invoices)
        yield started
    if request.session.testsfailed:
        print(f"\nThe logs are kept in {home}.")
    else:
        shutil.rmtree(home)
