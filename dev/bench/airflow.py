"""`./run bench airflow`: what Airflow itself adds: seconds around and between the tasks, reading the DAG file, memory of a task.

A whole Airflow on embedded parts with the pauses between requests that the product makes towards e-conomic.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from dev import embedded_postgres
from dev.account import Account
from dev.airflow_settings import (
    DAG_ID,
    INVOICES,
    METADATA,
    configuration,
    invoice_connections,
    serving,
)
from dev.bench import report
from dev.bench.__main__ import machine, say, simulated
from dev.interruption import Interruption
from dev.keys import keys
from dev.local_airflow import LocalAirflow, prepare
from dev.parts import Parts
from dev.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("fetch-pages", "upsert-invoices", "populate-employee-names")
EMPTY_DAG = "empty_task"
_CONN_ID = "economic_default"
_EMPTY = """
import resource
from airflow.sdk import dag, task

@dag(dag_id="empty_task", schedule=None)
def empty():
    @task
    def nothing():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    nothing()

empty()
"""
_READ = """
import runpy, sys, time
import airflow.sdk, airflow.providers.common.compat.sdk
began, used = time.perf_counter(), time.process_time()
runpy.run_path(sys.argv[1])
print(time.perf_counter() - began, time.process_time() - used)
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = report.options("airflow", __doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args(arguments)
    result: dict[str, Any] = {"invoices": given.n, "repetitions": given.repetitions, "machine": machine()}
    result["reading"] = reading(given.repetitions)
    say(f"The DAG file is read in {statistics.median(result['reading']):.2f} s beyond Airflow's own imports.")
    with tempfile.TemporaryDirectory(prefix="economic-bench-") as folder:
        result |= whole_runs(Path(folder), given.n, given.repetitions)
    result["machine"] = machine()
    report.save(result, "airflow", keep=given.keep)
    say(report.airflow_table(result))
    return 0


def reading(repetitions: int) -> list[float]:
    """Seconds to read the DAG file in a process that has Airflow's SDK loaded."""
    command = [sys.executable, "-c", _READ, str(ROOT / "dags" / "economic_invoice_sync.py")]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"AIRFLOW_HOME": home}
        found = []
        for _ in range(repetitions + 1):
            done = subprocess.run(
                command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
            )
            found.append(float(done.stdout.split()[-2]))
    return found[1:]


def whole_runs(home: Path, invoices: int, repetitions: int) -> dict[str, Any]:
    """Runs of the DAG under a scheduler, one after the other: the first load, then unchanged ones."""
    with ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        server = stack.enter_context(embedded_postgres.server([METADATA, INVOICES]))
        books = stack.enter_context(simulated(invoices))
        parts = stack.enter_context(Parts(home / "logs", interruption))
        secrets = keys(home)
        dags = home / "dags"
        dags.mkdir()
        (dags / "empty_task.py").write_text(_EMPTY)
        (dags / "economic_invoice_sync.py").symlink_to(ROOT / "dags" / "economic_invoice_sync.py")
        environment = configuration(home, server, _CONN_ID, secrets) | serving(free_port(), secrets)
        environment |= {"AUTO_SYNC_ENABLED": "false", "AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        prepare(home, parts, environment)
        airflow = LocalAirflow(parts, environment, secrets)
        read = Account(
            _CONN_ID, books.base_url, books.app_secret_token, books.agreement_grant_token, "the simulator"
        )
        airflow.start({_CONN_ID: read.connection, **invoice_connections(server)})
        runs = [one_run(airflow, parts, DAG_ID) for _ in range(repetitions + 1)]
        empty = [one_run(airflow, parts, EMPTY_DAG) for _ in range(3)]
    return {"runs": runs, "empty_task_mb": [run["result"] for run in empty]}


def one_run(airflow: LocalAirflow, parts: Parts, dag_id: str) -> dict[str, Any]:
    """Trigger a run and wait for its end; seconds from the trigger to each step."""
    airflow.api.patch(f"dags/{dag_id}", {"is_paused": False})
    began = time.time()
    run_id = airflow.api.post(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": {}})["dag_run_id"]

    def ended() -> bool:
        return airflow.api.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"] in {"success", "failed"}

    parts.wait_until(ended, f"{run_id} has ended", 1800)
    run = airflow.api.get(f"dags/{dag_id}/dagRuns/{run_id}")
    if run["state"] != "success":
        raise RuntimeError(f"{dag_id} {run_id} ended as {run['state']}.")
    tasks = airflow.api.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
    last = TASKS[-1] if dag_id == DAG_ID else tasks[0]["task_id"]
    result = airflow.api.get(
        f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{last}/xcomEntries/return_value", deserialize="true"
    )["value"]
    return {
        "whole": _at(run["end_date"]) - began,
        "tasks": {
            task["task_id"]: [_at(task["start_date"]) - began, _at(task["end_date"]) - began]
            for task in tasks
        },
        "result": result,
    }


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())
