"""The catalogue of faults lists what the tests prove."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
ROWS = {"H": 38, "P": 34, "D": 22, "R": 20, "S": 18, "W": 18}
LEFT_OUT = {"P33"}
"""A row about a part that does not exist here; decision 9 gives the reason."""


def test_catalogue_lists_every_marked_row_and_its_file() -> None:
    marked = {
        (row, path.relative_to(TESTS).as_posix())
        for path in TESTS.rglob("test_*.py")
        for marks in re.findall(r"(?s)@pytest\.mark\.fault\((.*?)\)", path.read_text())
        for row in re.findall(r'"([A-Z]\d\d)"', marks)
    }
    catalogue = (TESTS / "faults" / "README.md").read_text()
    listed = {
        (row, path)
        for row, line in re.findall(r"(?m)^\| ([A-Z]\d\d) (.*)$", catalogue)
        for path in re.findall(r"\]\(\.\./(\S+?)\)", line)
    }
    assert listed == marked
    rows = {f"{letter}{number:02}" for letter, most in ROWS.items() for number in range(1, most + 1)}
    assert {row for row, _ in marked} == rows - LEFT_OUT
