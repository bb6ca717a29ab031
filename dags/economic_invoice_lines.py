"""DAGs that read the lines of invoices: one for each agreement whose lines are wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, AssetAlias, AssetOrTimeSchedule, CronTriggerTimetable, get_parsing_context, task

from economic import tasks
from economic.config import callbacks
from economic.config.dags import SyncDag
from economic.config.schedules import spread_minutes
from economic.config.settings import Settings

DOC = """
### e-conomic invoice lines

Reads **what was sold**: the lines of every invoice that the copy holds, from e-conomic's newer host.

A sync that has stored changes wakes it, and once a day it runs as a net. It compares the copy with
itself, so that a lost event loses nothing: it reads the invoices whose lines it does not hold yet. An
invoice is **proven** when its lines add up to its net amount. Once a day e-conomic's count of all
lines is compared too.

Without anything to read it makes no request. It never keeps a sync waiting.
"""
NET = "40 4 * * *"


def lines_dag(agreement: SyncDag, settings: Settings) -> DAG:
    """Build the DAG of one agreement's lines."""
    failed = settings.on_failure and callbacks.load(settings.on_failure, "ECONOMIC_ON_FAILURE")
    wanted = AssetAlias(agreement.lines_dag_id)
    net = CronTriggerTimetable(spread_minutes(NET, agreement.dag_id), timezone="UTC")
    scheduled = agreement.schedule or agreement.quick_schedule
    with DAG(
        dag_id=agreement.lines_dag_id,
        schedule=AssetOrTimeSchedule(timetable=net, assets=wanted) if scheduled else wanted,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        doc_md=DOC,
        tags=["e-conomic", "invoices", "postgres"],
        default_args={
            "retries": 3,
            "retry_delay": timedelta(seconds=60),
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(minutes=10),
            "retry_policy": tasks.RetryAsAsked(),
            "on_failure_callback": [tasks.log_reason, *([failed] if failed else [])],
            "on_retry_callback": tasks.log_reason,
        },
    ) as dag:
        task(
            task_id="fetch-lines",
            multiple_outputs=False,
            execution_timeout=timedelta(minutes=60),
            doc_md="Reads the lines that the copy lacks. Its XCom is the statistics.",
        )(tasks.fetch_lines)(agreement.conn_id)
    return dag


SETTINGS = Settings.from_environment()
READING = get_parsing_context()
for agreement in SETTINGS.agreements:
    if agreement.lines and READING.dag_id in {None, agreement.lines_dag_id}:
        globals()[agreement.lines_dag_id] = lines_dag(agreement, SETTINGS)
