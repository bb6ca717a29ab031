"""What a DAG run asks for: its conf and its type become the request for a sync."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from economic.config import schedules
from economic.db.runs import Owner
from economic.errors import ConfigurationError
from economic.outside_text import listed, quoted

log = logging.getLogger(__name__)

KNOWN_CONF = frozenset({"force", "accept_missing", "date_from", "date_to"})

_SECONDS = {"long": (7200, 30), "short": (900, 15)}
LONGEST_WAIT = {kind: timedelta(seconds=longest) for kind, (longest, _) in _SECONDS.items()}
LOOK_AGAIN = {kind: timedelta(seconds=pause) for kind, (_, pause) in _SECONDS.items()}
"""Longest pause between two polls.

Airflow 3.3 fails a try that is due again before its scheduler has seen the end of the worker that
waited (apache/airflow#71172); no pause is therefore shorter than five seconds.
"""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What to sync, for which DAG run.

    :param owner: the DAG run and the connection that the sync belongs to.
    :param clear_number: how often the DAG run was cleared.
    :param attempt: task and try, for people.
    :param date_from: sync only invoices dated this day or later; without dates the sync is a full
        one.
    :param force: take the lease from a live sync, and do not use the employee cache.
    :param accept_missing: mark invoices missing however many are gone from e-conomic's list.
    :param quick: read only what can have changed.
    """

    owner: Owner
    run_type: str
    attempt: str
    clear_number: int = 0
    date_from: date | None = None
    date_to: date | None = None
    force: bool = False
    accept_missing: bool = False
    quick: bool = False

    @property
    def scope(self) -> str:
        """``full``, ``range`` or ``quick``."""
        if self.quick:
            return "quick"
        return "full" if self.date_from is None and self.date_to is None else "range"


def kind_of_wait(run_type: str, holder_scope: str) -> str | None:
    """Return the key of :data:`LONGEST_WAIT` for a run that met another sync, None if it does not
    wait.

    A backfill's run waits for any sync, a scheduled one for a range sync, and each for a quick one,
    which takes seconds.
    """
    if run_type == "backfill":
        return "long"
    ends_soon = holder_scope == "quick" or (holder_scope == "range" and run_type == "scheduled")
    return "short" if ends_soon else None


def read_conf(
    bare: SyncRequest, due: datetime, conf: Mapping[str, Any], params: Mapping[str, Any], schedule: str | None
) -> SyncRequest:
    """Return the request with what the DAG run's conf asks for.

    A backfill's run reads the invoices dated from the day of the previous tick to the day of its
    own. The overlap does no harm, and no day is left out. Dates in the conf take precedence.

    :param due: the run's logical date, or else the moment after which it may run.
    :param conf: the configuration it was triggered with.
    :param params: the same on top of the defaults.
    :param schedule: the DAG's.
    :raises ConfigurationError: the conf has an unknown key, or dates that do not form a range.
    """
    unknown = sorted(set(conf) - KNOWN_CONF)
    if unknown:
        raise ConfigurationError(
            f"The conf has unknown keys: {listed(unknown)}.",
            hint=f"Known are {', '.join(sorted(KNOWN_CONF))}.",
        )
    date_from, date_to = _day(params, "date_from"), _day(params, "date_to")
    backfill = bare.run_type == "backfill"
    if backfill and date_from is None and date_to is None:
        date_from, date_to = _days_of_tick(due, schedule)
    if date_from and date_to and date_from > date_to:
        raise ConfigurationError(f"date_from {date_from} is after date_to {date_to}.", hint="Swap them.")
    force, accept_missing = (params.get(name) is True for name in ("force", "accept_missing"))
    if backfill and (force or accept_missing):
        log.warning("A backfill ignores force and accept_missing: its runs would displace each other.")
        force = accept_missing = False
    return replace(bare, date_from=date_from, date_to=date_to, force=force, accept_missing=accept_missing)


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
