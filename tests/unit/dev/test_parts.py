"""What runs beside a command is stopped with it, whatever ends it, and is missed when it ends by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dev.local.interruption import Interrupted, Interruption
from dev.local.parts import Part, PartFailed, Parts

COMMAND = """
import json, signal, sys
from pathlib import Path
from dev.local.interruption import Interrupted, Interruption
from dev.local.parts import Parts

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests themselves run under nohup
with Interruption() as interruption:
    try:
        with Parts(Path(sys.argv[1]), interruption) as parts:
            for name in ("first", "second"):
                parts.start(name, [sys.executable, "-c", sys.argv[2]], {}, patience=0.5)
            parts.wait_until(lambda: all("up" in part.said() for part in parts.running), "all are up", 20)
            print(json.dumps([member.pid for part in parts.running for member in part.members()]), flush=True)
            while True:
                parts.check()
                interruption.sleep(0.1)
    except Interrupted as request:
        sys.exit(request.exit_code)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)  # as Airflow's task processes do
    time.sleep(600)
print("up", flush=True)
time.sleep(600)
"""


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until_ended(part: Part) -> None:
    deadline = time.monotonic() + 20
    while not part.ended:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts(tmp_path / "logs", Interruption()) as running:
        yield running


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_ends_everything(tmp_path: Path, request_: signal.Signals) -> None:
    command = subprocess.Popen(
        [*python(COMMAND), str(tmp_path / "logs"), STUBBORN],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stdout is not None
    pids = json.loads(command.stdout.readline())
    assert len(pids) == 4
    assert all(lives(pid) for pid in pids)
    os.killpg(command.pid, request_)
    command.stdout.close()
    assert command.wait(20) == 128 + request_
    assert [pid for pid in pids if lives(pid)] == []


def test_what_has_lost_its_parent_is_stopped_too(parts: Parts) -> None:
    part = parts.start("leader", python("import os, time; print(os.fork(), flush=True); time.sleep(600)"), {})
    parts.wait_until(lambda: len(part.said().split()) == 2, "both are up", 20)
    child = max(int(word) for word in part.said().split())
    part.process.kill()
    until_ended(part)
    assert lives(child)
    parts.stop()
    assert not lives(child)


def test_ended_part_is_named_with_its_last_words(parts: Parts) -> None:
    parts.start("steady", python("import time; time.sleep(600)"), {})
    part = parts.start("scheduler", python("print('the disk is full'); raise SystemExit(0)"), {})
    until_ended(part)
    with pytest.raises(PartFailed, match="scheduler has ended") as caught:
        parts.check()
    assert "the disk is full" in str(caught.value)


def test_waiting_in_vain_ends_in_words(parts: Parts) -> None:
    with pytest.raises(PartFailed, match="until the web server answers"):
        parts.wait_until(lambda: False, "the web server answers", 0.2)


def test_failed_program_is_named_with_its_last_words(parts: Parts) -> None:
    parts.run("migrate", python("print('fine')"), {})
    with pytest.raises(PartFailed, match="migrate failed") as caught:
        parts.run("migrate", python("raise SystemExit('no such table')"), {})
    assert "no such table" in str(caught.value)
    assert parts.running == ()


def test_logs_are_their_owners_alone(parts: Parts) -> None:
    assert parts.logs.stat().st_mode & 0o077 == 0


def test_interruption_is_told_where_it_is_asked_about() -> None:
    with Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM") as caught:
            interruption.sleep(5)
    assert caught.value.exit_code == 143


def test_under_nohup_a_closed_terminal_is_no_request() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            interruption.sleep(0.2)
    finally:
        signal.signal(signal.SIGHUP, before)
