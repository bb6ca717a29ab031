"""The part of the API's filter language that a sync uses: comparisons joined by `$and:`, of properties with values."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from simulator.refusals import bad_query

LONGEST_LIST = 200
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
    "in": lambda held, members: held in members, "nin": lambda held, members: held not in members,
}  # fmt: skip
_COMPARISON = re.compile(r"(?P<field>[A-Za-z.]+)\$(?P<operator>eq|gte|gt|lte|lt|in|nin):(?P<value>[^$]+)")


@dataclass(frozen=True, slots=True)
class Field:
    """A property that can be filtered on: how a value is read, and where a row has its own."""

    read: Callable[[str], Any]
    of: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a property with a value."""

    field: str
    operator: str
    value: Any
    of: Callable[[Any], Any]

    def matches(self, row: Any) -> bool:
        return bool(_OPERATORS[self.operator](self.of(row), self.value))


def day(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError(text)
    return text


def comparisons(text: str | None, fields: Mapping[str, Field]) -> list[Comparison]:
    """Parse a filter; what the API refuses, and what nobody here asks for, is refused with 400."""
    return [_comparison(part, fields) for part in text.split("$and:")] if text else []


def _comparison(text: str, fields: Mapping[str, Field]) -> Comparison:
    found = _COMPARISON.fullmatch(text)
    name = text.partition("$")[0]
    if name not in fields:
        reason = f"Filtering is not allowed on property '{name}'."
        raise bad_query("filter", reason, allowedFilteringFields=sorted(fields))
    try:
        if found is None:
            raise ValueError(text)
        field, relation, value = fields[name], found["operator"], found["value"]
        wanted = _members(value, field) if relation in {"in", "nin"} else field.read(value)
        return Comparison(name, relation, wanted, field.of)
    except ValueError:
        raise bad_query("filter", f"'{text}' is not a comparison.") from None


def _members(text: str, field: Field) -> frozenset[Any]:
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(text)
    members = text[1:-1].split(",")
    if len(members) > LONGEST_LIST:
        raise bad_query("filter", f"A list may have at most {LONGEST_LIST} members.")  # text unconfirmed
    return frozenset(map(field.read, members))
