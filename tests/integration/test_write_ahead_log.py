"""What a sync has PostgreSQL write, on a server with its own safe settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dev import embedded_postgres
from economic import schema, storing
from economic.database import prepare
from simulator import InProcess
from tests.integration.conftest import Company

INVOICES, PAGE_SIZE = 600, 20


@pytest.fixture
def durable(simulated: InProcess, economic_default: str) -> Iterator[Company]:
    """A company whose copy lies on a server that writes its log as a real one does."""
    simulated.book(INVOICES)
    with (
        embedded_postgres.server(["economic"]) as server,
        prepare(psycopg.connect(server.dsn("economic"))) as connection,
    ):
        schema.migrate(connection)
        yield Company(simulated, connection, economic_default, page_size=PAGE_SIZE)


@pytest.mark.parametrize(("settled_from", "once"), [(1, True), (10 * INVOICES, False)])
def test_a_large_first_load_is_written_once_though_checkpoints_pass(
    durable: Company, monkeypatch: pytest.MonkeyPatch, settled_from: int, once: bool
) -> None:
    """The second case shows that this server would write the table again; without checksums, the default before PostgreSQL 18, none does."""
    written = 0
    reconcile = storing.reconcile

    def after_a_checkpoint(attempt: Any) -> None:
        nonlocal written
        durable.connection.execute("checkpoint")
        before = durable.value("select pg_current_wal_insert_lsn() - '0/0'")
        reconcile(attempt)
        written = durable.value("select pg_current_wal_insert_lsn() - '0/0'") - before

    monkeypatch.setattr(storing, "SETTLED_FROM", settled_from)
    monkeypatch.setattr(storing, "reconcile", after_a_checkpoint)
    statistics = durable.sync()
    assert statistics["created"] >= INVOICES
    table = durable.value("select pg_relation_size('economic.invoice')")
    checksums = durable.value("show data_checksums") == "on"
    assert (written < table / 10) is (once or not checksums)
