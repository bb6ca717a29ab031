"""DAGs of the e-conomic invoice sync: schedule, parameters, retries and order of tasks."""

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
from economic.config import callbacks
from economic.config.dags import SyncDag
from economic.config.settings import Settings

DOC = """
### e-conomic invoice sync

Reads **every booked invoice** of one e-conomic agreement, 1000 a request, and keeps the table
`economic.invoice` equal to it, every six hours (UTC).

| task | does |
|---|---|
| `fetch-pages` | takes the lease (one sync at a time), reads all pages into staging, counts again at the end |
| `upsert-invoices` | writes new and changed invoices, leaves unchanged ones alone, compares with e-conomic's totals |
| `populate-employee-names` | writes the names of renamed and new employees, and ends the sync |

The page **e-conomic sync** in the menu Browse shows the state of the copy, what runs and what went
wrong. The **statistics** are the XCom of `populate-employee-names`. Every sync has its row in
`economic.sync_run`, with live progress.

**Trigger by hand**

- `force` takes over at once from a sync of another DAG run, a backfill, another Airflow or a crash,
  and reads the employees' names again. It does not pass Airflow's own queue.
- `date_from` and `date_to` limit the sync to invoices dated in that range.
- `accept_missing` lifts, for one run, the limit of invoices marked missing at once.

**When it fails**, read the last lines of the failed task's log: they state the cause and the
action. Errors of the network, e-conomic and the database are retried. Rejected tokens, a connection
that reaches another company, and missing tables or rights need a person. A single bad invoice never
fails a sync: it is kept in `economic.rejected_invoice` with its reason, and stored when e-conomic
returns it corrected.

**Nothing needs to be unlocked after a crash**: the lease expires after five minutes and the next
sync takes over. To repeat a failed sync, trigger a new run, or clear `fetch-pages` with downstream.
"""

PARAMS = {
    "force": Param(
        False,
        type="boolean",
        title="Force",
        description_md="Take over from a running or crashed sync, and read employees' names again.",
    ),
    "accept_missing": Param(
        False,
        type="boolean",
        title="Accept missing invoices",
        description_md="For this run, mark all invoices missing that e-conomic no longer returns.",
    ),
    "date_from": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Dated from",
        description_md="Only invoices dated this day or later; empty: from the first.",
    ),
    "date_to": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Dated to",
        description_md="Only invoices dated this day or earlier; empty: to the newest. "
        "A date-range sync never marks invoices missing.",
    ),
}


def sync_dag(agreement: SyncDag, settings: Settings) -> DAG:
    """Build the DAG of one agreement."""
    if settings.on_late:
        # Load it now: Airflow does so only when a sync is late.
        callbacks.load(settings.on_late, "ECONOMIC_ON_LATE")
    late = settings.late_after_minutes and DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=settings.late_after_minutes),
        callback=SyncCallback(settings.on_late or callbacks.LOG_LATE),
    )
    failed = settings.on_failure and callbacks.load(settings.on_failure, "ECONOMIC_ON_FAILURE")
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
        # Four attempts of each task fit into six hours: 4 x (40 + 20 + 10) minutes and the waits.
        default_args={
            "retries": 3,
            "retry_delay": timedelta(seconds=60),
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(minutes=10),
            "retry_policy": tasks.RetryAsAsked(),
            # When slots are scarce, running syncs come first: they hold leases and rows in staging.
            "weight_rule": "upstream",
            "on_failure_callback": [tasks.log_reason, *([failed] if failed else [])],
            "on_retry_callback": tasks.log_reason,
        },
    ) as dag:
        fetch_pages = task(
            task_id="fetch-pages",
            multiple_outputs=False,
            execution_timeout=timedelta(minutes=40),
            doc_md="Starts the sync and reads all booked invoices into staging. "
            "A retry resumes after the last committed page.",
        )(tasks.fetch_pages)(agreement.conn_id, agreement.schedule)
        upsert_invoices = task(
            task_id="upsert-invoices",
            multiple_outputs=False,
            execution_timeout=timedelta(minutes=20),
            doc_md="Writes new and changed invoices, page by page, and compares the copy with "
            "e-conomic's totals.",
        )(tasks.upsert_invoices)(agreement.conn_id)
        populate_employee_names = result(
            task(
                task_id="populate-employee-names",
                multiple_outputs=False,
                outlets=tasks.outlets(agreement),
                on_success_callback=tasks.confirm_announced,
                execution_timeout=timedelta(minutes=10),
                doc_md="Writes employees' names and ends the sync. Its XCom is the statistics.",
            )(tasks.populate_employee_names)
        )(agreement.conn_id)
        chain(fetch_pages, upsert_invoices, populate_employee_names)
    return dag


SETTINGS = Settings.from_environment()
# A task process builds its own DAG only: a thousand of them cost each task three CPU seconds.
# Airflow's command line names a DAG but no task, and stores every DAG that the file then holds.
READING = get_parsing_context()
for agreement in SETTINGS.agreements:
    if READING.task_id is None or READING.dag_id == agreement.dag_id:
        globals()[agreement.dag_id] = sync_dag(agreement, SETTINGS)
