"""What a DAG run asks for: its conf and its type become the order for a sync."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from economic.config import schedules
from economic.errors import ConfigurationError
from economic.outside_text import listed, quoted
from economic.sync.attempt import Order

log = logging.getLogger(__name__)

KNOWN_CONF = frozenset({"force", "accept_missing", "date_from", "date_to"})


@dataclass(frozen=True, slots=True)
class AskedFor:
    """A DAG run, as far as it matters here.

    :param run_key: random text that Airflow keeps for this DAG run.
    :param clear_number: how often the DAG run was cleared.
    :param run_type: ``scheduled``, ``manual``, ``backfill``, ...; never told from the run id, which a repeated run keeps.
    :param due: its logical date; when it has none, the moment after which it may run.
    :param conf: what was given when it was triggered.
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


def read_order(asked: AskedFor, *, conn_id: str, schedule: str | None, attempt: str) -> Order:
    """The order for a sync.

    A backfill's run reads the invoices dated from the day of the tick before its own to the day of its own: days overlap, which does no harm, and
    none is left out. Dates in its conf go before that.

    :raises ConfigurationError: the conf has an unknown key, or dates that make no range.
    """
    unknown = sorted(set(asked.conf) - KNOWN_CONF)
    if unknown:
        raise ConfigurationError(
            f"The conf has unknown keys: {listed(unknown)}.",
            hint=f"Known are {', '.join(sorted(KNOWN_CONF))}.",
        )
    date_from, date_to = _day(asked.params, "date_from"), _day(asked.params, "date_to")
    backfill = asked.run_type == "backfill"
    if backfill and date_from is None and date_to is None:
        date_from, date_to = _days_of_tick(asked.due, schedule)
    if date_from and date_to and date_from > date_to:
        raise ConfigurationError(f"date_from {date_from} is after date_to {date_to}.", hint="Swap them.")
    force = asked.params.get("force") is True
    if force and backfill:
        log.warning("force is ignored in a backfill: its runs would displace each other.")
        force = False
    accept_missing = asked.params.get("accept_missing") is True
    if accept_missing and backfill:
        log.warning("accept_missing is ignored in a backfill: its runs mark nothing missing.")
        accept_missing = False
    return Order(
        dag_id=asked.dag_id,
        run_id=asked.run_id,
        run_key=asked.run_key,
        clear_number=asked.clear_number,
        run_type=asked.run_type,
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
