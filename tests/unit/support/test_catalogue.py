"""Every row of the fault catalogue has a test of its id, or is left out by a decision."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = {"H": 38, "P": 34, "D": 22, "R": 20, "S": 18}
LEFT_OUT = {"P33"}
"""A row about a part that does not exist here; decision 9 says so."""


def test_each_row_is_tested_or_left_out() -> None:
    tested = {
        found
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in re.findall(r"(?m)^def test_([HPDRS]\d\d)_", path.read_text())
    }
    rows = {f"{letter}{number:02}" for letter, most in ROWS.items() for number in range(1, most + 1)}
    assert tested == rows - LEFT_OUT
    decision = (ROOT / "docs" / "decisions" / "0009-payload-and-secrets-catalogue.md").read_text()
    assert all(row in decision for row in LEFT_OUT)
