"""The dbt project of docs/examples fits the copy: its sources exist, and the reader passes its tests.

dbt itself takes a minute to install; it is not needed to know that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from economic.db.sql import sql_folder
from tests.integration.conftest import Company

PROJECT = Path(__file__).parents[2] / "docs" / "examples" / "dbt"
SOURCES: list[dict[str, Any]] = yaml.safe_load((PROJECT / "models" / "sources.yml").read_text())["sources"]
TABLES = {table["name"]: table.get("columns", []) for source in SOURCES for table in source["tables"]}
QUERIES = sorted(PROJECT.rglob("*.sql"))


def test_sources_are_the_views_of_the_reader() -> None:
    granted = (sql_folder() / "grants" / "grant_reader.sql").read_text()
    (views,) = re.findall(r"grant select on\n(.*?)\nto economic_reader", granted, re.S)
    assert TABLES.keys() == set(re.findall(r"economic\.(\w+)", views))


def test_columns_of_the_sources_hold_what_they_promise(company: Company) -> None:
    company.sync()
    tested = 0
    for table, columns in TABLES.items():
        for column in columns:
            values = company.rows(f"select {column['name']} as value from economic.{table}")  # noqa: S608  # names of our own file
            for test in column["data_tests"]:
                tested += 1
                if test == "not_null":
                    assert all(row["value"] is not None for row in values), (table, column["name"])
                elif "accepted_values" in test:
                    accepted = test["accepted_values"]["arguments"]["values"]
                    assert {row["value"] for row in values} <= set(accepted), (table, column["name"])
    assert tested > 10


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.stem)
def test_queries_of_the_project_run(company: Company, query: Path) -> None:
    company.sync()
    rows = company.rows(re.sub(r"\{\{ source\('economic', '(\w+)'\) \}\}", r"economic.\1", query.read_text()))
    # The query of a test returns what is wrong; that of a model has rows here.
    assert bool(rows) == (query.parent.name == "models")
