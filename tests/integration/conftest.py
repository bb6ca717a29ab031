"""Whole syncs without Airflow: the real hook, the simulator over HTTP, a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.rows import dict_row

import simulator
from economic.cli import commands
from economic.client.hook import EconomicHook
from economic.client.transport import Limits
from economic.db import runs
from economic.db.runs import Owner
from economic.sync import employee_names, fetch, lifecycle, upsert
from economic.sync.attempt import Attempt
from economic.sync.request import SyncRequest
from simulator import InProcess
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

QUICK = Limits(interval=0.0, connect=2.0, read=5.0, page=10.0, attempts=2, first_wait=0.01)


@dataclass
class Company:
    """One company's accounts and their copy; syncs them phase by phase or at once."""

    books: InProcess
    connection: psycopg.Connection
    conn_id: str
    page_size: int = 100
    cache_seconds: int = 3600
    runs: int = 0
    limits: Limits = QUICK
    fetched: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)

    def order(self, **chosen: Any) -> SyncRequest:
        """An order of a DAG run of its own."""
        self.runs += 1
        usual = Owner("economic_invoice_sync", f"manual__{self.runs}", f"key of {self.runs}", self.conn_id)
        owner = usual._replace(**{name: chosen.pop(name) for name in usual._fields if name in chosen})
        return SyncRequest(owner, chosen.pop("run_type", "manual"), "test", **chosen)

    def hook(self) -> EconomicHook:
        return EconomicHook(self.conn_id, limits=self.limits)

    def fetch(self, order: SyncRequest) -> Attempt:
        with self.hook() as hook:
            attempt = lifecycle.begin(hook, self.connection, order)
            self.fetched = fetch.fetch_pages(attempt, self.page_size, self.cache_seconds)
            return attempt

    def store(self, sync_id: int) -> Attempt:
        attempt = lifecycle.join(self.connection, sync_id, self.owner(sync_id), "test")
        self.stored = upsert.upsert_invoices(attempt)
        return attempt

    def name(self, sync_id: int) -> dict[str, Any]:
        with self.hook() as hook:
            attempt = lifecycle.join(self.connection, sync_id, self.owner(sync_id), "test", hook)
            return employee_names.populate_employee_names(attempt, self.cache_seconds)

    def owner(self, sync_id: int) -> Owner:
        """The DAG run of a sync."""
        found = runs.sync_run(self.connection, sync_id)
        assert found is not None
        return found.owner

    def sync(self, **chosen: Any) -> dict[str, Any]:
        """A whole sync; its statistics."""
        attempt = self.fetch(self.order(**chosen))
        self.store(attempt.run.sync_id)
        return self.name(attempt.run.sync_id)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), parameters).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        return next(iter(self.rows(query, *parameters)[0].values()))

    def xmins(self) -> dict[int, int]:
        """Return which transaction wrote each invoice row last."""
        found = self.rows("select invoice_number, xmin::text::bigint as written from economic.invoice")
        return {row["invoice_number"]: row["written"] for row in found}


class Done(NamedTuple):
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, **environment: str) -> Done:
    """Run `python -m economic` in this process."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, value in environment.items():
            patch.setenv(name, value)
        out = stack.enter_context(redirect_stdout(StringIO()))
        err = stack.enter_context(redirect_stderr(StringIO()))
        return Done(commands.main(arguments), out.getvalue(), err.getvalue())


def economic(dsn: str, *arguments: str) -> Done:
    return run(*arguments, "--dsn", dsn)


@pytest.fixture
def second() -> Iterator[InProcess]:
    """A simulator on another port, as the newer services are on another host."""
    with simulator.running(
        invoices=20, app_secret_token=APP_SECRET, agreement_grant_token=AGREEMENT_GRANT
    ) as running:
        yield running


@pytest.fixture
def company(simulated: InProcess, connection: psycopg.Connection, economic_default: str) -> Company:
    return Company(simulated, connection, economic_default)
