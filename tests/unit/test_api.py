"""docs/api.md names exactly what is stable: nothing that is gone, nothing that is missing."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from pkgutil import resolve_name

from economic.cli.commands import parser
from economic.client.hook import _KNOWN_EXTRAS, EconomicHook
from economic.db.sql import sql_folder
from economic.sync.request import KNOWN_CONF

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "economic"
SECTIONS = {
    section.split("\n", 1)[0]: section for section in (ROOT / "docs" / "api.md").read_text().split("\n## ")
}


def named(section: str) -> set[str]:
    """Return everything that a section shows as code."""
    return set(re.findall(r"`([^`\n]+)`", SECTIONS[section]))


def exported() -> set[str]:
    """Return the full names in every `__all__` of the package."""
    names: set[str] = set()
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "plugin.py"}:
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names |= {f"{module}.{name}" for name in ast.literal_eval(node.value)}
    return names


def test_documented_python_names_are_exported_ones() -> None:
    documented = set(re.findall(r"(?m)^\| `(economic\.[\w.]+)` \|", SECTIONS["Python"]))
    assert documented == exported() | {"economic.errors"}
    assert all(resolve_name(name) is not None for name in documented)


def test_documented_methods_are_the_hooks_own() -> None:
    """Airflow calls what is inherited; `get_conn` and `check_response` replace parts of it."""
    own = {name for name in vars(EconomicHook) if not name.startswith("_")}
    attributes = {name for name, value in vars(EconomicHook).items() if isinstance(value, str)}
    documented = {re.split(r"\W", name)[0] for name in re.findall(r"(?m)^\| `([^`]+)`", methods())}
    assert documented - {"EconomicHook"} == own - attributes - {"get_conn", "check_response"}


def methods() -> str:
    return SECTIONS["Python"].split("| `EconomicHook` | returns |")[1]


def test_documented_signatures_are_the_real_ones() -> None:
    for name, arguments in re.findall(r"(?m)^\| `(\w+)\((.*?)\)` \|", methods()):
        function = EconomicHook if name == "EconomicHook" else getattr(EconomicHook, name)
        parameters = list(inspect.signature(function).parameters.values())
        real = inspect.Signature(
            [each.replace(annotation=inspect.Parameter.empty) for each in parameters if each.name != "self"]
        )
        assert f"({arguments})".replace('"', "'") == str(real), name


def test_documented_dags_and_tasks_are_the_real_ones() -> None:
    named_tasks = {name for name in named("DAGs") if re.fullmatch(r"[a-z]+(-[a-z]+)+", name)}
    files = {path.stem: path.read_text() for path in (ROOT / "dags").glob("*.py")}
    source = "".join(files.values())
    assert named_tasks == set(re.findall(r'task_id="([\w-]+)"', source)) | {"quick-sync"}
    assert {name for name, text in files.items() if "dag_id=" in text} <= named("DAGs")
    assert named("DAGs") >= KNOWN_CONF | {"economic_invoices"}


def test_documented_views_are_those_readers_see() -> None:
    grants = (sql_folder() / "grants" / "grant_reader.sql").read_text()
    granted = re.split(r"\ngrant (?:select on|execute on function)\n", grants)[1:]
    readable = set(re.findall(r"economic\.(\w+)", "".join(granted)))
    assert len(readable) > 15
    assert {name for name in named("Database") if re.fullmatch(r"\w+", name)} - {
        "economic",
        "economic_reader",
    } == readable


def test_documented_extras_and_commands_are_the_real_ones() -> None:
    names = named("Settings, connection, commands")
    (commands,) = (action for action in parser()._actions if action.choices)
    assert _KNOWN_EXTRAS | set(commands.choices or ()) <= names
    roles = {path.stem.replace("grant", "economic") for path in (sql_folder() / "grants").glob("*.sql")}
    assert {name for name in names if name.startswith("economic_")} == roles
