"""docker-compose.yaml on a real engine with two Celery workers: both work, a killed one is replaced and its sync heals."""

from __future__ import annotations

import json
import os
import signal

import pytest

from containers.canaries import assert_nothing_shows
from containers.conftest import say
from containers.freshness import assert_all_lines_are_proven, assert_moves_show
from containers.stand import SLOW, Model, Stack

pytestmark = pytest.mark.filterwarnings("ignore")
WORKERS = ("worker", "worker-2")


def received(stack: Stack, worker: str) -> int:
    """Return how many tasks a worker has been given since its container was made."""
    return stack.compose("logs", "--no-color", worker).count(" received")


def test_the_demo_leaves_an_account_alone(celery: Stack) -> None:
    celery.demo_ended()
    assert celery.inspect("demo")["State"]["ExitCode"] == 1
    assert "the demo leaves it alone" in celery.compose("logs", "--no-color", "demo")


def test_tokens_of_env_become_a_masked_connection(celery: Stack) -> None:
    found = celery.rest("GET", "/api/v2/connections/economic_default")
    host = "https://restapi.e-conomic.com"
    assert (found["conn_type"], found["host"], found["port"]) == ("economic", host, 443)
    assert json.loads(found["extra"]) == {"app_secret_token": "***", "agreement_grant_token": "***"}


def test_a_second_up_keeps_the_proxy(celery: Stack) -> None:
    way = {"proxies": {"https": "http://proxy.invalid:3128"}, "verify": "/etc/ssl/certs/proxy.pem"}
    lost = {"allow_http": True, "openapi_host": "http://simulator:8000"}
    tokens = {"app_secret_token": "of-before", "agreement_grant_token": "of-before"}
    connection: Model = {
        "connection_id": "economic_default",
        "conn_type": "economic",
        "host": "http://simulator:8000",
    }
    celery.rest(
        "PATCH",
        "/api/v2/connections/economic_default",
        connection | {"extra": json.dumps(way | lost | tokens)},
    )
    celery.compose("up", "--no-deps", "--exit-code-from", "init", "init")
    asked = ("airflow", "connections", "get", "economic_default", "--output", "json")
    said = celery.execute("api-server", *asked)
    (found,) = json.loads(said.splitlines()[-1])
    assert found["host"] == "https://restapi.e-conomic.com"
    assert found["extra_dejson"] == way | {
        "app_secret_token": celery.variables["ECONOMIC_APP_SECRET_TOKEN"],
        "agreement_grant_token": celery.variables["ECONOMIC_AGREEMENT_GRANT_TOKEN"],
    }


def test_both_workers_run_forced_syncs(celery: Stack) -> None:
    tokens = {
        "app_secret_token": celery.variables["ECONOMIC_APP_SECRET_TOKEN"],
        "agreement_grant_token": celery.variables["ECONOMIC_AGREEMENT_GRANT_TOKEN"],
        "allow_http": True,
    }
    connection: Model = {"connection_id": "economic_default", "conn_type": "economic"}
    connection |= {"host": "http://simulator:8000", "port": None, "extra": json.dumps(tokens)}
    celery.rest("PATCH", "/api/v2/connections/economic_default", connection)
    for _ in range(8):
        run = celery.trigger(force=True)
        assert celery.ended(run) == "success"
        assert celery.verdict(run) == "completed true true"
        if all(received(celery, worker) for worker in WORKERS):
            break
    say(f"tasks so far: {[received(celery, worker) for worker in WORKERS]}")
    assert all(received(celery, worker) for worker in WORKERS)


def test_moves_show_within_about_a_minute(celery: Stack) -> None:
    assert_all_lines_are_proven(celery)
    assert_moves_show(celery)


def test_a_sync_outlives_the_worker_that_ran_it(celery: Stack) -> None:
    celery.simulator("faults", faults=[SLOW])
    run = celery.trigger()
    celery.in_mid_sync()
    (victim,) = [worker for worker in WORKERS if run in celery.compose("logs", "--no-color", worker)]
    state = celery.inspect(victim)["State"]
    # not `docker kill`, which counts as a wish of the user's: then the engine would not start it again
    os.kill(state["Pid"], signal.SIGKILL)
    celery.wait(
        "the worker to be started again",
        lambda: celery.inspect(victim)["State"]["Pid"] not in {0, state["Pid"]},
        120,
    )
    celery.simulator("faults", faults=[])
    assert celery.ended(run, 600) == "success"
    say(f"{victim} killed in mid-sync: {celery.tries(run)}")
    assert celery.verdict(run) == "completed true true"
    assert celery.tries(run)["fetch-pages"][1] > 1
    assert celery.inspect(victim)["RestartCount"] == 1


def test_no_secret_shows(celery: Stack) -> None:
    assert_nothing_shows(celery)
