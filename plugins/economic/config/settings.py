"""The settings, read from environment variables and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from economic.config import schedules
from economic.config.dags import DAG_ID, OFF, SyncDag, parse_agreements
from economic.errors import ConfigurationError
from economic.outside_text import quoted

LARGEST_PAGE = 1000
"""The largest page size that e-conomic accepts; it answers 1001 with 400 E04810."""
SMALLEST_INTERVAL_MS = 100
"""Minimum milliseconds between requests; the hook allows less only for a server on this machine."""

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. The README lists their environment variables and defaults.

    :param agreements: the DAGs, the default one first.
    :param rejected: a message for each unusable entry of ``ECONOMIC_AGREEMENTS``, which gets no
        DAG.
    :param page_amounts: whether the page shows amounts and rejected values to all users who can
        read the DAG's runs.
    """

    postgres_conn_id: str
    page_size: int
    request_interval_ms: int
    employee_cache_seconds: int
    agreements: tuple[SyncDag, ...]
    rejected: tuple[str, ...]
    on_failure: str | None
    late_after_minutes: int | None
    on_late: str | None
    page_amounts: bool
    keep_syncs_days: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        :param environment: the variables; by default the process's environment.
        :raises ConfigurationError: a value is not usable. The message names the variable and the
            value, and says what is accepted.
        """
        variables = os.environ if environment is None else environment
        agreements, rejected = _agreements(variables)
        late_after_minutes = _number(variables, "ECONOMIC_LATE_AFTER_MINUTES", 0, 1, 100_000) or None
        on_late = _callable(variables, "ECONOMIC_ON_LATE")
        if on_late and late_after_minutes is None:
            raise ConfigurationError(
                "ECONOMIC_ON_LATE is set, but nothing says when a sync is late.",
                hint="Set ECONOMIC_LATE_AFTER_MINUTES as well.",
            )
        return cls(
            postgres_conn_id=_text(variables, "ECONOMIC_POSTGRES_CONN_ID", "economic_postgres"),
            page_size=_number(variables, "ECONOMIC_PAGE_SIZE", LARGEST_PAGE, 1, LARGEST_PAGE),
            request_interval_ms=_number(
                variables, "ECONOMIC_REQUEST_INTERVAL_MS", SMALLEST_INTERVAL_MS, 0, 60_000
            ),
            employee_cache_seconds=_number(variables, "ECONOMIC_EMPLOYEE_CACHE_SECONDS", 3600, 0, 7 * 86_400),
            agreements=agreements,
            rejected=rejected,
            on_failure=_callable(variables, "ECONOMIC_ON_FAILURE"),
            late_after_minutes=late_after_minutes,
            on_late=on_late,
            page_amounts=_switch(variables, "ECONOMIC_PAGE_AMOUNTS", default=False),
            keep_syncs_days=_number(variables, "ECONOMIC_KEEP_SYNCS_DAYS", 365, 2, 36_500),
        )


def _agreements(variables: Mapping[str, str]) -> tuple[tuple[SyncDag, ...], tuple[str, ...]]:
    schedule = schedules.check_schedule(
        _text(variables, "ECONOMIC_SYNC_SCHEDULE", schedules.DEFAULT), "ECONOMIC_SYNC_SCHEDULE"
    )
    quick, rejected = _quick_schedule(variables)
    lines = _switch(variables, "ECONOMIC_LINES", default=False)
    conn_id = _text(variables, "ECONOMIC_CONN_ID", "economic_default")
    usual = SyncDag(DAG_ID, conn_id, schedule, quick, lines)
    dags = [usual] if _switch(variables, "ECONOMIC_DEFAULT_DAG", default=True) else []
    taken = [dag.conn_id for dag in dags]
    others, unusable = parse_agreements(variables.get("ECONOMIC_AGREEMENTS", ""), usual, taken)
    dags += others
    if not _switch(variables, "AUTO_SYNC_ENABLED", default=True):
        dags = [replace(dag, schedule=None, quick_schedule=None) for dag in dags]
    return tuple(dags), (*rejected, *unusable)


def _quick_schedule(variables: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Return the schedule of quick syncs, or why it cannot be used: no full sync must stop."""
    text = _text(variables, "ECONOMIC_QUICK_SCHEDULE", OFF)
    if text.lower() in {OFF, *_FALSE}:
        return None, ()
    try:
        return schedules.check_schedule(text, "ECONOMIC_QUICK_SCHEDULE"), ()
    except ConfigurationError as error:
        return None, (f"{error} `off` means no quick syncs.",)


def _text(variables: Mapping[str, str], name: str, default: str) -> str:
    return variables.get(name, "").strip() or default


def _switch(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = variables.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    if not value:
        return default
    raise ConfigurationError(f"{name} is {quoted(value)}.", hint="Set it to true or false.")


def _number(variables: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = variables.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise ConfigurationError(
            f"{name} is {quoted(value)}.", hint=f"Set it to a whole number from {least} to {most}."
        )
    return int(value)


def _callable(variables: Mapping[str, str], name: str) -> str | None:
    value = variables.get(name, "").strip()
    if value and not _CALLABLE.fullmatch(value):
        raise ConfigurationError(
            f"{name} is {quoted(value)}.", hint="Set it to the path of a function: package.module.function."
        )
    return value or None
