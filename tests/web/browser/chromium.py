"""A Chromium for the tests in a browser and for the pictures: the one that is named, or installed, or that apt can give."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # root has no sandbox, and everything it is shown comes from this machine
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # no way out of this machine
)


class NoChromium(RuntimeError):
    """There is none; the message says what was tried."""


def chromium() -> str:
    """Its path: of the variable CHROMIUM, of PATH, else of what apt installs, when this is root on a machine with apt.

    :raises NoChromium: there is none, and none could be installed.
    """
    named = os.environ.get("CHROMIUM", "").strip()
    if named:
        if not Path(named).exists():
            raise NoChromium(f"CHROMIUM names {named}, which does not exist.")
        return named
    found = _on_path()
    if found is None and os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _on_path()
    if found is None:
        raise NoChromium(
            f"No Chromium: the variable CHROMIUM is not set, and PATH has none of {', '.join(NAMES)}."
        )
    return found


def _on_path() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def _install() -> None:
    print("Installing Chromium from apt (a minute or two) ...", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise NoChromium(f"apt-get {words[0]} failed: {done.stderr.strip()[-500:]}")
