"""Reading e-conomic's JSON: exact numbers, each item's own text, and what is not to be believed."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economic.envelope import read_document, read_envelope
from economic.errors import BrokenResponse
from tests import payloads


def body(items: str, pagination: str = '{"results": 2, "pageSize": 1000}', rest: str = "") -> bytes:
    return f'{{"collection": [{items}], "pagination": {pagination}{rest}}}'.encode()


def test_items_keep_the_text_they_came_as() -> None:
    first, second = '{"a": 1.500,  "b": "æ"}', '{"a":100.000000}'
    found = read_envelope(body(f" {first} , {second} "))
    assert [item.raw for item in found.items] == [first, second]
    assert found.items[0].value == {"a": Decimal("1.500"), "b": "æ"}


def test_amounts_are_exact_decimals_and_never_floats() -> None:
    (item, _) = read_envelope(body('{"a": 12345678901234567.89}, {"a": 0.1}')).items
    assert item.value["a"] == Decimal("12345678901234567.89")


def test_a_number_of_thousands_of_digits_does_not_lose_the_page() -> None:
    found = read_envelope(body('{"a": ' + "9" * 5000 + '}, {"a": 1}'))
    assert found.items[1].value == {"a": 1}


def test_words_for_no_number_do_not_lose_the_page() -> None:
    found = read_envelope(body('{"a": NaN}, {"a": -Infinity}'))
    assert not found.items[0].value["a"].is_finite()


def test_bytes_that_are_not_utf8_stay_within_their_item() -> None:
    raw = body('{"a": "Bj@rn"}, {"a": "ok"}').replace(b"@", b"\xf8")
    found = read_envelope(raw)
    assert found.items[1].value == {"a": "ok"}
    with pytest.raises(UnicodeEncodeError):
        found.items[0].raw.encode()


def test_a_byte_order_mark_is_tolerated() -> None:
    assert read_envelope(b"\xef\xbb\xbf" + body('{"a": 1}, {"a": 2}')).results == 2


def test_counts_and_the_next_page_are_read_from_the_pagination() -> None:
    pagination = '{"results": 5, "resultsWithoutFilter": 9, "pageSize": 2, "nextPage": "https://x/"}'
    found = read_envelope(body('{"a": 1}, {"a": 2}', pagination))
    assert (found.results, found.results_without_filter, found.has_next) == (5, 9, True)


@pytest.mark.parametrize(
    "missing", ['{"pagination": {"results": 0}}', '{"collection": [], "pagination": {"results": 0}}']
)
def test_an_empty_collection_may_be_left_out(missing: str) -> None:
    assert read_envelope(missing.encode()).items == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>maintenance</html>",
        "[]",
        "{}",
        '{"collection": []}',
        '{"collection": [], "pagination": null}',
        '{"collection": [], "pagination": {"results": "2"}}',
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
def test_a_page_that_cannot_be_believed_is_refused(text: str) -> None:
    with pytest.raises(BrokenResponse):
        read_envelope(text.encode())


def test_every_way_to_cut_a_page_short_is_noticed() -> None:
    whole = body('{"bookedInvoiceNumber": 1, "x": "y\\u00e6"}, {"bookedInvoiceNumber": 2}')
    for length in range(len(whole)):
        with pytest.raises(BrokenResponse):
            read_envelope(whole[:length])


def test_reads_what_the_standard_parser_reads() -> None:
    text = json.dumps(
        {"collection": [{"a": [1, {"b": None}]}, {}], "pagination": {"results": 2}, "metaData": {"x": []}},
        indent=2,
    )
    assert [item.value for item in read_envelope(text.encode()).items] == json.loads(text)["collection"]


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"a": 1', b"\xff\xfe{", b"[" * 100_000])
def test_a_document_must_be_one_readable_object(text: bytes) -> None:
    with pytest.raises(BrokenResponse):
        read_document(text)


def plain(value: Any) -> Any:
    """With all numbers of one type, and those that are none as text: they would not equal themselves."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return Decimal(value) if Decimal(value).is_finite() else str(value)
    return value


def number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


@given(
    texts=st.lists(payloads.json_texts, min_size=1, max_size=3),
    spoiled=st.none() | st.tuples(st.integers(0), st.sampled_from(b'"\\{}[],:\x00\n\xff\xc3\x80-.0eE/a')),
)
def test_a_page_holds_what_the_standard_library_reads_in_it(
    texts: list[str], spoiled: tuple[int, int] | None
) -> None:
    page = f'{{"collection": [{",".join(texts)}], "pagination": {{"results": {len(texts)}}}}}'
    body = bytearray(page.encode())
    if spoiled:
        body[spoiled[0] % len(body)] = spoiled[1]
    try:
        expected = json.loads(
            body.decode(errors="surrogateescape"),
            parse_int=number,
            parse_float=number,
            parse_constant=number,
        )
    except ValueError:
        with pytest.raises(BrokenResponse):
            read_envelope(bytes(body))
        return
    try:
        found = read_envelope(bytes(body))
    except BrokenResponse:
        # Readable, but no page: the spoiled byte hit a key or a count.
        assert spoiled
        return
    assert [plain(item.value) for item in found.items] == plain(expected["collection"])
