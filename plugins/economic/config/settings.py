"""The settings, read from environment variables and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from economic.config import schedules
from economic.config.dags import DAG_ID, SyncDag, parse_agreements
from economic.errors import ConfigurationError
from economic.outside_text import quoted

DEFAULT_CONN_ID = "economic_default"
DEFAULT_POSTGRES_CONN_ID = "economic_postgres"
LARGEST_PAGE = 1000
"""The largest page size that e-conomic accepts; it answers 1001 with 400 E04810."""
SMALLEST_INTERVAL_MS = 100
"""Minimum milliseconds between requests; the hook allows less only for a server on this machine."""

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, by their environment variables.

    ========================== =================================== ====================
    field                      variable                            default
    ========================== =================================== ====================
    schedule                   ``ECONOMIC_SYNC_SCHEDULE``          ``0 */6 * * *`` (UTC)
    auto_sync                  ``AUTO_SYNC_ENABLED``               true
    conn_id                    ``ECONOMIC_CONN_ID``                ``economic_default``
    default_dag                ``ECONOMIC_DEFAULT_DAG``            true
    postgres_conn_id           ``ECONOMIC_POSTGRES_CONN_ID``       ``economic_postgres``
    page_size                  ``ECONOMIC_PAGE_SIZE``              1000
    request_interval_ms        ``ECONOMIC_REQUEST_INTERVAL_MS``    100
    employee_cache_seconds     ``ECONOMIC_EMPLOYEE_CACHE_SECONDS`` 3600
    agreements, rejected       ``ECONOMIC_AGREEMENTS``             none besides the default
    on_failure                 ``ECONOMIC_ON_FAILURE``             nothing
    late_after_minutes         ``ECONOMIC_LATE_AFTER_MINUTES``     never
    on_late                    ``ECONOMIC_ON_LATE``                a line in the log
    page_amounts               ``ECONOMIC_PAGE_AMOUNTS``           false
    ========================== =================================== ====================

    ``page_amounts``: whether the page in Airflow's UI shows amounts and rejected values to all
    users who can read the DAG's runs. ``default_dag``: false leaves only the DAGs of
    ``ECONOMIC_AGREEMENTS``. ``rejected``: a message for each unusable entry, which gets no DAG.
    """

    schedule: str | None = schedules.DEFAULT
    auto_sync: bool = True
    conn_id: str = DEFAULT_CONN_ID
    default_dag: bool = True
    postgres_conn_id: str = DEFAULT_POSTGRES_CONN_ID
    page_size: int = LARGEST_PAGE
    request_interval_ms: int = SMALLEST_INTERVAL_MS
    employee_cache_seconds: int = 3600
    agreements: tuple[SyncDag, ...] = ()
    rejected: tuple[str, ...] = ()
    on_failure: str | None = None
    late_after_minutes: int | None = None
    on_late: str | None = None
    page_amounts: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        :param environment: the variables; by default the process's environment.
        :raises ConfigurationError: a value is not usable. The message names the variable and the
            value, and says what is accepted.
        """
        variables = os.environ if environment is None else environment
        auto_sync = _switch(variables, "AUTO_SYNC_ENABLED", default=True)
        schedule = schedules.check_schedule(
            _text(variables, "ECONOMIC_SYNC_SCHEDULE", schedules.DEFAULT), "ECONOMIC_SYNC_SCHEDULE"
        )
        conn_id = _text(variables, "ECONOMIC_CONN_ID", DEFAULT_CONN_ID)
        default_dag = _switch(variables, "ECONOMIC_DEFAULT_DAG", default=True)
        default = SyncDag(DAG_ID, conn_id, schedule if auto_sync else None)
        others, rejected = parse_agreements(
            variables.get("ECONOMIC_AGREEMENTS", ""), conn_id if default_dag else None, schedule
        )
        if not auto_sync:
            others = [replace(other, schedule=None) for other in others]
        late_after_minutes = _number(variables, "ECONOMIC_LATE_AFTER_MINUTES", 0, 1, 100_000) or None
        on_late = _callable(variables, "ECONOMIC_ON_LATE")
        if on_late and late_after_minutes is None:
            raise ConfigurationError(
                "ECONOMIC_ON_LATE is set, but nothing says when a sync is late.",
                hint="Set ECONOMIC_LATE_AFTER_MINUTES as well.",
            )
        return cls(
            schedule=default.schedule,
            auto_sync=auto_sync,
            conn_id=conn_id,
            default_dag=default_dag,
            postgres_conn_id=_text(variables, "ECONOMIC_POSTGRES_CONN_ID", DEFAULT_POSTGRES_CONN_ID),
            page_size=_number(variables, "ECONOMIC_PAGE_SIZE", LARGEST_PAGE, 1, LARGEST_PAGE),
            request_interval_ms=_number(
                variables, "ECONOMIC_REQUEST_INTERVAL_MS", SMALLEST_INTERVAL_MS, 0, 60_000
            ),
            employee_cache_seconds=_number(variables, "ECONOMIC_EMPLOYEE_CACHE_SECONDS", 3600, 0, 7 * 86_400),
            agreements=(default, *others) if default_dag else tuple(others),
            rejected=rejected,
            on_failure=_callable(variables, "ECONOMIC_ON_FAILURE"),
            late_after_minutes=late_after_minutes,
            on_late=on_late,
            page_amounts=_switch(variables, "ECONOMIC_PAGE_AMOUNTS", default=False),
        )


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
