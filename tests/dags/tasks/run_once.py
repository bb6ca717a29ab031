"""Runs the DAG once for a logical date, in a process that a test can kill."""

from __future__ import annotations

import sys
from datetime import datetime

from airflow.dag_processing.dagbag import DagBag

when = datetime.fromisoformat(sys.argv[1])
DagBag().dags["economic_invoice_sync"].test(logical_date=when, run_after=when)
