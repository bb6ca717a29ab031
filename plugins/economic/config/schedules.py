"""Checks schedules, finds their previous due time, and spreads many over the hour."""

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
"""Airflow's presets and their cron texts."""
_EVERY = re.compile(r"\*/([0-9]+)")
_LISTED = re.compile(r"[0-9]+(,[0-9]+)*")
_RANDOM = re.compile(r"\b[HR]\b", re.IGNORECASE)


def check_schedule(text: str, where: str) -> str:
    """Return the schedule if Airflow can use it.

    :param where: its name in the error: the variable, and the entry in it.
    :raises ConfigurationError: it is neither five cron fields nor a preset.
    """
    if text == DEFAULT or text in PRESETS:
        return text
    # Imported late: only a custom schedule needs it, and every task process imports this module.
    from croniter import croniter

    if len(text.split()) != 5 or not croniter.is_valid(text) or not _falls_due(text):
        raise ConfigurationError(
            f"{where} is {quoted(text)}, which is not a schedule.",
            hint=f"Set it to five cron fields such as {DEFAULT!r}, or one of {', '.join(PRESETS)}.",
        )
    return text


def _falls_due(text: str) -> bool:
    """Return whether the schedule ever falls due, and at fixed times.

    30 February never does, and a random time differs in each process.
    """
    from croniter import CroniterBadDateError, croniter

    if _RANDOM.search(text):
        return False
    try:
        croniter(text, datetime(2026, 1, 1, tzinfo=UTC)).get_next(float)
    except CroniterBadDateError:
        return False
    return True


def previous_due_time(schedule: str, moment: datetime) -> datetime:
    """Return when a schedule fell due last before ``moment``, in UTC.

    Airflow gives runs of a plain cron text no data interval, so it is computed here.
    """
    from croniter import croniter

    due = croniter(PRESETS.get(schedule, schedule), moment.astimezone(UTC)).get_prev(datetime)
    return datetime.fromtimestamp(due.timestamp(), UTC)


def spread_minutes(schedule: str, name: str) -> str:
    """Return the schedule moved to minutes that depend on ``name``, so that many do not start at
    once.

    Only schedules whose minutes are a number, a list or ``*/N`` are moved. A name's minutes are
    stable.
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
