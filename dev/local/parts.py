"""Programs that run beside this one: each in a session and with a log of its own, all of them ended at the end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from dev.local.interruption import Interruption

_POLL_SECONDS = 0.1
_LAST_PATIENCE = 3.0
_SHOWN_LINES = 25


class PartFailed(RuntimeError):
    """A program has ended that should run, or has failed; the message shows the end of its log."""


@dataclass(frozen=True)
class Part:
    """One running program.

    :param child: None for one that was not started here, which is watched but not stopped.
    :param patience: how many seconds it has to end by itself when it is asked to.
    """

    name: str
    process: psutil.Process
    log: Path
    child: subprocess.Popen[bytes] | None = None
    patience: float = 10.0

    @property
    def ended(self) -> bool:
        return not _lives(self.process)

    def exit_code(self) -> int:
        """Wait until it has ended; return its exit code."""
        return self.child.wait() if self.child is not None else 0

    def said(self) -> str:
        """Return the last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_SHOWN_LINES:])

    def stop(self) -> None:
        """Ask it to end, wait for it and everything it started, and kill what is then still there."""
        if self.child is None:
            return
        if not self.ended:
            self.child.terminate()
            self._wait_for_members(self.patience)
            # What it waits for goes first, so that it can still leave its own affairs in order.
            if self._kill(lambda member: member != self.process):
                self._wait_for_members(min(self.patience, _LAST_PATIENCE))
        while self._kill(lambda member: True):
            time.sleep(_POLL_SECONDS)
        # Only now: until it is waited for, its process id cannot become somebody else's.
        self.child.wait()

    def members(self) -> list[psutil.Process]:
        """Return the living processes of its session: the program and what it started."""
        found = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) == self.process.pid:
                    found.append(psutil.Process(pid))
            except (OSError, psutil.NoSuchProcess):
                continue
        return [member for member in found if _lives(member)]

    def _wait_for_members(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.members() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def _kill(self, chosen: Callable[[psutil.Process], bool]) -> bool:
        """Kill the chosen members; return whether there were any."""
        found = [member for member in self.members() if chosen(member)]
        for member in found:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        return bool(found)


class Parts:
    """The programs that run now, in the order of their start.

    :param logs: folder of their logs, one a program.
    """

    def __init__(self, logs: Path, interruption: Interruption) -> None:
        self.logs = logs
        self._interruption = interruption
        self._running: list[Part] = []
        logs.mkdir(parents=True, exist_ok=True)
        logs.chmod(0o700)  # what programs say is nobody else's business

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> tuple[Part, ...]:
        return tuple(self._running)

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], patience: float = 10.0
    ) -> Part:
        """Start a program, out of reach of this terminal's Ctrl-C and its end."""
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [str(word) for word in command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        part = Part(name, psutil.Process(child.pid), log, child, patience)
        self._running.append(part)
        return part

    def watch(self, name: str, pid: int, log: Path) -> None:
        """Count a program as a part that somebody else starts and stops."""
        self._running.append(Part(name, psutil.Process(pid), log))

    def run(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Run a program to its end.

        :raises PartFailed: it did not end well.
        """
        part = self.start(name, command, environment)
        while not part.ended:
            self._interruption.sleep(_POLL_SECONDS)
        self._running.remove(part)
        part.stop()
        if part.exit_code():
            raise PartFailed(f"{name} failed. The end of {part.log}:\n{part.said()}")

    def check(self) -> None:
        """Raise PartFailed when a program has ended."""
        for part in self._running:
            if part.ended:
                raise PartFailed(f"{part.name} has ended. The end of its log, {part.log}:\n{part.said()}")

    def wait_until(
        self, ready: Callable[[], bool], what: str, seconds: float, every: float = _POLL_SECONDS
    ) -> None:
        """Wait for something that the running programs bring about.

        :param what: it in words, for the message: "the scheduler is healthy".
        :param every: seconds from one look to the next: where looking costs the programs much, they get on faster with fewer.
        :raises PartFailed: a program has ended, or it has not come about in that time.
        :raises Interrupted: somebody asked for the end.
        """
        until = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > until:
                raise PartFailed(f"Waited {seconds:.0f} seconds in vain until {what}; see {self.logs}.")
            self._interruption.sleep(every)

    def stop(self, *names: str) -> None:
        """Stop these programs, or all, the last one started first."""
        for part in reversed(self.running):
            if not names or part.name in names:
                part.stop()
                self._running.remove(part)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
