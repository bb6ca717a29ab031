"""Builds the wheel and the source archive into `dist/`, and tries each in a clean environment, as someone who downloads it would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import economic
from dev import ROOT

DIST = ROOT / "dist"
UV = Path(sys.executable).with_name("uv")


def main() -> int:
    """Build and try; 0 when both do what they should."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", DIST], cwd=ROOT, check=True)
    (wheel,), (archive,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    failures = [*check_names(wheel, archive), *check_contents(wheel, archive)]
    # outside the checkout, so that nothing of it is found by accident
    with tempfile.TemporaryDirectory(prefix="economic-dist-") as folder:
        environment = Path(folder) / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        install: list[str | Path] = [UV, "pip", "install", "-q", "--python", environment / "bin" / "python"]
        subprocess.run(
            [*install, "-r", ROOT / "requirements/runtime.in", "-c", ROOT / "requirements/dev.txt"],
            check=True,
        )
        for product in (wheel, archive):
            subprocess.run([*install, "--no-deps", "--reinstall", product], check=True)
            print(f"== {product.name}", flush=True)
            if tried(environment, Path(folder) / product.suffix.strip(".")):
                failures.append(f"{product.name} does not work when installed")
    for failure in failures:
        print(f"FAILED  {failure}")
    print(f"{2 - len(failures)} passed, {len(failures)} failed" if failures else "2 passed, 0 failed")
    return int(bool(failures))


def check_names(wheel: Path, archive: Path) -> list[str]:
    """The version is the one in economic/__init__.py."""
    stem = f"airflow_provider_economic-{economic.__version__}"
    wanted = {wheel: f"{stem}-py3-none-any.whl", archive: f"{stem}.tar.gz"}
    return [f"{found.name} should be {name}" for found, name in wanted.items() if found.name != name]


def check_contents(wheel: Path, archive: Path) -> list[str]:
    """The licence travels along; nothing of this machine does."""
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = opened.namelist()
    with tarfile.open(archive) as tar:
        in_archive = [name.split("/", 1)[1] for name in tar.getnames() if "/" in name]
    failures = (
        [] if any(name.endswith("licenses/LICENSE") for name in in_wheel) else ["the wheel has no licence"]
    )
    needed = (
        "LICENSE",
        "pyproject.toml",
        "include/sql/schema/0001_invoice_copy.sql",
        "docker-compose.yaml",
        "run",
    )
    failures += [f"the source archive lacks {name}" for name in needed if name not in in_archive]
    unwanted = (".env", ".git/", ".venv/", "__pycache__", ".pyc")
    return failures + [
        f"{name} does not belong into what is given away"
        for name in in_wheel + in_archive
        if name == ".env" or any(part in name for part in unwanted[1:])
    ]


def tried(environment: Path, work: Path) -> int:
    """Run the smoke test in that environment, with a DAG folder that has nothing to do with this checkout."""
    (work / "somebodys_dags").mkdir(parents=True)
    for dag in (ROOT / "dags").glob("*.py"):
        shutil.copy(dag, work / "somebodys_dags")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AIRFLOW", "PYTHON", "ECONOMIC_"))
    }
    variables = {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(work / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(work / "somebodys_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    script = shutil.copy(ROOT / "tests" / "support" / "wheel_smoke.py", work)
    command = [environment / "bin" / "python", script]
    return subprocess.run(command, cwd=work, env=kept | variables).returncode


if __name__ == "__main__":
    sys.exit(main())
