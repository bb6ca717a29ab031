"""Fits decoded JSON to a msgspec type: equal numbers are read equally, and what does not fit is left out, each with its reason."""

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
"""PostgreSQL's numeric takes 16,383 digits behind the point."""

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_PATH = re.compile(r"^(.*?)(?: - at `\$\.([^`]*)`)?$", re.DOTALL)
NUL = "\x00"
BROKEN = re.compile("[\ud800-\udfff]")
_LONGEST_VALUE = 60
_MOST_WHOLE_DIGITS = 60


class DegradedField(NamedTuple):
    """A field that does not hold what it should and is therefore left out.

    :param field: its path in e-conomic's spelling (``customer.customerNumber``).
    :param reason: a short stable code for counting.
    :param message: what is wrong, in a sentence. Holds no amount.
    """

    field: str
    reason: str
    message: str

    def error(self) -> RecordError:
        """The same as the reason why a whole record is rejected."""
        return RecordError(self.message, field=self.field, reason=self.reason)


def fit(
    value: dict[str, Any], kind: type[T], required: frozenset[str] = frozenset()
) -> tuple[T, list[DegradedField]]:
    """Convert a decoded object, leaving out field by field what does not fit.

    :param value: changed in place.
    :param required: paths that must fit when they are there.
    :raises RecordError: one of those does not.
    """
    left_out: list[DegradedField] = []
    while True:
        try:
            return convert(value, kind), left_out
        except ValidationError as error:
            found = _PATH.match(str(error))
            words, path = found.groups() if found else (str(error), None)
            if path is None:
                raise
            *above, key = path.split(".")
            parent = value
            for name in above:
                parent = parent[name]
            number = whole_number(parent[key]) if words.startswith("Expected `int |") else None
            if number is not None:
                parent[key] = number
                continue
            problem = _problem(path, words, parent.pop(key))
            if path in required:
                raise problem.error() from None
            left_out.append(problem)


def whole_number(value: Any) -> int | None:
    """The whole number that equals a JSON number, which may be quoted; None when there is none of a sane size."""
    number = _number(value)
    if number is None or number.adjusted() > _MOST_WHOLE_DIGITS or number != number.to_integral_value():
        return None
    return int(number)


def read_amount(field: str, value: Any) -> Decimal | None:
    """An exact decimal number of a sane size, in the digits it came with.

    :raises RecordError: it is not an amount. Its value is not told: amounts are not for everybody who may read why something was rejected.
    """
    if value is None:
        return None
    amount = _number(value)
    if amount is None:
        if type(value) is str and _JSON_NUMBER.fullmatch(value):
            raise DegradedField(
                field, "amount_out_of_range", f"{field} is too large or too small for an amount."
            ).error()
        raise DegradedField(field, "not_an_amount", f"{field} is not an amount, but {_kind(value)}.").error()
    if not LOWEST <= amount.adjusted() <= HIGHEST or len(amount.as_tuple().digits) > MOST_DIGITS:
        raise DegradedField(
            field, "amount_out_of_range", f"{field} is too large or too small for an amount."
        ).error()
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
    """A copy that PostgreSQL can store: without NUL, and with U+FFFD for each broken character.

    :param broken: gets the paths of the texts that hold broken characters.
    """
    if type(value) is str:
        if BROKEN.search(value):
            broken.append(path)
            value = BROKEN.sub("\ufffd", value)
        return value.replace(NUL, "")
    if type(value) is dict:
        copy = {}
        for key, inner in value.items():
            copy[storable(key, path, broken)] = storable(inner, f"{path}.{key}" if path else key, broken)
        return copy
    if type(value) is list:
        # A loop: in Python 3.11 a comprehension costs one more level of nesting.
        items = []
        for inner in value:
            items.append(storable(inner, path, broken))
        return items
    return value


def drop(value: Any, path: str) -> None:
    """Take a member out of an object within ``value``, when it is there."""
    *above, key = path.split(".")
    for name in above:
        value = value.get(name) if type(value) is dict else None
    if type(value) is dict:
        value.pop(key, None)


def without_broken_text(value: Any) -> Any:
    """A copy that PostgreSQL can store, without the texts that hold broken characters."""
    broken: list[str] = []
    copy = storable(value, "", broken)
    for path in broken:
        drop(copy, path)
    return copy


def text_or_none(text: str | None) -> str | None:
    """Return a text that says something, else None: absent, null and blank mean the same."""
    return text if text and not text.isspace() else None


def missing(field: str) -> DegradedField:
    """The reason for a field that must be there and is not."""
    return DegradedField(field, "missing", f"{field} is missing.")


def _problem(field: str, words: str, value: Any) -> DegradedField:
    """Put msgspec's words into ours, with the value where it helps and is not a secret: numbers, dates, codes."""
    if words.startswith("Expected `object"):
        return DegradedField(field, "not_an_object", f"{field} is not an object, but {_kind(value)}.")
    if words.startswith("Expected `str` of length"):
        return DegradedField(field, "text_too_long", f"{field} is longer than {LONGEST_TEXT:,} characters.")
    if words.startswith("Expected `str` matching") or field == "currency":
        return DegradedField(field, "not_a_currency", f"{field} is not a currency code: {_shown(value)}.")
    if words.startswith("Expected `str"):
        return DegradedField(field, "not_a_text", f"{field} is not a text: {_shown(value)}.")
    if words.startswith("Expected `int` ") or _is_huge(value):
        return DegradedField(field, "number_out_of_range", f"{field} is out of range: {_shown(value)}.")
    if words.startswith("Expected `int"):
        return DegradedField(field, "not_a_number", f"{field} is not a whole number: {_shown(value)}.")
    return DegradedField(field, "not_a_date", f"{field} is not a date: {_shown(value)}.")


def _is_huge(value: Any) -> bool:
    number = _number(value)
    return number is not None and number.adjusted() > _MOST_WHOLE_DIGITS


def _kind(value: Any) -> str:
    if value is None or type(value) is bool:
        return json.dumps(value)
    kinds: dict[Any, str] = {dict: "an object", list: "a list", str: "a text"}
    return kinds.get(type(value), "a number")


def _shown(value: Any) -> str:
    if type(value) is str:
        # A piece of it is enough, and escaped: a text of a megabyte, or one with line breaks, is not for a sentence.
        text = repr(value[:_LONGEST_VALUE])
    elif type(value) is int or type(value) is Decimal:
        text = str(value)
    else:
        text = _kind(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
