"""The settings, and how a wrong value is rejected."""

from __future__ import annotations

import json
import time

import pytest

from economic.config.dags import SyncDag
from economic.config.settings import Settings
from economic.errors import ConfigurationError


def test_the_defaults_are_documented() -> None:
    assert Settings.from_environment({}) == Settings(
        postgres_conn_id="economic_postgres",
        page_size=1000,
        request_interval_ms=100,
        employee_cache_seconds=3600,
        agreements=(SyncDag("economic_invoice_sync", "economic_default", "0 */6 * * *"),),
        rejected=(),
        on_failure=None,
        late_after_minutes=None,
        on_late=None,
        page_amounts=False,
        keep_syncs_days=365,
    )


def test_every_setting_can_be_set() -> None:
    given = {
        "ECONOMIC_SYNC_SCHEDULE": "*/30 * * * *",
        "ECONOMIC_CONN_ID": "company_a",
        "ECONOMIC_DEFAULT_DAG": "true",
        "ECONOMIC_POSTGRES_CONN_ID": "warehouse",
        "ECONOMIC_PAGE_SIZE": "50",
        "ECONOMIC_REQUEST_INTERVAL_MS": "250",
        "ECONOMIC_EMPLOYEE_CACHE_SECONDS": "0",
        "ECONOMIC_ON_FAILURE": "my_alerts.failed",
        "ECONOMIC_LATE_AFTER_MINUTES": "30",
        "ECONOMIC_ON_LATE": "my_alerts.late",
        "ECONOMIC_PAGE_AMOUNTS": "true",
        "ECONOMIC_KEEP_SYNCS_DAYS": "30",
        "ECONOMIC_QUICK_SCHEDULE": "*/5 * * * *",
        "ECONOMIC_LINES": "true",
        "ECONOMIC_AGREEMENTS": '[{"name": "b", "conn_id": "company_b", "schedule": "@daily", "lines": false}]',
    }
    assert Settings.from_environment(given) == Settings(
        postgres_conn_id="warehouse",
        page_size=50,
        request_interval_ms=250,
        employee_cache_seconds=0,
        agreements=(
            SyncDag("economic_invoice_sync", "company_a", "*/30 * * * *", "*/5 * * * *", lines=True),
            SyncDag("economic_invoice_sync__b", "company_b", "@daily", "1-59/5 * * * *"),
        ),
        rejected=(),
        on_failure="my_alerts.failed",
        late_after_minutes=30,
        on_late="my_alerts.late",
        page_amounts=True,
        keep_syncs_days=30,
    )


def test_the_default_dag_can_be_switched_off() -> None:
    """Frees its connection for one of the named companies."""
    found = Settings.from_environment(
        {
            "ECONOMIC_DEFAULT_DAG": "false",
            "ECONOMIC_AGREEMENTS": '[{"name": "b", "conn_id": "economic_default"}]',
        }
    )
    assert [(dag.dag_id, dag.conn_id) for dag in found.agreements] == [
        ("economic_invoice_sync__b", "economic_default")
    ]
    assert found.rejected == ()


@pytest.mark.parametrize("value", ["false", "False", " no ", "off", "0"])
def test_the_schedule_can_be_switched_off(value: str) -> None:
    entries = '[{"name": "b", "schedule": "@daily"}]'
    found = Settings.from_environment({"AUTO_SYNC_ENABLED": value, "ECONOMIC_AGREEMENTS": entries})
    assert [dag.schedule for dag in found.agreements] == [None, None]


@pytest.mark.parametrize("schedule", ["@hourly", "@daily", "0 2 * * *", "0 6,18 * * 1-5"])
def test_usual_schedules_are_taken(schedule: str) -> None:
    (dag,) = Settings.from_environment({"ECONOMIC_SYNC_SCHEDULE": schedule}).agreements
    assert dag.schedule == schedule


UNUSABLE = {
    "ECONOMIC_PAGE_SIZE": ("0", "1001", "-5", "many", "1e3"),
    "ECONOMIC_REQUEST_INTERVAL_MS": ("1.5",),
    "ECONOMIC_EMPLOYEE_CACHE_SECONDS": ("99999999999999999999",),
    "ECONOMIC_SYNC_SCHEDULE": ("every six hours", "0 */6 * *", "99 * * * *", "* * * * * *"),
    "AUTO_SYNC_ENABLED": ("perhaps",),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in UNUSABLE.items() for value in values]
)
def test_an_unusable_value_is_rejected_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        Settings.from_environment({name: value})
    assert repr(value) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("{", "ECONOMIC_AGREEMENTS is not JSON"),
        ("[" * 100_000, "ECONOMIC_AGREEMENTS is not JSON: it is nested too deeply."),
        ('{"a":' * 100_000, "ECONOMIC_AGREEMENTS is not JSON: it is nested too deeply."),
        ("9" * 5000, "ECONOMIC_AGREEMENTS is not JSON"),
        ('{"name": "a"}', "ECONOMIC_AGREEMENTS is not a list"),
        ('["a"]', "entry 1 is not an object"),
        ('[{"conn_id": "a"}]', "entry 1 has the name None"),
        ('[{"name": "a b"}]', "entry 1 has the name 'a b'"),
        ('[{"name": "a\\nb"}]', "entry 1 has the name 'a b'"),
        (f'[{{"name": "{"x" * 10_000}"}}]', "entry 1 has the name 'xxxx"),
        (f'[{{"{"x" * 10_000}": 1}}]', "entry 1 has unknown keys: xxxx"),
        ('[{"name": "a", "conn_id": ""}]', "entry 1 has the conn_id ''"),
        ('[{"name": "a", "shedule": "@daily"}]', "entry 1 has unknown keys: shedule"),
        ('[{"name": "a", "schedule": "@never"}]', "entry 1, schedule is '@never'"),
        ('[{"name": "a", "schedule": 6}]', "entry 1 has the schedule 6"),
        ('[{"name": "a", "lines": "yes"}]', "entry 1 has the lines 'yes'"),
        ('[{"name": "a"}, {"name": "a", "conn_id": "b"}]', "entry 2: the name 'a' is taken"),
        ('[{"name": "a"}, {"name": "b", "conn_id": "economic_a"}]', "entry 2: the connection 'economic_a'"),
        ('[{"name": "default"}]', "entry 1: the connection 'economic_default' is used already"),
    ],
)
def test_an_unusable_agreement_is_left_out_and_named(entries: str, said: str) -> None:
    found = Settings.from_environment({"ECONOMIC_AGREEMENTS": entries})
    (rejected,) = found.rejected
    assert said in rejected
    assert len(rejected) < 300
    assert len(found.agreements) == 1 + entries.count('"name": "a"}, {')


def test_ten_thousand_agreements_are_read_in_linear_time() -> None:
    entries = json.dumps([{"name": f"company_{number}"} for number in range(10_000)])
    began = time.process_time()
    found = Settings.from_environment({"ECONOMIC_AGREEMENTS": entries})
    # Compared with each other instead, they take four seconds.
    assert time.process_time() - began < 1.5
    assert len(found.agreements) == 10_001


def test_switched_off_is_off_for_every_agreement() -> None:
    entries = '[{"name": "a", "schedule": "@daily"}, {"name": "b"}]'
    found = Settings.from_environment({"ECONOMIC_AGREEMENTS": entries, "AUTO_SYNC_ENABLED": "no"})
    assert [one.schedule for one in found.agreements] == [None, None, None]


def test_wrong_quick_schedule_stops_no_full_sync() -> None:
    settings = Settings.from_environment({"ECONOMIC_QUICK_SCHEDULE": "*/5 * * *"})
    assert [dag.quick_schedule for dag in settings.agreements] == [None]
    assert settings.agreements[0].schedule == "0 */6 * * *"
    assert "ECONOMIC_QUICK_SCHEDULE" in settings.rejected[0]
    off = [Settings.from_environment({"ECONOMIC_QUICK_SCHEDULE": text}) for text in ("off", "OFF", "false")]
    assert {dag.quick_schedule for each in off for dag in each.agreements} == {None}
    assert {each.rejected for each in off} == {()}
