"""Settings as Airflow's own parser of DAG files meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DAGS = Path(__file__).parents[3] / "dags"
OTHER = """
from airflow.sdk import dag

@dag(schedule=None)
def somebody_elses():
    ...

somebody_elses()
"""


@pytest.fixture
def folder(tmp_path: Path, airflow: None) -> Path:
    """A DAG folder with our files and one of somebody else's."""
    shutil.copytree(DAGS, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "dags" / "somebody_elses.py").write_text(OTHER)
    return tmp_path / "dags"


def parsed(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The schedules by DAG, and the import errors by file name."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(folder))
    return (
        {dag_id: dag.schedule for dag_id, dag in bag.dags.items()},
        {Path(name).name: text for name, text in bag.import_errors.items()},
    )


@pytest.mark.parametrize(
    ("environment", "schedule"),
    [
        ({}, "0 */6 * * *"),
        ({"ECONOMIC_SYNC_SCHEDULE": "0 * * * *"}, "0 * * * *"),
        ({"ECONOMIC_SYNC_SCHEDULE": "@hourly"}, "@hourly"),
        ({"ECONOMIC_SYNC_SCHEDULE": "@daily"}, "@daily"),
        ({"ECONOMIC_SYNC_SCHEDULE": "*/30 * * * *"}, "*/30 * * * *"),
        ({"ECONOMIC_SYNC_SCHEDULE": "0 2 * * *"}, "0 2 * * *"),
        ({"ECONOMIC_SYNC_SCHEDULE": "0 1,13 * * *"}, "0 1,13 * * *"),
        ({"AUTO_SYNC_ENABLED": "false"}, None),
        ({"AUTO_SYNC_ENABLED": "true"}, "0 */6 * * *"),
        ({"AUTO_SYNC_ENABLED": "false", "ECONOMIC_SYNC_SCHEDULE": "@daily"}, None),
    ],
)
def test_the_schedule_is_what_was_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], schedule: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert parsed(folder) == ({"economic_invoice_sync": schedule, "somebody_elses": None}, {})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ECONOMIC_SYNC_SCHEDULE", "every now and then", "ECONOMIC_SYNC_SCHEDULE is 'every now and then'"),
        ("ECONOMIC_SYNC_SCHEDULE", "@fortnightly", "ECONOMIC_SYNC_SCHEDULE is '@fortnightly'"),
        ("ECONOMIC_SYNC_SCHEDULE", "0 25 * * *", "which is not a schedule"),
        ("ECONOMIC_SYNC_SCHEDULE", "0 0 * * * *", "which is not a schedule"),
        ("ECONOMIC_SYNC_SCHEDULE", "0 0 30 2 *", "which is not a schedule"),
        ("ECONOMIC_SYNC_SCHEDULE", "R * * * *", "which is not a schedule"),
        ("AUTO_SYNC_ENABLED", "perhaps", "AUTO_SYNC_ENABLED is 'perhaps'"),
        ("ECONOMIC_PAGE_SIZE", "1001", "whole number from 1 to 1000"),
        ("ECONOMIC_ON_FAILURE", "no_such_module.at_all", "ECONOMIC_ON_FAILURE is 'no_such_module.at_all'"),
        ("ECONOMIC_ON_FAILURE", "not a path", "package.module.function"),
        ("ECONOMIC_LATE_AFTER_MINUTES", "soon", "ECONOMIC_LATE_AFTER_MINUTES is 'soon'"),
        ("ECONOMIC_ON_LATE", "economic.config.callbacks.log_late", "Set ECONOMIC_LATE_AFTER_MINUTES as well"),
    ],
)
def test_nonsense_is_an_import_error_that_says_so_and_harms_no_other_dag(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    dags, errors = parsed(folder)
    assert dags == {"somebody_elses": None}
    assert said in errors["economic_invoice_sync.py"]


def test_a_function_for_late_syncs_that_is_not_there_is_said_before_one_is_late(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_LATE_AFTER_MINUTES", "30")
    monkeypatch.setenv("ECONOMIC_ON_LATE", "no_such_module.late")
    dags, errors = parsed(folder)
    assert dags == {"somebody_elses": None}
    assert "ECONOMIC_ON_LATE is 'no_such_module.late'" in errors["economic_invoice_sync.py"]


def test_each_agreement_has_a_dag_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv(
        "ECONOMIC_AGREEMENTS",
        '[{"name": "north"}, {"name": "south", "conn_id": "e_south", "schedule": "@daily"}]',
    )
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    asked = {
        dag_id: (dag.schedule, [task.op_args[0] for task in dag.tasks])
        for dag_id, dag in bag.dags.items()
        if dag_id.startswith("economic")
    }
    assert asked == {
        "economic_invoice_sync": ("0 */6 * * *", ["economic_default"] * 3),
        "economic_invoice_sync__north": ("54 */6 * * *", ["economic_north"] * 3),
        "economic_invoice_sync__south": ("@daily", ["e_south"] * 3),
    }


def test_a_broken_agreement_is_an_import_error_for_itself_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_AGREEMENTS", '[{"name": "north"}, {"name": "No Good"}, {"name": "south"}]')
    dags, errors = parsed(folder)
    assert set(dags) == {
        "economic_invoice_sync",
        "economic_invoice_sync__north",
        "economic_invoice_sync__south",
        "somebody_elses",
    }
    assert list(errors) == ["economic_invoice_sync_check.py"]
    assert "entry 2 has the name 'No Good'" in errors["economic_invoice_sync_check.py"]


def test_one_broken_agreement_of_two_hundred_stops_none_of_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: list[Any] = [{"name": f"company_{number}"} for number in range(1, 201)]
    entries[99] = {"name": "company_100", "schedule": "every six hours"}
    monkeypatch.setenv("ECONOMIC_AGREEMENTS", json.dumps(entries))
    dags, errors = parsed(folder)
    good = {f"economic_invoice_sync__company_{number}" for number in range(1, 201) if number != 100}
    assert set(dags) == {"economic_invoice_sync", "somebody_elses"} | good
    assert list(errors) == ["economic_invoice_sync_check.py"]
    said = errors["economic_invoice_sync_check.py"]
    assert "entry 100, schedule is 'every six hours', which is not a schedule" in said
    assert said.count("entry ") == 1


def test_the_process_of_a_task_makes_the_dag_of_its_own_agreement_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.definitions import context
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    monkeypatch.setenv("ECONOMIC_AGREEMENTS", '[{"name": "north"}, {"name": "south"}]')
    for left_behind in (context._AIRFLOW_PARSING_CONTEXT_DAG_ID, context._AIRFLOW_PARSING_CONTEXT_TASK_ID):
        monkeypatch.setenv(left_behind, "")
        monkeypatch.delenv(left_behind)
    # As Airflow's command line reads the file, then as its task runner does.
    with _airflow_parsing_context_manager(dag_id="economic_invoice_sync__south"):
        assert len(parsed(folder)[0]) == 4
    with _airflow_parsing_context_manager(dag_id="economic_invoice_sync__south", task_id="fetch-pages"):
        dags, errors = parsed(folder)
    assert errors == {}
    assert set(dags) == {"economic_invoice_sync__south", "somebody_elses"}


def test_a_sync_that_has_begun_goes_on_before_another_begins(folder: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DagBag(dag_folder=str(folder)).dags["economic_invoice_sync"]
    # As the scheduler knows it.
    known = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    in_order = [
        known.get_task(name) for name in ("fetch-pages", "upsert-invoices", "populate-employee-names")
    ]
    assert [one.weight_rule.get_weight(SimpleNamespace(task=one)) for one in in_order] == [1, 2, 3]


def test_a_function_for_failed_and_late_syncs_can_be_hooked_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    (tmp_path / "my_alerts.py").write_text("def failed(context): ...\ndef late(context, **kwargs): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ECONOMIC_ON_FAILURE", "my_alerts.failed")
    monkeypatch.setenv("ECONOMIC_LATE_AFTER_MINUTES", "30")
    monkeypatch.setenv("ECONOMIC_ON_LATE", "my_alerts.late")
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    dag = bag.dags["economic_invoice_sync"]
    for task in dag.tasks:
        assert [callback.__name__ for callback in task.on_failure_callback] == ["log_reason", "failed"]
    (alert,) = dag.deadline
    assert (alert.interval.total_seconds(), alert.callback.path) == (1800, "my_alerts.late")


def test_the_example_that_waits_for_changes_is_a_dag(airflow: None) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import AssetAlias

    from economic.tasks import CHANGED

    bag = DagBag(dag_folder=str(DAGS.parent / "docs" / "examples"))
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert isinstance(dag.schedule, AssetAlias)
    assert dag.schedule == CHANGED
