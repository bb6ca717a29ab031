"""Reads e-conomic's JSON answers: exact numbers, and each item of a collection with its own text.

The shape is e-conomic's collection envelope: ``{"collection": [...], "pagination": {...}, "self": "..."}``.
Source: e-conomic's REST documentation, "Pagination" and "Collections"; which keys may be missing was seen in recorded answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from economic.errors import BrokenResponse, RecordError

_BOM = b"\xef\xbb\xbf"

_BLANK = re.compile(r"[ \t\n\r]*")


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= 30 else Decimal(digits)


def _fraction(number: str) -> Decimal:
    # As no number at all, its own field refuses it.
    try:
        return Decimal(number)
    except InvalidOperation:
        return Decimal("NaN")


# NaN and Infinity are no JSON, but reach us as words some servers write: kept as what they say, refused by the field.
_decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal)
# Python refuses to read an integer of thousands of digits, and an exponent beyond all of Decimal's, which would lose the whole page for
# one item; but a function called for every number costs time, so it is called only when the page cannot be read without.
_patient_decoder = json.JSONDecoder(parse_float=_fraction, parse_int=_whole, parse_constant=Decimal)


class Item:
    """One item of a collection, as the very bytes it came as; read when somebody asks for it.

    :param encoded: its JSON text. Whether it is UTF-8 was not looked at.
    """

    __slots__ = ("_read", "encoded")

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self._read: tuple[Any] | None = None

    @property
    def raw(self) -> str:
        """The text. Bytes that are not UTF-8 become lone surrogates."""
        return self.encoded.decode(errors="surrogateescape")

    @property
    def value(self) -> Any:
        """The value, kept once it was asked for. Numbers with a fraction or an exponent are :class:`~decimal.Decimal`: amounts are never binary floats.

        :raises RecordError: it cannot be read, for it is nested too deeply.
        """
        if self._read is not None:
            return self._read[0]
        try:
            self._read = (_value(self.raw),)
            return self._read[0]
        except (ValueError, RecursionError) as error:
            raise RecordError(
                f"The item is not readable JSON ({_why(error)}).", field="(item)", reason="not_readable"
            ) from None


class _Page(Struct):
    """What a page is looked through for; everything else in it is only checked to be JSON."""

    collection: list[Raw]
    pagination: Raw


_page_decoder = Decoder(_Page)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One page of a collection.

    :param items: the items, in the order they came.
    :param results: how many items match the query in all.
    :param results_without_filter: how many the whole resource has; not always sent.
    :param has_next: whether the answer says that more pages follow.
    :param size: bytes of the body after decompression.
    """

    items: list[Item]
    results: int
    results_without_filter: int | None
    has_next: bool
    size: int


def read_document(body: bytes) -> dict[str, Any]:
    """Read one JSON object.

    :raises BrokenResponse: it is not UTF-8, not JSON, or not an object.
    """
    try:
        value = _patient_decoder.decode(_text(body).strip())
    except (ValueError, RecursionError) as error:
        raise BrokenResponse(f"The answer is not readable JSON ({_why(error)}).") from None
    if not isinstance(value, dict):
        raise BrokenResponse(f"The answer is a JSON {type(value).__name__}, not an object.")
    return value


def read_envelope(body: bytes) -> Envelope:
    """Read one page of a collection. Bytes that are not UTF-8 are kept, so that only the item that holds them is refused.

    :raises BrokenResponse: it is not JSON, not an envelope, or contradicts itself.
    """
    try:
        try:
            page = _page_decoder.decode(body.removeprefix(_BOM))
            items: Any = [Item(bytes(raw)) for raw in page.collection]
            pagination = _value(bytes(page.pagination).decode())
        except (MsgspecError, ValueError, RecursionError):
            items, pagination = _spelled_out(_text(body, errors="surrogateescape"))
    except (ValueError, RecursionError, IndexError) as error:
        raise BrokenResponse(f"The page is not readable JSON ({_why(error)}).") from None
    if not isinstance(pagination, dict):
        raise BrokenResponse("The page has no pagination.")
    results = pagination.get("results")
    if type(results) is not int or results < 0:
        raise BrokenResponse("The page does not say how many results there are.")
    if items is None and results == 0:
        items = []
    if not isinstance(items, list):
        raise BrokenResponse("The page has no collection.")
    if results and not items:
        raise BrokenResponse(f"The page is empty, but {results} invoices should be on it and those after it.")
    has_next = pagination.get("nextPage") is not None
    page_size = pagination.get("pageSize")
    if not has_next and type(page_size) is int and len(items) < min(page_size, results):
        raise BrokenResponse(f"The page holds {len(items)} of {results} items and names no next page.")
    whole = pagination.get("resultsWithoutFilter")
    return Envelope(items, results, whole if type(whole) is int else None, has_next, len(body))


def _value(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError:
        raise
    except (ValueError, InvalidOperation):
        return _patient_decoder.decode(text)


def _spelled_out(text: str) -> tuple[Any, Any]:
    """Collection and pagination of a page that is no strict JSON: what else may be readable, and if not, why."""
    try:
        members = dict(_members(text, _decoder))
    except json.JSONDecodeError:
        raise
    except (ValueError, InvalidOperation):
        members = dict(_members(text, _patient_decoder))
    return members.get("collection"), members.get("pagination")


def _text(body: bytes, errors: str = "strict") -> str:
    # The declared charset is ignored: JSON is UTF-8, and a wrong label would silently spoil names. A BOM is tolerated.
    return body.decode("utf-8-sig", errors=errors)


def _why(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _skip(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]  # the pattern matches the empty string too


def _expect(text: str, at: int, character: str) -> int:
    at = _skip(text, at)
    if text[at] != character:
        raise json.JSONDecodeError(f"expected {character!r}", text, at)
    return at + 1


def _members(text: str, decoder: json.JSONDecoder) -> Iterator[tuple[str, Any]]:
    """Walk the outermost object, so that each item of its collection keeps its text without being written out again."""
    at = _expect(text, 0, "{")
    at = _skip(text, at)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        if not isinstance(key, str):
            raise json.JSONDecodeError("expected a key", text, at)
        at = _skip(text, _expect(text, at, ":"))
        if key == "collection" and text[at] == "[":
            value, at = _items(text, at + 1, decoder)
        else:
            value, at = decoder.raw_decode(text, at)
        yield key, value
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
            if text[at] == "}":
                raise json.JSONDecodeError("comma before the end", text, at)
        elif text[at] != "}":
            raise json.JSONDecodeError("expected a comma", text, at)
    if _skip(text, at + 1) != len(text):
        raise json.JSONDecodeError("text after the end", text, at)


def _items(text: str, at: int, decoder: json.JSONDecoder) -> tuple[list[Item], int]:
    items: list[Item] = []
    at = _skip(text, at)
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        items.append(Item(text[at:end].encode(errors="surrogateescape")))
        at = end if text[end] == "," else _skip(text, end)
        if text[at] == ",":
            at = at + 1 if text[at + 1] == "{" else _skip(text, at + 1)
            if text[at] == "]":
                raise json.JSONDecodeError("comma before the end", text, at)
        elif text[at] != "]":
            raise json.JSONDecodeError("expected a comma", text, at)
    return items, at + 1
