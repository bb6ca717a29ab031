"""DAGs of quick syncs: one for each agreement that has a quick schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, get_parsing_context, result, task

from economic import tasks
from economic.config import callbacks
from economic.config.dags import SyncDag
from economic.config.settings import Settings
from economic.task_run import QUICK_TASK

DOC = """
### e-conomic quick sync

Keeps the copy fresh **between the full syncs** of `economic_invoice_sync`: it reads only what can
have changed, and proves the copy with e-conomic's totals. When nothing moved, it makes two requests.

1. It reads e-conomic's totals. When they are those of the last proven quick sync, it ends.
2. It reads the invoices above the highest number held, the list of unpaid invoices, and by number
   those that this list shows to have changed.
3. It compares count and sum of the copy, and of the list, with the totals.

When the count or the sum differs, an invoice was booked with a lower number or is gone: the run
**goes on as a full sync**, once an hour at most, or twice when that fails. Otherwise a run that
cannot prove the copy says so and the next one looks again.

It is **skipped** while another sync of the company runs, and before the first full sync.
"""


def quick_dag(agreement: SyncDag, settings: Settings) -> DAG:
    """Build the DAG of one agreement's quick syncs."""
    failed = settings.on_failure and callbacks.load(settings.on_failure, "ECONOMIC_ON_FAILURE")
    with DAG(
        dag_id=agreement.quick_dag_id,
        schedule=agreement.quick_schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        doc_md=DOC,
        tags=["e-conomic", "invoices", "postgres"],
        default_args={
            # The next run is the next try; one retry covers a worker that died.
            "retries": 1,
            "retry_delay": timedelta(seconds=15),
            "retry_policy": tasks.RetryAsAsked(),
            "on_failure_callback": [tasks.log_reason, *([failed] if failed else [])],
            "on_retry_callback": tasks.log_reason,
        },
    ) as dag:
        result(
            task(
                task_id=QUICK_TASK,
                multiple_outputs=False,
                outlets=tasks.outlets(agreement),
                on_success_callback=tasks.confirm_announced,
                # Long enough for a run that goes on as a full sync.
                execution_timeout=timedelta(minutes=60),
                doc_md="Reads what can have changed and proves the copy. Its XCom is the statistics.",
            )(tasks.quick_sync)
        )(agreement.conn_id)
    return dag


SETTINGS = Settings.from_environment()
READING = get_parsing_context()
for agreement in SETTINGS.agreements:
    if agreement.quick_schedule and READING.dag_id in {None, agreement.quick_dag_id}:
        globals()[agreement.quick_dag_id] = quick_dag(agreement, SETTINGS)
