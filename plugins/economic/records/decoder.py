"""Decodes e-conomic's JSON: a page of raw items, or a document with exact numbers.

A page looks like ``{"collection": [...], "pagination": {...}, "self": "..."}``. Source: e-conomic's
REST documentation, "Pagination" and "Collections"; recorded answers show which keys may be missing.
The newer services answer ``{"items": [...], "cursor": "..."}``: specification of Q2C 5.3.0.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder

from economic.errors import BrokenResponse, RecordError
from economic.records.fitting import Number, fit, without_broken_text

__all__ = ["CollectionPage", "LinePage", "RawItem"]

_BOM = b"\xef\xbb\xbf"
_RAW_BYTE = re.compile("[\udc80-\udcff]")
_LONGEST_INT = 30
LARGEST_PAGE = 1000
"""The largest page size that e-conomic documents."""
_LONGEST_CURSOR = 2000
MOST_MARKS = 2_000_000
"""Commas and opening brackets in a body. A page of 1,000 invoices has some 70,000."""


def _whole(digits: str) -> int | Decimal:
    # Python makes no int of thousands of digits; a Decimal holds them.
    return int(digits) if len(digits) <= _LONGEST_INT else Decimal(digits)


def _fraction(number: str) -> Decimal | str:
    try:
        return Decimal(number)
    except InvalidOperation:
        # The exponent is beyond all numbers. No field for a number takes the text.
        return number


# NaN and Infinity are not JSON, but some servers write them: they are kept as texts.
_exact = json.JSONDecoder(parse_float=_fraction, parse_int=_whole, parse_constant=str)


class RawItem:
    """One item of a collection: its JSON text, read on demand.

    :param encoded: the text as it came. Its encoding was not checked.
    """

    __slots__ = ("encoded",)

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded

    @property
    def raw(self) -> str:
        """The text. Bytes that are not UTF-8 become lone surrogates."""
        return self.encoded.decode(errors="surrogateescape")

    def decode(self) -> Any:
        """Decode the text. Numbers with a fraction or an exponent are Decimal, never float.

        :raises RecordError: it is nested too deeply.
        """
        try:
            return _exact.decode(self.raw)
        except (ValueError, RecursionError) as error:
            message = f"The item is not readable JSON ({_cause(error)})."
            raise RecordError(message, field="(item)", reason="not_readable") from None

    def decode_object(self) -> dict[str, Any]:
        """Decode the text of an object.

        :raises RecordError: it is not an object, or is nested too deeply.
        """
        value = self.decode()
        if type(value) is not dict:
            raise RecordError("The item is not an object.", field="(item)", reason="not_an_object")
        return value


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """One page of a collection.

    :param items: the items, in the order they came.
    :param results: how many items match the query in all.
    :param results_without_filter: how many the whole resource has; not always sent.
    :param has_next: whether the answer says that more pages follow.
    """

    items: list[RawItem]
    results: int
    results_without_filter: int | None
    has_next: bool


@dataclass(frozen=True, slots=True)
class LinePage:
    """One page of invoice lines. Their order is not promised.

    :param items: the lines, in the order they came.
    :param cursor: names the next page; None on the last one.
    """

    items: list[RawItem]
    cursor: str | None


class _Page(Struct):
    """The members of a page that are read. The rest is only checked to be JSON."""

    collection: list[Raw]
    pagination: Raw


class _Pagination(Struct, rename="camel"):
    results: Annotated[int, Meta(ge=0)] | None = None
    results_without_filter: Number | None = None
    page_size: Number | None = None
    next_page: Any = None


class _LinePage(Struct):
    items: list[Raw]
    cursor: Any = None


_page_decoder = Decoder(_Page)
_line_page_decoder = Decoder(_LinePage)


def decode_document(body: bytes) -> dict[str, Any]:
    """Decode one JSON object with exact numbers.

    :raises BrokenResponse: it is not UTF-8, not JSON, or not an object.
    """
    value = _decode(body)
    if type(value) is not dict:
        raise BrokenResponse("The answer is JSON, but not an object.")
    return value


def decode_page(body: bytes) -> CollectionPage:
    """Decode one page of a collection. Bytes that are not UTF-8 stay within their item.

    :raises BrokenResponse: it is not JSON, not a page, too large a page, or contradicts itself.
    """
    _check_marks(body)
    try:
        page = _page_decoder.decode(body.removeprefix(_BOM))
        collection: Any = page.collection
        pagination = _exact.decode(bytes(page.pagination).decode())
    except (MsgspecError, ValueError, RecursionError):
        members = _decode_odd_page(body, "collection")
        collection, pagination = members.get("collection"), members.get("pagination")
    if type(pagination) is not dict:
        raise BrokenResponse("The page has no pagination.")
    counts, _ = fit(without_broken_text(pagination), _Pagination)
    if counts.results is None:
        raise BrokenResponse("The page does not say how many results there are.")
    if collection is None and counts.results == 0:
        collection = []
    items = _raw_items(collection)
    _check_counts(counts, len(items))
    return CollectionPage(items, counts.results, counts.results_without_filter, counts.next_page is not None)


def decode_line_page(body: bytes) -> LinePage:
    """Decode one page of invoice lines. Bytes that are not UTF-8 stay within their item.

    :raises BrokenResponse: it is not JSON, not such a page, or its cursor cannot be sent back.
    """
    _check_marks(body)
    try:
        page = _line_page_decoder.decode(body.removeprefix(_BOM))
        lines: Any = page.items
        cursor = page.cursor
    except (MsgspecError, ValueError, RecursionError):
        members = _decode_odd_page(body, "items")
        lines, cursor = members.get("items"), members.get("cursor")
    items = _raw_items(lines)
    if cursor is None or cursor == "":
        return LinePage(items, None)
    if type(cursor) is not str or len(cursor) > _LONGEST_CURSOR or not cursor.isprintable():
        raise BrokenResponse("The page's cursor is not a usable text.")
    return LinePage(items, cursor)


def decode_count(body: bytes) -> int:
    """Decode an answer that is one whole number.

    :raises BrokenResponse: it is anything else.
    """
    count = _decode(body)
    if type(count) is not int or count < 0:
        raise BrokenResponse("The answer is JSON, but not a count.")
    return count


def _decode(body: bytes) -> Any:
    _check_marks(body)
    try:
        # The declared charset is ignored: JSON is UTF-8, and a wrong label would spoil names.
        return without_broken_text(_exact.decode(body.decode("utf-8-sig").strip()))
    except (ValueError, RecursionError) as error:
        raise BrokenResponse(f"The answer is not readable JSON ({_cause(error)}).") from None


def _raw_items(items: Any) -> list[RawItem]:
    if type(items) is not list:
        raise BrokenResponse("The page has no collection.")
    if len(items) > LARGEST_PAGE:
        raise BrokenResponse(f"The page holds {len(items):,} items, more than e-conomic's largest.")
    return [RawItem(bytes(raw)) for raw in items]


def _check_counts(counts: _Pagination, items: int) -> None:
    results = counts.results or 0
    if results and not items:
        raise BrokenResponse(f"The page is empty, but {results} invoices should be on it and those after it.")
    whole_page = min(counts.page_size, results) if counts.page_size is not None else 0
    if counts.next_page is None and items < whole_page:
        raise BrokenResponse(f"The page holds {items} of {results} items and names no next page.")


def _check_marks(body: bytes) -> None:
    """Reject a body of very many values before decoding: 64 MiB of empty objects take gigabytes."""
    if len(body) > MOST_MARKS and body.count(b",") + body.count(b"{") + body.count(b"[") > MOST_MARKS:
        raise BrokenResponse(
            "The answer holds far more values than a page of invoices has.",
            hint="If it lasts, ask for smaller pages (ECONOMIC_PAGE_SIZE).",
        )


def _decode_odd_page(body: bytes, name: str) -> dict[str, Any]:
    """Return the members of a page that is not strict JSON, empty when it is not an object.

    :param name: the member that holds the items, which are encoded again.
    """
    try:
        page = _exact.decode(body.decode("utf-8-sig", errors="surrogateescape").strip())
        if type(page) is not dict:
            return {}
        if type(page.get(name)) is list:
            page[name] = [_encode(write_json(value)) for value in page[name]]
    except (ValueError, RecursionError) as error:
        raise BrokenResponse(f"The page is not readable JSON ({_cause(error)}).") from None
    return page


def write_json(value: Any) -> str:
    """Write a value that was decoded here as JSON, numbers digit by digit."""
    # Loops, because in Python 3.11 each comprehension costs one more level of nesting.
    parts = []
    if type(value) is dict:
        for key, inner in value.items():
            parts.append(f"{json.dumps(key)}:{write_json(inner)}")
        return "{" + ",".join(parts) + "}"
    if type(value) is list:
        for inner in value:
            parts.append(write_json(inner))
        return "[" + ",".join(parts) + "]"
    if type(value) is str:
        # Bytes that are not UTF-8 stay as they are; other broken characters become escapes again.
        return json.dumps(value, ensure_ascii=not _RAW_BYTE.search(value))
    return str(value) if type(value) is Decimal else json.dumps(value)


def _encode(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else "bytes that are not UTF-8"
