"""Everything a user may set by environment variable, read once and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from economic.errors import ConfigurationError

DEFAULT_SCHEDULE = "0 */6 * * *"
DEFAULT_CONN_ID = "economic_default"
DEFAULT_POSTGRES_CONN_ID = "economic_postgres"
PRESETS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@quarterly", "@yearly", "@annually")
LARGEST_PAGE = 1000
"""Largest page size e-conomic accepts; 1001 is answered with 400 E04810."""
SMALLEST_INTERVAL_MS = 100
"""Least pause between request starts towards e-conomic; the hook allows less only for loopback."""

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, by their environment variables.

    ========================== ================================= ====================
    field                      variable                          default
    ========================== ================================= ====================
    schedule                   ``ECONOMIC_SYNC_SCHEDULE``        ``0 */6 * * *`` (UTC)
    auto_sync                  ``AUTO_SYNC_ENABLED``             true
    conn_id                    ``ECONOMIC_CONN_ID``              ``economic_default``
    postgres_conn_id           ``ECONOMIC_POSTGRES_CONN_ID``     ``economic_postgres``
    page_size                  ``ECONOMIC_PAGE_SIZE``            1000
    request_interval_ms        ``ECONOMIC_REQUEST_INTERVAL_MS``  100
    employee_cache_seconds     ``ECONOMIC_EMPLOYEE_CACHE_SECONDS`` 3600
    ========================== ================================= ====================
    """

    schedule: str | None = DEFAULT_SCHEDULE
    auto_sync: bool = True
    conn_id: str = DEFAULT_CONN_ID
    postgres_conn_id: str = DEFAULT_POSTGRES_CONN_ID
    page_size: int = LARGEST_PAGE
    request_interval_ms: int = SMALLEST_INTERVAL_MS
    employee_cache_seconds: int = 3600

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        :param environment: where to read from; the process's own environment by default.
        :raises ConfigurationError: a value is not usable; the message names the variable, the value and what would do.
        """
        given = os.environ if environment is None else environment
        auto_sync = _switch(given, "AUTO_SYNC_ENABLED", default=True)
        schedule = _schedule(given)
        return cls(
            schedule=schedule if auto_sync else None,
            auto_sync=auto_sync,
            conn_id=_text(given, "ECONOMIC_CONN_ID", DEFAULT_CONN_ID),
            postgres_conn_id=_text(given, "ECONOMIC_POSTGRES_CONN_ID", DEFAULT_POSTGRES_CONN_ID),
            page_size=_number(given, "ECONOMIC_PAGE_SIZE", LARGEST_PAGE, 1, LARGEST_PAGE),
            request_interval_ms=_number(
                given, "ECONOMIC_REQUEST_INTERVAL_MS", SMALLEST_INTERVAL_MS, 0, 60_000
            ),
            employee_cache_seconds=_number(given, "ECONOMIC_EMPLOYEE_CACHE_SECONDS", 3600, 0, 7 * 86_400),
        )


def _text(given: Mapping[str, str], name: str, default: str) -> str:
    return given.get(name, "").strip() or default


def _switch(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = given.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    if not value:
        return default
    raise ConfigurationError(f"{name} is {value!r}.", hint="Set it to true or false.")


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise ConfigurationError(
            f"{name} is {value!r}.", hint=f"Set it to a whole number from {least} to {most}."
        )
    return int(value)


def _schedule(given: Mapping[str, str]) -> str:
    value = _text(given, "ECONOMIC_SYNC_SCHEDULE", DEFAULT_SCHEDULE)
    if value == DEFAULT_SCHEDULE or value in PRESETS:
        return value
    # Imported here: only a schedule of one's own needs it, and this module is read by every task process.
    from croniter import croniter

    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ConfigurationError(
            f"ECONOMIC_SYNC_SCHEDULE is {value!r}, which is no schedule.",
            hint=f"Set it to five cron fields such as {DEFAULT_SCHEDULE!r}, or one of {', '.join(PRESETS)}.",
        )
    return value
