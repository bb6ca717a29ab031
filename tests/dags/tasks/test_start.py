"""`make start`, as its user meets it: what it says, what it lets in, what it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from dev import clean
from dev.local.local_airflow import AirflowApi
from dev.local.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
DAG_ID = "economic_invoice_sync"
READY = "Ctrl-C stops everything."
INVOICES = 300
_LONGEST_SECONDS = 180


class Place:
    """A folder for the data of the commands under test."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def environment(self) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "ECONOMIC_"))
        }
        return kept | {"ECONOMIC_DEMO_DATA": str(self.home)}

    def start(self, *options: str) -> Started:
        return Started(self, ["--invoices", str(INVOICES), *options])

    def command(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the other commands to its end."""
        command = [sys.executable, "-m", f"dev.{module}", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment(), capture_output=True, text=True)


class Started:
    """A running `./run start`, in a process group of its own as a terminal makes one."""

    def __init__(self, place: Place, options: list[str]) -> None:
        self._place = place
        self._sessions: set[int] = set()
        self._output = place.home / "said"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dev.start", *options],
                cwd=ROOT,
                env=place.environment(),
                stdout=output,
                stderr=output,
                process_group=0,
            )

    def parts(self) -> set[int]:
        """The sessions of everything it has started so far, the database server's included."""
        self._sessions |= {child.pid for child in psutil.Process(self.process.pid).children()}
        note = self._place.home / "postgres" / "data" / "postmaster.pid"
        if note.exists():
            self._sessions.add(int(note.read_text().splitlines()[0]))
        return self._sessions

    def left(self) -> list[str]:
        """What still runs of all that."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getsid(process.pid) in self._sessions and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
        return found

    def said(self) -> str:
        return self._output.read_text()

    def until(self, ready: Any, what: str) -> None:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not ready():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"waited in vain until {what}: {self.said()}"
            self.parts()
            time.sleep(0.05)
        self.parts()

    def is_ready(self) -> dict[str, str]:
        """Wait until it is; what it shows, by label."""
        self.until(lambda: READY in self.said(), "it is ready")
        return dict(re.findall(r"^  (web|login|DAG|sync now) +(.*)$", self.said(), re.MULTILINE))

    def ends(self) -> int:
        return self.process.wait(60)

    def is_gone(self) -> None:
        """Kill what a failed test would leave behind."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(60)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    home = Path(tempfile.mkdtemp(prefix="economic-start-"))
    home.chmod(0o755)  # PostgreSQL may have to run as another user
    yield Place(home)
    shutil.rmtree(home)


@pytest.fixture
def started(place: Place) -> Iterator[list[Started]]:
    """Holds what a test has started, for the case that it fails."""
    running: list[Started] = []
    yield running
    for each in running:
        each.is_gone()


def test_a_wanted_port_that_is_in_use_is_refused_by_number(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = place.command("start", "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stdout
    assert list(place.home.iterdir()) == []


def test_demo_names_the_setting_that_is_unusable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTO_SYNC_ENABLED", "nonsense")
    refused = place.command("demo", "--invoices", str(INVOICES))
    assert refused.returncode == 1
    assert "The demo could not run: AUTO_SYNC_ENABLED" in refused.stdout


def test_ctrl_c_in_the_middle_of_the_first_start_leaves_nothing_behind(
    place: Place, started: list[Started]
) -> None:
    begun = place.start()
    started.append(begun)
    begun.until((place.home / "logs" / "airflow-db-migrate.log").exists, "Airflow's tables are being made")
    assert len(begun.parts()) >= 3  # PostgreSQL, the simulator, the migration
    os.killpg(begun.process.pid, signal.SIGINT)
    assert begun.ends() == 130
    assert begun.left() == []


def api_of(shown: dict[str, str]) -> AirflowApi:
    return AirflowApi(shown["web"], shown["login"].split()[2])


def test_a_started_airflow_can_be_used_as_it_says_and_stopped(
    place: Place,
    started: list[Started],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    running = place.start("--port", str(port))
    started.append(running)
    shown = running.is_ready()
    assert shown["web"] == f"http://127.0.0.1:{port}"
    # Airflow makes up for the schedule's last tick at once: it has begun, or does now.
    assert re.search(
        rf"{DAG_ID} is on; (a sync has begun, and )?the next sync by itself begins", shown["DAG"]
    )
    scheduled = api_of(shown).get(f"dags/{DAG_ID}/dagRuns", run_type="scheduled")["dag_runs"]
    assert not scheduled or "a sync has begun" in shown["DAG"] or "begins now" in shown["DAG"]

    name, password = shown["login"].split()[0], shown["login"].split()[2]
    assert name == "admin"
    assert requests.get(f"{shown['web']}/api/v2/dags", timeout=30).status_code == 401
    wrong = {"username": name, "password": password + "x"}
    assert requests.post(f"{shown['web']}/auth/token", json=wrong, timeout=30).status_code == 401
    api = api_of(shown)
    for secret in ("keys.json", "passwords.json", "started.json"):
        assert (place.home / secret).stat().st_mode & 0o077 == 0

    for conn_id in ("economic_default", "economic_postgres"):
        stored = api.get(f"connections/{conn_id}")
        # what the connection form's Test button sends: the secrets are masked, everything else is as it is stored
        form = {key: value for key, value in stored.items() if key not in {"description", "team_name"}}
        assert api.post("connections/test", form)["status"] is True

    command = shown["sync now"].removeprefix("./run airflow ").split()
    triggered = place.command("airflow_command", *command)
    assert triggered.returncode == 0, triggered.stdout + triggered.stderr
    (run,) = api.get(f"dags/{DAG_ID}/dagRuns", run_type="manual")["dag_runs"]
    waited = api.lines(f"dags/{DAG_ID}/dagRuns/{run['dag_run_id']}/wait", interval=0.5)
    assert '"state": "success"' in waited[-1]
    counted = place.command("psql", "psql", "-Atc", "select count(*) from invoice")
    assert counted.stdout.strip() == str(INVOICES), counted.stderr
    status = place.command("psql", "economic", "status")
    assert f"holds        {INVOICES} invoices" in status.stdout, status.stderr

    monkeypatch.setattr(clean, "ROOT", place.home / "nothing")
    monkeypatch.setenv("ECONOMIC_DEMO_DATA", str(place.home))
    assert clean.main(["--yes"]) == 1
    assert f"started already, by process {running.process.pid}" in capsys.readouterr().out

    second = place.command("start")
    assert second.returncode == 1
    assert f"started already, by process {running.process.pid}" in second.stdout

    assert len(running.parts()) >= 5
    assert len(running.left()) > 5
    running.process.send_signal(signal.SIGTERM)
    assert running.ends() == 0
    assert running.left() == []
    refused = place.command("airflow_command", "dags", "list")
    assert (refused.returncode, refused.stdout.strip()) == (
        1,
        "Airflow is not started; start it with ./run start.",
    )


def test_a_part_that_dies_ends_the_others_and_a_next_start_finds_the_data(
    place: Place, started: list[Started]
) -> None:
    running = place.start()
    started.append(running)
    shown = running.is_ready()
    api = api_of(shown)
    assert api.get(f"dags/{DAG_ID}/dagRuns", run_type="manual")["total_entries"] == 1
    (scheduler,) = (
        child
        for child in psutil.Process(running.process.pid).children()
        if "scheduler" in " ".join(child.cmdline())
    )
    scheduler.kill()
    assert running.ends() == 1
    assert "scheduler has ended" in running.said()
    assert "Starting the scheduler" in running.said()
    assert running.left() == []
