"""The tasks of the DAGs: Airflow's context in, one phase of the sync, a plain dict out.

Kept light at import: every task process imports this through the DAG file.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowFailException

from economic.config.dags import SyncDag
from economic.config.settings import Settings
from economic.db.connection import connect
from economic.errors import ConfigurationError, EconomicError, RetriableError
from economic.task_run import TaskRun, task_run
from economic.telemetry import lineage
from economic.telemetry.metrics import Watch, watch

if TYPE_CHECKING:
    from airflow.sdk import Context

    from economic.client.hook import EconomicHook


log = logging.getLogger(__name__)

CHANGED = AssetAlias("economic_invoices")
"""Outlet of the last task: its events lead to one asset an agreement, with the statistics."""
_SHORTEST_RETRY_DELAY = timedelta(seconds=60)
_LONGEST_RETRY_DELAY = timedelta(hours=1)


class RetryAsAsked(RetryPolicy):
    """Honour e-conomic's `Retry-After`; otherwise use the task's retry settings."""

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
    """Begin a sync and stage every booked invoice of e-conomic.

    :param conn_id: Airflow's connection to the agreement.
    :param schedule: the DAG's; a backfill's runs derive their days from it.
    """
    from economic.sync import fetch, lifecycle

    with watch(conn_id) as watched, task_run(conn_id) as work:
        request = work.request(schedule)
        with work.hook() as hook:
            watched.traffic = hook.traffic
            work.attempt = lifecycle.begin(hook, work.connection, request, work.reopen, work.begun)
            fetched = fetch.fetch_pages(
                work.attempt, work.settings.page_size, work.settings.employee_cache_seconds
            )
            return fetched | {"run_key": request.owner.run_key}


def upsert_invoices(conn_id: str) -> dict[str, Any]:
    """Store the staged invoices in the copy."""
    from economic.sync import upsert

    with watch(conn_id), task_run(conn_id) as work:
        return upsert.upsert_invoices(work.join())


def populate_employee_names(conn_id: str) -> dict[str, Any]:
    """Fill in employees' names and end the sync; return its statistics."""
    from economic.sync import employee_names, ending

    # A sync is complete without the names: the limits are shorter than for invoices.
    limits = {"budget": 180.0, "longest_wait": 30.0}
    with watch(conn_id) as watched, task_run(conn_id) as work, work.hook(**limits) as hook:
        watched.traffic = hook.traffic
        statistics = work.ended_statistics()
        if statistics is None:
            attempt = work.join(hook)
            ending.forget_old_syncs(attempt, work.settings.keep_syncs_days)
            statistics = employee_names.populate_employee_names(attempt, work.settings.employee_cache_seconds)
            sync_ended(watched, hook, work, statistics)
        announce(work.context, statistics)
        return statistics


def quick_sync(conn_id: str) -> dict[str, Any]:
    """Read what can have changed, prove the copy, and end the sync; return its statistics."""
    from economic.sync import lifecycle, quick

    # The next run comes soon: the limits are shorter than a full sync's.
    limits = {"budget": 120.0, "longest_wait": 60.0}
    with watch(conn_id) as watched, task_run(conn_id) as work, work.hook(**limits) as hook:
        watched.traffic = hook.traffic
        if work.context["dag_run"].conf:
            raise ConfigurationError(
                "A quick sync takes no conf.", hint="Give it to the DAG of the full sync."
            )
        work.attempt = lifecycle.begin(hook, work.connection, work.bare_request(), work.reopen, work.begun)
        statistics = quick.sync_quickly(
            work.attempt, work.settings.page_size, work.settings.employee_cache_seconds
        )
        sync_ended(watched, hook, work, statistics)
        announce(work.context, statistics)
        return statistics


def fetch_lines(conn_id: str) -> dict[str, Any]:
    """Read the lines of invoices that the copy lacks; return the statistics."""
    from economic.lines.reading import read_lines

    with watch(conn_id) as watched, task_run(conn_id) as work, work.hook() as hook:
        watched.traffic = hook.traffic
        # With the key, because scheduled run ids are equal in every Airflow.
        attempt = f"{work.dag_id} {work.run_id} {work.run_key}"
        statistics = read_lines(work.connection, hook, conn_id, attempt)
        watched.lines_read(statistics)
        written = {"invoice_line": statistics["lines"], "line_check": statistics["invoices"]}
        lineage.collect(hook, work.connection, statistics["agreement_number"], "lines", written)
        return statistics


def sync_ended(watched: Watch, hook: EconomicHook, work: TaskRun, statistics: dict[str, Any]) -> None:
    """Tell metrics and lineage what a sync did."""
    watched.sync_ended(statistics)
    changed = statistics["updated"]
    written = {
        "invoice": statistics["created"] + changed + statistics["raw_changed"],
        "invoice_history": changed,
    }
    lineage.collect(hook, work.connection, statistics["agreement_number"], "invoices", written)


def outlets(agreement: SyncDag) -> list[AssetAlias]:
    """Return the outlets of a sync's last task: :data:`CHANGED`, and the one that wakes the DAG of
    lines.

    That one is the agreement's own, so that it wakes no other company's.
    """
    return [CHANGED, *([AssetAlias(agreement.lines_dag_id)] if agreement.lines else [])]


def announce(context: Context, statistics: dict[str, Any]) -> None:
    """Raise the events of :func:`outlets` when there are changes: an unchanged sync triggers
    nothing.
    """
    if not statistics["announced_syncs"]:
        return
    number = statistics["agreement_number"]
    for outlet in context["task"].outlets:
        # One asset for each: an event of a shared one would reach both.
        kind = "invoices" if outlet == CHANGED else "lines"
        asset = Asset(name=f"economic_{kind}_{number}", uri=f"x-economic://agreement/{number}/{kind}")
        context["outlet_events"][outlet].add(asset, extra=statistics)


def confirm_announced(context: Context) -> None:
    """Note which changes are announced, once Airflow has recorded the last task's success.

    Without this note the next sync announces them again.
    """
    from economic.sync import ending

    ti: Any = context["ti"]
    statistics = ti.xcom_pull(task_ids=ti.task_id)
    try:
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
        if statistics["announced_syncs"] and states[ti.run_id][ti.task_id] == "success":
            with connect(Settings.from_environment().postgres_conn_id) as connection:
                ending.confirm(connection, statistics["announced_syncs"])
    except Exception as error:
        log.warning(
            "The next sync announces these changes again: that they are announced could not be noted (%s).",
            type(error).__name__,
        )


def log_reason(context: Context) -> None:
    """Repeat why a task failed as the last line of its log, below Airflow's traceback."""
    reason = context.get("exception")
    if isinstance(reason, EconomicError | AirflowFailException):
        log.error("%s", reason)
