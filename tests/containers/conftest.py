"""The engine, and the project on it, once with LocalExecutor and once with two Celery workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from containers import images
from containers.engine import CACHE, Engine, running
from containers.stand import Stack
from dev.release import environment_file

QUICK = {
    "ECONOMIC_APP_SECRET_TOKEN": "",
    "ECONOMIC_AGREEMENT_GRANT_TOKEN": "",
    "AIRFLOW_HEARTBEAT_TIMEOUT": "60",
    "DEMO_INVOICES": "2500",
    "ECONOMIC_PAGE_SIZE": "100",
    "ECONOMIC_SYNC_SCHEDULE": "@yearly",
    "ECONOMIC_QUICK_SCHEDULE": "* * * * *",
    "ECONOMIC_LINES": "true",
}
"""Not the defaults, so that a killed task is missed sooner and a sync has many pages; no full sync falls due by itself."""


def say(text: str) -> None:
    """Print lines for a person who waits."""
    sys.stderr.write(f"\n   {text}")
    sys.stderr.flush()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with running() as found:
        images.make(found)
        yield found


def _stack(engine: Engine, name: str, profiles: tuple[str, ...], more: dict[str, str]) -> Iterator[Stack]:
    stack = Stack(engine, CACHE / name, environment_file.fresh_secrets() | QUICK | more, profiles)
    stack.prepare()
    stack.compose("down", "--volumes", "--timeout", "5")
    try:
        say(f"{name}: every service well after {stack.up():.0f} s")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def local(engine: Engine) -> Iterator[Stack]:
    """LocalExecutor with the simulator, as `docker compose --profile demo up` gives it."""
    yield from _stack(engine, "local", ("demo",), {})


@pytest.fixture(scope="module")
def celery(engine: Engine) -> Iterator[Stack]:
    """CeleryExecutor with two workers; the account's tokens are in .env, the account is the simulator."""
    more = {
        "ECONOMIC_APP_SECRET_TOKEN": "canary-app-secret-token-0123456789",
        "ECONOMIC_AGREEMENT_GRANT_TOKEN": "canary-agreement-grant-token-0123456789",
        "AIRFLOW_EXECUTOR": "CeleryExecutor",
        "ECONOMIC_CONN_ID": "economic_default",
    }
    yield from _stack(engine, "celery", ("celery", "demo"), more)
