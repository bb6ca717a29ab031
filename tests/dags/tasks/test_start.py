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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests

from dev import clean
from dev.local.local_airflow import AirflowApi
from dev.local.ports import free_port
from tests.support.demo_environment import demo_environment

ROOT = Path(__file__).resolve().parents[3]
DAG_ID = "economic_invoice_sync"
INVOICES = 300
_LONGEST_SECONDS = 180


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The folder for the data of the commands under test."""
    folder = Path(tempfile.mkdtemp(prefix="economic-start-"))
    folder.chmod(0o755)  # PostgreSQL may have to run as another user
    yield folder
    shutil.rmtree(folder)


def command(home: Path, module: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    said = [sys.executable, "-m", f"dev.{module}", *words]
    return subprocess.run(said, cwd=ROOT, env=demo_environment(home) | more, capture_output=True, text=True)


class Started:
    """A running `./run start`, in its own process group as a terminal makes one."""

    def __init__(self, home: Path, options: tuple[str, ...]) -> None:
        self._home = home
        self._sessions: set[int] = set()
        self._output = home / "said"
        words = [sys.executable, "-m", "dev.start", "--invoices", str(INVOICES), *options]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=demo_environment(home), stdout=output, stderr=output, process_group=0
            )

    def parts(self) -> set[int]:
        """Return the sessions of everything it has started so far, the database server's included."""
        self._sessions |= {child.pid for child in psutil.Process(self.process.pid).children()}
        note = self._home / "postgres" / "data" / "postmaster.pid"
        with suppress(FileNotFoundError):  # PostgreSQL makes the file before it writes its number
            self._sessions.update(int(number) for number in note.read_text().split()[:1])
        return self._sessions

    def left(self) -> list[str]:
        """Return what still runs of all that."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getsid(process.pid) in self._sessions and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
        return found

    def said(self) -> str:
        return self._output.read_text()

    def until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not ready():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            self.parts()
            time.sleep(0.05)
        self.parts()


@contextmanager
def start(home: Path, *options: str) -> Iterator[Started]:
    """Start it, and kill what a failed test would leave behind."""
    running = Started(home, options)
    yield running
    if running.process.poll() is None:
        os.killpg(running.process.pid, signal.SIGINT)
        running.process.wait(60)


def test_used_port_is_refused_by_number(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = command(home, "start", "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stdout
    assert list(home.iterdir()) == []


def test_demo_names_the_unusable_setting(home: Path) -> None:
    refused = command(home, "demo", "--invoices", str(INVOICES), AUTO_SYNC_ENABLED="nonsense")
    assert refused.returncode == 1
    assert "The demo could not run: AUTO_SYNC_ENABLED" in refused.stdout


def test_ctrl_c_during_first_start_leaves_nothing(home: Path) -> None:
    with start(home) as begun:
        begun.until((home / "logs" / "airflow-db-migrate.log").exists)
        assert len(begun.parts()) >= 3  # PostgreSQL, the simulator, the migration
        os.killpg(begun.process.pid, signal.SIGINT)
        assert begun.process.wait(60) == 130
    assert begun.left() == []


def test_started_airflow_works_as_printed_and_stops(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    with start(home, "--port", str(port)) as running:
        running.until(lambda: "Ctrl-C stops everything." in running.said())
        shown = dict(re.findall(r"^  (web|login|DAG|sync now) +(.*)$", running.said(), re.MULTILINE))
        assert shown["web"] == f"http://127.0.0.1:{port}"
        name, password = shown["login"].split()[0], shown["login"].split()[2]
        api = AirflowApi(shown["web"], password)
        # Airflow makes up for the schedule's last tick at once: it has begun, or does now.
        begins = rf"{DAG_ID} is on; (a sync has begun, and )?the next sync by itself begins"
        assert re.search(begins, shown["DAG"])
        scheduled = api.get(f"dags/{DAG_ID}/dagRuns", run_type="scheduled")["dag_runs"]
        assert not scheduled or "a sync has begun" in shown["DAG"] or "begins now" in shown["DAG"]

        assert name == "admin"
        assert requests.get(f"{shown['web']}/api/v2/dags", timeout=30).status_code == 401
        wrong = {"username": name, "password": password + "x"}
        assert requests.post(f"{shown['web']}/auth/token", json=wrong, timeout=30).status_code == 401
        for secret in ("keys.json", "passwords.json", "started.json"):
            assert (home / secret).stat().st_mode & 0o077 == 0

        for conn_id in ("economic_default", "economic_postgres"):
            stored = api.get(f"connections/{conn_id}")
            # what the connection form's Test button sends: the secrets masked, everything else as stored
            form = {key: value for key, value in stored.items() if key not in {"description", "team_name"}}
            assert api.post("connections/test", form)["status"] is True

        triggered = command(
            home, "airflow_command", *shown["sync now"].removeprefix("./run airflow ").split()
        )
        assert triggered.returncode == 0, triggered.stdout + triggered.stderr
        (run,) = api.get(f"dags/{DAG_ID}/dagRuns", run_type="manual")["dag_runs"]
        waited = api.lines(f"dags/{DAG_ID}/dagRuns/{run['dag_run_id']}/wait", interval=0.5)
        assert '"state": "success"' in waited[-1]
        counted = command(home, "psql", "psql", "-Atc", "select count(*) from invoice")
        # The books move by themselves: some are booked meanwhile.
        assert int(counted.stdout) in range(INVOICES, INVOICES + 50), counted.stderr

        refusal = f"started already, by process {running.process.pid}"
        monkeypatch.setattr(clean, "ROOT", home / "nothing")
        monkeypatch.setenv("ECONOMIC_DEMO_DATA", str(home))
        assert clean.main(["--yes"]) == 1
        assert refusal in capsys.readouterr().out
        second = command(home, "start")
        assert second.returncode == 1
        assert refusal in second.stdout

        assert len(running.parts()) >= 5
        assert len(running.left()) > 5
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
    assert running.left() == []
    refused = command(home, "airflow_command", "dags", "list")
    assert refused.returncode == 1
    assert refused.stdout.strip() == "Airflow is not started; start it with ./run start."
    # The data is still there.
    status = command(home, "psql", "economic", "status")
    held = re.search(r"holds +(\d+) invoices", status.stdout)
    assert held is not None, status.stderr
    assert int(held[1]) >= INVOICES
