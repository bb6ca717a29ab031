"""Keeps the PostgreSQL copy of a company's booked e-conomic invoices fresh: schedule, parameters, retries, order of tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import (
    DAG,
    DeadlineAlert,
    DeadlineReference,
    Param,
    SyncCallback,
    chain,
    get_parsing_context,
    result,
    task,
)

from economic import tasks
from economic.config import callbacks as alerts
from economic.config.dags import SyncDag
from economic.config.settings import Settings

DOC = """
### e-conomic invoice sync

Reads **every booked invoice** of one e-conomic agreement, 1000 a request, and keeps the table `economic.invoice` equal to it. Runs every six hours (UTC).
Three tasks:

| task | what it does |
|---|---|
| `fetch-pages` | takes the lease (one sync at a time), reads all pages into staging, counts again at the end |
| `upsert-invoices` | writes what is new or differs; an unchanged invoice is not touched; compares with e-conomic's totals |
| `populate-employee-names` | writes the names of employees that were renamed or not known before, and ends the sync |

The page **e-conomic sync** in the menu Browse shows how the copy stands, what runs and what went wrong. The **statistics** are the XCom of `populate-employee-names`; every sync also has its row in `economic.sync_run`, with live progress.

**Trigger by hand**: `force` takes over at once from a sync that another DAG run, a backfill, another Airflow or a crash left holding the lease, and asks for the employee names
again. It does not jump Airflow's own queue. `date_from` and `date_to` limit a sync to invoices dated in that range. `accept_missing` accepts, for one run, that more invoices are gone than a sync marks missing by itself.

**When it fails** read the last lines of the failed task's log: they say what happened and what to do. Network faults, e-conomic's faults and database restarts are
tried again by themselves. Refused tokens, a connection that reaches another company, missing tables or rights need a person. A single bad
invoice never fails a sync: it is kept in `economic.rejected_invoice` with its reason and heals when e-conomic delivers it right. **Nothing needs to be unlocked after a
crash**: the lease runs out in five minutes and the next sync takes over. To run a failed sync again, trigger a new run, or clear `fetch-pages` with downstream.
"""

PARAMS = {
    "force": Param(
        False,
        type="boolean",
        title="Force",
        description_md="Take over from a sync that is running or was left behind, and ask for the employee names again.",
    ),
    "accept_missing": Param(
        False,
        type="boolean",
        title="Accept missing invoices",
        description_md="For this run, mark all invoices missing that e-conomic neither lists nor counts any more, however many they are.",
    ),
    "date_from": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Dated from",
        description_md="Only invoices dated this day or later; empty: from the first one.",
    ),
    "date_to": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Dated to",
        description_md="Only invoices dated this day or earlier; empty: to the newest. A sync of some days marks nothing missing.",
    ),
}


def sync_dag(agreement: SyncDag, settings: Settings) -> DAG:
    """The DAG of one agreement."""
    if settings.on_late:
        # Airflow would only look for it when a sync is late.
        alerts.load(settings.on_late, "ECONOMIC_ON_LATE")
    late = settings.late_after_minutes and DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=settings.late_after_minutes),
        callback=SyncCallback(settings.on_late or alerts.LOG_LATE),
    )
    failed = settings.on_failure and alerts.load(settings.on_failure, "ECONOMIC_ON_FAILURE")
    with DAG(
        dag_id=agreement.dag_id,
        schedule=agreement.schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        doc_md=DOC,
        tags=["e-conomic", "invoices", "postgres"],
        params=PARAMS,
        deadline=late or None,
        # Four tries of each task fit between two syncs six hours apart: 4 x (40 + 20 + 10) minutes and the waits.
        default_args={
            "retries": 3,
            "retry_delay": timedelta(seconds=60),
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(minutes=10),
            "retry_policy": tasks.RetryAsAsked(),
            # Where slots are few, syncs that have begun come before new ones: their leases run, and their rows lie in staging.
            "weight_rule": "upstream",
            "on_failure_callback": [tasks.log_reason, *([failed] if failed else [])],
            "on_retry_callback": tasks.log_reason,
        },
    ) as dag:
        fetch_pages = task(
            task_id="fetch-pages",
            multiple_outputs=False,
            execution_timeout=timedelta(minutes=40),
            doc_md="Begins the sync and reads all booked invoices into staging. Tried again, it goes on after the last page it had committed.",
        )(tasks.fetch_pages)(agreement.conn_id, agreement.schedule)
        upsert_invoices = task(
            task_id="upsert-invoices",
            multiple_outputs=False,
            execution_timeout=timedelta(minutes=20),
            doc_md="Writes new and changed invoices, page by page, and compares the copy with e-conomic's totals.",
        )(tasks.upsert_invoices)(agreement.conn_id)
        populate_employee_names = result(
            task(
                task_id="populate-employee-names",
                multiple_outputs=False,
                outlets=[tasks.CHANGED],
                on_success_callback=tasks.confirm_announced,
                execution_timeout=timedelta(minutes=10),
                doc_md="Fills in employees' names and ends the sync. Its XCom is the sync's statistics.",
            )(tasks.populate_employee_names)
        )(agreement.conn_id)
        chain(fetch_pages, upsert_invoices, populate_employee_names)
    return dag


SETTINGS = Settings.from_environment()
# The process of a task needs its own DAG: all of a thousand companies would cost each task three CPU seconds. Airflow's command line
# names a DAG without a task, and writes down all that it finds then.
READING = get_parsing_context()
for agreement in SETTINGS.agreements:
    if READING.task_id is None or READING.dag_id == agreement.dag_id:
        globals()[agreement.dag_id] = sync_dag(agreement, SETTINGS)
