"""DAG runs of every kind, several at once: by schedule, of a backfill, by people, and of another Airflow beside it.

A task is tried again when it fails or dies, looks again when it must wait, and is begun a second time beside the first one
when that one is given up for lost.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulator.books import LAST_DAY
from tests.soak.ground import SHORTENED, Ground, dice_of
from tests.support.dag_runs import NAMES, TASKS, UPSERT, Asked, Outcome, Try, run_tasks
from tests.support.task_processes import TaskProcess

Row = dict[str, Any]
RETRY_SECONDS = (0.6, 1.2)
LOOK_AGAIN_SECONDS = (0.1, 0.3)
_STEP_SECONDS = 0.05
_LONGEST_TRY_SECONDS = 60.0
"""Far more than a try can take, whatever happens to it."""


class Lost(Exception):
    """Airflow gave the process up; it may still be at work."""


@dataclass
class Seen:
    """What became of the runs of one kind."""

    states: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)


@dataclass
class Traffic:
    """Everything that runs.

    :ivar failures: what must not have happened, in words.
    """

    ground: Ground
    seed: int
    stop: threading.Event = field(default_factory=threading.Event)
    seen: dict[str, Seen] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    takings: list[tuple[str, float]] = field(default_factory=list)
    """Of each forced run whose first try succeeded: its id, and when that try's process was started."""
    _alive: dict[TaskProcess, threading.Event] = field(default_factory=dict)
    _given_up: list[TaskProcess] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _begun: int = 0

    def start(self) -> None:
        """Let everybody begin."""
        self.begin(
            "scheduled", lambda dice: self._run("scheduled", self._asked("scheduled"), dice), (0.2, 2.0)
        )
        self.begin("by hand", self._by_hand, (2.0, 8.0))
        self.begin("forced", self._forced, (8.0, 25.0))
        self.begin("again", self._cleared, (4.0, 15.0))
        for number in range(3):
            self.begin(f"backfill {number}", self._backfill, (0.1, 1.0))

    def begin(
        self, who: str, run: Callable[[random.Random], object], pause: tuple[float, float]
    ) -> threading.Thread:
        """Let somebody do something again and again, with pauses, until the end."""
        dice = dice_of(self.seed, who)

        def work() -> None:
            while not self.stop.wait(dice.uniform(*pause)):
                try:
                    run(dice)
                except Exception as error:
                    self.failures.append(f"{who}: {type(error).__name__}: {error}")
                    return

        self._threads.append(threading.Thread(target=work, name=who, daemon=True))
        self._threads[-1].start()
        return self._threads[-1]

    def _backfill(self, dice: random.Random) -> None:
        due = datetime.combine(_day(dice), datetime.min.time(), UTC)
        self._run("backfill", self._asked("backfill", due=due), dice)

    def _by_hand(self, dice: random.Random) -> None:
        conf: Row = {}
        if dice.random() < 0.4:
            first = _day(dice)
            last = first + timedelta(days=dice.randrange(400))
            conf = {"date_from": first.isoformat(), "date_to": last.isoformat()}
        self._run("range by hand" if conf else "manual", self._asked("manual", conf), dice)

    def _forced(self, dice: random.Random) -> None:
        asked = self._asked("manual", {"force": True})
        began = time.time()
        outcome = self._run("forced", asked, dice)
        if outcome.state == "success" and outcome.tried(TASKS[0]) == 1:
            self.takings.append((asked.run_id, began))

    def _cleared(self, dice: random.Random) -> None:
        """A run that succeeded, cleared: all of it, or a later task alone."""
        asked = self._asked("manual")
        outcome = self._run("manual", asked, dice)
        if outcome.state != "success" or self.stop.is_set():
            return
        again = Asked(asked.run_id, asked.run_type, asked.conf, asked.due, cleared=1)
        if dice.random() < 0.5:
            self._run("cleared", again, dice)
            return
        task = dice.choice((UPSERT, NAMES))
        if self._run("one task cleared", again, dice, (task,), outcome.xcom).state == "success":
            self.failures.append(f"{task} of the ended run {asked.run_id} succeeded although cleared alone")

    def _asked(self, run_type: str, conf: Row | None = None, due: datetime | None = None) -> Asked:
        with self._lock:
            self._begun += 1
            return Asked(f"{run_type}__{self._begun}", run_type, conf or {}, due or datetime.now(UTC))

    def _run(
        self, kind: str, asked: Asked, dice: random.Random, tasks: Sequence[str] = TASKS, xcom: Row | None = None
    ) -> Outcome:  # fmt: skip
        outcome = Outcome(asked.run_id)

        def attempt(task: str, number: int) -> Try:
            one = self._try(asked, task, number, (xcom or {}) | outcome.xcom)
            with self._lock:
                error = getattr(one.error, "kind", type(one.error).__name__) if one.error else "success"
                self.seen.setdefault(kind, Seen()).tries[error] += 1
            self.ground.witness.heard(one.result, one.events, str(one.error))
            return one

        def again(one: Try) -> bool:
            pause = LOOK_AGAIN_SECONDS if one.state == "waiting" else RETRY_SECONDS
            if one.state in {"again", "waiting"} and self.stop.wait(dice.uniform(*pause)):
                outcome.state = "cut short"
            return outcome.state in {"again", "waiting"}

        run_tasks(outcome, attempt, again, tasks)
        with self._lock:
            self.seen.setdefault(kind, Seen()).states[outcome.state] += 1
        return outcome

    def _try(self, asked: Asked, task: str, number: int, xcom: Row) -> Try:
        name = f"{asked.run_id} {asked.cleared} {task} {number} {time.monotonic_ns()}"
        with self._lock:
            process = self.ground.runs.start(
                asked, task, number=number, xcom=xcom, environment=self.ground.environment(name), **SHORTENED
            )
            lost = self._alive[process] = threading.Event()
        until = time.monotonic() + _LONGEST_TRY_SECONDS
        while not process.answered(_STEP_SECONDS):
            if lost.is_set():
                return Try(task, number, "again", error=Lost())
            if time.monotonic() > until:
                raise TimeoutError(f"{name} has not ended within {_LONGEST_TRY_SECONDS:.0f} s")
        (one,) = process.wait()
        self._forget(process)
        return one

    def at_work(self) -> list[TaskProcess]:
        """The processes that somebody waits for."""
        with self._lock:
            return [process for process in self._alive if process.alive]

    def give_up(self, process: TaskProcess) -> None:
        """Let Airflow believe that a process is gone: its task is tried again beside it."""
        with self._lock:
            if process in self._alive:
                self._given_up.append(process)
                self._alive.pop(process).set()

    def end(self, seconds: float = 30.0) -> None:
        """Begin no more, let what runs end, and kill what does not, and what was given up."""
        self.stop.set()
        for thread in self._threads:
            thread.join(seconds)
        for process in (*self._alive, *self._given_up):
            self.ground.runs.processes.forget(process)

    def clear_away(self) -> None:
        """Forget the processes that were given up and have ended by themselves since."""
        with self._lock:
            ended = [process for process in self._given_up if not process.alive]
            self._given_up = [process for process in self._given_up if process.alive]
        for process in ended:
            self.ground.runs.processes.forget(process)

    def _forget(self, process: TaskProcess) -> None:
        with self._lock:
            self._alive.pop(process, None)
        self.ground.runs.processes.forget(process)


def _day(dice: random.Random) -> date:
    return LAST_DAY - timedelta(days=dice.randrange(600))
