"""The environment that the container image has too: its lock, and the package as a wheel. In `.scale`, for nothing else here needs Celery."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".scale"
PYTHON = HOME / "bin" / "python"
AIRFLOW = HOME / "bin" / "airflow"
_LOCK = ROOT / "requirements" / "container.txt"
_UV = Path(sys.executable).with_name("uv")


def install() -> None:
    """Make the environment as the lock says, unless it is so already, and put the package as it is now into it.

    :raises subprocess.CalledProcessError: something could not be installed.
    """
    stamp = HOME / "installed"
    wanted = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", HOME], check=True)
        _uv(
            "pip",
            "install",
            "--python",
            PYTHON,
            "--compile-bytecode",
            "--no-deps",
            "--require-hashes",
            "-r",
            _LOCK,
        )
        stamp.write_text(wanted)
    with tempfile.TemporaryDirectory(prefix="economic-wheel-") as folder:
        _uv("build", "--wheel", "--no-build-isolation", "-o", folder, ROOT)
        (wheel,) = Path(folder).glob("*.whl")
        _uv("pip", "install", "--python", PYTHON, "--compile-bytecode", "--no-deps", "--reinstall", wheel)


def _uv(*words: str | Path) -> None:
    subprocess.run([_UV, *words, "-q"], cwd=ROOT, check=True)
