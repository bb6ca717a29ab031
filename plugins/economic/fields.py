"""Reads single values of e-conomic's items: what each kind of field may be, and why it is refused.

These run some thirty times for every invoice, so each sees the usual value first.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from economic.errors import RecordError

LARGEST_NUMBER = 10**18 - 1
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATE_LENGTH = 10
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
HIGHEST, LOWEST = 24, -30
"""Powers of ten of an amount's first digit."""
_NUL = "\x00"
NOTHING: dict[str, Any] = {}
"""Stands for an object that is absent."""


def refuse(field: str, reason: str, said: str, value: object = None) -> RecordError:
    """The error for a field that cannot be taken.

    :param reason: a short stable code.
    :param said: what is wrong, after the field's name.
    """
    shown = "" if value is None else f": {_shown(value)}"
    return RecordError(f"{field} {said}{shown}.", field=field, reason=reason)


def _shown(value: object) -> str:
    # Never str() of a number here: one of a billion digits would be written out.
    text = f"a {type(value).__name__}" if isinstance(value, (dict, list, Decimal, int)) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_number(field: str, value: Any) -> int | None:
    """A whole number; digits in a string are taken too, a fraction or a truth value never."""
    if value is None:
        return None
    if type(value) is int:
        if -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            return value
        raise refuse(field, "number_out_of_range", "is too large")
    if type(value) is str and _NUMBER.fullmatch(value):
        return int(value)
    raise refuse(field, "not_a_number", "is no whole number", value)


def read_amount(field: str, value: Any) -> Decimal | None:
    """An exact decimal number of a sane size, stored as it came. How many digits it may have is bounded by the item: see read_invoice."""
    if value is None:
        return None
    amount = value
    if type(amount) is not Decimal:
        if type(amount) is not int and not (type(amount) is str and _AMOUNT.fullmatch(amount)):
            raise refuse(field, "not_an_amount", "is no amount", value)
        amount = Decimal(amount)
    if not amount.is_finite():
        raise refuse(field, "not_an_amount", "is no amount", value)
    if not LOWEST <= amount.adjusted() <= HIGHEST:
        raise refuse(field, "amount_out_of_range", "is too large or too fine")
    return amount


def read_required_amount(field: str, value: Any) -> Decimal:
    """An amount that must be there."""
    found = read_amount(field, value)
    if found is None:
        raise refuse(field, "missing", "is missing")
    return found


def read_date(field: str, value: Any) -> date | None:
    """A date spelled YYYY-MM-DD: other spellings that Python or PostgreSQL would take are refused."""
    if value is None:
        return None
    try:
        found = _day(value) if type(value) is str and len(value) == _DATE_LENGTH else None
    except ValueError:
        raise refuse(field, "not_a_date", "is no day of the calendar", value) from None
    if found is None:
        raise refuse(field, "not_a_date", "is no date", value)
    return found


@lru_cache(maxsize=8192)
def _day(text: str) -> date | None:
    # Kept: a company's invoices share a few thousand days.
    return date.fromisoformat(text) if _DATE.fullmatch(text) else None


def read_text(field: str, value: Any) -> str | None:
    """Text as it came. NUL is taken out (PostgreSQL stores none); broken characters are refused."""
    if value is None:
        return None
    if type(value) is not str:
        raise refuse(field, "not_a_text", "is no text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refuse(field, "broken_text", "holds a broken character") from None
    return value.replace(_NUL, "")


def read_currency(field: str, value: Any) -> str:
    """Three capital letters; which ones is e-conomic's to know."""
    if type(value) is not str or not _CURRENCY.fullmatch(value):
        raise refuse(field, "not_a_currency", "is no currency code", value)
    return value


def read_object(parent: dict[str, Any], path: str, key: str) -> dict[str, Any]:
    """An object within another one; an empty one when it is absent.

    :param path: the parent's own name with a full stop behind it, for the error; empty for the item itself.
    """
    found = parent.get(key)
    if found is None:
        return NOTHING
    if type(found) is not dict:
        raise refuse(f"{path}{key}", "not_an_object", "is no object", found)
    return found
