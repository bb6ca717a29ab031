"""Syncs within this process, at full speed: for measurements, documents and the demo's history.

The product is imported late: Airflow takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from economic.client.hook import EconomicHook
    from economic.db.sql import Connection
    from economic.sync.request import SyncRequest

PAGE, CACHE_SECONDS = 1000, 3600


def hook(conn_id: str) -> EconomicHook:
    """Return a hook that does not pause between its requests."""
    from economic.client.hook import EconomicHook
    from economic.client.transport import Limits

    return EconomicHook(conn_id, limits=Limits(interval=0.0))


def full(connect: Callable[[], Connection], conn_id: str, run_id: str) -> dict[str, Any]:
    """Run a full sync, each task's work on its own connections; return the statistics."""
    from economic.sync import employee_names, fetch, lifecycle, upsert

    with connect() as connection, hook(conn_id) as client:
        begun = lifecycle.begin(client, connection, _request(conn_id, run_id))
        fetch.fetch_pages(begun, PAGE, CACHE_SECONDS)
        run = begun.run
    with connect() as connection:
        upsert.upsert_invoices(lifecycle.join(connection, run.sync_id, run.owner, run_id))
    with connect() as connection, hook(conn_id) as client:
        attempt = lifecycle.join(connection, run.sync_id, run.owner, run_id, client)
        return employee_names.populate_employee_names(attempt, CACHE_SECONDS)


def quick(connect: Callable[[], Connection], conn_id: str, run_id: str) -> dict[str, Any]:
    """Run a quick sync; return the statistics."""
    from economic.sync import lifecycle
    from economic.sync.quick import sync_quickly

    with connect() as connection, hook(conn_id) as client:
        attempt = lifecycle.begin(client, connection, _request(conn_id, run_id, quick=True))
        return sync_quickly(attempt, PAGE, CACHE_SECONDS)


def lines(connect: Callable[[], Connection], conn_id: str, run_id: str) -> dict[str, Any]:
    """Let one run read lines; return the statistics."""
    from economic.lines.reading import read_lines

    with connect() as connection, hook(conn_id) as client:
        return read_lines(connection, client, conn_id, run_id)


def _request(conn_id: str, run_id: str, *, quick: bool = False) -> SyncRequest:
    from economic.config.dags import DAG_ID
    from economic.db.runs import Owner
    from economic.sync.request import SyncRequest

    return SyncRequest(Owner(DAG_ID, run_id, run_id, conn_id), "manual", run_id, quick=quick)
