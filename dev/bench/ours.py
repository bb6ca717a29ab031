"""The sync itself: its three phases as the DAG's tasks run them, each on connections of its own, without the mandated pauses."""

from __future__ import annotations

import os
from typing import Any

import psycopg

from economic import naming, scanning, storing, sync
from economic.attempt import Order
from economic.database import prepare
from economic.hook import EconomicHook
from economic.transport import Limits

CONN_ID = "economic_default"


def load(dsn: str, interval: float = 0.0) -> dict[str, Any]:
    """One sync; its statistics."""
    order = Order("bench", f"bench__{os.getpid()}", "manual", CONN_ID, "bench")
    limits = Limits(interval=interval)
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook(CONN_ID, limits=limits) as hook:
        begun = sync.begin(hook, connection, order)
        scanning.fetch_pages(begun, hook, 1000)
    sync_id = begun.run.sync_id
    with prepare(psycopg.connect(dsn)) as connection:
        storing.upsert_invoices(sync.join(connection, sync_id, "bench"))
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook(CONN_ID, limits=limits) as hook:
        return naming.populate_employee_names(
            sync.join(connection, sync_id, "bench", hook), hook, 3600
        ).to_xcom()
