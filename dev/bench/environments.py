"""Environments of their own for programs that are only measured: made once, under `.peers/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment_for(name: str, requirements: Path, python: str = sys.executable) -> Path:
    """The Python of an environment with these packages in it, made if there is none.

    :raises subprocess.CalledProcessError: they cannot be installed.
    """
    folder = ROOT / ".peers" / name
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return inside
    free = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True, env=free)
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(requirements)]
    subprocess.run([inside, *install], check=True, env=free, timeout=900)
    stamp.write_text(requirements.read_text())
    return inside


def python_for_airbyte() -> str | None:
    """A Python on which Airbyte's connector can be imported (its kit is older than 3.11): PEER_PYTHON, or what is found."""
    named = [os.environ.get("PEER_PYTHON"), shutil.which("python3.10"), shutil.which("python3.9")]
    kept = sorted(Path.home().glob(".pyenv/versions/3.10*/bin/python3.10"))
    check = "import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 10))"
    for candidate in filter(None, [*named, *map(str, kept)]):
        if subprocess.run([candidate, "-c", check], check=False, capture_output=True).returncode == 0:
            return candidate
    return None
