"""Settings as Airflow's own parser of DAG files meets them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DAGS = Path(__file__).parents[3] / "dags"
DAG_ID = "economic_invoice_sync"
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
    """Return the DAGs by id, and the import errors by file name."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(folder))
    return dict(bag.dags), {Path(name).name: text for name, text in bag.import_errors.items()}


@pytest.mark.parametrize(
    ("environment", "schedule"),
    [
        ({"ECONOMIC_SYNC_SCHEDULE": "@hourly"}, "@hourly"),
        ({"ECONOMIC_SYNC_SCHEDULE": "0 1,13 * * *"}, "0 1,13 * * *"),
        ({"AUTO_SYNC_ENABLED": "false", "ECONOMIC_SYNC_SCHEDULE": "@daily"}, None),
    ],
)
def test_schedule_is_what_was_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], schedule: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    dags, errors = parsed(folder)
    assert {dag_id: dag.schedule for dag_id, dag in dags.items()} == {
        DAG_ID: schedule,
        "somebody_elses": None,
    }
    assert errors == {}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ECONOMIC_SYNC_SCHEDULE", "@fortnightly", "ECONOMIC_SYNC_SCHEDULE is '@fortnightly'"),
        ("ECONOMIC_SYNC_SCHEDULE", "0 0 30 2 *", "which is not a schedule"),
        ("ECONOMIC_SYNC_SCHEDULE", "R * * * *", "which is not a schedule"),
        ("ECONOMIC_PAGE_SIZE", "1001", "whole number from 1 to 1000"),
        ("ECONOMIC_ON_FAILURE", "no_such_module.at_all", "ECONOMIC_ON_FAILURE is 'no_such_module.at_all'"),
        ("ECONOMIC_ON_FAILURE", "not a path", "package.module.function"),
        ("ECONOMIC_LATE_AFTER_MINUTES", "soon", "ECONOMIC_LATE_AFTER_MINUTES is 'soon'"),
        ("ECONOMIC_ON_LATE", "economic.config.callbacks.log_late", "Set ECONOMIC_LATE_AFTER_MINUTES as well"),
        # Named before a sync is late: Airflow itself loads the function only then.
        ("ECONOMIC_ON_LATE", "no_such_module.late", "ECONOMIC_ON_LATE is 'no_such_module.late'"),
    ],
)
def test_nonsense_is_an_import_error_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    if value == "no_such_module.late":
        monkeypatch.setenv("ECONOMIC_LATE_AFTER_MINUTES", "30")
    dags, errors = parsed(folder)
    assert set(dags) == {"somebody_elses"}
    assert expected in errors["economic_invoice_sync.py"]


def test_each_usable_agreement_has_its_own_dag(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ECONOMIC_AGREEMENTS",
        '[{"name": "north"}, {"name": "No Good"}, {"name": "west", "schedule": "every six hours"},'
        ' {"name": "south", "conn_id": "e_south", "schedule": "@daily"}]',
    )
    dags, errors = parsed(folder)
    del dags["somebody_elses"]
    assert {name: (dag.schedule, [task.op_args[0] for task in dag.tasks]) for name, dag in dags.items()} == {
        DAG_ID: ("0 */6 * * *", ["economic_default"] * 3),
        f"{DAG_ID}__north": ("54 */6 * * *", ["economic_north"] * 3),
        f"{DAG_ID}__south": ("@daily", ["e_south"] * 3),
    }
    assert list(errors) == ["economic_invoice_sync_check.py"]
    for expected in ("entry 2 has the name 'No Good'", "entry 3, schedule is 'every six hours'"):
        assert expected in errors["economic_invoice_sync_check.py"]


def test_task_process_makes_only_its_own_dag(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.definitions import context
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    monkeypatch.setenv("ECONOMIC_AGREEMENTS", '[{"name": "north"}, {"name": "south"}]')
    for left_behind in (context._AIRFLOW_PARSING_CONTEXT_DAG_ID, context._AIRFLOW_PARSING_CONTEXT_TASK_ID):
        monkeypatch.setenv(left_behind, "")
        monkeypatch.delenv(left_behind)
    # As Airflow's command line reads the file, then as its task runner does.
    with _airflow_parsing_context_manager(dag_id=f"{DAG_ID}__south"):
        assert len(parsed(folder)[0]) == 4
    with _airflow_parsing_context_manager(dag_id=f"{DAG_ID}__south", task_id="fetch-pages"):
        dags, errors = parsed(folder)
    assert errors == {}
    assert set(dags) == {f"{DAG_ID}__south", "somebody_elses"}


def test_sync_that_began_precedes_another(folder: Path) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    # As the scheduler knows it.
    known = DagSerialization.from_dict(DagSerialization.to_dict(parsed(folder)[0][DAG_ID]))
    names = ("fetch-pages", "upsert-invoices", "populate-employee-names")
    tasks = [known.get_task(name) for name in names]
    assert [task.weight_rule.get_weight(SimpleNamespace(task=task)) for task in tasks] == [1, 2, 3]
