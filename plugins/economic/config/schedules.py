"""Cron texts: which are usable, when they fell due before a moment, and how many of them are kept from falling due together."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime

from economic.errors import ConfigurationError
from economic.outside_text import quoted

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
_EVERY = re.compile(r"\*/([0-9]+)")
_LISTED = re.compile(r"[0-9]+(,[0-9]+)*")
_RANDOM = re.compile(r"\b[HR]\b", re.IGNORECASE)


def check_schedule(text: str, where: str) -> str:
    """The schedule ``text``, when Airflow can use it.

    :param where: what to call it in the error: the variable, and the entry in it.
    :raises ConfigurationError: it is neither five cron fields nor a preset.
    """
    if text == DEFAULT or text in PRESETS:
        return text
    # Imported here: only a schedule of one's own needs it, and this module is read by every task process.
    from croniter import croniter

    if len(text.split()) != 5 or not croniter.is_valid(text) or not _falls_due(text):
        raise ConfigurationError(
            f"{where} is {quoted(text)}, which is no schedule.",
            hint=f"Set it to five cron fields such as {DEFAULT!r}, or one of {', '.join(PRESETS)}.",
        )
    return text


def _falls_due(text: str) -> bool:
    """Whether such a time ever comes, and is the same whoever asks: 30 February does not, and a random one is not."""
    from croniter import CroniterBadDateError, croniter

    if _RANDOM.search(text):
        return False
    try:
        croniter(text, datetime(2026, 1, 1, tzinfo=UTC)).get_next(float)
    except CroniterBadDateError:
        return False
    return True


def previous_due_time(schedule: str, moment: datetime) -> datetime:
    """When a schedule fell due last before ``moment``, in UTC.

    A plain cron text gives Airflow's runs no interval of data, so it is worked out here.
    """
    from croniter import croniter

    found = croniter(PRESETS.get(schedule, schedule), moment.astimezone(UTC)).get_prev(datetime)
    return datetime.fromtimestamp(found.timestamp(), UTC)


def spread_minutes(schedule: str, name: str) -> str:
    """The schedule, moved to a minute of the hour that belongs to ``name``, so that many do not start in the same second.

    Only the minutes move, and always to the same ones: one, a list of them, or ``*/N``. Other schedules stay as they are.
    """
    minutes, *rest = PRESETS.get(schedule, schedule).split()
    distance = zlib.crc32(name.encode())
    if (every := _EVERY.fullmatch(minutes)) and 1 < (step := int(every[1])) < 60:
        moved = f"{distance % step}-59/{step}"
    elif _LISTED.fullmatch(minutes):
        moved = ",".join(map(str, sorted((int(minute) + distance) % 60 for minute in minutes.split(","))))
    else:
        return schedule
    return " ".join([moved, *rest])
