"""What a user of the DAG meets: in the run, in the log, in the XCom and in the table."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker.secrets_masker import SecretsMasker

from economic import task_run
from simulator import InProcess
from tests.conftest import postgres_connection
from tests.dags.tasks.conftest import DAG_ID, Dag

TASKS = ["fetch-pages", "upsert-invoices", "populate-employee-names"]
RUN_ONCE = Path(__file__).with_name("run_once.py")


def all_are(state: str) -> dict[str, str]:
    return dict.fromkeys(TASKS, state)


def test_the_file_holds_exactly_this_dag(airflow: None) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag()
    assert bag.import_errors == {}
    assert list(bag.dags) == [DAG_ID]
    dag = bag.dags[DAG_ID]
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "fetch-pages": ["upsert-invoices"],
        "upsert-invoices": ["populate-employee-names"],
        "populate-employee-names": [],
    }
    assert (dag.schedule, dag.max_active_runs, dag.catchup) == ("0 */6 * * *", 1, False)
    assert str(dag.timezone) == "UTC"
    assert set(dag.params) == {"force", "accept_missing", "date_from", "date_to"}
    assert [task.returns_dag_result for task in dag.tasks] == [False, False, True]
    for task in dag.tasks:
        assert task.retries == 3
        assert task.execution_timeout is not None
        assert task.doc_md
    assert "When it fails" in (dag.doc_md or "")


def test_two_runs_store_everything_and_then_write_nothing(dag: Dag) -> None:
    first = dag.run()
    assert (first.state, first.tasks) == ("success", all_are("success"))
    assert first.xcom["fetch-pages"] | {"requests": 0, "run_key": "random"} == {
        "sync_id": 1,
        "run_key": "random",
        "agreement_number": 1234567,
        "pages": 1,
        "fetched": 250,
        "rejected": 0,
        "requests": 0,
        "complete": True,
    }
    assert first.xcom["upsert-invoices"] == {
        "created": 250,
        "updated": 0,
        "unchanged": 0,
        "failed": 0,
        "missing": 0,
        "reconciled": True,
    }
    statistics = first.xcom["populate-employee-names"]
    assert (statistics["status"], statistics["created"], statistics["complete"]) == ("completed", 250, True)
    assert statistics == dag.last_sync()["statistics"]

    before = dag.xmins()
    second = dag.run()
    assert second.state == "success"
    assert second.xcom["populate-employee-names"]["unchanged"] == 250
    assert dag.xmins() == before
    assert dag.last_sync()["run_type"] == "manual"


def test_the_lines_people_look_for_are_in_the_log(dag: Dag, caplog: pytest.LogCaptureFixture) -> None:
    dag.run()
    logged = caplog.text
    for line in (
        "Starting invoice sync from E-conomic API",
        "Fetching page 1 from E-conomic",
        "Invoice sync completed",
    ):
        assert line in logged


def test_a_healthy_run_logs_no_warning(
    dag: Dag,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Airflow warns once a process of a value that is too short to be masked, such as one that was put into an extra."""
    monkeypatch.setattr(SecretsMasker, "_has_warned_short_secret", False)
    assert dag.run().state == "success"
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    # One of the simulator's invoices names an employee that its list does not.
    assert [warning for warning in warnings if "lists no employee" not in warning] == []
    assert "too short" not in "".join(capfd.readouterr())
    assert not SecretsMasker._has_warned_short_secret


def hold_the_lease(dag: Dag, scope: str = "full") -> None:
    """A sync of somebody else that is running now."""
    dag.connection.execute(
        "insert into economic.sync_run (dag_id, run_id, run_type, conn_id, agreement_number, scope, force, phase)"
        " values ('other', 'someone_elses', 'manual', 'economic_default', 1234567, %s, false, 'fetch')",
        (scope,),
    )
    dag.connection.execute(
        "update economic.sync_lease set token = token + 1, acquired_at = now(), expires_at = now() + interval '5 minutes',"
        " holder = (select max(sync_id) from economic.sync_run)"
    )


def test_while_another_sync_runs_a_scheduled_one_is_skipped_with_the_reason(dag: Dag) -> None:
    dag.run()
    hold_the_lease(dag)
    outcome = dag.run(as_type="scheduled")
    assert outcome.tasks == all_are("skipped")
    sync = dag.last_sync()
    assert sync["status"] == "skipped"
    assert "has been running since" in sync["message"]
    assert "someone_elses" not in sync["message"]


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered"])
def test_while_another_sync_runs_one_that_was_asked_for_fails_with_the_reason_and_force_takes_over(
    dag: Dag, run_type: str
) -> None:
    """Also one that another DAG asks for, which would take a skipped sync for a fresh copy."""
    dag.run()
    hold_the_lease(dag)
    outcome = dag.run(as_type=run_type)
    assert outcome.state == "failed"
    assert outcome.tries["fetch-pages"] == 1
    sync = dag.last_sync()
    assert sync["status"] == "skipped"
    assert "someone_elses" not in sync["message"]
    assert '{"force": true}' in sync["message"]

    forced = dag.run({"force": True})
    assert forced.state == "success"
    assert dag.rows("select status from economic.sync_run where run_id = 'someone_elses'") == [
        {"status": "superseded"}
    ]


@pytest.mark.parametrize("scope", ["full", "range"])
def test_a_backfill_waits_for_the_other_one_to_end(
    dag: Dag, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    dag.run()
    hold_the_lease(dag, scope)
    monkeypatch.setitem(task_run.LOOK_AGAIN, "backfill", timedelta(seconds=2))
    monkeypatch.setattr(
        task_run, "LONGEST_WAIT", {"backfill": timedelta(seconds=1), "scheduled": timedelta(seconds=1)}
    )
    outcome = dag.run(as_type="backfill")
    assert outcome.state == "failed"
    assert outcome.tries["fetch-pages"] == 1
    waited = dag.rows("select status, message from economic.sync_run where run_type = 'backfill'")
    assert [row["status"] for row in waited] == ["skipped"]


def test_a_scheduled_run_waits_for_a_range_to_end_and_then_syncs(
    dag: Dag, monkeypatch: pytest.MonkeyPatch
) -> None:
    from economic.sync import lifecycle

    dag.run()
    hold_the_lease(dag, "range")
    monkeypatch.setitem(task_run.LOOK_AGAIN, "scheduled", timedelta(seconds=1))
    original = lifecycle.wait

    def ends_meanwhile(*arguments: Any) -> float:
        dag.connection.execute(
            "update economic.sync_lease set holder = null, expires_at = null, token = token + 1"
        )
        return original(*arguments)

    monkeypatch.setattr(lifecycle, "wait", ends_meanwhile)
    outcome = dag.run(as_type="scheduled")
    assert outcome.tasks == all_are("success")
    assert outcome.tries["fetch-pages"] == 1
    assert [
        row["status"] for row in dag.rows("select status from economic.sync_run where run_type = 'scheduled'")
    ] == ["completed"]


def test_a_bad_token_fails_at_once_and_says_so(dag: Dag, define_connection: Callable[..., None]) -> None:
    canary = "CANARY0123456789abcdef"
    extra = {"app_secret_token": canary, "agreement_grant_token": canary}
    define_connection(conn_type="economic", host=dag.books.base_url, extra=extra)
    outcome = dag.run()
    assert (outcome.state, outcome.tries["fetch-pages"]) == ("failed", 1)
    assert outcome.tasks == {
        "fetch-pages": "failed",
        "upsert-invoices": "upstream_failed",
        "populate-employee-names": "upstream_failed",
    }
    sync = dag.last_sync()
    assert sync["status"] == "failed"
    assert "E02250" in sync["message"]
    assert "agreement_grant_token" in sync["message"]
    assert canary not in json.dumps(sync, default=str)
    assert dag.rows("select holder from economic.sync_lease where holder is not null") == []


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"froce": True}, "froce"),
        ({"date_from": "2026-02-01", "date_to": "2026-01-01"}, "2026-02-01 is after"),
    ],
)
def test_a_conf_that_makes_no_sense_is_refused_by_name(
    dag: Dag, conf: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = dag.run(conf)
    assert (outcome.state, outcome.tries["fetch-pages"]) == ("failed", 1)
    assert said in "".join(capfd.readouterr())
    assert dag.books.requests() == []
    sync = dag.last_sync()
    assert (sync["status"], said in sync["message"]) == ("failed", True)


def test_a_backfill_reads_the_days_from_the_tick_before_its_own(dag: Dag) -> None:
    dag.run()
    dag.books.control("remove", number=min(dag.books.ledger.items()))
    dag.books.reset()
    outcome = dag.run(as_type="backfill", at=datetime(2026, 3, 2, 0, tzinfo=UTC))
    assert outcome.state == "success"
    sync = dag.last_sync()
    assert (sync["scope"], str(sync["date_from"]), str(sync["date_to"])) == (
        "range",
        "2026-03-01",
        "2026-03-02",
    )
    items = dag.books.ledger.items().values()
    assert sync["statistics"]["fetched"] == sum("2026-03-01" <= i["date"] <= "2026-03-02" for i in items)
    assert (sync["statistics"]["missing"], sync["statistics"]["complete"]) == (0, True)
    assert all("date$gte" in entry["query"] or "date%24gte" in entry["query"] for entry in scans(dag))


def scans(dag: Dag) -> list[dict[str, Any]]:
    return [entry for entry in dag.books.requests() if entry["path"] == "/invoices/booked"]


def test_a_backfill_ignores_force_and_accept_missing(dag: Dag) -> None:
    conf = {"force": True, "accept_missing": True, "date_from": "2026-01-05", "date_to": "2026-01-06"}
    dag.run(conf, as_type="backfill", at=datetime(2026, 3, 2, 0, tzinfo=UTC))
    sync = dag.last_sync()
    assert (str(sync["date_from"]), str(sync["date_to"])) == ("2026-01-05", "2026-01-06")
    assert (sync["force"], sync["accept_missing"]) == (False, False)
    dag.run({"accept_missing": True})
    assert dag.last_sync()["accept_missing"] is True


def test_a_backfill_lets_a_waiting_full_sync_go_first(dag: Dag, monkeypatch: pytest.MonkeyPatch) -> None:

    dag.run()
    dag.connection.execute(
        "insert into economic.sync_run (dag_id, run_id, run_type, conn_id, agreement_number, scope, force, phase)"
        " values ('other', 'scheduled__now', 'scheduled', 'economic_default', 1234567, 'full', false, 'waiting')"
    )
    monkeypatch.setitem(task_run.LOOK_AGAIN, "backfill", timedelta(seconds=1))
    monkeypatch.setitem(task_run.LONGEST_WAIT, "backfill", timedelta(seconds=1))
    dag.books.reset()
    outcome = dag.run(as_type="backfill", at=datetime(2026, 3, 2, 0, tzinfo=UTC))
    assert outcome.state == "failed"
    assert "waits for its turn and goes first" in dag.last_sync()["message"]
    assert dag.books.requests() == []

    dag.connection.execute("update economic.sync_run set updated_at = now() - interval '10 minutes'")
    assert dag.run(as_type="backfill", at=datetime(2026, 3, 2, 6, tzinfo=UTC)).state == "success"


def events(dag: Dag) -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        return [
            {"asset": event.asset.name, "uri": event.asset.uri, "extra": event.extra}
            for event in session.query(AssetEvent).order_by(AssetEvent.id)
        ]


def test_an_event_with_the_statistics_tells_of_changes_and_of_nothing_else(dag: Dag) -> None:
    known = len(events(dag))
    first = dag.run()
    dag.run()
    number = next(n for n, item in dag.books.ledger.items().items() if item["remainder"] > 0)
    dag.books.pay(number)
    third = dag.run()
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
        for outcome in (first, third, gone, back)
    ]
    assert [one.xcom["populate-employee-names"]["returned"] for one in (gone, back)] == [0, 1]
    assert third.xcom["populate-employee-names"]["updated"] == 1


def test_a_range_of_days_is_read_by_its_dates(dag: Dag) -> None:
    items = dag.books.ledger.items().values()
    days = sorted(item["date"] for item in items)
    outcome = dag.run({"date_from": days[10], "date_to": days[30]})
    expected = sum(days[10] <= item["date"] <= days[30] for item in items)
    statistics = outcome.xcom["populate-employee-names"]
    assert (statistics["scope"], statistics["created"]) == ("range", expected)


@pytest.mark.parametrize(
    ("conn_id", "fields", "said"),
    [
        ("economic_default", None, "economic_default is not defined"),
        ("economic_postgres", None, "economic_postgres is not defined"),
        ("economic_postgres", {"password": "wrong password"}, "PostgreSQL refused the connection"),
    ],
)
def test_a_set_up_that_is_wrong_fails_at_once_by_name(
    dag: Dag,
    database: str,
    define_connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    conn_id: str,
    fields: dict[str, Any] | None,
    said: str,
) -> None:
    if fields is None:
        monkeypatch.delenv(f"AIRFLOW_CONN_{conn_id.upper()}")
    else:
        define_connection(conn_id, **(postgres_connection(database) | fields))
    outcome = dag.run()
    assert (outcome.state, outcome.tries["fetch-pages"]) == ("failed", 1)
    assert said in "".join(capfd.readouterr())


def test_a_database_that_is_away_is_tried_again(
    dag: Dag, database: str, define_connection: Callable[..., None]
) -> None:
    define_connection("economic_postgres", **(postgres_connection(database) | {"port": 1}))
    outcome = dag.run(retries=1)
    assert (outcome.state, outcome.tries["fetch-pages"]) == ("failed", 2)
    assert dag.books.requests() == []


def test_a_page_size_out_of_range_is_an_import_error_that_names_it(
    airflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("ECONOMIC_PAGE_SIZE", "1001")
    bag = DagBag()
    assert bag.dags == {}
    (error,) = bag.import_errors.values()
    assert "ECONOMIC_PAGE_SIZE is '1001'" in error
    assert "1 to 1000" in error


def test_a_failure_that_is_not_tried_again_closes_the_sync_and_frees_the_lease(dag: Dag) -> None:
    dag.books.fault("/invoices/booked", "status", status=429, headers={"Retry-After": "999999"}, at="all")
    outcome = dag.run(retries=0)
    assert outcome.state == "failed"
    sync = dag.last_sync()
    assert (sync["status"], sync["phase"]) == ("failed", "ended")
    assert "429" in sync["message"]
    assert dag.rows("select holder from economic.sync_lease") == [{"holder": None}]
    dag.books.faults()
    assert dag.run().state == "success"


def test_a_task_cleared_after_the_sync_has_ended_writes_nothing(
    dag: Dag, capfd: pytest.CaptureFixture[str]
) -> None:
    dag.run()
    dag.connection.execute("update economic.sync_run set status = 'completed'")
    before = dag.xmins()
    from economic.db import runs
    from economic.errors import SyncEnded
    from economic.sync import lifecycle

    found = runs.sync_run(dag.connection, 1)
    assert found is not None
    with pytest.raises(SyncEnded, match="Clear fetch-pages with downstream"):
        lifecycle.join(dag.connection, 1, found.owner, "cleared")
    assert dag.xmins() == before


def test_a_killed_fetch_goes_on_where_it_stopped(
    dag: Dag, simulated: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill -9 in the middle of a page; the same DAG run, tried again, reads only what was missing."""
    monkeypatch.setenv("ECONOMIC_PAGE_SIZE", "50")
    when = datetime(2026, 5, 5, 6, tzinfo=UTC)
    simulated.fault("/invoices/booked", "slow", at=4, seconds=120)
    process = subprocess.Popen(
        [sys.executable, str(RUN_ONCE), when.isoformat()],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 120
    while sum(entry["path"] == "/invoices/booked" for entry in simulated.requests()) < 4:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = dag.last_sync()
    assert (killed["status"], killed["staged_rows"]) == ("running", [50, 50, 50])

    simulated.faults()
    simulated.reset()
    # Airflow keeps it over the tries of a run; dag.test() makes the run anew instead of trying it again.
    monkeypatch.setattr(task_run.TaskRun, "_kept_run_key", lambda _: killed["run_key"])
    outcome = dag.run(at=when)
    assert outcome.state == "success"
    statistics = outcome.xcom["populate-employee-names"]
    assert (statistics["sync_id"], statistics["created"], statistics["pages"]) == (killed["sync_id"], 250, 5)
    paths = [entry["path"] for entry in simulated.requests()]
    # two pages, the page that proves there are no more, the closing count
    assert paths.count("/invoices/booked") == 4


@pytest.mark.fault("R09")
def test_a_task_that_exceeds_its_time_is_tried_again_and_goes_on(
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
    assert [sync["run_id"] for sync in dag.rows("select run_id from economic.sync_run")] == [sync["run_id"]]


class Clock:
    """Airflow's clock, for the times at which its schedule falls due."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.timetables import trigger

        monkeypatch.setattr(trigger, "utcnow", lambda: self.now)

    def ticks(self, since: str, until: str, *, asleep_until: str = "") -> list[str]:
        """The runs that Airflow makes of the DAG in that time, when it looks every quarter of an hour; not at all while the DAG is paused."""
        from airflow.dag_processing.dagbag import DagBag
        from airflow.serialization.serialized_objects import DagSerialization

        found = DagSerialization.from_dict(DagSerialization.to_dict(DagBag().dags[DAG_ID]))
        self.now = datetime.fromisoformat(since).replace(tzinfo=UTC)
        end = datetime.fromisoformat(until).replace(tzinfo=UTC)
        awake = datetime.fromisoformat(asleep_until or since).replace(tzinfo=UTC)
        runs: list[str] = []
        last = None
        while self.now < end:
            info = found.next_dagrun_info(last_automated_run_info=last)
            if self.now >= awake and info.run_after <= self.now:
                last = info
                runs.append(info.run_after.strftime("%Y-%m-%dT%H:%M"))
            else:
                self.now += timedelta(minutes=15)
        return runs


@pytest.mark.fault("R20")
def test_a_dag_that_was_paused_for_three_days_makes_one_run(
    airflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Clock(monkeypatch).ticks("2026-03-02T00:00", "2026-03-05T13:00", asleep_until="2026-03-05T01:30")
    assert ticks == ["2026-03-05T00:00", "2026-03-05T06:00", "2026-03-05T12:00"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2028-02-29"])
@pytest.mark.fault("R20")
def test_nights_that_clocks_are_moved_and_leap_days_have_four_runs(
    airflow: None, monkeypatch: pytest.MonkeyPatch, day: str
) -> None:
    ticks = Clock(monkeypatch).ticks(f"{day}T00:00", f"{day}T23:59")
    assert ticks == [f"{day}T{hour:02}:00" for hour in (0, 6, 12, 18)]
