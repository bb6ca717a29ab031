"""A company whose invoices are copied, and the checks of its lines: read, proven, and equal to the books."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from economic.client.responses import LINES_PATH
from tests.faults.conftest import Case
from tests.support import invariants as oracle
from tests.support.expected_lines import QUERY, wrong_lines
from tests.support.task_processes import TaskProcess

LINES, COUNT = LINES_PATH, f"{LINES_PATH}/count"
SMALL = {
    "reading.FIRST_CHUNK": 20,
    "reading.CHUNK_LINES": 90,
    "chunk.MOST_NUMBERS": 15,
    "chunk.MOST_LINES": 200,
}
"""Of the product's constants, so that sixty invoices are several chunks of several pages, by ranges and by numbers."""
PAGE = 40


def wrong(case: Case) -> list[int]:
    """Return the invoices whose stored lines are not those of the books."""
    return list(wrong_lines(case.witness.rows(QUERY), case.books.line_book, case.books.ledger.agreement))


def checks(case: Case) -> dict[str, int]:
    """Return how many invoices have each status."""
    return dict(Counter(row["status"] for row in case.witness.rows("select status from economic.line_check")))


def unproven(case: Case) -> dict[int, Any]:
    """Return status and reason of each invoice that was read and is not proven."""
    rows = case.witness.rows("select * from economic.line_check where status <> 'proven'")
    return {row["invoice_number"]: (row["status"], row["reason"]) for row in rows}


def reading_row(case: Case) -> dict[str, Any]:
    return case.witness.rows("select * from economic.line_reading")[0]


def asleep(process: TaskProcess) -> bool:
    """Whether a process is stopped, as the kernel has it."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def forget(case: Case) -> None:
    """Take all lines away, as if none was read yet."""
    with case.witness.connect() as connection:
        connection.execute("truncate economic.invoice_line, economic.line_check, economic.line_reading")


def let_a_day_pass(case: Case) -> None:
    """Make it a day later for the lines: what is unproven is due, a place that was left behind is free."""
    with case.witness.connect() as connection:
        connection.execute("update economic.line_check set last_read_at = last_read_at - interval '1 day'")
        connection.execute(
            "update economic.line_reading set counted_at = counted_at - interval '1 day',"
            " expires_at = expires_at - interval '1 day'"
        )


def no_false_proof(case: Case) -> None:
    """Check that what is called proven is so, but for what only the count can show."""
    differing = wrong(case)
    proven = case.witness.rows(
        "select invoice_number from economic.line_check where status = 'proven' and invoice_number = any(%s)",
        differing,
    )
    assert proven == [], "proven, and not as in the books"


def proves(case: Case) -> dict[str, Any]:
    """Let a run of the lines end well, with everything proven; its statistics."""
    outcome = case.run(lines=True)
    assert outcome.state == "success", outcome.errors
    assert wrong(case) == []
    assert checks(case) == {"proven": len(case.books.ledger.numbers)}
    assert reading_row(case)["attempt"] is None
    return outcome.statistics


def heals(case: Case) -> dict[str, Any]:
    """The fault is over: a day later one run reads and proves everything, without a person."""
    case.books.faults()
    case.books.control("when", clear=True)
    let_a_day_pass(case)
    statistics = proves(case)
    assert statistics["count_agrees"] is True
    oracle.no_token_is_anywhere(case.witness)
    return statistics


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(f"economic.lines.{name}", value)


@pytest.fixture
def copied(case: Case) -> Case:
    """The invoices are copied; no line was read."""
    case.synced()
    case.books.lines(page=PAGE)
    return case


@pytest.fixture
def read(copied: Case) -> Case:
    """All lines are read and proven."""
    proves(copied)
    copied.books.reset()
    return copied
