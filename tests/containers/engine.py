"""A Docker engine of our own: a private socket, a private data folder, no bridge, no firewall rules. Needs root; takes Debian's docker.io.

An engine that already runs on this machine is neither used nor touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("ECONOMIC_COMPOSE_CACHE", "/var/tmp/economic-compose-test"))  # noqa: S108  # images are worth keeping
PACKAGES = ("docker.io", "debootstrap")
_START_SECONDS = 60.0


class EngineFailed(RuntimeError):
    """A command of the engine's ended badly; the message holds what it said."""


@dataclass(frozen=True)
class Engine:
    """The running engine."""

    socket: Path

    @property
    def environment(self) -> dict[str, str]:
        """For every client: this engine and no other."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "COMPOSE_"))
        }
        # the classic builder: it builds on the host's network without a plugin
        return kept | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0"}

    def docker(self, *words: str | Path, stdin: str | None = None, timeout: float = 1800.0) -> str:
        """Run a docker command; its standard output."""
        return output("docker", *words, environment=self.environment, stdin=stdin, timeout=timeout)


def output(
    *words: str | Path,
    environment: dict[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 1800.0,
    cwd: Path | None = None,
) -> str:
    """Run a command; its standard output.

    :raises EngineFailed: it ended badly, or took too long.
    """
    said = [str(word) for word in words]
    try:
        done = subprocess.run(
            said, env=environment, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=cwd
        )
    except subprocess.TimeoutExpired as error:
        raise EngineFailed(f"{' '.join(said)[:200]} took longer than {timeout:.0f} s.") from error
    if done.returncode:
        raise EngineFailed(
            f"{' '.join(said)[:200]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
        )
    return done.stdout


def install_packages() -> None:
    """Make sure that the engine's programs are there, by Debian's package manager; it starts no service."""
    if os.geteuid() != 0:
        raise EngineFailed("An engine of our own needs root.")
    if shutil.which("dockerd") and shutil.which("debootstrap"):
        return
    if shutil.which("apt-get") is None:
        raise EngineFailed("dockerd and debootstrap are not here, and neither is apt-get to install them.")
    # The packages' own start-up is told that the machine is booting, which keeps it from starting a service.
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    output("apt-get", "update", "-q", environment=quiet)
    output("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES, environment=quiet)


@contextmanager
def running() -> Iterator[Engine]:
    """Start the engine, stop it at the end by its own process id."""
    install_packages()
    home = CACHE / "engine"
    run = Path("/run") / f"economic-compose-{os.getpid()}"
    run.mkdir(mode=0o700)
    home.mkdir(parents=True, exist_ok=True)
    engine = Engine(run / "docker.sock")
    with (run / "log").open("w") as log:
        daemon = subprocess.Popen(
            [
                *("dockerd", "--host", f"unix://{engine.socket}", "--data-root", str(home)),
                *("--exec-root", str(run / "exec"), "--pidfile", str(run / "pid")),
                *("--bridge", "none", "--iptables=false", "--ip-forward=false"),
            ],
            stdout=log,
            stderr=log,
        )
        try:
            _await(engine, daemon, run / "log")
            engine.docker("container", "prune", "--force")
            yield engine
        finally:
            daemon.terminate()
            try:
                daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
            _unmount(run, home)
            shutil.rmtree(run)


def _unmount(*folders: Path) -> None:
    """Undo the mounts that the engine leaves behind."""
    mounts = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if any(mount.is_relative_to(folder) for folder in folders):
            output("umount", mount)


def _await(engine: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and daemon.poll() is None:
        try:
            engine.docker("info", timeout=10)
        except EngineFailed:
            time.sleep(0.3)
        else:
            return
    raise EngineFailed(f"dockerd did not start:\n{log.read_text(errors='replace')[-3000:]}")
