"""A death at every point of a sync: ``kill -9`` at each of its requests and at each of its commits, one sync after the other.

Every sync has something to write, in 23 pages. The one after it, which knows nothing of the death, must heal everything alone: no try of the
dead one follows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.soak.bookkeeper import Bookkeeper
from tests.soak.ground import PAGE_SIZE, SHORTENED, Ground, dice_of, ground
from tests.support import invariants as oracle
from tests.support.dag_runs import TASKS, Asked, Try
from tests.support.faults.postgres import Fate
from tests.support.task_processes import Died, TaskProcess, Work

PAGES = 23
INVOICES = PAGE_SIZE * PAGES - PAGE_SIZE // 2
CHANGES = 6
_NEVER = 1_000_000


class Point(NamedTuple):
    """Where a sync dies: at its k-th request, or at its k-th commit, which never arrives or which nobody hears of."""

    what: str
    at: int
    fate: Fate = "held back"

    def __str__(self) -> str:
        return f"{self.what} {self.at}" + (f", {self.fate}" if self.what == "commit" else "")


@dataclass
class Sweep:
    """The points that were tried, and what became of them.

    :ivar died: in which task each sync died.
    """

    points: list[Point]
    died: dict[Point, str] = field(default_factory=dict)
    longest: float = 0.0

    def __str__(self) -> str:
        lines = [f"Sweep of a sync of {PAGES} pages"]
        for what in ("request", "commit"):
            died = Counter(task for point, task in self.died.items() if point.what == what)
            lines.append(f"killed at {died.total()} {what}s: {dict(died)}")
        healed = "every invoice there, once, equal to the books in every column"
        return "\n".join(
            [*lines, f"healed by the next sync alone, in {self.longest:.1f} s at most: {healed}"]
        )


def run(folder: Path, *, seed: int, choose: Callable[[list[Point]], Sequence[Point]] = list) -> Sweep:
    """Try all points, or those that are chosen of them.

    :raises AssertionError: something is as it must never be.
    """
    with ground(folder, invoices=INVOICES, seed=seed) as place:
        bookkeeper = Bookkeeper(place.witness, dice_of(seed, "books"))
        place.healthy_run("manual__first")
        sweep = Sweep(_points(place, bookkeeper))
        for number, point in enumerate(choose(sweep.points), start=1):
            _changed(place, bookkeeper)
            sweep.died[point] = _killed(place, point, f"scheduled__{number}")
            healing = time.monotonic()
            oracle.healed(place.witness, partial(place.healthy_run, f"manual__{number}"))
            sweep.longest = max(sweep.longest, time.monotonic() - healing)
            place.judge()
            print(f"{point}: died in {sweep.died[point]}, healed", flush=True)
    return sweep


def _changed(place: Ground, bookkeeper: Bookkeeper) -> None:
    for _ in range(CHANGES):
        bookkeeper.change()
    bookkeeper.heal_all()
    place.witness.look()


def _points(place: Ground, bookkeeper: Bookkeeper) -> list[Point]:
    """Return every request, and every commit: in turn one that never arrives and one that is done."""
    _changed(place, bookkeeper)
    place.books.reset()
    commits = place.postgres.trip(b"commit\0", lambda: None, at=_NEVER)
    tries = _started(place, "scheduled__0").wait()
    assert [one.state for one in tries] == ["success"] * len(TASKS), tries
    place.postgres.heal()
    fates: tuple[Fate, Fate] = ("held back", "unanswered")
    return [
        *(Point("request", at) for at in range(1, len(place.books.requests()) + 1)),
        *(Point("commit", at, fates[at % 2]) for at in range(1, commits.seen + 1)),
    ]


def _started(place: Ground, run_id: str) -> TaskProcess:
    environment = place.environment(run_id) | {"ECONOMIC_EMPLOYEE_CACHE_SECONDS": "0"}
    work = Work(Asked(run_id, "scheduled"), TASKS, place.runs.log, environment=environment, **SHORTENED)
    return place.runs.processes.start(work)


def _killed(place: Ground, point: Point, run_id: str) -> str:
    """The task in which a sync was killed at a point."""
    # Both may be reached before it is known which process it is.
    processes: list[TaskProcess] = []

    def kill() -> None:
        while not processes:
            time.sleep(0.01)
        processes[0].kill()

    if point.what == "request":
        place.books.when(point.at, kill, match="/")
    else:
        place.postgres.trip(b"commit\0", kill, at=point.at, fate=point.fate)
    place.books.reset()
    processes.append(_started(place, run_id))
    tries: list[Try] = processes[0].wait()
    place.runs.processes.forget(processes[0])
    place.put_right()
    assert isinstance(tries[-1].error, Died), f"{point}: {tries[-1]}"
    return tries[-1].task
