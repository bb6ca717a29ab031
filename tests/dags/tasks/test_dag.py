"""What a user of the DAG meets: in the run, in the log, in the XCom and in the table."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker.secrets_masker import SecretsMasker

from economic.config.dags import LINES_DAG_ID
from economic.sync import request
from simulator import InProcess
from tests.dags.tasks.conftest import DAG_ID, Dag
from tests.web.page import history

TASKS = ["fetch-pages", "upsert-invoices", "populate-employee-names"]
SKIPPED = dict.fromkeys(TASKS, "skipped")
FAILED = dict.fromkeys(TASKS, "upstream_failed") | {"fetch-pages": "failed"}
DUE = datetime(2026, 3, 2, tzinfo=UTC)


def test_file_holds_exactly_this_dag(airflow: None) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag()
    assert bag.import_errors == {}
    assert list(bag.dags) == [DAG_ID]
    dag = bag.dags[DAG_ID]
    assert [(task.task_id, [*task.downstream_task_ids]) for task in dag.topological_sort()] == [
        (TASKS[0], [TASKS[1]]),
        (TASKS[1], [TASKS[2]]),
        (TASKS[2], []),
    ]
    assert (dag.schedule, dag.max_active_runs, dag.catchup) == ("0 */6 * * *", 1, False)
    assert str(dag.timezone) == "UTC"
    assert set(dag.params) == {"force", "accept_missing", "date_from", "date_to"}
    assert [task.returns_dag_result for task in dag.tasks] == [False, False, True]
    for task in dag.tasks:
        assert task.retries == 3
        assert task.execution_timeout is not None
        assert task.doc_md
    assert "When it fails" in (dag.doc_md or "")


def test_two_runs_store_everything_then_write_nothing(
    dag: Dag,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The log has the lines that people look for, and no warning."""
    # Airflow warns once a process of a value that is too short to be masked.
    monkeypatch.setattr(SecretsMasker, "_has_warned_short_secret", False)
    first = dag.run()
    assert (first.state, first.tasks) == ("success", dict.fromkeys(TASKS, "success"))
    fetched = {"sync_id": 1, "agreement_number": 1234567, "pages": 1, "fetched": 250, "rejected": 0}
    fetched |= {"run_key": "random", "requests": 0, "complete": True}
    assert first.xcom["fetch-pages"] | {"requests": 0, "run_key": "random"} == fetched
    stored = {"created": 250, "updated": 0, "unchanged": 0, "failed": 0, "missing": 0, "reconciled": True}
    assert first.xcom["upsert-invoices"] == stored
    statistics = first.xcom["populate-employee-names"]
    assert (statistics["status"], statistics["created"], statistics["complete"]) == ("completed", 250, True)
    assert statistics == dag.last_sync()["statistics"]
    for line in ("Starting invoice sync from E-conomic API", "Fetching page 1 from E-conomic"):
        assert line in caplog.text
    assert "Invoice sync completed" in caplog.text
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    # One of the simulator's invoices names an employee that its list does not.
    assert [warning for warning in warnings if "lists no employee" not in warning] == []
    assert "too short" not in "".join(capfd.readouterr())
    assert not SecretsMasker._has_warned_short_secret

    before = dag.xmins()
    second = dag.run()
    assert second.xcom["populate-employee-names"]["unchanged"] == 250
    assert dag.xmins() == before
    assert dag.last_sync()["run_type"] == "manual"


def test_lines_are_read_where_they_are_wanted(dag: Dag, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("ECONOMIC_LINES", "true")
    lines = DagBag().dags[LINES_DAG_ID]
    assert ([task.task_id for task in lines.tasks], lines.max_active_runs) == (["fetch-lines"], 1)
    early = dag.run(dag_id=LINES_DAG_ID)
    assert (early.state, early.tasks) == ("success", {"fetch-lines": "skipped"})
    assert dag.run().state == "success"
    read = dag.run(dag_id=LINES_DAG_ID).xcom["fetch-lines"]
    assert (read["proven"], read["differing"], read["rejected"], read["lines"]) == (250, 0, 0, 750)
    assert dag.run(dag_id=LINES_DAG_ID).xcom["fetch-lines"]["requests"] == 0


def hold_the_lease(dag: Dag, scope: str = "full") -> None:
    """Insert a sync of another run that is running now."""
    history.add_agreement(dag.connection)
    sync_id = history.add_sync(
        dag.connection, ended=None, dag_id="other", run_id="someone_elses", scope=scope
    )
    history.add_lease(dag.connection, sync_id)


@pytest.mark.parametrize(
    ("run_type", "scope", "tasks", "reason"),
    [
        ("scheduled", "full", SKIPPED, "has been running since"),
        # Another DAG would take a skipped sync for a fresh copy.
        ("operator_triggered", "full", FAILED, '{"force": true}'),
        ("backfill", "full", FAILED, "has been running since"),
        ("backfill", "range", FAILED, "has been running since"),
    ],
)
def test_busy_lease_skips_or_fails_with_the_reason(
    dag: Dag, monkeypatch: pytest.MonkeyPatch, run_type: str, scope: str, tasks: dict[str, str], reason: str
) -> None:
    hold_the_lease(dag, scope)
    monkeypatch.setitem(request.LOOK_AGAIN, "long", timedelta(seconds=2))
    monkeypatch.setitem(request.LONGEST_WAIT, "long", timedelta(seconds=1))
    outcome = dag.run(as_type=run_type)
    assert (outcome.tasks, outcome.tries["fetch-pages"]) == (tasks, 1)
    sync = dag.last_sync()
    assert (sync["run_type"], sync["status"]) == (run_type, "skipped")
    assert reason in sync["message"]
    assert "someone_elses" not in sync["message"]


def test_scheduled_run_waits_for_a_range(dag: Dag, monkeypatch: pytest.MonkeyPatch) -> None:
    from economic.sync import lifecycle

    hold_the_lease(dag, "range")
    monkeypatch.setitem(request.LOOK_AGAIN, "short", timedelta(seconds=1))
    original = lifecycle.wait

    def ends_meanwhile(*arguments: Any) -> float:
        dag.connection.execute(
            "update economic.sync_lease set holder = null, expires_at = null, token = token + 1"
        )
        return original(*arguments)

    monkeypatch.setattr(lifecycle, "wait", ends_meanwhile)
    outcome = dag.run(as_type="scheduled")
    assert (outcome.state, outcome.tries["fetch-pages"]) == ("success", 1)
    assert dag.rows("select status from economic.sync_run where dag_id <> 'other'") == [
        {"status": "completed"}
    ]


def test_backfill_lets_a_waiting_full_sync_pass(dag: Dag, monkeypatch: pytest.MonkeyPatch) -> None:
    history.add_agreement(dag.connection)
    history.add_sync(dag.connection, ended=None, dag_id="other", phase="waiting")
    monkeypatch.setitem(request.LOOK_AGAIN, "long", timedelta(seconds=1))
    monkeypatch.setitem(request.LONGEST_WAIT, "long", timedelta(seconds=1))
    assert dag.run(as_type="backfill", at=DUE).state == "failed"
    assert "waits for its turn and goes first" in dag.last_sync()["message"]
    assert dag.books.requests() == []

    dag.connection.execute("update economic.sync_run set updated_at = now() - interval '10 minutes'")
    assert dag.run(as_type="backfill", at=DUE + timedelta(hours=6)).state == "success"


def test_backfill_reads_days_from_the_tick_before(dag: Dag) -> None:
    outcome = dag.run({"force": True, "accept_missing": True}, as_type="backfill", at=DUE)
    assert outcome.state == "success"
    sync = dag.last_sync()
    assert (sync["scope"], str(sync["date_from"]), str(sync["date_to"])) == (
        *("range", "2026-03-01", "2026-03-02"),
    )
    assert (sync["force"], sync["accept_missing"]) == (False, False)
    dated = [item["date"] for item in dag.books.ledger.items().values()]
    assert sync["statistics"]["fetched"] == sum("2026-03-01" <= day <= "2026-03-02" for day in dated)
    assert (sync["statistics"]["missing"], sync["statistics"]["complete"]) == (0, True)
    scans = [entry["query"] for entry in dag.books.requests() if entry["path"] == "/invoices/booked"]
    assert all("date$gte" in query or "date%24gte" in query for query in scans)


def events(dag: Dag) -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        return [
            {"asset": event.asset.name, "uri": event.asset.uri, "extra": event.extra}
            for event in session.query(AssetEvent).order_by(AssetEvent.id)
        ]


def test_event_reports_changes_and_nothing_else(dag: Dag) -> None:
    known = len(events(dag))
    number = next(n for n, item in dag.books.ledger.items().items() if item["remainder"] > 0)
    first = dag.run()
    dag.books.control("remove", number=number)
    gone = dag.run()
    dag.run()
    dag.books.control("restore", number=number)
    back = dag.run()
    assert events(dag)[known:] == [
        {
            "asset": "economic_invoices_1234567",
            "uri": "x-economic://agreement/1234567/invoices",
            "extra": outcome.xcom["populate-employee-names"],
        }
        for outcome in (first, gone, back)
    ]
    assert [one.xcom["populate-employee-names"]["returned"] for one in (gone, back)] == [0, 1]


@pytest.mark.fault("R09")
def test_task_that_exceeds_its_time_resumes(
    dag: Dag, simulated: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's time limit is raised in the middle of a request, as no Exception that anybody catches."""
    monkeypatch.setenv("ECONOMIC_PAGE_SIZE", "50")
    simulated.fault("/invoices/booked", "slow", at=4, times=1, seconds=30)
    outcome = dag.run(limit=timedelta(seconds=5))
    assert (outcome.state, outcome.tries["fetch-pages"]) == ("success", 2)
    sync = dag.last_sync()
    assert (sync["status"], sync["staged_rows"]) == ("completed", [50] * 5)
    assert (sync["statistics"]["fetched"], sync["statistics"]["discarded"]) == (250, 0)
    assert len(dag.rows("select 1 from economic.sync_run")) == 1


@pytest.mark.fault("R20")
@pytest.mark.parametrize(
    ("since", "until", "paused_until", "expected"),
    [
        ("2026-03-02T00:00", "2026-03-05T13:00", "2026-03-05T01:30", ["05T00", "05T06", "05T12"]),
        # the nights in which clocks are moved, and a leap day
        ("2026-03-29T00:00", "2026-03-29T23:59", "", ["29T00", "29T06", "29T12", "29T18"]),
        ("2026-10-25T00:00", "2026-10-25T23:59", "", ["25T00", "25T06", "25T12", "25T18"]),
        ("2028-02-29T00:00", "2028-02-29T23:59", "", ["29T00", "29T06", "29T12", "29T18"]),
    ],
)
def test_pauses_and_odd_days_make_usual_runs(
    airflow: None,
    monkeypatch: pytest.MonkeyPatch,
    since: str,
    until: str,
    paused_until: str,
    expected: list[str],
) -> None:
    """Airflow looks every quarter of an hour, not at all while the DAG is paused."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables import trigger

    def utc(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    dag = DagSerialization.from_dict(DagSerialization.to_dict(DagBag().dags[DAG_ID]))
    now, runs, last = utc(since), [], None
    monkeypatch.setattr(trigger, "utcnow", lambda: now)
    while now < utc(until):
        info = dag.next_dagrun_info(last_automated_run_info=last)
        if now >= utc(paused_until or since) and info.run_after <= now:
            last = info
            runs.append(info.run_after.strftime("%dT%H"))
        else:
            now += timedelta(minutes=15)
    assert runs == expected
