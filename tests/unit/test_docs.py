"""The documents match the product: what a user can set, meet or type is in them."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from dev.verbs import VERBS
from economic import errors
from economic.cli.commands import parser
from economic.db.sql import sql_folder
from economic.sync.request import KNOWN_CONF
from economic.telemetry import metrics
from economic.web.problems import PROBLEMS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "tests" / "faults" / "README.md"]
)
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
README = (ROOT / "README.md").read_text()
SQL_FILES = sorted(sql_folder().rglob("*.sql"))


def settings() -> set[str]:
    """Return every environment variable that the package reads."""
    found: set[str] = set()
    for module in (ROOT / "plugins" / "economic").rglob("*.py"):
        found |= set(re.findall(r'"((?:ECONOMIC|AUTO_SYNC)_[A-Z_]+)"', module.read_text()))
    return found


def test_every_setting_is_in_readme_and_example() -> None:
    assert len(settings()) > 10
    example = (ROOT / ".env.example").read_text()
    for name in settings() - {"ECONOMIC_DSN"}:
        assert f"`{name}`" in README, name
        assert re.search(rf"(?m)^#? ?{name}=", example), name
    assert set(re.findall(r"(?m)^#? ?((?:ECONOMIC|AUTO_SYNC)_[A-Z_]+)=", example)) <= settings()


def leaves(kind: type[errors.EconomicError]) -> list[type[errors.EconomicError]]:
    below = kind.__subclasses__()
    return [kind] if not below else [leaf for one in below for leaf in leaves(one)]


def test_every_error_has_a_row() -> None:
    known = leaves(errors.EconomicError)
    assert len(known) > 12
    for error in known:
        assert f"`{error.__name__}`" in OPERATIONS, error.__name__
        assert error.__name__ in (errors.__doc__ or "")


def test_every_documented_message_exists() -> None:
    source = "\n".join(
        path.read_text()
        for folder, pattern in (("plugins", "*.py"), ("plugins", "*.js"), ("dags", "*.py"))
        for path in (ROOT / folder).rglob(pattern)
    )
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    tables = OPERATIONS[OPERATIONS.index("## What to do") : OPERATIONS.index("## It does not run")]
    messages = [
        message for row in re.findall(r"(?m)^\| (.*?) \| ", tables) for message in re.findall("`(.+?)`", row)
    ]
    assert len(messages) > 60
    for message in messages:
        # Names and numbers differ: the longest literal piece has to be in the source.
        piece = max(re.split(r"\.\.\.|\b[NMP]\b|\d+|[:/]", message), key=len).strip(" .")
        assert piece in source, message


def test_every_status_of_a_sync_is_explained() -> None:
    schema = (sql_folder() / "schema" / "0001_invoice_copy.sql").read_text()
    statuses = re.findall(r"status in \(([^)]+)\)", schema)[0]
    names = re.findall(r"'(\w+)'", statuses)
    assert len(names) == 7
    for name in names:
        assert f"| `{name}` |" in OPERATIONS


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_every_statement_says_what_it_does_and_takes(path: Path) -> None:
    text = path.read_text()
    header = re.match(r"(?:--.*\n)+", text)
    assert header is not None
    assert all(len(line) <= 100 for line in text.splitlines() if line.lstrip().startswith("--"))
    said = re.sub(r"\n--", "", header[0])
    for parameter in set(re.findall(r"%\((\w+)\)s", text)):
        assert re.search(rf"Parameters:.*\b{parameter}\b", said), parameter
    body = text[header.end() :].strip()
    own = not re.match(r"\d{4}_|grant_", path.name)
    if own and re.match("select|with", body) and "set_config" not in body:
        assert "Returns:" in said


def test_every_verb_and_option_of_run_is_explained() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    for name, verb in VERBS.items():
        assert f"`./run {name}" in contributing, name
        for option in verb.options:
            assert f"`./run {name} {option}" in contributing, option


def test_no_document_names_an_unknown_verb() -> None:
    for document in (*DOCUMENTS, ROOT / ".github/workflows/ci.yml", ROOT / "docker-compose.yaml"):
        named = re.findall(
            r"(?:`|^|run: )(?:make|(?:python3 |\./)run) ([a-z][a-z-]*)(?: ([a-z-]+)\b)?",
            document.read_text(),
            re.M,
        )
        for name, word in named:
            assert name in VERBS, (document.name, name)
            assert not VERBS[name].options or word == "" or word in VERBS[name].options, (
                document.name,
                name,
                word,
            )


def test_make_takes_every_verb_and_its_words() -> None:
    for command in (
        ["make", "clean", "ARGS=--nosuch"],
        ["make", "dist", "ARGS=--nosuch"],
        ["make", "nosuch"],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode != 0
        assert "'--nosuch' is not known here" in done.stderr or "'nosuch' is not a verb" in done.stderr
    assert "\n  demo " in subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout


def test_every_command_and_its_options_are_documented() -> None:
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        assert f"python -m economic {name}" in text, name
        for option in command._option_string_actions:
            if option not in {"-h", "--help"}:
                assert option in text, f"{name} {option}"


def test_every_conf_key_is_in_readme() -> None:
    for key in KNOWN_CONF:
        assert f'"{key}"' in README


def prose(text: str) -> list[str]:
    """Return the lines outside code blocks and tables."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", text)
    return [line for line in text.splitlines() if not line.lstrip().startswith("|")]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    headings = [line.lstrip("# ") for line in prose(document.read_text()) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_and_anchors_lead_somewhere(document: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", document.read_text()):
        if "://" not in link:
            target = document.parent / link if link else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_prose_is_wrapped_at_100_columns(document: Path) -> None:
    long = [line for line in prose(document.read_text()) if len(line) > 100]
    # The address of a link cannot be broken.
    assert [line for line in long if len(re.sub(r"\]\(\S+\)", "]()", line)) > 100] == []


def test_readme_has_fewer_than_150_lines() -> None:
    assert len(README.splitlines()) < 150


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    todo = [ROOT / "README.md"]
    while todo:
        document = todo.pop()
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
            target = (document.parent / link).resolve()
            new = sorted(target.glob("*.md")) if target.is_dir() else [target]
            for one in new:
                if one.suffix == ".md" and one.exists() and one not in reached:
                    reached.add(one)
                    todo.append(one)
    assert set(DOCUMENTS) <= reached


def test_every_problem_of_the_page_is_explained() -> None:
    assert len(PROBLEMS) > 9
    for text, _ in PROBLEMS.values():
        assert re.split(r"[.:]", text)[0] in OPERATIONS, text
    static = ROOT / "plugins" / "economic" / "web" / "static"
    words = "".join((static / name).read_text() for name in ("words.js", "line_words.js"))
    short = re.findall(r'add\("(?:bad|warn)", "([^"]+)"', words)
    assert len(short) > 11
    for text in set(short) - {"Look at it"}:
        assert f"*{text}*" in OPERATIONS, text


def test_every_picture_can_be_taken_again() -> None:
    taken = set(re.findall(r'"([a-z-]+)"', (ROOT / "tests" / "web" / "browser" / "pictures.py").read_text()))
    for picture in (ROOT / "docs" / "pictures").glob("*.png"):
        assert picture.stem in taken | {
            f"{name}-{theme}" for name in ("page", "narrow") for theme in ("light", "dark")
        }
    assert "](docs/pictures/page-light.png)" in README[:500]


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def modules() -> dict[str, str]:
    """Return the source of every module of the package, by its dotted name."""
    package = ROOT / "plugins" / "economic"
    return {
        ".".join(path.relative_to(package).with_suffix("").parts): path.read_text()
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }


def test_architecture_names_every_module() -> None:
    (table,) = re.findall(r"\| module \| does \|\n(.*?)\n\n", ARCHITECTURE, re.S)
    named = re.findall(r"(?m)^\| `([\w.]+)` \|", table)
    assert sorted(named) == sorted(modules())


def test_architecture_shows_the_enforced_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    shown = " ".join(ARCHITECTURE.split())
    for contract in contracts:
        if contract["type"] == "layers":
            name = contract["containers"][0].removeprefix("economic.")
            assert f"{name} {' > '.join(contract['layers'])}" in shown


def test_architecture_names_the_modules_that_import_airflow() -> None:
    (listed,) = re.findall(r"Airflow is imported only in (.*?) and `dags/`", ARCHITECTURE, re.S)
    importing = {
        name for name, text in modules().items() if re.search(r"(?m)^\s*(from|import) airflow\b", text)
    }
    assert set(re.findall(r"`([\w.]+)`", listed)) == importing


def test_architecture_sends_lines_to_existing_places() -> None:
    (table,) = re.findall(r"\| I am writing \|.*?\n\n", ARCHITECTURE, re.S)
    places = re.findall(r"`([\w./]+(?:\.\w+|/))`", table)
    assert len(places) > 30
    for place in places:
        roots = [ROOT, ROOT / "plugins" / "economic", ROOT / "docs", *(ROOT / "include" / "sql").iterdir()]
        assert any((root / place).exists() for root in roots), place


def test_architecture_names_every_statement_with_the_columns() -> None:
    (row,) = re.findall(r"(?m)^\| a new column of an invoice \|.*$", ARCHITECTURE)
    statements = {path.name for path in SQL_FILES if "rounding_amount" in path.read_text()}
    assert set(re.findall(r"`(\w+\.sql)`", row)) == statements - {"0001_invoice_copy.sql"}


def test_every_metric_is_documented_and_on_the_board() -> None:
    outcomes = {"completed", "completed_with_errors", "skipped", "failed"}
    sent = {f"runs.{name}" for name in outcomes} | {f"invoices.{name}" for name in metrics.INVOICES}
    sent |= {f"duration.{name}" for name in (*metrics.PHASES.values(), "total")}
    sent |= {"copy.synced_at", "copy.age", "rejections.open", "requests", "retries", "rate_limited"}
    sent |= {"budget.used", "lines.read"} | {f"lines.{name}" for name in metrics.LINES}
    text = (ROOT / "docs/metrics.md").read_text()
    assert set(re.findall(r"`economic\.([a-z_.]+)`", text)) == sent
    board = json.loads((ROOT / "docs/grafana/economic.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    patterns = re.findall(r'__name__=~"([^"]+)"', asked)
    shown = {
        name
        for name in sent
        if any(re.fullmatch(one, f"airflow_economic_{name.replace('.', '_')}") for one in patterns)
    }
    # Most invoices are unchanged, the age is counted from synced_at, and lines are read once.
    assert sent - shown == {"invoices.unchanged", "copy.age", "lines.read"}
