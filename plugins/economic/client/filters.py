"""Writes filters in the language of e-conomic's API.

Source: e-conomic's REST documentation, "Filtering".
"""

from __future__ import annotations

from collections.abc import Sequence


def all_of(conditions: Sequence[str]) -> str:
    """Join conditions that must all hold."""
    return "$and:".join(conditions)


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
