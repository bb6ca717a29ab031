"""DAG runs without Airflow's processes: the tasks as the DAG files have them, tried again as these say.

Everything of the package runs as in production, from the task's function on: settings, connections, hook, phases, notes of a failure. Only
the scheduler, the supervisor and the waits between tries are not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG, Context
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context

from economic.client import transport
from economic.client.transport import Limits

DAG_FOLDER = Path(__file__).resolve().parents[2] / "dags"
DAG_ID, QUICK_DAG_ID = "economic_invoice_sync", "economic_invoice_quick_sync"
LINES_DAG_ID = "economic_invoice_lines"
TASKS = FETCH, UPSERT, NAMES = "fetch-pages", "upsert-invoices", "populate-employee-names"
QUICK_SYNC, FETCH_LINES = "quick-sync", "fetch-lines"
QUICK = Limits(interval=0.0, connect=1.0, read=1.0, page=3.0, attempts=3, first_wait=0.01)
Between = Callable[[str, int], object]


@dataclass(frozen=True)
class Asked:
    """A DAG run as it was created.

    :param due: its logical date.
    :param cleared: how often it was cleared since.
    :param airflow: which Airflow created it: run ids alone are equal in all of them.
    """

    run_id: str
    run_type: str = "manual"
    conf: Mapping[str, Any] = field(default_factory=dict)
    due: datetime = field(default_factory=lambda: datetime.now(UTC))
    cleared: int = 0
    airflow: str = "the only one"


@dataclass(frozen=True)
class Try:
    """One try of one task.

    :param state: how it ended: ``success``, ``again`` (there will be another try), ``failed``, ``skipped`` or ``waiting`` (rescheduled).
    :param error: what it raised, as the task's process would.
    :param delay: the least wait before the next try, when the retry policy asked for one.
    :param events: those of its outlets.
    """

    task: str
    number: int
    state: str = "success"
    result: Any = None
    error: BaseException | None = None
    delay: timedelta | None = None
    events: tuple[Any, ...] = ()


@dataclass
class Outcome:
    """What became of a DAG run: ``success``, ``failed``, ``skipped`` or ``waiting`` (rescheduled)."""

    run_id: str
    state: str = "success"
    tries: list[Try] = field(default_factory=list)

    def add(self, one: Try) -> None:
        """Another try has ended."""
        self.tries.append(one)
        self.state = one.state

    @property
    def events(self) -> list[Any]:
        """Those of all outlets."""
        return [event for one in self.tries for event in one.events]

    @property
    def xcom(self) -> dict[str, Any]:
        """Return what the tasks returned, by task."""
        return {one.task: one.result for one in self.tries if one.error is None}

    @property
    def statistics(self) -> dict[str, Any]:
        """Return what the last task returned."""
        xcom = self.xcom
        found: dict[str, Any] = xcom[next(task for task in (FETCH_LINES, QUICK_SYNC, NAMES) if task in xcom)]
        return found

    @property
    def errors(self) -> list[BaseException]:
        return [one.error for one in self.tries if one.error is not None]

    @property
    def error(self) -> BaseException:
        """The last error; there is one."""
        return self.errors[-1]

    def tried(self, task: str) -> int:
        """Return how often a task was tried."""
        return sum(one.task == task for one in self.tries)


def run_tasks(
    outcome: Outcome,
    attempt: Callable[[str, int], Try],
    again: Callable[[Try], bool],
    tasks: Iterable[str] = TASKS,
) -> Outcome:
    """Let a DAG run go on to its end.

    :param outcome: of the run so far: it goes on with the task that was tried last, or with the one after it.
    :param attempt: makes one try of a task, with its number.
    :param again: whether there is to be another one after a try that has not succeeded; it may wait.
    """
    for task in tasks:
        while task not in outcome.xcom:
            number = 1 + sum(one.task == task and one.state == "again" for one in outcome.tries)
            outcome.add(attempt(task, number))
            if outcome.state != "success" and not again(outcome.tries[-1]):
                return outcome
    return outcome


class _StateStore:
    """Keeps a task's state over the tries and clears of its DAG run, apart from every other Airflow's."""

    def __init__(self, asked: Asked) -> None:
        self._key = f"{asked.airflow}, {asked.run_id}"

    def get(self, key: str) -> str:
        return self._key


class _Events:
    """Takes the events of outlets, whatever the outlet."""

    def __init__(self, taken: list[Any]) -> None:
        self._taken = taken

    def __getitem__(self, outlet: Any) -> _Events:
        return self

    def add(self, asset: Any, extra: dict[str, Any] | None = None) -> None:
        self._taken.append((asset.name, asset.uri, extra))


class DagRuns:
    """Runs the DAG once and again.

    :param limits: of the hook that the tasks make.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *, page_size: int = 100, limits: Limits = QUICK) -> None:
        self.limits = limits
        self._patch = patch
        self._runs = 0
        self.page_size(page_size)
        patch.setenv("ECONOMIC_REQUEST_INTERVAL_MS", "0")
        patch.setattr(transport, "Limits", lambda **given: replace(self.limits, **given))

    def limit(self, **limits: float) -> None:
        """Change some of the limits."""
        self.limits = replace(self.limits, **limits)  # type: ignore[arg-type]  # whole numbers where they belong

    def page_size(self, size: int) -> None:
        self._patch.setenv("ECONOMIC_PAGE_SIZE", str(size))

    def run(
        self,
        conf: dict[str, Any] | None = None,
        *,
        run_id: str | None = None,
        run_type: str = "manual",
        quick: bool = False,
        lines: bool = False,
        retries: int | None = None,
        between: Between = lambda task, number: None,
    ) -> Outcome:
        """One DAG run to its end.

        :param run_id: an earlier run's, to clear that one and run it again.
        :param quick: of the DAG of quick syncs.
        :param lines: of the DAG of lines.
        :param retries: instead of the DAG file's.
        :param between: called after a try that will be followed by another, with the task and the number of that try.
        """
        self._runs += 1
        asked = Asked(run_id or f"{run_type}__{self._runs}", run_type, conf or {})
        outcome = Outcome(asked.run_id)

        def attempt(task: str, number: int) -> Try:
            most = retries_of(task) if retries is None else retries
            return try_once(asked, task, number, most, outcome.xcom)

        def again(one: Try) -> bool:
            if one.state == "again":
                between(one.task, one.number)
            return one.state == "again"

        return run_tasks(outcome, attempt, again, tasks_of(quick=quick, lines=lines))


def tasks_of(*, quick: bool = False, lines: bool = False) -> tuple[str, ...]:
    """The tasks of a DAG, in order."""
    return (FETCH_LINES,) if lines else (QUICK_SYNC,) if quick else TASKS


@cache
def _dag(dag_id: str) -> DAG:
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        # Without a schedule there is no DAG of quick syncs, and without the setting none of lines.
        patch.setenv("ECONOMIC_QUICK_SCHEDULE", "* * * * *")
        if dag_id == LINES_DAG_ID:
            patch.setenv("ECONOMIC_LINES", "true")
        bag = DagBag(str(DAG_FOLDER / f"{dag_id}.py"))
    if bag.import_errors:
        raise RuntimeError(f"The DAG file cannot be imported: {bag.import_errors}")
    return bag.dags[dag_id]


@cache
def _params(dag_id: str) -> dict[str, Any]:
    """What a DAG's params are by default; to check them against their schemas takes a tenth of a sync."""
    return dict(_dag(dag_id).params.dump())


def _dag_of(task_id: str) -> DAG:
    return _dag({QUICK_SYNC: QUICK_DAG_ID, FETCH_LINES: LINES_DAG_ID}.get(task_id, DAG_ID))


def retries_of(task_id: str) -> int:
    """Return how often a task is tried again, by the DAG file."""
    return int(cast("Any", _dag_of(task_id).get_task(task_id)).retries)


def try_once(
    asked: Asked, task_id: str, number: int, most: int, xcom: Mapping[str, Any], *, recorded: bool = True
) -> Try:
    """One try of one task, in this process.

    :param number: of the try, from 1.
    :param most: how many tries there may be after the first one.
    :param xcom: what the run's earlier tasks returned, by task.
    :param recorded: whether Airflow gets to record that it succeeded.
    """
    dag = _dag_of(task_id)
    task = cast("Any", dag.get_task(task_id))
    events: list[Any] = []
    run = SimpleNamespace(
        dag_id=dag.dag_id,
        run_id=asked.run_id,
        run_type=asked.run_type,
        conf=asked.conf,
        logical_date=asked.due,
        run_after=asked.due,
        clear_number=asked.cleared,
    )
    returned = dict(xcom)
    ti = SimpleNamespace(
        dag_id=dag.dag_id,
        run_id=asked.run_id,
        task_id=task_id,
        try_number=number,
        max_tries=most,
        xcom_pull=lambda task_ids: returned.get(task_ids),
        get_task_states=lambda **_: {asked.run_id: {task_id: "success"}},
    )
    context = {
        "dag_run": run,
        "task": task,
        "ti": ti,
        "params": _params(dag.dag_id) | dict(asked.conf),
        "outlet_events": _Events(events),
        "task_state_store": _StateStore(asked),
    }
    made = partial(Try, task_id, number)
    try:
        with _context(context):
            result = task.python_callable(*task.op_args, **task.op_kwargs)
    except AirflowSkipException as error:
        return made("skipped", error=error)
    except AirflowRescheduleException as error:
        return made("waiting", error=error)
    except AirflowFailException as error:
        return made("failed", error=error)
    except Exception as error:
        decision = task.retry_policy.evaluate(error, number, most)
        given_up = number > most or decision.action is RetryAction.FAIL
        return made("failed" if given_up else "again", error=error, delay=decision.retry_delay)
    # What Airflow stores is JSON: anything else would not arrive in the next task.
    returned[task_id] = json.loads(json.dumps(result))
    if recorded:
        for callback in task.on_success_callback or ():
            callback(context)
    return made(result=returned[task_id], events=tuple(events))


def _context(context: dict[str, Any]) -> AbstractContextManager[None]:
    return cast("AbstractContextManager[None]", set_current_context(cast("Context", context)))
