"""The three tasks of the DAG: Airflow's context in, one phase of the sync, a plain dict out; errors become Airflow's words for them.

Kept light at import: the DAG file imports this module, and every task process imports the DAG file.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, get_current_context
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from economic.connections import connect, connect_patiently
from economic.errors import (
    EconomicError,
    FatalError,
    LeaseBusy,
    LeaseLost,
    RetriableError,
    SyncEnded,
)
from economic.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from economic.attempt import Attempt, Order
    from economic.database import Connection
    from economic.hook import EconomicHook

log = logging.getLogger(__name__)

FIRST_TASK = "fetch-pages"
CHANGED = AssetAlias("economic_invoices")
"""Outlet of the last task; its events lead to one asset an agreement, with the statistics as their extra."""
LONGEST_WAIT = {"backfill": timedelta(hours=2), "scheduled": timedelta(minutes=15)}
"""How long a run waits for another sync to end, by its type: scheduled ones only when a range sync holds the lease."""
LOOK_AGAIN = {"backfill": timedelta(seconds=30), "scheduled": timedelta(seconds=15)}
"""How long it takes at most until a waiting run looks again: a full sync sooner, because a backfill's runs stand still until it had its turn."""
_SHORTEST_RETRY_DELAY = timedelta(seconds=60)
_LONGEST_RETRY_DELAY = timedelta(hours=1)


class RetryAsAsked(RetryPolicy):
    """Retry when e-conomic said, if it said; all else as the task's own settings have it."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        if isinstance(exception, RetriableError) and exception.retry_after is not None:
            delay = min(timedelta(seconds=exception.retry_after), _LONGEST_RETRY_DELAY)
            return RetryDecision.retry(max(delay, _SHORTEST_RETRY_DELAY), "e-conomic asked for this wait")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {}


def fetch_pages(conn_id: str, schedule: str | None) -> dict[str, Any]:
    """Begin a sync and take every booked invoice of e-conomic into staging.

    :param conn_id: Airflow's connection to the agreement.
    :param schedule: the DAG's; a backfill's runs find their days by it.
    """
    from economic import scanning, sync

    with _working(conn_id) as work:
        order = work.order(schedule)
        with work.hook() as hook:
            work.attempt = sync.begin(hook, work.connection, order, work.reopen, work.begun)
            return scanning.fetch_pages(
                work.attempt, hook, work.settings.page_size, work.settings.employee_cache_seconds
            )


def upsert_invoices(conn_id: str) -> dict[str, Any]:
    """Take the staged invoices over into the copy."""
    from economic import storing, sync

    with _working(conn_id) as work:
        work.attempt = sync.join(work.connection, work.sync_id(), work.name, reopen=work.reopen)
        return storing.upsert_invoices(work.attempt)


def populate_employee_names(conn_id: str) -> dict[str, Any]:
    """Fill in employees' names and end the sync; the statistics, which also go with the event that invoices changed."""
    from economic import naming, sync

    # Without the names a sync is whole: they are not waited for as long as invoices are.
    with _working(conn_id) as work, work.hook(budget=180.0, longest_wait=30.0) as hook:
        work.attempt = sync.join(work.connection, work.sync_id(), work.name, hook, work.reopen)
        statistics = naming.populate_employee_names(
            work.attempt, hook, work.settings.employee_cache_seconds
        ).to_xcom()
        announce(work.context, statistics)
        return statistics


def announce(context: Context, statistics: dict[str, Any]) -> None:
    """Raise the event of :data:`CHANGED`, when a sync changed anything: an unchanged one wakes nobody."""
    if any(statistics[count] for count in ("created", "updated", "missing", "returned")):
        number = statistics["agreement_number"]
        invoices = Asset(name=f"economic_invoices_{number}", uri=f"x-economic://agreement/{number}/invoices")
        context["outlet_events"][CHANGED].add(invoices, extra=statistics)


@dataclass
class _Work:
    """One task attempt: its settings, its place in Airflow, its database connection."""

    conn_id: str
    settings: Settings
    context: Context
    connection: Connection
    reopen: Callable[[], Connection]
    attempt: Attempt | None = None
    _begun: int | None = None

    def begun(self, sync_id: int) -> None:
        """Take note of the sync that this attempt works for, before it holds the lease."""
        self._begun = sync_id

    def own_sync(self, connection: Connection) -> int | None:
        """The sync that this attempt has to answer for: its own, or what an earlier one has left when it came to none."""
        from economic import sync

        return self._begun or sync.latest(connection, self.dag_id, self.run_id)

    @property
    def dag_id(self) -> str:
        return str(self.context["dag_run"].dag_id)

    @property
    def run_id(self) -> str:
        return str(self.context["dag_run"].run_id)

    @property
    def run_type(self) -> str:
        # The run id is no evidence: a backfill that runs a day again keeps the id of the scheduled run.
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

    def order(self, schedule: str | None) -> Order:
        """What this run asks for.

        :raises ConfigurationError: the conf has an unknown key, or dates that make no range.
        """
        from economic.orders import AskedFor, read_order

        run = self.context["dag_run"]
        return read_order(
            AskedFor(
                dag_id=self.dag_id,
                run_id=self.run_id,
                run_type=self.run_type,
                due=run.logical_date or run.run_after,
                conf=run.conf or {},
                params=dict(self.context["params"]),
            ),
            conn_id=self.conn_id,
            schedule=schedule,
            attempt=self.name,
        )

    def hook(self, **limits: float) -> EconomicHook:
        """A hook on the run's agreement.

        :param limits: what a request may take, where it is not the usual.
        """
        from economic.hook import EconomicHook
        from economic.transport import Limits

        usual = Limits(interval=self.settings.request_interval_ms / 1000)
        return EconomicHook(self.conn_id, limits=replace(usual, **limits))  # type: ignore[arg-type]  # floats by name

    def sync_id(self) -> int:
        """The sync that this run's first task began.

        :raises SyncEnded: it left none.
        """
        fetched = self.context["ti"].xcom_pull(task_ids=FIRST_TASK)
        if not isinstance(fetched, dict) or not isinstance(fetched.get("sync_id"), int):
            raise SyncEnded(f"{FIRST_TASK} of this run has left no sync to go on with.")
        self.begun(int(fetched["sync_id"]))
        return int(fetched["sync_id"])


@contextmanager
def _working(conn_id: str) -> Iterator[_Work]:
    """Connect, let the phase work, and turn what goes wrong into what Airflow should do about it.

    A failure that will not be tried again closes the sync's row with the reason and frees the lease at once.
    """
    from economic.database import translated

    context = get_current_context()
    try:
        settings = Settings.from_environment()
        with translated(), ExitStack() as opened:

            def reopen() -> Connection:
                return opened.enter_context(connect_patiently(settings.postgres_conn_id))

            work = _Work(conn_id, settings, context, reopen(), reopen)
            try:
                with translated():
                    yield work
            except LeaseBusy as busy:
                _busy(work, busy)
            except Exception as error:
                _note(work, error)
                raise
    except FatalError as error:
        raise AirflowFailException(str(error)) from None
    except EconomicError as error:
        log.warning("This attempt failed and can be tried again: %s", error)
        raise


def _note(work: _Work, error: Exception) -> None:
    """Leave the reason of a failure in the sync's row; a lost lease leaves the row to whoever took it."""
    from economic import sync

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
            if sync_id is None:
                return
            if final:
                lease = work.attempt.lease if work.attempt is not None else None
                sync.close(connection, sync_id, "failed", message, lease)
            else:
                sync.note_failure(connection, sync_id, f"Will be tried again: {message}")
    except Exception as second:
        # The first error is the one to report; the lease expires by itself.
        log.warning("The failure could not be noted in the database (%s).", type(second).__name__)


def _busy(work: _Work, busy: LeaseBusy) -> None:
    """Another sync runs: wait for it, skip this one or fail it, as the run's type asks."""
    from economic import sync

    sync_id = work.own_sync(work.connection)
    if sync_id is None:
        raise busy
    waits = work.run_type == "backfill" or (work.run_type == "scheduled" and busy.holder_scope == "range")
    if waits:
        waited = sync.wait(work.connection, sync_id, f"Waiting: {busy.message}")
        if waited < LONGEST_WAIT[work.run_type].total_seconds():
            # Jitter: a backfill's runs that began to wait together would look together for ever, and all but one in vain.
            pause = LOOK_AGAIN[work.run_type] * random.uniform(1 / 3, 1)  # noqa: S311  # nothing secret
            log.info("Waiting, looking again in %d s: %s", pause.total_seconds(), busy.message)
            raise AirflowRescheduleException(datetime.now(UTC) + pause)  # type: ignore[no-untyped-call]  # Airflow's own
    if work.run_type == "scheduled":
        message = f"Skipped: {busy.message}"
        sync.close(work.connection, sync_id, "skipped", message)
        raise AirflowSkipException(message)
    # Whoever asked for this run, a person or another DAG, is waiting for it.
    message = f"Not started: {busy}"
    sync.close(work.connection, sync_id, "failed", message)
    raise AirflowFailException(message)
