"""One try of one task: its place in Airflow, its database connection, and its failure.

Kept light at import: every task process imports this through the DAG file.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from economic.config.settings import Settings
from economic.db.connection import connect, connect_patiently
from economic.errors import EconomicError, FatalError, LeaseBusy, LeaseLost, SyncEnded, SyncSkipped

if TYPE_CHECKING:
    from airflow.sdk import Context

    from economic.client.hook import EconomicHook
    from economic.db.runs import Owner
    from economic.db.sql import Connection
    from economic.sync.attempt import Attempt
    from economic.sync.request import SyncRequest

log = logging.getLogger(__name__)

FIRST_TASK = "fetch-pages"
QUICK_TASK = "quick-sync"
LINES_TASK = "fetch-lines"
_RUN_KEY = "economic_run_key"


@dataclass
class TaskRun:
    """One task attempt: its settings, its place in Airflow, its database connection."""

    conn_id: str
    settings: Settings
    context: Context
    connection: Connection
    reopen: Callable[[], Connection]
    attempt: Attempt | None = None
    _begun: int | None = None

    def begun(self, sync_id: int) -> None:
        """Remember the sync that this attempt works for, before it holds the lease."""
        self._begun = sync_id

    def own_sync(self, connection: Connection) -> int | None:
        """Return the sync that this attempt answers for: its own, or an earlier attempt's."""
        from economic.sync import lifecycle

        return self._begun or lifecycle.latest(connection, self.owner)

    @property
    def owner(self) -> Owner:
        """The DAG run that this try belongs to, and its connection."""
        from economic.db.runs import Owner

        return Owner(self.dag_id, self.run_id, self.run_key, self.conn_id)

    @property
    def is_first(self) -> bool:
        return self.context["ti"].task_id in {FIRST_TASK, QUICK_TASK}

    @property
    def is_quick(self) -> bool:
        return bool(self.context["ti"].task_id == QUICK_TASK)

    @cached_property
    def run_key(self) -> str:
        """Random text that Airflow keeps for this DAG run, over tries and clears.

        Scheduled run ids are equal in every Airflow, and several may share an invoice database.
        """
        if not (self.is_first or self.context["ti"].task_id == LINES_TASK):
            return str(self._fetched().get("run_key"))
        kept = self.context["task_state_store"]
        key = kept.get(_RUN_KEY)
        if key is None:
            key = uuid.uuid4().hex
            kept.set(_RUN_KEY, key)
        return str(key)

    def _fetched(self) -> dict[str, Any]:
        fetched = self.context["ti"].xcom_pull(task_ids=FIRST_TASK)
        return fetched if isinstance(fetched, dict) else {}

    @property
    def clear_number(self) -> int:
        """How often this DAG run was cleared."""
        return int(self.context["dag_run"].clear_number or 0)

    @property
    def dag_id(self) -> str:
        return str(self.context["dag_run"].dag_id)

    @property
    def run_id(self) -> str:
        return str(self.context["dag_run"].run_id)

    @property
    def run_type(self) -> str:
        # The run id is not evidence: a backfill of the same day keeps the scheduled run's id.
        kind = self.context["dag_run"].run_type
        return str(getattr(kind, "value", kind))

    @property
    def name(self) -> str:
        ti = self.context["ti"]
        return f"{self.run_id} {ti.task_id} try {ti.try_number}"

    @property
    def last_try(self) -> bool:
        ti = self.context["ti"]
        return bool(ti.try_number > ti.max_tries)

    def request(self, schedule: str | None) -> SyncRequest:
        """Return what this run asks for.

        :raises ConfigurationError: the conf has an unknown key, or dates that do not form a range.
        """
        from economic.sync.request import read_conf

        run = self.context["dag_run"]
        due = run.logical_date or run.run_after
        return read_conf(self.bare_request(), due, run.conf or {}, dict(self.context["params"]), schedule)

    def bare_request(self) -> SyncRequest:
        """Return a request of this run's identity: of a quick sync, or one that cannot be begun."""
        from economic.sync.request import SyncRequest

        return SyncRequest(
            self.owner,
            run_type=self.run_type,
            attempt=self.name,
            clear_number=self.clear_number,
            quick=self.is_quick,
        )

    def hook(self, **limits: float) -> EconomicHook:
        """Return a hook on the run's agreement.

        :param limits: limits of a request that differ from the usual ones.
        """
        from economic.client.hook import EconomicHook
        from economic.client.transport import Limits

        interval = self.settings.request_interval_ms / 1000
        return EconomicHook(self.conn_id, limits=Limits(interval=interval, **limits))  # type: ignore[arg-type]  # floats by name

    def join(self, hook: EconomicHook | None = None) -> Attempt:
        """Resume the sync that this run's first task began.

        :raises SyncEnded: it left none, or one that is over or not this run's.
        """
        from economic.sync import lifecycle

        self.attempt = lifecycle.join(
            self.connection, self._sync_id(), self.owner, self.name, hook, self.reopen
        )
        self.begun(self.attempt.run.sync_id)
        return self.attempt

    def ended_statistics(self) -> dict[str, Any] | None:
        """Return the statistics of a sync that an earlier try ended and Airflow did not record."""
        from economic.sync import ending

        return ending.statistics_of(self.connection, self._sync_id(), self.owner, self.clear_number)

    def _sync_id(self) -> int:
        sync_id = self._fetched().get("sync_id")
        if not isinstance(sync_id, int):
            raise SyncEnded(f"{FIRST_TASK} of this run has left no sync to go on with.")
        return sync_id


@contextmanager
def task_run(conn_id: str) -> Iterator[TaskRun]:
    """Connect, run the phase, and turn its errors into Airflow's.

    A failure that will not be retried closes the sync's row with the reason and frees the lease.
    """
    from economic.db.sql import translate_errors

    context = get_current_context()
    try:
        settings = Settings.from_environment()
        with translate_errors(), ExitStack() as opened:

            def reopen() -> Connection:
                return opened.enter_context(connect_patiently(settings.postgres_conn_id))

            work = TaskRun(conn_id, settings, context, reopen(), reopen)
            try:
                with translate_errors():
                    yield work
            except LeaseBusy as busy:
                _busy(work, busy)
            except SyncSkipped as reason:
                _skip(work, f"Skipped: {reason.message}")
            except Exception as error:
                _record_failure(work, error)
                raise
    # The message of an expected error is enough: its frames would only hide it.
    except FatalError as error:
        if error.detail:
            log.error("%s", error.log_text)
        raise AirflowFailException(str(error)) from None
    except EconomicError as error:
        log.warning("This attempt failed and can be tried again: %s", error.log_text)
        raise error.with_traceback(None) from None


def _record_failure(work: TaskRun, error: Exception) -> None:
    """Record a failure in the sync's row; after a lost lease the row is another sync's to write."""
    from economic.sync import lifecycle

    if isinstance(error, LeaseLost | SyncEnded):
        return
    message = (
        str(error) if isinstance(error, EconomicError) else f"Failed unexpectedly ({type(error).__name__})."
    )
    final = work.last_try or isinstance(error, FatalError)
    try:
        # The failure may have broken the connection it happened on.
        with connect(work.settings.postgres_conn_id) as connection:
            sync_id = work.own_sync(connection)
            if sync_id is None and final and work.is_first:
                # It failed before it began: people look for the reason in the list of syncs.
                sync_id = lifecycle.open_row(connection, work.bare_request())
            if sync_id is None:
                return
            if final:
                lease, counts = (at.lease, at.used()) if (at := work.attempt) is not None else (None, None)
                lifecycle.close(connection, sync_id, "failed", message, lease, counts)
            else:
                lifecycle.note_failure(connection, sync_id, message)
    except Exception as second:
        # The first error is the one to report; the lease expires by itself.
        log.warning("The failure could not be noted in the database (%s).", type(second).__name__)


def _skip(work: TaskRun, message: str) -> NoReturn:
    _close_skipped(work, message)
    raise AirflowSkipException(message)


def _close_skipped(work: TaskRun, message: str) -> None:
    from economic.sync import lifecycle

    if (sync_id := work.own_sync(work.connection)) is not None:
        lease = work.attempt.lease if work.attempt is not None else None
        lifecycle.close(work.connection, sync_id, "skipped", message, lease)


def _busy(work: TaskRun, busy: LeaseBusy) -> None:
    """Wait for the other sync, skip this one or fail it, depending on the run's type.

    The row of a run that never held the lease is ``skipped``: it does not describe the copy.
    """
    from economic.sync import lifecycle
    from economic.sync.request import LONGEST_WAIT, LOOK_AGAIN, kind_of_wait

    sync_id = work.own_sync(work.connection)
    if sync_id is None:
        raise busy
    kind = None if work.is_quick else kind_of_wait(work.run_type, busy.holder_scope)
    if kind is not None:
        waited = lifecycle.wait(work.connection, sync_id, f"Waiting: {busy.message}")
        if waited < LONGEST_WAIT[kind].total_seconds():
            # Jitter, so that waiting runs do not poll in lockstep.
            pause = LOOK_AGAIN[kind] * random.uniform(1 / 3, 1)  # noqa: S311  # nothing secret
            log.info("Waiting, looking again in %d s: %s", pause.total_seconds(), busy.log_text)
            raise AirflowRescheduleException(datetime.now(UTC) + pause)  # type: ignore[no-untyped-call]  # Airflow's own
    # A quick sync cannot be forced, which the hint proposes.
    log.warning("%s", busy.message if work.is_quick else busy.log_text)
    if work.run_type == "scheduled" or work.is_quick:
        _skip(work, f"Skipped: {busy.message}")
    # A person or another DAG waits for this run.
    message = f"Not started: {busy}"
    _close_skipped(work, message)
    raise AirflowFailException(message)
