"""Task attempts in processes of their own, to be killed, frozen and starved while they work.

As Airflow's executor does it, they are forked from a process that has everything imported already; what runs in them is the task's code as
the DAG file has it (:func:`tests.support.dag_runs.try_once`). Which times of the product they shorten, and what they are told in their environment,
is for the test to say. :func:`fresh` works in a process that is no fork, for what must be there before Python is.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.support.dag_runs import QUICK, Asked, Try, try_once

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join(str(ROOT / part) for part in ("plugins", "tests", "."))
_TOLD = ("AIRFLOW", "ECONOMIC_")
"""How the variables begin that a process is told anew: this process may have changed them since the server of forks was started."""


class Died(Exception):
    """A process ended without a word.

    :param code: its exit code; negative: the signal that ended it.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"the process died ({self.code})"


class Failed(Exception):
    """What a task raised in its process: the kind, and the text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class Work:
    """What a process is to do.

    :param tasks: one task, or several in order, as far as each succeeds.
    :param number: of the try.
    :param most: tries that may follow the first one.
    :param log: the file that everything it says is added to.
    :param environment: added to its environment.
    :param limits: of the hook, where they are not those of a test.
    :param constants: the product's constants that are otherwise here, by ``module.NAME``.
    :param memory_mb: how much more address space it may take than it has at its start.
    """

    asked: Asked
    tasks: tuple[str, ...]
    log: Path
    number: int = 1
    most: int = 3
    xcom: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    memory_mb: int | None = None


class TaskProcess:
    """One process at its work."""

    def __init__(self, work: Work, process: ForkServerProcess, answer: Connection) -> None:
        self.work = work
        self.pid = int(process.pid or 0)
        self._process, self._answer = process, answer
        # Names this process and no other, even when its number has become another's.
        self._itself: int | None = os.pidfd_open(self.pid)
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        with self._lock:
            return self._itself is not None and not select.select([self._itself], [], [], 0)[0]

    def kill(self) -> None:
        """End it as ``kill -9`` does: nothing in it runs any more."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def answered(self, seconds: float) -> bool:
        """Whether it has said something within that time, or ended; :meth:`wait` then does not wait long."""
        return self._answer.poll(seconds)

    def wait(self, seconds: float = 60.0) -> list[Try]:
        """The tries it made, the last of which may be the one it died in.

        :raises TimeoutError: it is still at work.
        """
        tries: list[Try] = []
        with suppress(EOFError, ConnectionError):
            while True:
                if not self._answer.poll(seconds):
                    raise TimeoutError(
                        f"process {self.pid} has not ended within {seconds:.0f} s; see {self.work.log}"
                    )
                tries.append(self._answer.recv())
        self._process.join(10)
        code = self._process.exitcode
        answered = len(tries) == len(self.work.tasks) or (bool(tries) and tries[-1].state != "success")
        # Killed after its last word, it has done all the same what it said.
        if code != 0 and not answered:
            task = self.work.tasks[len(tries)]
            state = "failed" if self.work.number > self.work.most else "again"
            tries.append(Try(task, self.work.number, state, error=Died(code if code is not None else 0)))
        return tries

    def end(self) -> None:
        """Kill it when it is still there, and forget it."""
        self.kill()
        self._process.join(10)
        with self._lock:
            itself, self._itself = self._itself, None
        if itself is not None:
            os.close(itself)
            self._answer.close()

    def _signal(self, number: signal.Signals) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._itself is not None:
                signal.pidfd_send_signal(self._itself, number)


class Processes:
    """Starts processes, and ends at the end what is left of them."""

    def __init__(self) -> None:
        self._context = _context()
        self._started: set[TaskProcess] = set()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self._started):
            process.end()

    def start(self, work: Work) -> TaskProcess:
        ours, theirs = self._context.Pipe(duplex=False)
        told = {name: value for name, value in os.environ.items() if name.startswith(_TOLD)}
        work = replace(work, environment=told | dict(work.environment))
        process = self._context.Process(target=_forked, args=(work, theirs), daemon=True)
        process.start()
        theirs.close()
        started = TaskProcess(work, process, ours)
        self._started.add(started)
        return started

    def forget(self, process: TaskProcess) -> None:
        """It has ended and is of no more interest."""
        process.end()
        self._started.discard(process)


def _forked(work: Work, answer: Connection) -> None:
    _do(work, answer.send)
    answer.close()
    # Not as Python ends: that takes longer than many a task.
    os._exit(0)


def _do(work: Work, tell: Callable[[Try], object]) -> None:
    _prepare(work)
    xcom = dict(work.xcom)
    for task in work.tasks:
        one = try_once(work.asked, task, work.number, work.most, xcom)
        error = one.error and Failed(type(one.error).__name__, str(one.error))
        tell(replace(one, error=error))
        if one.state != "success":
            break
        xcom[task] = one.result


def _prepare(work: Work) -> None:
    """Make this process the one that the work asks for."""
    from economic.client import transport

    os.environ.update(work.environment)
    output = os.open(work.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    shape = f"%(asctime)s {os.getpid()} {work.asked.run_id} %(message)s"
    logging.basicConfig(filename=work.log, level=logging.DEBUG, format=shape, force=True)
    for name, value in work.constants.items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, value)
    limits = replace(QUICK, **work.limits)  # type: ignore[arg-type]  # floats by name
    setattr(transport, "Limits", lambda **given: replace(limits, **given))  # noqa: B010  # for the type checker it is a class
    if work.memory_mb is not None:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = held + work.memory_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fresh(work: Work, environment: Mapping[str, str], seconds: float = 60.0) -> list[Try]:
    """The same in a process that is no fork: its tries, once it has ended.

    :param environment: what it is told before Python is there.
    """
    order, answer = (work.log.with_suffix(f".{what}") for what in ("order", "answer"))
    order.write_bytes(pickle.dumps(work))
    answer.unlink(missing_ok=True)
    known = os.environ | {"PYTHONPATH": os.pathsep.join((os.environ.get("PYTHONPATH", ""), PATH))}
    command = [sys.executable, "-m", "tests.support.task_processes", str(order), str(answer)]
    with work.log.open("ab") as log:
        subprocess.run(
            command,
            env=known | dict(environment),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            timeout=seconds,
            check=True,
        )
    tries: list[Try] = []
    with answer.open("rb") as told, suppress(EOFError):
        while True:
            tries.append(pickle.load(told))
    return tries


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.preloaded"])
    path = os.environ.get("PYTHONPATH", "")
    if str(ROOT) not in path.split(os.pathsep):
        # The server of forks is started with it, at the first process.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (path, PATH)))
    return context


def main(order: str, answer: str) -> None:
    with Path(answer).open("ab") as told:
        _do(pickle.loads(Path(order).read_bytes()), lambda one: pickle.dump(one, told))


if __name__ == "__main__":
    # By its own name, so that what it tells can be read where this module is not the main one.
    importlib.import_module("tests.support.task_processes").main(*sys.argv[1:])
