"""A real lease row for the tests that hold the SQL to the model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from economic.db import agreements, runs, sql
from economic.db.sql import prepare, statement, transaction
from economic.records.agreement import Agreement

Connect = Callable[[], psycopg.Connection]
_agreements = itertools.count(1)


def new_agreement(connection: psycopg.Connection) -> int:
    """An agreement nobody else has."""
    number = next(_agreements)
    with transaction(connection):
        agreements.bind_agreement(connection, f"connection_{number}", Agreement(number, "x", "DKK"))
    return number


def new_sync(connection: psycopg.Connection) -> int:
    """The row of a sync that begins."""
    with transaction(connection):
        return runs.open_sync_run(
            connection,
            dag_id="d",
            run_id="r",
            run_key="k",
            clear_number=0,
            run_type="manual",
            conn_id="x",
            scope="full",
            date_from=None,
            date_to=None,
            force=False,
            accept_missing=False,
            message="",
        )


@pytest.fixture
def connect(database: str) -> Iterator[Connect]:
    """Opens connections, and closes them at the end."""
    opened: list[psycopg.Connection] = []

    def new() -> psycopg.Connection:
        opened.append(prepare(psycopg.connect(database)))
        return opened[-1]

    yield new
    for connection in opened:
        connection.close()


Mutate = Callable[[str, str, str], None]


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Mutate:
    """Breaks one SQL statement for this test: its name, what to replace (all of it when empty), by what."""

    def broken(name: str, old: str, new: str) -> None:
        text = statement(name).decode()
        assert old in text, f"{name}.sql no longer says {old!r}"
        changed = text.replace(old or text, new).encode()
        monkeypatch.setattr(sql, "statement", lambda asked: changed if asked == name else statement(asked))

    return broken
