"""PostgreSQL servers of a test's own, to be restarted, crashed and filled up."""

from __future__ import annotations

import pwd
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from dev.local import embedded_postgres, ownership
from dev.local.embedded_postgres import Server

DATABASE = "copy"


class Cluster:
    """A server that may be mistreated. It keeps its port."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.dsn = server.dsn(DATABASE)

    def restart(self) -> None:
        """As an operator does it: connections are ended, data is kept."""
        self.server.control("restart", "-m", "fast")

    def stop(self) -> None:
        self.server.control("stop", "-m", "fast")

    def start(self) -> None:
        self.server.control("restart")

    def crash(self) -> None:
        """Stop it without a word to anybody; at the next start it recovers, and its unlogged tables are empty."""
        self.server.control("stop", "-m", "immediate")

    def trust(self, role: str) -> None:
        """Let a role in without a password."""
        rules = self.server.data / "pg_hba.conf"
        rules.write_text(f"host all {role} 127.0.0.1/32 trust\n" + rules.read_text())
        self.server.control("reload")

    def execute(self, statement: str) -> None:
        """Run a statement as the superuser."""
        with psycopg.connect(self.dsn, autocommit=True) as admin:
            admin.execute(statement.encode())


@contextmanager
def cluster(like: Path | None = None) -> Iterator[Cluster]:
    """A throw-away server with an empty database; ready in less than a second.

    :param like: the folder of a :func:`model`, to begin as a copy of it, which takes half the work.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_folder()) if like else None
        if like:
            # With its owner: it is not this process's where that is root's.
            subprocess.run(["cp", "-a", like / "data", like / "password", str(folder)], check=True)
        server = stack.enter_context(
            embedded_postgres.server([] if like else [DATABASE], data=folder, durable=False)
        )
        made = Cluster(server)
        # The quick settings of a throw-away server would lose what was committed just before a crash.
        made.execute(f"alter database {DATABASE} set synchronous_commit = on")
        yield made
        if not _running(server):
            made.start()


@contextmanager
def model(prepare: Callable[[Cluster], object]) -> Iterator[Path]:
    """The folder of a server that was prepared and stopped, for others to begin as."""
    with _folder() as folder:
        with embedded_postgres.server([DATABASE], data=folder, durable=False) as server:
            prepare(Cluster(server))
        yield folder


@contextmanager
def _folder() -> Iterator[Path]:
    # In a folder that the server's user can reach, so that the data stays in it.
    folder = Path(tempfile.mkdtemp(prefix="economic-pg-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        ownership.remove(folder)


@contextmanager
def small_disk(megabytes: int, owner: str | None = None) -> Iterator[Path]:
    """A folder on a disk of its own of that size, for a tablespace.

    :param owner: the user whose it is to be, by name; None for this process's own.
    :raises PermissionError: this process may not mount one.
    """
    folder = Path(tempfile.mkdtemp(prefix="economic-disk-", dir="/var/tmp"))
    # Open to others on the way in: the server runs as a user of its own.
    folder.chmod(0o755)
    options = f"size={megabytes}m,mode=0700" + (f",uid={pwd.getpwnam(owner).pw_uid}" if owner else "")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        folder.rmdir()
        raise PermissionError(f"No disk of one's own can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a server that still has files open there must not keep the test from ending.
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def _running(server: Server) -> bool:
    try:
        with psycopg.connect(server.dsn("postgres"), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False
