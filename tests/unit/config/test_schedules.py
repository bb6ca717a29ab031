"""When schedules fall due, and how many are spread over the hour."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from croniter import croniter

from economic.config import schedules


@pytest.mark.parametrize(
    ("schedule", "moment", "before"),
    [
        ("0 */6 * * *", "2026-03-02T00:00", "2026-03-01T18:00"),
        ("0 */6 * * *", "2026-03-02T06:00", "2026-03-02T00:00"),
        ("0 */6 * * *", "2026-03-02T06:01", "2026-03-02T06:00"),
        ("@hourly", "2026-03-02T00:00", "2026-03-01T23:00"),
        ("@daily", "2028-03-01T00:00", "2028-02-29T00:00"),
        ("@weekly", "2026-03-01T00:00", "2026-02-22T00:00"),
        ("@monthly", "2026-03-01T00:00", "2026-02-01T00:00"),
        ("@quarterly", "2026-04-01T00:00", "2026-01-01T00:00"),
        ("0 2 * * *", "2026-03-29T02:00", "2026-03-28T02:00"),
    ],
)
def test_the_previous_due_time_is_found(schedule: str, moment: str, before: str) -> None:
    found = schedules.previous_due_time(schedule, datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(before).replace(tzinfo=UTC)


def test_the_moment_may_be_in_any_zone() -> None:
    moment = datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=1)))
    assert schedules.previous_due_time("0 */6 * * *", moment) == datetime(2026, 3, 1, 18, tzinfo=UTC)


def test_two_hundred_agreements_do_not_start_together() -> None:
    minutes = Counter(schedules.spread_minutes("0 */6 * * *", f"company_{n}").split()[0] for n in range(200))
    assert len(minutes) > 50
    assert max(minutes.values()) <= 10


@pytest.mark.parametrize("schedule", ["0 */6 * * *", *schedules.PRESETS])
def test_a_spread_schedule_is_valid_and_stable(schedule: str) -> None:
    moved = schedules.spread_minutes(schedule, "north")
    assert schedules.check_schedule(moved, "here") == moved
    assert moved == schedules.spread_minutes(schedule, "north")
    assert moved.split()[1:] == schedules.PRESETS.get(schedule, schedule).split()[1:]


@pytest.mark.parametrize(
    ("schedule", "times"), [("*/30 * * * *", 48), ("5,35 * * * *", 48), ("*/10 8-17 * * *", 60)]
)
def test_a_schedule_of_several_minutes_is_spread(schedule: str, times: int) -> None:
    moved = {schedules.spread_minutes(schedule, f"company_{n}") for n in range(200)}
    assert len(moved) > 5
    for one in moved:
        ticks = croniter(schedules.check_schedule(one, "here"), datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
        found = [datetime.fromtimestamp(ticks.get_next(float), UTC) for _ in range(times)]
        assert {tick.date() for tick in found} == {date(2026, 3, 2)}
        assert len({tick.minute for tick in found}) == times // len({tick.hour for tick in found})
        assert ticks.get_next(datetime).day == 3


@pytest.mark.parametrize("schedule", ["10-20 * * * *", "* * * * *", "*/60 * * * *", "1,5-9 * * * *"])
def test_another_schedule_stays_as_it_is(schedule: str) -> None:
    assert schedules.spread_minutes(schedule, "north") == schedule
