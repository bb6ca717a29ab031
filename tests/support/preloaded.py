"""Imported once by the process that others are forked from: everything a task needs, so that no fork has to import it again."""

from __future__ import annotations

import importlib

from tests.support.dag_runs import retries_of_the_dag

for name in (
    "airflow.providers.postgres.hooks.postgres",
    "economic.client.hook",
    "economic.sync.employee_names",
    "economic.sync.request",
    "economic.sync.fetch",
    "economic.sync.upsert",
    "tests.support.task_processes",
):
    importlib.import_module(name)
retries_of_the_dag()
