"""DAG runs whose every try is a process of its own; when one dies, the next one follows, as Airflow has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.dag_runs import TASKS, Asked, Outcome, Try, retries_of, run_tasks, tasks_of
from tests.support.task_processes import Processes, TaskProcess, Work


@dataclass
class ProcessRuns:
    """Runs the DAG in processes.

    :param log: the file that all of them write to.
    :param how: what is so for every process: see :class:`tests.support.task_processes.Work`.
    """

    processes: Processes
    log: Path
    how: dict[str, Any] = field(default_factory=dict)
    current: TaskProcess | None = None
    """The process that was started last."""

    def start(self, asked: Asked, task: str = TASKS[0], **how: Any) -> TaskProcess:
        """Start a try of one task."""
        chosen = {"most": retries_of(task)} | self.how | how
        self.current = self.processes.start(Work(asked, (task,), self.log, **chosen))
        return self.current

    def run(
        self,
        asked: Asked,
        *,
        after: Outcome | None = None,
        quick: bool = False,
        lines: bool = False,
        again: Callable[[Try], bool] = lambda one: one.state == "again",
        **how: Any,
    ) -> Outcome:
        """Run the DAG to its end: see :func:`tests.support.dag_runs.run_tasks`.

        :param quick: of the DAG of quick syncs.
        :param lines: of the DAG of lines.
        """
        outcome = after or Outcome(asked.run_id)

        def attempt(task: str, number: int) -> Try:
            process = self.start(asked, task, number=number, xcom=outcome.xcom, **how)
            (one,) = process.wait()
            self.processes.forget(process)
            return one

        return run_tasks(outcome, attempt, again, tasks_of(quick=quick, lines=lines))

    def kill(self) -> None:
        """Kill the process that was started last."""
        if self.current is not None:
            self.current.kill()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""
