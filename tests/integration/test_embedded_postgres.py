"""The server of one's own: found by others, refused to a second, and whole after a first start that was cut short."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev import embedded_postgres


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="economic-pg-") as name:
        Path(name).chmod(0o755)  # the server may have to run as another user
        yield Path(name) / "postgres"


def test_data_outlives_the_server_and_a_running_server_is_found_and_refused_to_a_second(folder: Path) -> None:
    assert embedded_postgres.running(folder) is None
    with embedded_postgres.server(["first"], data=folder) as server:
        with psycopg.connect(server.dsn("first")) as connection:
            connection.execute("create table kept ()")
        assert embedded_postgres.running(folder) == server
        second = embedded_postgres.server(["first"], data=folder)
        with pytest.raises(RuntimeError, match=f"process {server.pid}.* already runs"):
            second.__enter__()
        # refused, and not stopped with it
        with psycopg.connect(server.dsn("first")) as connection:
            connection.execute("select from kept")
    assert embedded_postgres.running(folder) is None
    with (
        embedded_postgres.server(["first"], data=folder) as server,
        psycopg.connect(server.dsn("first")) as connection,
    ):
        connection.execute("select from kept")


def test_a_first_start_that_was_killed_is_begun_again(folder: Path) -> None:
    half_made = folder / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    (folder / "password").write_text("of the killed start")
    with (
        embedded_postgres.server(["first"], data=folder, durable=False) as server,
        psycopg.connect(server.dsn("first")) as connection,
    ):
        connection.execute("select")
    assert not half_made.exists()


def test_a_failure_within_stops_the_server(folder: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        embedded_postgres.server(["first"], data=folder, durable=False),
    ):
        raise ZeroDivisionError
    assert embedded_postgres.running(folder) is None
