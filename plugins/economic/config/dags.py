"""The agreements that have a DAG: the default one, and those of ``ECONOMIC_AGREEMENTS``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from economic.config import schedules
from economic.errors import ConfigurationError
from economic.outside_text import bounded, listed, quoted

DAG_ID = "economic_invoice_sync"
QUICK_DAG_ID = "economic_invoice_quick_sync"
LINES_DAG_ID = "economic_invoice_lines"

OFF = "off"
"""As a quick schedule: no quick syncs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,39}", re.ASCII)
_ENTRY_KEYS = {"name", "conn_id", "schedule", "quick_schedule", "lines"}


@dataclass(frozen=True, slots=True)
class SyncDag:
    """The DAG of one e-conomic agreement.

    :param dag_id: ``economic_invoice_sync``, followed by the agreement's name if it has one.
    :param conn_id: Airflow's connection to the agreement.
    :param schedule: cron text or preset; None when it is off.
    :param quick_schedule: of its quick syncs; None when there are none.
    :param lines: whether the lines of its invoices are read too.
    """

    dag_id: str
    conn_id: str
    schedule: str | None
    quick_schedule: str | None = None
    lines: bool = False

    @property
    def lines_dag_id(self) -> str:
        """The id of the DAG that reads its invoices' lines."""
        return self.dag_id.replace(DAG_ID, LINES_DAG_ID, 1)

    @property
    def quick_dag_id(self) -> str:
        """The id of the DAG of its quick syncs."""
        return self.dag_id.replace(DAG_ID, QUICK_DAG_ID, 1)


def parse_agreements(
    text: str, usual: SyncDag, taken: Collection[str]
) -> tuple[list[SyncDag], tuple[str, ...]]:
    """Return the usable entries of ``ECONOMIC_AGREEMENTS``, and a message for each other one.

    :param text: a JSON list of objects with ``name``, and optionally ``conn_id`` (default
        ``economic_NAME``), ``schedule``, ``quick_schedule`` (``off`` for none) and ``lines``.
    :param usual: has the schedules of entries without one, each moved to other minutes, and
        whether lines are read where an entry does not say.
    :param taken: connections that no entry may use.
    """
    if not text.strip():
        return [], ()
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return [], (f"ECONOMIC_AGREEMENTS is not JSON: {bounded(reason, 200)}.",)
    if not isinstance(entries, list):
        return [], ('ECONOMIC_AGREEMENTS is not a list such as [{"name": "north"}].',)
    dags: list[SyncDag] = []
    rejected: list[str] = []
    dag_ids, conn_ids = {DAG_ID}, set(taken)
    for position, entry in enumerate(entries, start=1):
        where = f"ECONOMIC_AGREEMENTS, entry {position}"
        try:
            dag = _parse_entry(entry, where, usual)
            if dag.dag_id in dag_ids:
                raise ConfigurationError(f"{where}: the name {quoted(entry['name'])} is taken.")
            if dag.conn_id in conn_ids:
                raise ConfigurationError(f"{where}: the connection {quoted(dag.conn_id)} is used already.")
            dags.append(dag)
            dag_ids.add(dag.dag_id)
            conn_ids.add(dag.conn_id)
        except ConfigurationError as error:
            rejected.append(str(error))
    return dags, tuple(rejected)


def _parse_entry(entry: Any, where: str, usual: SyncDag) -> SyncDag:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where} is not an object.", hint='Write it as {"name": "north"}.')
    unknown = sorted(set(entry) - _ENTRY_KEYS)
    if unknown:
        raise ConfigurationError(
            f"{where} has unknown keys: {listed(unknown)}.",
            hint=f"Known are {', '.join(sorted(_ENTRY_KEYS))}.",
        )
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{where} has the name {quoted(name)}.",
            hint="Give it one of up to 40 small letters, digits and underscores.",
        )
    conn_id = entry.get("conn_id", f"economic_{name}")
    if not isinstance(conn_id, str) or not conn_id.strip():
        raise ConfigurationError(
            f"{where} has the conn_id {quoted(conn_id)}.", hint="Name an Airflow connection."
        )
    lines = entry.get("lines", usual.lines)
    if not isinstance(lines, bool):
        raise ConfigurationError(f"{where} has the lines {quoted(lines)}.", hint="Write true or false.")
    return SyncDag(
        f"{DAG_ID}__{name}",
        conn_id.strip(),
        _schedule(entry, "schedule", where, name, usual.schedule),
        _schedule(entry, "quick_schedule", where, name, usual.quick_schedule),
        lines,
    )


def _schedule(entry: dict[str, Any], key: str, where: str, name: str, usual: str | None) -> str | None:
    custom = entry.get(key)
    if custom is None:
        return usual and schedules.spread_minutes(usual, name)
    if not isinstance(custom, str):
        raise ConfigurationError(f"{where} has the {key} {quoted(custom)}.", hint="Write it as text.")
    if key == "quick_schedule" and custom == OFF:
        return None
    return schedules.check_schedule(custom, f"{where}, {key}")
