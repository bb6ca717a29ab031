"""Decoding e-conomic's JSON: exact numbers, each item's text, and implausible pages."""

from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from economic.errors import BrokenResponse
from economic.records.decoder import (
    LARGEST_PAGE,
    MOST_MARKS,
    decode_count,
    decode_document,
    decode_line_page,
    decode_page,
)
from tests.support import payloads


def body(items: str, pagination: str = '{"results": 2, "pageSize": 1000}', rest: str = "") -> bytes:
    return f'{{"collection": [{items}], "pagination": {pagination}{rest}}}'.encode()


def test_items_keep_the_text_they_came_as() -> None:
    first, second = '{"a": 1.500,  "b": "æ"}', '{"a":100.000000}'
    found = decode_page(body(f" {first} , {second} "))
    assert [item.raw for item in found.items] == [first, second]
    assert found.items[0].decode() == {"a": Decimal("1.500"), "b": "æ"}


def test_odd_numbers_are_exact_and_lose_no_page() -> None:
    digits = "9" * 5000
    page = decode_page(body(f'{{"a": 12345678901234567.89}}, {{"a": {digits}}}, {{"a": NaN}}, {{"a": 0.1}}'))
    assert [item.decode()["a"] for item in page.items] == [
        Decimal("12345678901234567.89"),
        Decimal(digits),
        "NaN",
        Decimal("0.1"),
    ]


def test_bytes_not_utf8_stay_within_their_item() -> None:
    raw = body('{"a": "Bj@rn"}, {"a": "ok"}').replace(b"@", b"\xf8")
    found = decode_page(raw)
    assert found.items[1].decode() == {"a": "ok"}
    with pytest.raises(UnicodeEncodeError):
        found.items[0].raw.encode()


def test_a_byte_order_mark_is_tolerated() -> None:
    assert decode_page(b"\xef\xbb\xbf" + body('{"a": 1}, {"a": 2}')).results == 2


def test_counts_and_next_page_are_read() -> None:
    pagination = '{"results": 5, "resultsWithoutFilter": 9, "pageSize": 2, "nextPage": "https://x/"}'
    found = decode_page(body('{"a": 1}, {"a": 2}', pagination))
    assert (found.results, found.results_without_filter, found.has_next) == (5, 9, True)


@pytest.mark.parametrize("spelled", ["2", "2.0", '"2"', "20e-1", '"2.0"'])
def test_counts_are_read_equally_however_spelled(spelled: str) -> None:
    pagination = f'{{"results": {spelled}, "resultsWithoutFilter": {spelled}, "pageSize": {spelled}}}'
    found = decode_page(body('{"a": 1}, {"a": 2}', pagination))
    assert (found.results, found.results_without_filter) == (2, 2)
    with pytest.raises(BrokenResponse, match="names no next page"):
        decode_page(body('{"a": 1}', pagination))


def test_a_page_above_the_largest_is_rejected() -> None:
    assert len(decode_page(body(",".join(["{}"] * LARGEST_PAGE))).items) == LARGEST_PAGE
    with pytest.raises(BrokenResponse, match="holds 1,001 items, more than e-conomic's largest"):
        decode_page(body(",".join(["{}"] * (LARGEST_PAGE + 1))))


@pytest.mark.parametrize("value", ["{}", "[]", "1", '{"a":[]}'])
@pytest.mark.parametrize(
    "place", ['{"collection": [%s], "pagination": {"results": 1}}', '{"a": NaN, "b": [%s]}']
)
def test_very_many_values_are_rejected_before_decoding(value: str, place: str) -> None:
    """64 MiB of them, 0.1 MiB when packed, would be some gigabytes of objects."""
    bomb = (place % ",".join([value] * (MOST_MARKS + 1))).encode()
    for decode in (decode_page, decode_document, decode_line_page, decode_count):
        tracemalloc.start()
        with pytest.raises(BrokenResponse):
            decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


@pytest.mark.parametrize(
    "missing", ['{"pagination": {"results": 0}}', '{"collection": [], "pagination": {"results": 0}}']
)
def test_an_empty_collection_may_be_left_out(missing: str) -> None:
    assert decode_page(missing.encode()).items == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>maintenance</html>",
        "[]",
        "{}",
        '{"collection": []}',
        '{"collection": [], "pagination": null}',
        '{"collection": [], "pagination": {"results": 2}}',
        '{"collection": [], "pagination": {"results": "two"}}',
        '{"collection": [], "pagination": {"results": 1.5}}',
        '{"collection": [], "pagination": {"results": true}}',
        '{"collection": [], "pagination": {"results": -1}}',
        '{"collection": null, "pagination": {"results": 2}}',
        '{"collection": {"a": 1}, "pagination": {"results": 2}}',
        '{"pagination": {"results": 2}}',
        '{"collection": [{"a": 1}], "pagination": {"results": 2, "pageSize": 1000}}',
        '{"collection": [{"a": 1}], "pagination": {"results": 1}',
        '{"collection": [{"a": 1',
        '{"collection": [{"a": 1},], "pagination": {"results": 1}}',
        '{"collection": [{"a": 1} {"a": 2}], "pagination": {"results": 2}}',
        '{"collection": [{"a": 1}], "pagination": {"results": 1}} {"another": 1}',
        '{"collection": [{"a": 1}] "pagination": {"results": 1}}',
        '{"a": 1,}',
        "[" * 100_000,
        '{"collection": [' + "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_an_implausible_page_is_rejected(text: str) -> None:
    with pytest.raises(BrokenResponse):
        decode_page(text.encode())


def test_a_page_cut_short_anywhere_is_rejected() -> None:
    whole = body('{"bookedInvoiceNumber": 1, "x": "y\\u00e6"}, {"bookedInvoiceNumber": 2}')
    for length in range(len(whole)):
        with pytest.raises(BrokenResponse):
            decode_page(whole[:length])


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"a": 1', b"\xff\xfe{", b"[" * 100_000])
def test_a_document_must_be_one_readable_object(text: bytes) -> None:
    with pytest.raises(BrokenResponse):
        decode_document(text)


def plain(value: Any) -> Any:
    """Return the value with numbers of one type, and with halves of surrogate pairs that meet joined.

    Written out again, an escaped half and the stand-in for a spoiled byte behind it are one character.
    """
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


@example(
    texts=['{"":-10.0000,"\\ud800\\udc00\\ud800\\udc00":-0.0001,"000000":-1000.0000}'], spoiled=(36, 255)
)
@given(
    texts=st.lists(payloads.json_texts, min_size=1, max_size=3),
    spoiled=st.none() | st.tuples(st.integers(0), st.sampled_from(b'"\\{}[],:\x00\n\xff\xc3\x80-.0eE/a')),
)
def test_a_page_holds_what_json_reads(texts: list[str], spoiled: tuple[int, int] | None) -> None:
    text = f'{{"collection": [{",".join(texts)}], "pagination": {{"results": {len(texts)}}}}}'
    body = bytearray(text.encode())
    if spoiled:
        body[spoiled[0] % len(body)] = spoiled[1]
    try:
        expected = json.loads(
            body.decode(errors="surrogateescape"),
            parse_int=number,
            parse_float=number,
            parse_constant=str,
        )
    except ValueError:
        with pytest.raises(BrokenResponse):
            decode_page(bytes(body))
        return
    try:
        found = decode_page(bytes(body))
    except BrokenResponse:
        # Readable, but no page: the spoiled byte hit a key or a count.
        assert spoiled
        return
    assert [plain(item.decode()) for item in found.items] == plain(expected["collection"])


def test_lines_keep_the_text_they_came_as() -> None:
    first, second = '{"totalNetAmount": 1.500,  "description": "æ"}', '{"vatRate":25.0000}'
    page = decode_line_page(f'{{"cursor": "abc=", "more": [1], "items": [ {first}, {second} ]}}'.encode())
    assert [item.raw for item in page.items] == [first, second]
    assert page.items[0].decode()["totalNetAmount"] == Decimal("1.500")
    assert page.cursor == "abc="


@pytest.mark.parametrize("tail", ["", ', "cursor": null', ', "cursor": ""'])
def test_the_last_page_of_lines_names_no_cursor(tail: str) -> None:
    page = decode_line_page(f'{{"items": []{tail}}}'.encode())
    assert (page.items, page.cursor) == ([], None)


def test_odd_lines_stay_within_their_item() -> None:
    raw = b'{"items": [{"a": "Bj@rn"}, {"a": NaN}, {"a": 0.1}], "cursor": "x"}'.replace(b"@", b"\xf8")
    for body_of_page in (raw, b"\xef\xbb\xbf" + raw):
        page = decode_line_page(body_of_page)
        assert [item.decode()["a"] for item in page.items[1:]] == ["NaN", Decimal("0.1")]
        with pytest.raises(UnicodeEncodeError):
            page.items[0].raw.encode()
        assert page.cursor == "x"


@pytest.mark.parametrize(
    "text",
    [
        *("", "<html>maintenance</html>", "[]", "5", "null", "{}", '{"items": null}', '{"items": {}}'),
        *('{"items": [{"a": 1}', '{"items": [],}', '{"items": []} {"items": []}', '{"cursor": "x"}'),
        *(f'{{"items": [], "cursor": {cursor}}}' for cursor in ("5", "true", "{}", '["x"]', r'"\ud800"')),
        *(f'{{"items": [], "cursor": "{cursor}"}}' for cursor in (r"\n", r"a\u0000", "x" * 2001)),
        '{"items": [' + ",".join(["{}"] * (LARGEST_PAGE + 1)) + "]}",
        '{"items": ' + "[" * 100_000 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_anything_but_a_page_of_lines_is_broken(text: str) -> None:
    with pytest.raises(BrokenResponse):
        decode_line_page(text.encode())


def test_a_largest_page_of_lines_is_read() -> None:
    assert len(decode_line_page(f'{{"items": [{",".join(["{}"] * LARGEST_PAGE)}]}}'.encode()).items) == 1000


@pytest.mark.parametrize(("text", "count"), [("0", 0), (" 67500\n", 67500), ("\ufeff7", 7)])
def test_a_bare_whole_number_is_a_count(text: str, count: int) -> None:
    assert decode_count(text.encode()) == count


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1.0", "1e3", '"5"', "true", "null", "[5]", '{"count": 5}', "5 6", "9" * 5000, "NaN", "\xff"],
)
def test_anything_else_is_not_a_count(text: str) -> None:
    with pytest.raises(BrokenResponse):
        decode_count(text.encode("latin-1"))
