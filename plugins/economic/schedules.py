"""Cron texts: which are usable, when they fell due before a moment, and how many of them are kept from falling due together."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

from economic.errors import ConfigurationError

DEFAULT = "0 */6 * * *"
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The presets that Airflow knows, and what they stand for."""


def checked(text: str, where: str) -> str:
    """The schedule ``text``, when Airflow can use it.

    :param where: what to call it in the error: the variable, and the entry in it.
    :raises ConfigurationError: it is neither five cron fields nor a preset.
    """
    if text == DEFAULT or text in PRESETS:
        return text
    # Imported here: only a schedule of one's own needs it, and this module is read by every task process.
    from croniter import croniter

    if len(text.split()) != 5 or not croniter.is_valid(text):
        raise ConfigurationError(
            f"{where} is {text!r}, which is no schedule.",
            hint=f"Set it to five cron fields such as {DEFAULT!r}, or one of {', '.join(PRESETS)}.",
        )
    return text


def previous_tick(schedule: str, moment: datetime) -> datetime:
    """When a schedule fell due last before ``moment``, in UTC.

    A plain cron text gives Airflow's runs no interval of data, so it is worked out here.
    """
    from croniter import croniter

    found = croniter(PRESETS.get(schedule, schedule), moment.astimezone(UTC)).get_prev(datetime)
    return datetime.fromtimestamp(found.timestamp(), UTC)


def spread(schedule: str, name: str) -> str:
    """The schedule, moved to a minute of the hour that belongs to ``name``, so that many do not start in the same second.

    Only the minute moves, and always to the same one. A schedule without one plain minute stays as it is.
    """
    minute, *rest = PRESETS.get(schedule, schedule).split()
    if not minute.isdigit():
        return schedule
    return " ".join([str((int(minute) + zlib.crc32(name.encode())) % 60), *rest])
