"""The three tasks of the DAG: Airflow's context in, one phase of the sync, a plain dict out; errors become Airflow's words for them.

Kept light at import: the DAG file imports this module, and every task process imports the DAG file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from economic.errors import (
    ConfigurationError,
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

    from economic.database import Connection
    from economic.hook import EconomicHook
    from economic.sync import Attempt, Order

log = logging.getLogger(__name__)

KNOWN_CONF = frozenset({"force", "date_from", "date_to"})
FIRST_TASK = "fetch-pages"
LONGEST_WAIT = {"backfill": timedelta(hours=2), "scheduled": timedelta(minutes=15)}
"""How long a run waits for another sync to end, by its type: scheduled ones only when a range sync holds the lease."""
_LOOK_AGAIN = timedelta(seconds=60)
_LONGEST_RETRY_DELAY = timedelta(hours=1)


class RetryAsAsked(RetryPolicy):
    """Retry when e-conomic said, if it said; all else as the task's own settings have it."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        if isinstance(exception, RetriableError) and exception.retry_after is not None:
            delay = min(timedelta(seconds=exception.retry_after), _LONGEST_RETRY_DELAY)
            return RetryDecision.retry(max(delay, _LOOK_AGAIN), "e-conomic asked for this wait")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {}


def fetch_pages() -> dict[str, Any]:
    """Begin a sync and take every booked invoice of e-conomic into staging."""
    from economic import scanning, sync

    with _working() as work:
        order = work.order()
        with work.hook() as hook:
            work.attempt = sync.begin(hook, work.connection, order)
            return scanning.fetch_pages(work.attempt, hook, work.settings.page_size)


def upsert_invoices() -> dict[str, Any]:
    """Take the staged invoices over into the copy."""
    from economic import storing, sync

    with _working() as work:
        work.attempt = sync.join(work.connection, work.sync_id(), work.name)
        return storing.upsert_invoices(work.attempt)


def populate_employee_names() -> dict[str, Any]:
    """Fill in employees' names and end the sync; the statistics."""
    from economic import naming, sync

    with _working() as work, work.hook() as hook:
        work.attempt = sync.join(work.connection, work.sync_id(), work.name, hook)
        return naming.populate_employee_names(
            work.attempt, hook, work.settings.employee_cache_seconds
        ).to_xcom()


@dataclass
class _Work:
    """One task attempt: its settings, its place in Airflow, its database connection."""

    settings: Settings
    context: Context
    connection: Connection
    attempt: Attempt | None = None

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

    def order(self) -> Order:
        """What this run asks for.

        :raises ConfigurationError: the conf has an unknown key, or dates that make no range.
        """
        from economic.sync import Order

        unknown = sorted(set(self.context["dag_run"].conf or {}) - KNOWN_CONF)
        if unknown:
            raise ConfigurationError(
                f"The conf has unknown keys: {', '.join(unknown)}.",
                hint=f"Known are {', '.join(sorted(KNOWN_CONF))}.",
            )
        params = self.context["params"]
        date_from, date_to = _day(params, "date_from"), _day(params, "date_to")
        if date_from and date_to and date_from > date_to:
            raise ConfigurationError(f"date_from {date_from} is after date_to {date_to}.", hint="Swap them.")
        force = params.get("force") is True
        if force and self.run_type == "backfill":
            log.warning("force is ignored in a backfill: its runs would displace each other.")
            force = False
        return Order(
            dag_id=self.dag_id,
            run_id=self.run_id,
            run_type=self.run_type,
            conn_id=self.settings.conn_id,
            attempt=self.name,
            date_from=date_from,
            date_to=date_to,
            force=force,
        )

    def hook(self) -> EconomicHook:
        from economic.hook import EconomicHook
        from economic.transport import Limits

        return EconomicHook(
            self.settings.conn_id, limits=Limits(interval=self.settings.request_interval_ms / 1000)
        )

    def sync_id(self) -> int:
        """The sync that this run's first task began.

        :raises SyncEnded: it left none.
        """
        fetched = self.context["ti"].xcom_pull(task_ids=FIRST_TASK)
        if not isinstance(fetched, dict) or not isinstance(fetched.get("sync_id"), int):
            raise SyncEnded(f"{FIRST_TASK} of this run has left no sync to go on with.")
        return int(fetched["sync_id"])


def _day(params: Any, key: str) -> date | None:
    value = params.get(key)
    if value in (None, ""):
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{key} is {value!r}.", hint="Give a day as YYYY-MM-DD.") from None


@contextmanager
def _working() -> Iterator[_Work]:
    """Connect, let the phase work, and turn what goes wrong into what Airflow should do about it.

    A failure that will not be tried again closes the sync's row with the reason and frees the lease at once.
    """
    from economic.database import translated

    context = get_current_context()
    try:
        settings = Settings.from_environment()
        with translated(), connect(settings.postgres_conn_id) as connection:
            work = _Work(settings, context, connection)
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
            if final:
                lease = work.attempt.lease if work.attempt is not None else None
                sync.close(connection, work.dag_id, work.run_id, "failed", message, lease)
            else:
                sync.note_failure(connection, work.dag_id, work.run_id, f"Will be tried again: {message}")
    except Exception as second:
        # The first error is the one to report; the lease expires by itself.
        log.warning("The failure could not be noted in the database (%s).", type(second).__name__)


def _busy(work: _Work, busy: LeaseBusy) -> None:
    """Another sync runs: wait for it, skip this one or fail it, as the run's type asks."""
    from economic import sync

    waits = work.run_type == "backfill" or (work.run_type == "scheduled" and busy.holder_scope == "range")
    if waits:
        waited = sync.wait(work.connection, work.dag_id, work.run_id, f"Waiting: {busy.message}")
        if waited < LONGEST_WAIT[work.run_type].total_seconds():
            log.info("Waiting, looking again in %d s: %s", _LOOK_AGAIN.total_seconds(), busy.message)
            raise AirflowRescheduleException(datetime.now(UTC) + _LOOK_AGAIN)  # type: ignore[no-untyped-call]  # Airflow's own
    if work.run_type in {"manual", "backfill"}:
        message = f"Not started: {busy}"
        sync.close(work.connection, work.dag_id, work.run_id, "failed", message)
        raise AirflowFailException(message)
    message = f"Skipped: {busy.message}"
    sync.close(work.connection, work.dag_id, work.run_id, "skipped", message)
    raise AirflowSkipException(message)


def connect(conn_id: str) -> Connection:
    """A connection to the invoice database, from Airflow's connection of that id.

    :raises ConfigurationError: the connection is not defined.
    :raises DatabaseUnavailable: the server cannot be reached.
    """
    import psycopg
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.sdk import BaseHook

    from economic import database

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"The connection {conn_id} is not defined in Airflow.",
            hint="Add a Postgres connection of that id, or set ECONOMIC_POSTGRES_CONN_ID to the one to use.",
        ) from None
    # Without these a cut network cable is noticed after hours; a user's own values win.
    extra = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "application_name": "airflow-provider-economic",
    } | connection.extra_dejson
    extra.pop("cursor", None)
    connection.extra = json.dumps(extra)
    with database.translated():
        opened = PostgresHook(connection=connection).get_conn()
    if not isinstance(opened, psycopg.Connection):
        raise ConfigurationError(
            "The Postgres provider uses psycopg2 here.",
            hint="Install psycopg 3: pip install 'psycopg[binary]'.",
        )
    return database.prepare(opened)
