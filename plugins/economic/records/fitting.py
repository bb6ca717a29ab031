"""Fits decoded JSON to a msgspec type: reads equal values equally, and leaves out what does not
fit.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NamedTuple, TypeVar

from msgspec import Meta, ValidationError, convert

from economic.errors import RecordError

T = TypeVar("T")

LARGEST_NUMBER = 10**18 - 1
LONGEST_TEXT = 10_000
"""Characters. The longest text that e-conomic documents for these fields has 510."""
Number = Annotated[int, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]

HIGHEST, LOWEST = 24, -30
"""Powers of ten of an amount's first digit."""
MOST_DIGITS = 16_000
"""PostgreSQL's numeric takes 16,383 digits after the decimal point."""

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_BROKEN = re.compile("[\ud800-\udfff]")
_LONGEST_VALUE = 60
_MOST_WHOLE_DIGITS = 60


class DegradedField(NamedTuple):
    """A field that does not hold what it should and is left out.

    :param field: its path in e-conomic's spelling (``customer.customerNumber``).
    :param reason: a short stable code for counting.
    :param message: a sentence that says what is wrong. It holds no amount.
    """

    field: str
    reason: str
    message: str

    def error(self) -> RecordError:
        """Return the error that rejects the whole record for this field."""
        return RecordError(self.message, field=self.field, reason=self.reason)


def fit(
    value: dict[str, Any], kind: type[T], required: frozenset[str] = frozenset()
) -> tuple[T, list[DegradedField]]:
    """Convert a decoded object to a type, leaving out each field that does not fit.

    :param value: changed in place.
    :param required: paths that must fit if present.
    :raises RecordError: one of those does not fit.
    """
    degraded: list[DegradedField] = []
    while True:
        try:
            return convert(value, kind), degraded
        except ValidationError as error:
            text, _, at = str(error).partition(" - at `$.")
            if not at:
                raise
            path = at.removesuffix("`")
            *above, key = path.split(".")
            parent = value
            for name in above:
                parent = parent[name]
            number = _whole_number(parent[key]) if text.startswith("Expected `int |") else None
            if number is not None:
                parent[key] = number
                continue
            problem = _problem(path, text, parent.pop(key))
            if path in required:
                raise problem.error() from None
            degraded.append(problem)


def _whole_number(value: Any) -> int | None:
    """Return the whole number that equals a JSON number or a quoted one, or None."""
    number = _number(value)
    if number is None or number.adjusted() > _MOST_WHOLE_DIGITS or number != number.to_integral_value():
        return None
    return int(number)


def read_amount(field: str, value: Any) -> Decimal | None:
    """Return an exact decimal of a plausible size, with the digits it came with.

    :raises RecordError: it is not an amount. The message does not show the value, because more
        people may read it than may see amounts.
    """
    if value is None:
        return None
    amount = _number(value)
    if amount is None and not (type(value) is str and _JSON_NUMBER.fullmatch(value)):
        message = f"{field} is not an amount, but {_kind(value)}."
        raise RecordError(message, field=field, reason="not_an_amount")
    if (
        amount is None
        or not LOWEST <= amount.adjusted() <= HIGHEST
        or len(amount.as_tuple().digits) > MOST_DIGITS
    ):
        message = f"{field} is too large or too small for an amount."
        raise RecordError(message, field=field, reason="amount_out_of_range")
    return amount


def _number(value: Any) -> Decimal | None:
    if type(value) is Decimal or type(value) is int:
        return Decimal(value)
    if type(value) is str and _JSON_NUMBER.fullmatch(value):
        try:
            return Decimal(value)
        except InvalidOperation:
            return None
    return None


def storable(value: Any, path: str, broken: list[str]) -> Any:
    """Return a copy that PostgreSQL can store: without NUL, broken characters as U+FFFD.

    :param broken: gets the paths of the texts that hold broken characters.
    """
    if type(value) is str:
        if _BROKEN.search(value):
            broken.append(path)
            value = _BROKEN.sub("\ufffd", value)
        return value.replace("\0", "")
    if type(value) is dict:
        copy = {}
        for key, inner in value.items():
            copy[storable(key, path, broken)] = storable(inner, f"{path}.{key}" if path else key, broken)
        return copy
    if type(value) is list:
        # A loop, because in Python 3.11 a comprehension costs one more level of nesting.
        items = []
        for inner in value:
            items.append(storable(inner, path, broken))
        return items
    return value


def drop(value: Any, path: str) -> None:
    """Remove a member within ``value``, if present."""
    *above, key = path.split(".")
    for name in above:
        value = value.get(name) if type(value) is dict else None
    if type(value) is dict:
        value.pop(key, None)


def without_broken_text(value: Any) -> Any:
    """Return a storable copy without the texts that hold broken characters."""
    broken: list[str] = []
    copy = storable(value, "", broken)
    for path in broken:
        drop(copy, path)
    return copy


def text_or_none(text: str | None) -> str | None:
    """Return the text, or None for a blank one: absent, null and blank mean the same."""
    return text if text and not text.isspace() else None


def missing(field: str) -> RecordError:
    """Return the error of a record without a required field."""
    return RecordError(f"{field} is missing.", field=field, reason="missing")


def _problem(field: str, text: str, value: Any) -> DegradedField:
    """Translate msgspec's error text, and show the value of a number, a date or a code."""
    if text.startswith("Expected `object"):
        return DegradedField(field, "not_an_object", f"{field} is not an object, but {_kind(value)}.")
    if text.startswith("Expected `str` of length"):
        return DegradedField(field, "text_too_long", f"{field} is longer than {LONGEST_TEXT:,} characters.")
    number = _number(value)
    if text.startswith("Expected `str` matching") or field == "currency":
        reason, problem = "not_a_currency", "is not a currency code"
    elif text.startswith("Expected `str"):
        reason, problem = "not_a_text", "is not a text"
    elif text.startswith("Expected `int` ") or (number and number.adjusted() > _MOST_WHOLE_DIGITS):
        reason, problem = "number_out_of_range", "is out of range"
    elif text.startswith("Expected `int"):
        reason, problem = "not_a_number", "is not a whole number"
    else:
        reason, problem = "not_a_date", "is not a date"
    return DegradedField(field, reason, f"{field} {problem}: {_shown(value)}.")


def _kind(value: Any) -> str:
    if value is None or type(value) is bool:
        return json.dumps(value)
    kinds: dict[Any, str] = {dict: "an object", list: "a list", str: "a text"}
    return kinds.get(type(value), "a number")


def _shown(value: Any) -> str:
    if type(value) is str:
        # Cut before escaping: the text may have a megabyte.
        text = repr(value[:_LONGEST_VALUE])
    else:
        text = str(value) if type(value) is int or type(value) is Decimal else _kind(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
