"""Lineage of a sync, for whoever collects it: the agreement as input, tables as output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from economic.client.hook import EconomicHook
    from economic.db.sql import Connection


def collect(
    hook: EconomicHook, connection: Connection, agreement_number: int, kind: str, written: Mapping[str, int]
) -> None:
    """Tell the collector what a task has read and written; nothing when nobody listens.

    :param kind: of what was read: ``invoices`` or ``lines``.
    :param written: how many rows were written, by table.
    """
    from airflow.sdk.lineage import NoOpCollector, get_hook_lineage_collector

    collector = get_hook_lineage_collector()
    if isinstance(collector, NoOpCollector):
        return
    collector.add_input_asset(hook, uri=f"x-economic://agreement/{agreement_number}/{kind}")
    place = connection.info
    for table, rows in written.items():
        collector.add_output_asset(
            hook,
            scheme="postgres",
            asset_kwargs={
                "host": place.host,
                "port": place.port,
                "database": place.dbname,
                "schema": "economic",
                "table": table,
            },
            asset_extra={"rows": rows},
        )
