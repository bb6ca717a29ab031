"""The environment `.venv`, and programs that run in it. Standard library only: it works before there is one."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from dev import ROOT, inherited

VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
_STAMP = VENV / "installed"
_LOCK = ROOT / "requirements" / "dev.txt"
_FOREIGN = re.compile(r"[\"$`\\\n:%]")
"""What a shell, the list of folders in PATH, or the configuration of Alembic reads as its own in the name of a folder."""
_UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
"""Settings of pip, and what uv calls them."""


def environment() -> dict[str, str]:
    """Return the caller's environment without what changes Airflow or Python."""
    kept = inherited("AIRFLOW", "PYTHON", "VIRTUAL_ENV", "AUTO_SYNC_")
    kept["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    kept["PYTHONUNBUFFERED"] = "1"
    # Airflow makes this folder and a configuration in it as soon as it is imported.
    kept["AIRFLOW_HOME"] = str(ROOT / ".airflow")
    kept["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    return kept


def program(name: str | Path) -> str:
    """Return the path of a program.

    :raises SystemExit: there is none.
    """
    path = shutil.which(str(name), path=environment()["PATH"])
    if path is None:
        raise SystemExit(f"{name} was not found in {BIN}; run ./run clean and try again.")
    return path


def start(
    *command: str | Path, output: IO[bytes] | None = None, settings: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in the project's folder."""
    words = [program(command[0]), *(str(word) for word in command[1:])]
    stderr = None if output is None else subprocess.STDOUT
    return subprocess.Popen(
        words, cwd=ROOT, env=environment() | dict(settings or {}), stdout=output, stderr=stderr
    )


@contextmanager
def passing_on(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass on signals to stop, and wait for the children, which stop what they have started."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        # The terminal has sent Ctrl-C to the children as well.
        if number != signal.SIGINT:
            for child in children:
                child.send_signal(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    yield asked
    for child in children:
        child.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    if asked:
        raise SystemExit(128 + asked[0])


def call(
    *command: str | Path, output: IO[bytes] | None = None, settings: Mapping[str, str] | None = None
) -> int:
    """Run a program to its end, also when this one is asked to stop."""
    child = start(*command, output=output, settings=settings)
    with passing_on([child]):
        return child.wait()


def hand_over(*command: str | Path) -> int:
    """Become a program that runs until its user ends it, so that every signal is its own."""
    words = [str(word) for word in command]
    if os.name == "nt":
        return call(*words)
    settings = {key: value for key, value in os.environ.items() if key.startswith("AUTO_SYNC_")}
    os.chdir(ROOT)
    return os.execve(program(words[0]), words, environment() | settings)  # noqa: S606  # never returns


def install() -> int:
    """Make .venv as the lock says; one that was made so already is left alone, a half-made one is made again.

    :raises SystemExit: it could not be made.
    """
    if _STAMP.exists() and _STAMP.read_text() == _fingerprint():
        return 0
    if found := _FOREIGN.search(str(ROOT)):
        raise SystemExit(
            f"The folder {ROOT} has a character in its name that programs misread ({found[0]!r}): move or rename it."
        )
    began = time.monotonic()
    print(
        f"Making the environment in {VENV.name} (needs the network and 1 GB of disk; about a minute) ...",
        flush=True,
    )
    shutil.rmtree(VENV, ignore_errors=True)
    # Where .venv itself is active, its Python has just been deleted.
    python = getattr(sys, "_base_executable", sys.executable)
    if subprocess.run([python, "-m", "venv", str(VENV)], cwd=ROOT).returncode:
        raise SystemExit(
            "Python could not make a virtual environment. On Debian and Ubuntu install its parts: "
            "apt install python3-venv python3-pip"
        )
    with tempfile.TemporaryFile() as output:
        if not (_install_with_uv(output) or _install_with_pip(output)):
            output.seek(0)
            end = output.read().decode(errors="replace").splitlines()[-4:]
            raise SystemExit(
                "\n".join(end) + "\n\nThe packages could not be installed: see the lines above. "
                "The first set-up needs the network, or a mirror in pip's or uv's own settings (PIP_INDEX_URL, UV_DEFAULT_INDEX)."
            )
    _STAMP.write_text(_fingerprint())
    print(f"The environment is ready ({time.monotonic() - began:.0f} s).", flush=True)
    return 0


def _install_with_uv(output: IO[bytes]) -> bool:
    (alone,) = re.findall(r"^uv==.*(?:\n    --hash.*)+", _LOCK.read_text(), re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock_of_uv:
        lock_of_uv.write(alone)
        lock_of_uv.flush()
        pip = ("python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock_of_uv.name)
        if call(*pip, output=output):
            return False
    # By name: the user's settings may point uv to another Python.
    uv = ("uv", "pip", "install", "-q", "--python", BIN / "python")
    everything = ("--compile-bytecode", "--require-hashes", "-r", _LOCK)
    project = ("--no-deps", "--no-build-isolation", "-e", ".")
    settings = uv_settings()
    return all(call(*uv, *words, output=output, settings=settings) == 0 for words in (everything, project))


def _install_with_pip(output: IO[bytes]) -> bool:
    print("uv could not install the packages; trying pip, which takes longer ...", flush=True)
    output.truncate(0)
    # The lock is complete. With dependencies, pip rejects an extra that the lock pins without it.
    pip = ("python", "-m", "pip", "install", "-q", "--no-deps")
    everything, project = ("--require-hashes", "-r", _LOCK), ("--no-build-isolation", "-e", ".")
    return all(call(*pip, *words, output=output) == 0 for words in (everything, project))


def uv_settings() -> dict[str, str]:
    """Return pip's settings under uv's names; what is set for uv itself wins."""
    listed = subprocess.run(
        [BIN / "python", "-m", "pip", "config", "list"], env=environment(), capture_output=True, text=True
    ).stdout.splitlines()
    settings = {
        # The operating system's certificates, as pip: a proxy that opens TLS is known there.
        "UV_NATIVE_TLS": "1",
        # All indexes count, as for pip; the lock's hashes keep a wrong package out.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    # pip's order: environment variables come last, since they win.
    for line in sorted(listed, key=lambda text: text.startswith(":env:")):
        name, _, value = line.partition("=")
        if uv_name := _UV_NAMES.get(name.rpartition(".")[2]):
            words = str(ast.literal_eval(value)).split()
            settings[uv_name] = ("," if uv_name == "UV_FIND_LINKS" else " ").join(words)
    return {name: value for name, value in settings.items() if name not in os.environ}


def _fingerprint() -> str:
    parts = [_LOCK, ROOT / "pyproject.toml"]
    text = b"".join(part.read_bytes() for part in parts) + f"{sys.version}{VENV}".encode()
    return hashlib.sha256(text).hexdigest()


def lock() -> int:
    """Resolve the .in files anew; the locks carry hashes and name no registry."""
    install()
    compile_ = ("uv", "pip", "compile", "-q", "--no-header", "--no-emit-index-url", "--universal")
    options = ("--python-version", "3.11", "--generate-hashes")
    code = 0
    # The others are parts of the first, or apart: what is tested and what is shipped have the same versions.
    as_dev = ("-c", "requirements/dev.txt")
    for name, more in (("dev", ()), ("container", as_dev), ("build", as_dev), ("tools", ())):
        source, target = f"requirements/{name}.in", f"requirements/{name}.txt"
        code = code or call(*compile_, "--upgrade", *options, *more, source, "-o", target)
    return code
