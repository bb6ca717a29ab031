"""Imported once by the process that others are forked from: everything a task needs, so that no fork has to import it again."""

from __future__ import annotations

import gc
import importlib

from tests.support.dag_runs import FETCH, FETCH_LINES, QUICK_SYNC, retries_of

for name in (
    "airflow.providers.postgres.hooks.postgres",
    "economic.client.hook",
    "economic.lines.reading",
    "economic.sync.employee_names",
    "economic.sync.quick",
    "economic.sync.request",
    "economic.sync.fetch",
    "economic.sync.upsert",
    "tests.support.task_processes",
):
    importlib.import_module(name)
for task_id in (FETCH, QUICK_SYNC, FETCH_LINES):
    retries_of(task_id)
# A collection in a fork would touch, and so copy, all that it shares with this process.
gc.freeze()
