"""Every row of the fault catalogue has a test of its id, or is left out by a decision."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = {"H": 38, "P": 34, "D": 22, "R": 20, "S": 18}
IDS = [f"{letter}{number:02}" for letter, most in ROWS.items() for number in range(1, most + 1)]
TESTED = {
    found
    for path in (ROOT / "tests").glob("*/test_*.py")
    for found in re.findall(r"(?m)^def test_([HPDRS]\d\d)_", path.read_text())
}
LEFT_OUT = {"P33"}
"""A row about a part that does not exist here; decision 9 says so."""


@pytest.mark.parametrize("row", IDS)
def test_a_row_of_the_catalogue_is_tested_or_left_out_with_a_reason(row: str) -> None:
    assert (row in TESTED) != (row in LEFT_OUT)


def test_what_is_left_out_is_decided() -> None:
    decision = (ROOT / "docs" / "decisions" / "0009-payload-and-secrets-catalogue.md").read_text()
    assert all(row in decision for row in LEFT_OUT)


def test_no_test_is_named_by_a_row_that_does_not_exist() -> None:
    assert set(IDS) >= TESTED
