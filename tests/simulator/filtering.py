"""The filter language of the API: `date$gte:2026-01-01$and:(currency$eq:EUR$or:currency$in:[…])`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from simulator.refusals import bad_filter

LONGEST_LIST = 200
NULL = "$null:"
OPERATORS = ("eq", "ne", "gte", "gt", "lte", "lt", "like", "nin", "in")
_COMPARISON = re.compile(r"(?P<field>[A-Za-z][A-Za-z0-9.]*)\$(?P<operator>eq|ne|gte|gt|lte|lt|like|nin|in):")
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip

Row = Any
Predicate = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Field:
    """A property that can be filtered on, and sorted by unless `sortable` says no."""

    kind: str  # number, text, date or truth
    of: Callable[[Row], Any]
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a property with a value."""

    field: str
    operator: str
    value: Any
    matches: Predicate


class Filter:
    """A parsed filter; `single` is set when it is nothing but one comparison."""

    def __init__(self, text: str, fields: Mapping[str, Field]) -> None:
        self._text, self._at, self._fields = text, 0, fields
        self.single: Comparison | None = None
        self._comparisons: list[Comparison] = []
        self.matches = self._any()
        if self._at != len(text):
            raise self._refusal(f"Unexpected text at position {self._at}.")
        if len(self._comparisons) == 1:
            self.single = self._comparisons[0]

    def _any(self) -> Predicate:
        terms = [self._all()]
        while self._take("$or:"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _all(self) -> Predicate:
        factors = [self._factor()]
        while self._take("$and:"):
            factors.append(self._factor())
        return factors[0] if len(factors) == 1 else lambda row: all(factor(row) for factor in factors)

    def _factor(self) -> Predicate:
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise self._refusal("A parenthesis is not closed.")
            return inner
        found = _COMPARISON.match(self._text, self._at)
        if not found:
            raise self._refusal(f"A comparison is expected at position {self._at}.")
        name, relation = found["field"], found["operator"]
        field = self._fields.get(name)
        if field is None:
            raise self._refusal(f"Filtering is not allowed on property '{name}'.")
        self._at = found.end()
        value, matches = self._condition(field, relation)
        self._comparisons.append(Comparison(name, relation, value, matches))
        return matches

    def _condition(self, field: Field, relation: str) -> tuple[Any, Predicate]:
        of = field.of
        if relation in ("in", "nin"):
            members = self._members(field)
            wanted = relation == "in"
            return members, lambda row: (_folded(of(row)) in members) is wanted
        text = self._value()
        if relation == "like":
            pattern = _like(text, lambda reason: self._refusal(reason))
            return (
                text,
                lambda row: (value := of(row)) is not None and pattern.fullmatch(str(value)) is not None,
            )
        value = None if text == NULL else self._typed(field, text)
        if relation == "eq":
            return value, lambda row: bool(_folded(of(row)) == value)
        if relation == "ne":  # that an absent value differs from a given one is not documented
            return value, lambda row: bool(_folded(of(row)) != value)
        compare = _ORDERINGS[relation]
        if value is None:
            return value, lambda row: False
        return value, lambda row: (held := of(row)) is not None and compare(_folded(held), value)

    def _members(self, field: Field) -> frozenset[Any]:
        if not self._take("["):
            raise self._refusal("A list in brackets is expected.")
        end = self._text.find("]", self._at)
        if end < 0:
            raise self._refusal("A list is not closed.")
        parts = [part.strip() for part in self._text[self._at : end].split(",")]
        self._at = end + 1
        if len(parts) > LONGEST_LIST:
            raise self._refusal(f"A list may have at most {LONGEST_LIST} members.")
        if field.kind == "text":  # accepted, and matches nothing but an absent value
            return frozenset({None} if NULL in parts else ())
        return frozenset(None if part == NULL else self._typed(field, part) for part in parts)

    def _value(self) -> str:
        """Read up to the next connective or closing parenthesis; `$` takes the next character literally."""
        if self._take(NULL):
            return NULL
        characters = []
        while self._at < len(self._text):
            here = self._text[self._at]
            if here == ")" or self._text.startswith(("$and:", "$or:"), self._at):
                break
            if here == "$":
                following = self._text[self._at + 1 : self._at + 2]
                if not following or following not in "$()*,[]":
                    raise self._refusal(f"Unexpected '$' at position {self._at}.")
                characters.append("\0*" if following == "*" else following)
                self._at += 2
                continue
            characters.append(here)
            self._at += 1
        return "".join(characters)

    def _typed(self, field: Field, text: str) -> Any:
        text = text.replace("\0", "")
        try:
            if field.kind == "number":
                return Decimal(text)
            if field.kind == "date":
                day = date.fromisoformat(text).isoformat()
                if day != text:
                    raise ValueError(text)
                return day
            if field.kind == "truth":
                return {"true": True, "false": False}[text.lower()]
        except (InvalidOperation, ValueError, KeyError):
            raise self._refusal(f"'{text}' is not a valid {field.kind}.") from None
        return text.casefold()

    def _take(self, token: str) -> bool:
        if self._text.startswith(token, self._at):
            self._at += len(token)
            return True
        return False

    def _refusal(self, reason: str) -> Exception:
        return bad_filter(reason, sorted(self._fields))


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _like(text: str, refusal: Callable[[str], Exception]) -> re.Pattern[str]:
    """Turn `*` into anything and brackets into a class of characters; without a `*` the text may stand anywhere."""
    pattern, at = "", 0
    while at < len(text):
        here = text[at]
        if text.startswith("\0*", at):
            pattern, at = pattern + r"\*", at + 2
            continue
        end = text.find("]", at + 2)
        if here == "[" and end > 0:
            inner = text[at + 1 : end]
            negated = "^" if inner.startswith("^") else ""
            pattern += f"[{negated}{re.escape(inner[len(negated) :])}]"
            at = end
        else:
            pattern += ".*" if here == "*" else re.escape(here)
        at += 1
    if "*" not in text.replace("\0*", ""):
        pattern = f".*{pattern}.*"
    try:
        return re.compile(pattern, re.IGNORECASE | re.DOTALL)
    except re.error as error:
        raise refusal(f"The pattern cannot be read: {error}.") from None
