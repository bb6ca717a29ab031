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
from dev import ROOT, inherited

DIST = ROOT / "dist"
UV = Path(sys.executable).with_name("uv")


def main() -> int:
    """Build and try; 0 when both work."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", DIST], cwd=ROOT, check=True)
    (wheel,), (archive,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    failures = complaints(wheel, archive)
    # Outside the checkout, so that nothing of it is found by accident.
    with tempfile.TemporaryDirectory(prefix="economic-dist-") as folder:
        environment = Path(folder) / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        install = (UV, "pip", "install", "-q", "--python", environment / "bin/python")
        locked = ("-r", "requirements/runtime.in", "-c", "requirements/dev.txt")
        subprocess.run([*install, *locked], cwd=ROOT, check=True)
        for product in (wheel, archive):
            subprocess.run([*install, "--no-deps", "--reinstall", product], check=True)
            print(f"== {product.name}", flush=True)
            if tried(environment, Path(folder) / product.suffix.strip(".")):
                failures.append(f"{product.name} does not work when installed")
    for failure in failures:
        print(f"FAILED  {failure}")
    print("2 passed, 0 failed" if not failures else f"{len(failures)} failed")
    return int(bool(failures))


def complaints(wheel: Path, archive: Path) -> list[str]:
    """Return what is wrong with names and contents: wrong version, no licence, files of this machine."""
    stem = f"airflow_provider_economic-{economic.__version__}"
    in_wheel = zipfile.ZipFile(wheel).namelist()
    with tarfile.open(archive) as tar:
        in_archive = [name.split("/", 1)[1] for name in tar.getnames() if "/" in name]
    schema = "include/sql/schema/0001_invoice_copy.sql"
    needed = ("LICENSE", "pyproject.toml", schema, "docker-compose.yaml", "run")
    wanted = {wheel.name: f"{stem}-py3-none-any.whl", archive.name: f"{stem}.tar.gz"}
    return [
        *(f"{name} should be {right}" for name, right in wanted.items() if name != right),
        *(["the wheel has no licence"] if not any(n.endswith("licenses/LICENSE") for n in in_wheel) else []),
        *(f"the source archive lacks {name}" for name in needed if name not in in_archive),
        *(
            f"{name} does not belong into an archive"
            for name in in_wheel + in_archive
            if name == ".env" or any(part in name for part in (".git/", ".venv/", "__pycache__", ".pyc"))
        ),
    ]


def tried(environment: Path, work: Path) -> int:
    """Run the smoke test in that environment, with an empty DAG folder."""
    (work / "somebodys_dags").mkdir(parents=True)
    variables = {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(work / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(work / "somebodys_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    script = shutil.copy(ROOT / "tests" / "support" / "wheel_smoke.py", work)
    command = [environment / "bin" / "python", script]
    return subprocess.run(
        command, cwd=work, env=inherited("AIRFLOW", "PYTHON", "ECONOMIC_") | variables
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
