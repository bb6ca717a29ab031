"""What the package says of itself to pip, to Airflow and to its registry of providers."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import jsonschema
import pytest
import yaml

import economic
from economic.config.provider_info import get_provider_info
from tests.support.another_python import told

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REGISTRY = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())


def test_provider_info_fits_the_installed_schema() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    # The schema lets unknown keys pass: a misspelt one would be ignored in silence.
    schema["additionalProperties"] = False
    jsonschema.validate(get_provider_info(), schema)


def test_provider_info_names_what_exists() -> None:
    info = get_provider_info()
    names = {integration["integration-name"] for integration in info["integrations"]}
    for hook in info["hooks"]:
        assert hook["integration-name"] in names
        assert [resolve_name(f"{module}:EconomicHook") for module in hook["python-modules"]]
    for connection in info["connection-types"]:
        hook_class = resolve_name(connection["hook-class-name"])
        assert hook_class.conn_type == connection["connection-type"]
        assert hook_class.hook_name == connection["hook-name"]


def test_connection_form_offers_every_extra_it_explains() -> None:
    (connection,) = get_provider_info()["connection-types"]
    for name, field in connection["conn-fields"].items():
        assert {"label", "description", "schema"} <= set(field), name
        jsonschema.Draft202012Validator.check_schema(field["schema"])
    assert set(connection["ui-field-behaviour"]) == {"hidden-fields", "relabeling", "placeholders"}


AT_ONCE = """
import json
from airflow.plugins_manager import _get_plugins
from airflow.providers_manager import ProvidersManager
plugins, errors = _get_plugins()
manager = ProvidersManager()
hook = manager.hooks["economic"]
forms = [key for key in manager.connection_form_widgets if "economic" in key]
print("@@" + json.dumps({
    "plugins": [plugin.name for plugin in plugins], "errors": errors,
    "hook": [hook.hook_class_name, hook.hook_name], "forms": forms,
}))
"""


@pytest.fixture(scope="module")
def at_once() -> dict[str, Any]:
    """Return what an Airflow knows that discovers its providers at once."""
    found: dict[str, Any] = told(AT_ONCE, AIRFLOW__CORE__LAZY_DISCOVER_PROVIDERS="False")
    return found


def test_page_is_registered_once(at_once: dict[str, Any]) -> None:
    """A plugin of a provider would be loaded as well, by such an Airflow."""
    assert (at_once["plugins"], at_once["errors"]) == (["economic"], {})


def test_airflow_knows_the_connection_type_and_its_form(at_once: dict[str, Any]) -> None:
    assert at_once["hook"] == ["economic.client.hook.EconomicHook", "Visma e-conomic"]
    assert any("app_secret_token" in key for key in at_once["forms"])


def test_registry_entry_describes_this_package() -> None:
    assert REGISTRY["package-name"] == PROJECT["name"]
    assert REGISTRY["display-name"] == get_provider_info()["name"]
    assert REGISTRY["description"] == PROJECT["description"]
    for entry in (*REGISTRY["hooks"], *REGISTRY["other"]):
        assert resolve_name(entry["module"])


def test_changelog_begins_with_this_version() -> None:
    sections = re.findall(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())
    assert sections[0] == economic.__version__


def requirements(lines: list[str]) -> list[str]:
    return [match[0] for line in lines if (match := re.match(r"[a-z][a-z0-9-]*", line))]


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.in")), ids=lambda path: path.stem)
def test_no_requirement_is_listed_twice(path: Path) -> None:
    counted = Counter(requirements(path.read_text().splitlines()))
    assert [name for name, count in counted.items() if count > 1] == []


def test_no_dependency_is_declared_twice() -> None:
    counted = Counter(requirements(PROJECT["dependencies"]))
    assert len(counted) > 10
    assert [name for name, count in counted.items() if count > 1] == []
