"""Processes of a test's own, to be killed, frozen and woken at a chosen moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Victim:
    """A Python process that was started to be mistreated; only it and its children can be."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as ``kill -9`` does: nothing in it runs any more."""
        self.process.send_signal(signal.SIGKILL)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wait(self, seconds: float = 60) -> tuple[int, str]:
        """Its exit code (negative: the signal that ended it) and what it printed."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            # Its children too: it was started as the first of a group of its own.
            os.killpg(self.pid, signal.SIGKILL)
        if self.process.stdout and not self.process.stdout.closed:
            self.process.stdout.close()
        self.process.wait(10)


@contextmanager
def victim(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Victim]:
    """Start ``python ARGUMENTS`` in the checkout; whatever is left of it at the end is killed.

    :param environment: added to this process's own.
    """
    path = os.pathsep.join(str(ROOT / part) for part in ("plugins", "tests", "."))
    given = os.environ | {"PYTHONPATH": os.pathsep.join((os.environ.get("PYTHONPATH", ""), path))}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=given | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    started = Victim(process)
    try:
        yield started
    finally:
        started._end()
