"""What leaves the house: the wheel, the lock files, what a host is given, and how Airflow finds the package."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import economic
from economic.config.provider_info import get_provider_info
from tests.support.another_python import told

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    """The project's own files: those of git, or all when there is no git here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)], cwd=ROOT, check=True
    )
    (built,) = target.glob("*.whl")
    return zipfile.ZipFile(built)


def test_wheel_carries_package_sql_and_marks(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for path in (ROOT / "include" / "sql").rglob("*.sql"):
        assert f"economic/_sql/{path.relative_to(ROOT / 'include' / 'sql').as_posix()}" in names
    for path in (ROOT / "dags").glob("*.py"):
        assert f"economic/_dags/{path.name}" in names
    package = ROOT / "plugins" / "economic"
    files = [path for folder in ("templates", "static") for path in (package / "web" / folder).iterdir()]
    assert len(files) > 12
    for path in (*package.rglob("*.py"), *files):
        assert path.relative_to(ROOT / "plugins").as_posix() in names
    assert {"economic/py.typed", "economic/.airflowignore"} <= names
    assert {name.split("/")[0] for name in names} == {
        "economic",
        f"airflow_provider_economic-{economic.__version__}.dist-info",
    }


def test_the_wheel_is_announced_to_airflow(wheel: zipfile.ZipFile) -> None:
    points = wheel.read(
        f"airflow_provider_economic-{economic.__version__}.dist-info/entry_points.txt"
    ).decode()
    assert (
        "[apache_airflow_provider]\nprovider_info = economic.config.provider_info:get_provider_info" in points
    )
    assert "[airflow.plugins]\neconomic = economic.web.ui_plugin:EconomicPlugin" in points


UNPACKED = """
import json
from economic.db.sql import sql_folder
from economic.web.assets import page_files
print("@@" + json.dumps([str(sql_folder()), sorted(page_files())]))
"""


def test_unpacked_wheel_finds_its_sql_and_page(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    folder, page = told(UNPACKED, PYTHONPATH=str(tmp_path))
    assert folder == str(tmp_path / "economic" / "_sql")
    assert {"page.html", "page.js", "page.css", "chart.js"} <= set(page)


def test_the_package_name_is_the_distributions() -> None:
    """Airflow does not start when the two differ."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert get_provider_info()["package-name"] == project["name"]


def test_listing_providers_imports_next_to_nothing() -> None:
    """Airflow calls it at every start: neither Airflow nor a driver may be imported for it."""
    code = (
        "import sys, json; from economic.config.provider_info import get_provider_info;"
        " get_provider_info(); print('@@' + json.dumps(sorted(sys.modules)))"
    )
    loaded = {name.split(".")[0] for name in told(code)}
    assert not loaded & {"airflow", "psycopg", "requests", "pydantic", "croniter"}


LOADER = """
import json, sys
from airflow.plugins_manager import _get_plugins
plugins, errors = _get_plugins()
import economic.client.hook
print("@@" + json.dumps({
    "plugins": [p.name for p in plugins if p.name == "economic"],
    "errors": errors,
    "loose": [name for name in ("hook", "models", "errors", "store", "sync", "session") if name in sys.modules],
    "file": economic.client.hook.__file__,
}))
"""


def test_airflow_loads_a_mounted_plugin_once(tmp_path: Path) -> None:
    """Loads no file of the plugin as a module of its own, where it is installed and mounted."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "plugins" / "economic", tmp_path / "economic", ignore=ignore)
    found = told(LOADER, AIRFLOW__CORE__PLUGINS_FOLDER=str(tmp_path))
    assert (found["plugins"], found["errors"], found["loose"]) == (["economic"], {}, [])


def test_no_file_names_a_registry_or_machine() -> None:
    names = "pypi@.or#g pythonhost#ed npmjs@.co#m registry@.np#mjs deb@.deb#ian"
    unwanted = re.compile(
        names.translate(str.maketrans({"@": "\\", "#": "", " ": "|"}))
        + r"|(?<![\w.$}])/(?:work|root|home/\w+)/",
        re.IGNORECASE,
    )
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "ignore")
        assert not unwanted.search(text), f"{path.relative_to(ROOT)}: {unwanted.search(text)}"


def test_no_file_holds_half_a_merge() -> None:
    marker = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    for path in tracked():
        assert not marker.search(path.read_bytes().decode("utf-8", "ignore")), path.relative_to(ROOT)


@pytest.mark.parametrize("name", ["build", "container", "dev", "tools"])
def test_every_locked_package_has_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(entries) >= 1
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_example_settings_are_the_defaults() -> None:
    from economic.config.settings import Settings

    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert Settings.from_environment(
        {key: value.strip('"') for key, value in given.items()}
    ) == Settings.from_environment({})


TASK_PROCESS = """
import json, sys
import airflow.sdk.plugins_manager as manager
before = set(sys.modules)
plugins, errors = manager._get_plugins()
loaded = set(sys.modules) - before
print("@@" + json.dumps({
    "plugins": [each.name for each in plugins], "errors": errors,
    "own": sorted(name for name in loaded if name.split(".")[0] == "economic"),
    "all": sorted(loaded), "count": len(loaded),
}))
"""


def test_a_task_process_loads_little_for_the_plugin() -> None:
    """Saves seconds: every task process loads all plugins, and the page needs FastAPI."""
    found = told(TASK_PROCESS)
    assert (found["plugins"], found["errors"]) == (["economic"], {})
    assert "economic.web.ui_plugin" in found["own"]
    assert found["count"] < 5
    assert not {name.split(".")[0] for name in found["all"]} & {"fastapi", "starlette", "psycopg", "uvicorn"}


def test_chart_library_keeps_licence_and_names_no_map() -> None:
    static = ROOT / "plugins" / "economic" / "web" / "static"
    library = (static / "chart.js").read_text()
    assert "Chart.js v4.6.1" in library[:200]
    assert "Released under the MIT License" in library[:200]
    assert "sourceMappingURL" not in library
    assert "The MIT License" in (static / "chart.LICENSE.md").read_text()


def direct(name: str) -> set[str]:
    """Return the packages that a .in file asks for itself."""
    text = (ROOT / "requirements" / f"{name}.in").read_text()
    return set(re.findall(r"^([a-z][a-z0-9-]*)", text, re.MULTILINE))


def test_every_direct_dependency_is_accounted_for() -> None:
    document = (ROOT / "docs" / "dependencies.md").read_text()
    listed = set(re.findall(r"^\| `([a-z0-9-]+)(?:\[\w+\])?` \|", document, re.MULTILINE))
    wanted = set().union(*map(direct, ("build", "container", "dev", "runtime", "tools")))
    assert wanted == listed


def test_imported_declared_and_locked_packages_are_equal() -> None:
    """Airflow's distributions share one module; each of its parts is declared by itself."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {re.split(r"[\[><=]", line)[0] for line in needed}
    assert declared == direct("runtime")
    owners = packages_distributions()
    imported: set[str] = set()
    for file in (ROOT / "plugins/economic").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    for module in imported - set(sys.stdlib_module_names) - {"economic", "airflow"}:
        assert declared & set(owners[module]), module


# -- a host without containers -----------------------------------------------------------------------

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
    """Keeps LocalExecutor from serving the tasks' logs on every address."""
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
