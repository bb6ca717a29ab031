"""How long runs and tasks took and waited, from Airflow's own tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from dev.airflow_settings import METADATA
from dev.scale.stand import Stand

TASKS = ("fetch-pages", "upsert-invoices", "populate-employee-names")


def states(connection: psycopg.Connection, since: datetime) -> dict[str, int]:
    """How many of the runs that were triggered since then are in which state."""
    query = "select state, count(*) from dag_run where queued_at >= %s group by state"
    return {str(state): count for state, count in connection.execute(query, (since,))}


def summary(stand: Stand, since: datetime) -> dict[str, Any]:
    """Times of the runs that were triggered since then, in seconds."""
    with psycopg.connect(stand.metadata.dsn(METADATA)) as connection:
        query = "select queued_at, start_date, end_date from dag_run where queued_at >= %s"
        runs = connection.execute(query, (since,)).fetchall()
        query = """select task_id, scheduled_dttm, queued_dttm, start_date, end_date, try_number
            from task_instance where queued_dttm >= %s"""
        tasks = connection.execute(query, (since,)).fetchall()
        parsed = connection.execute("select max(last_parse_duration) from dag").fetchone()
    first, last = min(run[0] for run in runs), max(run[2] for run in runs)
    found: dict[str, Any] = {
        "first trigger to last success": _between(first, last),
        "from first to last trigger": _between(first, max(run[0] for run in runs)),
        "a run, start to end": _spread([_between(run[1], run[2]) for run in runs]),
        "a run, trigger to end": _spread([_between(run[0], run[2]) for run in runs]),
        "first success after": _between(first, min(run[2] for run in runs)),
        "tries beyond the first": sum(task[5] - 1 for task in tasks),
        "last parse by the dag-processor": parsed and parsed[0],
    }
    for task_id in TASKS:
        own = [task for task in tasks if task[0] == task_id]
        found[task_id] = {
            "waits for a slot": _spread([_between(task[1], task[2]) for task in own]),
            "waits in the broker": _spread([_between(task[2], task[3]) for task in own]),
            "runs": _spread([_between(task[3], task[4]) for task in own]),
        }
    return found


def _between(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 2)


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 2),
        "95 %": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        "most": ordered[-1],
    }
