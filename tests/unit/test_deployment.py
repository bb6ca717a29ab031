"""What is handed to a host without containers, and the documents about it."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
LASTING = [unit for unit in UNITS if unit.name.startswith("airflow-")]


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    parser.read_string(unit.read_text())
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd to ask")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Checked with this environment's programs in the place of the host's: systemd looks whether they are there."""
    for unit in [*UNITS, *(ROOT / "deploy" / "systemd").glob("*.timer")]:
        text = unit.read_text().replace("/opt/airflow/bin/", f"{Path(sys.executable).parent}/")
        (tmp_path / unit.name).write_text(text)
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if str(tmp_path) in line]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_unit_has_no_rights_beyond_its_state(unit: Path) -> None:
    service = read(unit)["Service"]
    assert service["User"] == "airflow"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    assert service["EnvironmentFile"].startswith("/etc/airflow/")


@pytest.mark.parametrize("unit", LASTING, ids=lambda unit: str(unit.name))
def test_lasting_unit_restarts_and_lets_tasks_end(unit: Path) -> None:
    service = read(unit)["Service"]
    assert service["Restart"] == "always"
    assert service["KillMode"] == "mixed"  # the stop goes to Airflow, which ends its tasks itself


def test_the_scheduler_opens_no_port() -> None:
    """With LocalExecutor it would serve the tasks' logs on every address."""
    command = read(ROOT / "deploy" / "systemd" / "airflow-scheduler.service")["Service"]["ExecStart"]
    assert command.split()[1:] == ["scheduler", "--skip-serve-logs"]


def test_no_example_shows_a_password_in_an_argument() -> None:
    """Arguments are in the list of processes, for everybody on the host."""
    files = [*(ROOT / "deploy").rglob("*"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            text = file.read_text()
            assert not re.search(r"-m economic [^`\n]*--dsn [^`\n]|--password[ =]|PGPASSWORD=\S+ ", text), (
                file
            )


def test_example_environment_holds_no_secret() -> None:
    text = (ROOT / "deploy" / "systemd" / "environment.example").read_text()
    given = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    secret = {name: value for name, value in given.items() if re.search("KEY|SECRET|CONN", name)}
    assert len(secret) == 4
    assert all(re.search(r"<\w+>", value) for value in secret.values())


def test_own_host_and_containers_have_equal_users() -> None:
    setting = r"AIRFLOW__CORE__AUTH_MANAGER(?:=|: )(\S+)"
    (host,) = re.findall(setting, (ROOT / "deploy" / "systemd" / "environment.example").read_text())
    (containers,) = re.findall(setting, (ROOT / "docker-compose.yaml").read_text())
    assert host == containers
    document = (ROOT / "docs" / "install.md").read_text()
    assert "/opt/airflow/bin/airflow users create --role Admin" in document
    (lock,) = re.findall(r"/opt/airflow/bin/pip install .*-r (\S+)", document)
    assert re.search(r"^apache-airflow-providers-fab==", (ROOT / lock).read_text(), re.MULTILINE)
