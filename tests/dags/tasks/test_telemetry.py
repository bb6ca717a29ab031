"""Metrics reach a real UDP listener, and lineage a collector that is switched on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import lineage as airflow_lineage
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

from economic.config.dags import LINES_DAG_ID
from economic.telemetry import metrics
from tests.dags.tasks.conftest import DAG_ID, Dag


class Listener:
    """A StatsD server that only listens."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()

    def heard(self) -> dict[str, str]:
        """Return values and kinds of our metrics since the last call, by name and tags."""
        found = {}
        while True:
            try:
                name, value = self._socket.recv(65536).decode().rsplit(":", 1)
            except BlockingIOError:
                return found
            if name.startswith("airflow.economic."):
                found[name.removeprefix("airflow.economic.")] = value


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A listener, to which Airflow's metrics go, with tags as InfluxDB writes them."""
    listener = Listener()
    for name, value in {
        "STATSD_ON": "True",
        "STATSD_HOST": "127.0.0.1",
        "STATSD_PORT": str(listener.port),
        "STATSD_INFLUXDB_ENABLED": "True",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
    # As Airflow does at the start of each task process.
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
    yield listener
    listener.close()
    monkeypatch.undo()
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)


def tagged(name: str, dag_id: str = DAG_ID) -> str:
    return f"{name},dag_id={dag_id}"


def test_sync_sends_what_it_did(dag: Dag, statsd: Listener) -> None:
    assert dag.run().state == "success"
    heard = statsd.heard()
    assert heard[tagged("runs.completed")] == "1|c"
    assert heard[tagged("invoices.created")] == "250|c"
    assert tagged("invoices.failed") not in heard
    assert heard[tagged("rejections.open")] == "0|g"
    assert heard[tagged("duration.total")].endswith("|ms")
    synced = dag.rows("select extract(epoch from last_synced_at)::bigint as at from economic.sync_status")
    assert abs(int(heard[tagged("copy.synced_at")].removesuffix("|g")) - synced[0]["at"]) <= 1
    assert 0 <= float(heard[tagged("copy.age")].removesuffix("|g")) < 60
    assert 0 < float(heard[tagged("budget.used")].removesuffix("|g")) < 1
    assert int(heard[tagged("requests")].removesuffix("|c")) > 0


def test_failure_and_skip_are_counted_once(dag: Dag, statsd: Listener) -> None:
    dag.run()
    statsd.heard()
    dag.books.fault("/self", "status", status=401)
    assert dag.run().state == "failed"
    heard = statsd.heard()
    assert heard[tagged("runs.failed")] == "1|c"
    assert tagged("copy.age") in heard
    assert not [name for name in heard if name.startswith("invoices.")]


def test_asked_to_wait_is_counted(dag: Dag, statsd: Listener) -> None:
    dag.books.fault("/self", "status", status=429, times=1)
    dag.run()
    assert statsd.heard()[tagged("rate_limited")] == "1|c"


def test_lines_send_how_they_stand(dag: Dag, statsd: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECONOMIC_LINES", "true")
    dag.run()
    dag.books.differ(dag.books.ledger.numbers[0], "1")
    statsd.heard()
    dag.run(dag_id=LINES_DAG_ID)
    heard = statsd.heard()
    assert heard[tagged("lines.proven", LINES_DAG_ID)] == "249|g"
    assert heard[tagged("lines.differing", LINES_DAG_ID)] == "1|g"
    assert heard[tagged("runs.completed", LINES_DAG_ID)] == "1|c"


def test_broken_metrics_fail_no_sync(dag: Dag, statsd: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError("no socket")

    monkeypatch.setattr(metrics, "_send", broken)
    assert dag.run().state == "success"


def test_without_metrics_nothing_is_asked(dag: Dag, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(metrics, "_send", refuse)
    monkeypatch.setattr(metrics.log, "warning", refuse)
    assert dag.run().state == "success"


def test_lineage_names_agreement_and_tables(dag: Dag, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = airflow_lineage.HookLineageCollector()
    monkeypatch.setattr(airflow_lineage, "get_hook_lineage_collector", lambda: collector)
    assert dag.run().state == "success"
    found = collector.collected_assets
    assert "x-economic://agreement/1234567/invoices" in {one.asset.uri for one in found.inputs}
    rows = {one.asset.uri.rsplit("/", 1)[1]: one.asset.extra for one in found.outputs}
    assert rows == {"invoice": {"rows": 250}, "invoice_history": {"rows": 0}}
    assert all(one.asset.uri.startswith("postgres://127.0.0.1:") for one in found.outputs)
