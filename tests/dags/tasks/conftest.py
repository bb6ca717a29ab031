"""The DAG through real Airflow, in this process: a metadata database of its own, the simulator over HTTP, a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from simulator import InProcess
from tests.conftest import postgres_connection

DAG_ID = "economic_invoice_sync"


@pytest.fixture(scope="session")
def airflow() -> None:
    """Airflow's own database, once: making it takes seconds."""
    from airflow.utils.db import initdb

    initdb()


@dataclass
class Outcome:
    """What became of a DAG run."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    xcom: dict[str, Any]


@dataclass
class Dag:
    """The DAG, ready to be run against one company's books."""

    books: InProcess
    connection: psycopg.Connection

    def run(
        self,
        conf: dict[str, Any] | None = None,
        *,
        at: datetime | None = None,
        as_type: str = "manual",
        limit: timedelta | None = None,
        dag_id: str = DAG_ID,
    ) -> Outcome:
        """Run it once, through every task's real start-up and end.

        :param limit: each task's execution timeout, instead of the DAG file's.
        """
        from airflow.dag_processing.dagbag import DagBag
        from airflow.models import dagrun

        dag = DagBag().dags[dag_id]
        for task in dag.tasks:
            task.retry_delay = timedelta(0)
            task.retry_exponential_backoff = 0
            if limit is not None:
                task.execution_timeout = limit
        original = dagrun.get_or_create_dagrun

        def typed(**options: Any) -> Any:
            # dag.test() can only make manual runs; what the scheduler makes differs in this one word.
            run = original(**options)
            run.run_type = as_type
            options["session"].commit()
            return run

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dagrun, "get_or_create_dagrun", typed)
            options = {} if at is None else {"logical_date": at, "run_after": at}
            run = dag.test(run_conf=conf, **options)
        instances = {ti.task_id: ti for ti in run.get_task_instances()}
        return Outcome(
            state=str(run.state),
            tasks={task_id: str(ti.state) for task_id, ti in instances.items()},
            tries={task_id: ti.try_number for task_id, ti in instances.items()},
            xcom={task_id: ti.xcom_pull(task_ids=task_id) for task_id, ti in instances.items()},
        )

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode()).fetchall()

    def xmins(self) -> dict[int, str]:
        found = self.rows("select invoice_number, xmin::text as written from economic.invoice")
        return {row["invoice_number"]: row["written"] for row in found}

    def last_sync(self) -> dict[str, Any]:
        return self.rows("select * from economic.sync_run order by sync_id desc limit 1")[0]


@pytest.fixture
def dag(
    airflow: None,
    simulated: InProcess,
    economic_default: str,
    connection: psycopg.Connection,
    database: str,
    define_connection: Callable[..., None],
) -> Iterator[Dag]:
    define_connection("economic_postgres", **postgres_connection(database))
    return Dag(simulated, connection)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Airflow and its libraries warn about each other here; what our own modules cause still fails.
    for item in items:
        if "tests/dags/tasks" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.filterwarnings("error:::economic"))
