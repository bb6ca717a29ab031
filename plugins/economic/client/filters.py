"""Writes filters in the language of e-conomic's API.

Source: e-conomic's REST documentation, "Filtering".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date


def all_of(conditions: Sequence[str]) -> str:
    """Join conditions that must all hold."""
    return "$and:".join(conditions)


def above(name: str, number: int | None) -> list[str]:
    """Return the condition that a property is above a number; none without a number."""
    return [] if number is None else [f"{name}$gt:{number}"]


def dated(first: date | None, last: date | None) -> list[str]:
    """Return the conditions that an invoice is dated between two days; None: open on that side."""
    limits = (("gte", first), ("lte", last))
    return [f"date${operator}:{day.isoformat()}" for operator, day in limits if day is not None]


def numbered(name: str, numbers: Sequence[int]) -> str:
    """Return the condition that a property lies in a ``range``, or in a list of at most 200."""
    if isinstance(numbers, range):
        return all_of([f"{name}$gte:{numbers[0]}", f"{name}$lte:{numbers[-1]}"])
    return f"{name}$in:{_list(numbers)}"


def not_numbered(name: str, numbers: Sequence[int]) -> str:
    """Return the condition that a property is not in a list of at most 200."""
    return f"{name}$nin:{_list(numbers)}"


def _list(numbers: Sequence[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"
