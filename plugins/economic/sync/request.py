"""What a DAG run asks for: its conf and its type become the request for a sync."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from economic.config import schedules
from economic.db.runs import Owner
from economic.errors import ConfigurationError
from economic.outside_text import listed, quoted

log = logging.getLogger(__name__)

KNOWN_CONF = frozenset({"force", "accept_missing", "date_from", "date_to"})


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What to sync, for which DAG run.

    :param run_key: see :class:`economic.db.runs.Owner`.
    :param clear_number: how often the DAG run was cleared.
    :param attempt: task and try, for people.
    :param date_from: sync only invoices dated this day or later; without dates the sync is a full
        one.
    :param force: take the lease from a live sync, and do not use the employee cache.
    :param accept_missing: mark invoices missing however many are gone from e-conomic's list.
    :param quick: read only what can have changed.
    """

    dag_id: str
    run_id: str
    run_key: str
    run_type: str
    conn_id: str
    attempt: str
    clear_number: int = 0
    date_from: date | None = None
    date_to: date | None = None
    force: bool = False
    accept_missing: bool = False
    quick: bool = False

    @property
    def owner(self) -> Owner:
        """The DAG run and the connection that the sync belongs to."""
        return Owner(self.dag_id, self.run_id, self.run_key, self.conn_id)

    @property
    def scope(self) -> str:
        """``full``, ``range`` or ``quick``."""
        if self.quick:
            return "quick"
        return "full" if self.date_from is None and self.date_to is None else "range"


@dataclass(frozen=True, slots=True)
class DagRunInfo:
    """The facts of a DAG run that a request depends on.

    :param run_key: random text kept by Airflow for this DAG run.
    :param clear_number: how often the DAG run was cleared.
    :param run_type: ``scheduled``, ``manual``, ``backfill``; a repeated run keeps its id but not
        its type.
    :param due: its logical date, or else the moment after which it may run.
    :param conf: the configuration it was triggered with.
    :param params: the same on top of the defaults.
    """

    dag_id: str
    run_id: str
    run_key: str
    clear_number: int
    run_type: str
    due: datetime
    conf: Mapping[str, Any]
    params: Mapping[str, Any]


def build_request(dag_run: DagRunInfo, *, conn_id: str, schedule: str | None, attempt: str) -> SyncRequest:
    """Return the request for a sync.

    A backfill's run reads the invoices dated from the day of the previous tick to the day of its
    own. The overlap does no harm, and no day is left out. Dates in the conf take precedence.

    :raises ConfigurationError: the conf has an unknown key, or dates that do not form a range.
    """
    unknown = sorted(set(dag_run.conf) - KNOWN_CONF)
    if unknown:
        raise ConfigurationError(
            f"The conf has unknown keys: {listed(unknown)}.",
            hint=f"Known are {', '.join(sorted(KNOWN_CONF))}.",
        )
    date_from, date_to = _day(dag_run.params, "date_from"), _day(dag_run.params, "date_to")
    backfill = dag_run.run_type == "backfill"
    if backfill and date_from is None and date_to is None:
        date_from, date_to = _days_of_tick(dag_run.due, schedule)
    if date_from and date_to and date_from > date_to:
        raise ConfigurationError(f"date_from {date_from} is after date_to {date_to}.", hint="Swap them.")
    force = dag_run.params.get("force") is True
    if force and backfill:
        log.warning("force is ignored in a backfill: its runs would displace each other.")
        force = False
    accept_missing = dag_run.params.get("accept_missing") is True
    if accept_missing and backfill:
        log.warning("accept_missing is ignored in a backfill: its runs mark nothing missing.")
        accept_missing = False
    return SyncRequest(
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        run_key=dag_run.run_key,
        clear_number=dag_run.clear_number,
        run_type=dag_run.run_type,
        conn_id=conn_id,
        attempt=attempt,
        date_from=date_from,
        date_to=date_to,
        force=force,
        accept_missing=accept_missing,
    )


def _days_of_tick(due: datetime, schedule: str | None) -> tuple[date, date]:
    own = due.astimezone(UTC)
    before = own if schedule is None else schedules.previous_due_time(schedule, own)
    return before.date(), own.date()


def _day(params: Mapping[str, Any], key: str) -> date | None:
    value = params.get(key)
    if value in (None, ""):
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{key} is {quoted(value)}.", hint="Give a day as YYYY-MM-DD.") from None
