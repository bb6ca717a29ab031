"""The sync itself: its three phases as the DAG's tasks run them, each on connections of its own, without the mandated pauses."""

from __future__ import annotations

import os
from typing import Any

import psycopg

from economic.client.hook import EconomicHook
from economic.client.transport import Limits
from economic.db import runs
from economic.db.sql import Connection, prepare
from economic.sync import employee_names, lifecycle, upsert
from economic.sync.attempt import Attempt
from economic.sync.fetch import fetch_pages
from economic.sync.request import SyncRequest

CONN_ID = "economic_default"
PAGE_SIZE = 1000
CACHE_SECONDS = 3600


def start() -> None:
    """What a process loads once and a task has loaded by the time it begins: Airflow's secrets, connections and HTTP hook."""
    with EconomicHook(CONN_ID, limits=Limits(interval=0.0)) as hook:
        hook.get_conn()


def load(dsn: str, interval: float = 0.0) -> dict[str, Any]:
    """One sync; its statistics."""
    limits = Limits(interval=interval)
    sync_id = fetch(dsn, f"bench__{os.getpid()}", limits)
    store(dsn, sync_id)
    return name(dsn, sync_id, limits)


def fetch(dsn: str, run_id: str, limits: Limits) -> int:
    """The first task's work; the sync's id."""
    order = SyncRequest("bench", run_id, "bench", "manual", CONN_ID, "bench")
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook(CONN_ID, limits=limits) as hook:
        begun = lifecycle.begin(hook, connection, order)
        fetch_pages(begun, hook, PAGE_SIZE, CACHE_SECONDS)
    return begun.run.sync_id


def store(dsn: str, sync_id: int) -> None:
    """The second task's work."""
    with prepare(psycopg.connect(dsn)) as connection:
        upsert.upsert_invoices(_join(connection, sync_id))


def name(dsn: str, sync_id: int, limits: Limits) -> dict[str, Any]:
    """The third task's work; the sync's statistics."""
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook(CONN_ID, limits=limits) as hook:
        attempt = _join(connection, sync_id, hook)
        return employee_names.populate_employee_names(attempt, hook, CACHE_SECONDS).to_xcom()


def _join(connection: Connection, sync_id: int, hook: EconomicHook | None = None) -> Attempt:
    begun = runs.sync_run(connection, sync_id)
    if begun is None:
        raise LookupError(f"There is no sync {sync_id}.")
    return lifecycle.join(connection, sync_id, begun.owner, "bench", hook)
