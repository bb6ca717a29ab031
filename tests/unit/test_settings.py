"""What a user may set, and how clearly a wrong value is refused."""

from __future__ import annotations

import pytest

from economic.errors import ConfigurationError
from economic.settings import Settings


def test_the_defaults_are_the_missions() -> None:
    assert Settings.from_environment({}) == Settings(
        schedule="0 */6 * * *",
        auto_sync=True,
        conn_id="economic_default",
        postgres_conn_id="economic_postgres",
        page_size=1000,
        request_interval_ms=100,
        employee_cache_seconds=3600,
    )


def test_every_setting_can_be_set() -> None:
    given = {
        "ECONOMIC_SYNC_SCHEDULE": "*/30 * * * *",
        "ECONOMIC_CONN_ID": "company_a",
        "ECONOMIC_POSTGRES_CONN_ID": "warehouse",
        "ECONOMIC_PAGE_SIZE": "50",
        "ECONOMIC_REQUEST_INTERVAL_MS": "250",
        "ECONOMIC_EMPLOYEE_CACHE_SECONDS": "0",
    }
    assert Settings.from_environment(given) == Settings(
        "*/30 * * * *", True, "company_a", "warehouse", 50, 250, 0
    )


@pytest.mark.parametrize("value", ["false", "False", " no ", "off", "0"])
def test_the_schedule_can_be_switched_off(value: str) -> None:
    found = Settings.from_environment({"AUTO_SYNC_ENABLED": value})
    assert (found.auto_sync, found.schedule) == (False, None)


@pytest.mark.parametrize("schedule", ["@hourly", "@daily", "0 2 * * *", "0 6,18 * * 1-5"])
def test_usual_schedules_are_taken(schedule: str) -> None:
    assert Settings.from_environment({"ECONOMIC_SYNC_SCHEDULE": schedule}).schedule == schedule


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ECONOMIC_PAGE_SIZE", "0"),
        ("ECONOMIC_PAGE_SIZE", "1001"),
        ("ECONOMIC_PAGE_SIZE", "-5"),
        ("ECONOMIC_PAGE_SIZE", "many"),
        ("ECONOMIC_PAGE_SIZE", "1e3"),
        ("ECONOMIC_REQUEST_INTERVAL_MS", "1.5"),
        ("ECONOMIC_EMPLOYEE_CACHE_SECONDS", "99999999999999999999"),
        ("ECONOMIC_SYNC_SCHEDULE", "every six hours"),
        ("ECONOMIC_SYNC_SCHEDULE", "0 */6 * *"),
        ("ECONOMIC_SYNC_SCHEDULE", "99 * * * *"),
        ("ECONOMIC_SYNC_SCHEDULE", "* * * * * *"),
        ("AUTO_SYNC_ENABLED", "perhaps"),
    ],
)
def test_an_unusable_value_is_refused_by_name_with_what_would_do(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        Settings.from_environment({name: value})
    assert repr(value) in caught.value.message
    assert caught.value.hint
