"""`./run demo --history`, in miniature: the copy knows what the books owed on each of its days."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from dev.local import copies, embedded_postgres
from simulator.companies import Company
from simulator.ledger import Ledger
from simulator.mover import Mover
from simulator.running import AGREEMENT, AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, COMPANY
from tests.support.demo_environment import demo_environment

ROOT = Path(__file__).resolve().parents[3]
INVOICES, DAYS = 1500, 10


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="economic-history-"))
    folder.chmod(0o755)  # PostgreSQL may have to run as another user
    yield folder
    shutil.rmtree(folder)


def run(home: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    said = [sys.executable, "-m", module, *words]
    return subprocess.run(said, cwd=ROOT, env=demo_environment(home), capture_output=True, text=True)


def books_at_the_end_of(day: date, begins: date, home: Path) -> dict[int, Decimal]:
    """Return what the same books owed, made anew without any sync."""
    company = Company(AGREEMENT, COMPANY, 1, APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN)
    ledger: Ledger = company.ledger(INVOICES, until=begins)
    mover = Mover(ledger)
    for moved, count in json.loads((home / "moves.json").read_text()).items():
        if date.fromisoformat(moved) <= day:
            ledger.day = date.fromisoformat(moved)
            mover.move(count)
    return {number: one["remainder"] for number, one in ledger.items().items() if one["remainder"]}


def test_demo_with_history_knows_every_past_day(home: Path) -> None:
    done = run(home, "dev.demo", "--invoices", str(INVOICES), "--history", str(DAYS))
    assert done.returncode == 0, done.stdout + done.stderr
    queries = re.findall('./run psql -c "(.*)"', done.stdout)
    begins = datetime.now(UTC).date() - timedelta(days=DAYS)
    with (
        embedded_postgres.server([], data=home / "postgres") as server,
        psycopg.connect(server.dsn("economic"), options="-c search_path=economic") as copy,
    ):
        for day in (begins + timedelta(days=number) for number in range(DAYS)):
            owed = copy.execute(
                "select invoice_number, remainder from receivables_as_of(%s)", (day,)
            ).fetchall()
            assert dict(owed) == books_at_the_end_of(day, begins, home)
        ((paid_on,),) = copy.execute("select count(distinct seen_at::date) from payments where sync_id > 1")
        assert paid_on > DAYS // 3
        assert copy.execute("select field from rejected_invoice where resolved_at is null").fetchall() == [
            ("date",)
        ]
        assert len(queries) == 2
        for query in queries:
            assert copy.execute(query.encode()).fetchall()


def test_history_is_refused_where_a_copy_is(home: Path) -> None:
    copies.note_simulated(home, INVOICES)
    copies.last_simulated_day(home)
    refused = run(home, "dev.demo", "--history")
    assert refused.returncode == 1
    assert (
        f"in a new folder, and {home} holds the copy of a simulated account (1,500 invoices)."
        in refused.stdout
    )
