"""What leaves the house: the wheel, the lock files, the documents, and how Airflow finds the package."""

from __future__ import annotations

import ast
import json
import os
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


def test_the_wheel_carries_the_package_its_sql_and_its_marks(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for path in (ROOT / "include" / "sql").rglob("*.sql"):
        assert f"economic/_sql/{path.relative_to(ROOT / 'include' / 'sql').as_posix()}" in names
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


def test_the_installed_wheel_finds_its_sql(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    printed = subprocess.run(
        [sys.executable, "-m", "economic", "migrate", "--print"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "create table economic.invoice" in printed.stdout


def test_the_package_name_is_the_distributions() -> None:
    """Airflow does not start when the two differ."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert get_provider_info()["package-name"] == project["name"]


def test_listing_providers_imports_next_to_nothing() -> None:
    """Airflow calls it at every start: neither Airflow nor a driver may be imported for it."""
    code = "import sys, json; from economic.config.provider_info import get_provider_info; get_provider_info(); print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = {name.split(".")[0] for name in json.loads(printed)}
    assert not loaded & {"airflow", "psycopg", "requests", "pydantic", "croniter"}


def test_airflow_knows_the_connection_type_and_shows_the_tokens_as_dots() -> None:
    code = """
import json
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
hook = manager.hooks["economic"]
forms = {key: str(value.schema if hasattr(value, "schema") else value) for key, value in manager.connection_form_widgets.items() if "economic" in key}
print("@@" + json.dumps([hook.hook_class_name, hook.hook_name, forms]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "@@" in done.stdout, done.stderr[-2000:]
    class_name, hook_name, forms = json.loads(done.stdout.split("@@")[1])
    assert (class_name, hook_name) == ("economic.client.hook.EconomicHook", "Visma e-conomic")
    assert any("app_secret_token" in key for key in forms)


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


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted as well", "installed only"])
def test_airflow_loads_the_plugin_exactly_once_and_no_file_as_a_loose_module(
    mounted: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    if mounted:
        shutil.copytree(
            ROOT / "plugins" / "economic", folder / "economic", ignore=shutil.ignore_patterns("__pycache__")
        )
    environment = os.environ | {"AIRFLOW__CORE__PLUGINS_FOLDER": str(folder)}
    done = subprocess.run([sys.executable, "-c", LOADER], env=environment, capture_output=True, text=True)
    assert "@@" in done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout.split("@@")[1])
    assert found["plugins"] == ["economic"]
    assert found["errors"] == {}
    assert found["loose"] == []


def test_no_file_names_a_registry_or_a_place_on_somebodys_machine() -> None:
    names = [
        r"pypi\.o" + "rg",
        "pythonhost" + "ed",
        r"npmjs\." + "com",
        r"registry\.np" + "mjs",
        r"deb\.deb" + "ian",
    ]
    unwanted = re.compile("|".join(names) + r"|(?<![\w.$}])/(?:work|root|home/\w+)/", re.IGNORECASE)
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "ignore")
        assert not unwanted.search(text), f"{path.relative_to(ROOT)}: {unwanted.search(text)}"


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


def test_the_installed_wheel_has_a_page_that_can_be_made(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = "from economic.web.assets import page_files; print(sorted(page_files()))"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("page.html", "page.js", "page.css", "chart.js"):
        assert f"'{name}'" in printed


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


def test_a_task_process_loads_next_to_nothing_because_of_the_plugin() -> None:
    """Every task process loads all plugins; the page, and FastAPI for it, take seconds."""
    done = subprocess.run([sys.executable, "-c", TASK_PROCESS], capture_output=True, text=True)
    assert "@@" in done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout.split("@@")[1])
    assert "economic" in found["plugins"]
    assert found["errors"] == {}
    assert "economic.web.ui_plugin" in found["own"]
    assert found["count"] < 5
    assert not {name.split(".")[0] for name in found["all"]} & {"fastapi", "starlette", "psycopg", "uvicorn"}


def test_the_chart_library_keeps_its_licence_and_points_at_no_map() -> None:
    static = ROOT / "plugins" / "economic" / "web" / "static"
    library = (static / "chart.js").read_text()
    assert "Chart.js v4.6.1" in library[:200]
    assert "Released under the MIT License" in library[:200]
    assert "sourceMappingURL" not in library
    assert "The MIT License" in (static / "chart.LICENSE.md").read_text()


def test_everything_the_package_imports_is_declared() -> None:
    """Airflow's distributions share one module; each of its parts is declared by itself."""
    declared = {
        re.split(r"[\[><=]", needed)[0]
        for needed in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    locked = (ROOT / "requirements/runtime.in").read_text()
    owners = packages_distributions()
    imported = {
        name.split(".")[0]
        for file in (ROOT / "plugins/economic").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    for module in imported - set(sys.stdlib_module_names) - {"economic", "airflow"}:
        assert declared & set(owners[module]), module
    assert not [name for name in declared if name not in locked]
