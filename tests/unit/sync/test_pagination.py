"""A scan sees every invoice that exists throughout it, and never believes an answer that would let it miss one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economic.errors import BrokenResponse, ContractChanged
from economic.records.decoder import CollectionPage, RawItem
from economic.sync.pagination import Page, ScanPosition, scan_pages


def numbered(number: object, more: str = "") -> RawItem:
    """An item that holds a number, and something else to tell it by."""
    return RawItem(json.dumps({"bookedInvoiceNumber": number, "more": more}).encode())


NAMELESS = RawItem(b"{}")


def items(numbers: list[int]) -> list[RawItem]:
    return [numbered(n) for n in numbers]


Get = Callable[[int | None], CollectionPage]


def books(numbers: set[int], size: int) -> Get:
    """The books of a company, as e-conomic answers a key-set request."""

    def get(cursor: int | None) -> CollectionPage:
        left = sorted(n for n in numbers if n > (cursor or 0))
        return CollectionPage(items(left[:size]), len(left), len(numbers), len(left) > size)

    return get


def numbers(pages: list[Page]) -> list[int]:
    return [item.decode()["bookedInvoiceNumber"] for page in pages for item in page.items]


def scanned(get: Get, size: int = 10, start: ScanPosition | None = None) -> list[Page]:
    return list(scan_pages(get, page_size=size, start=start or ScanPosition(), whole=True))


def answers(*pages: tuple[list[RawItem], int, int | None]) -> Get:
    """Give these pages one after the other: items, results, results without the filter."""
    left = [CollectionPage(*page, has_next=page is not pages[-1]) for page in pages]
    return lambda _: left.pop(0)


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (9, 1), (10, 2), (25, 3), (30, 4)])
def test_every_invoice_is_seen_once_in_order(count: int, requests: int) -> None:
    pages = scanned(books(set(range(1, count + 1)), 10))
    assert numbers(pages) == list(range(1, count + 1))
    assert len(pages) == requests
    assert not any(page.changed_during_scan for page in pages)


def test_scan_resumes_after_the_last_page() -> None:
    get = books(set(range(1, 26)), 10)
    first = next(scan_pages(get, page_size=10, start=ScanPosition(), whole=True))
    rest = scanned(get, start=first.position)
    assert numbers([first, *rest]) == list(range(1, 26))
    assert [page.number for page in rest] == [2, 3]
    assert rest[-1].position.seen == 25


@given(
    present=st.sets(st.integers(1, 60), max_size=40),
    changes=st.dictionaries(
        st.integers(0, 8), st.tuples(st.sets(st.integers(1, 80)), st.sets(st.integers(1, 80)))
    ),
)
def test_what_exists_throughout_is_never_missed(
    present: set[int], changes: dict[int, tuple[set[int], set[int]]]
) -> None:
    """Delivers all that stayed, each once, whatever is booked or removed between two requests."""
    now, throughout, request = set(present), set(present), 0

    def get(cursor: int | None) -> CollectionPage:
        nonlocal request
        booked, removed = changes.get(request, (set(), set()))
        if request:
            now.update(booked)
            now.difference_update(removed)
            throughout.intersection_update(now)
        request += 1
        return books(now, 7)(cursor)

    seen = numbers(scanned(get, 7))
    assert throughout <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_booking_below_the_cursor_is_noticed() -> None:
    present = set(range(10, 40))

    def get(cursor: int | None) -> CollectionPage:
        if cursor == 19:
            present.add(3)
        return books(present, 10)(cursor)

    assert [page.changed_during_scan for page in scanned(get)] == [False, True, True, True]


def test_another_page_size_is_followed_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    assert numbers(scanned(books(set(range(1, 96)), 20), 1000)) == list(range(1, 96))
    assert caplog.text.count("20 invoices; 1000 were asked for") == 1


def test_last_of_equal_numbers_counts(caplog: pytest.LogCaptureFixture) -> None:
    twice = [*items([1, 2]), numbered(2, "another"), *items([3, 3])]
    (page,) = scanned(answers((twice, 3, 3)))
    assert [item.decode()["more"] for item in page.items] == ["", "another", ""]
    assert (page.duplicates, page.position.seen) == (2, 3)
    assert [record.args for record in caplog.records] == [(2,)]


def test_scan_drops_numbers_of_earlier_pages() -> None:
    pages = scanned(answers((items([1, 2]), 4, None), (items([2, 3, 4]), 3, None)))
    assert numbers(pages) == [1, 2, 3, 4]
    assert pages[1].duplicates == 1


def test_unnumbered_items_do_not_move_the_cursor() -> None:
    """Those at the end of a page come again with the next one; a page of nothing else is the last."""
    (page,) = scanned(answers(([NAMELESS, *items([1]), numbered("no")], 3, None)))
    assert (len(page.items), page.position) == (3, ScanPosition(1, 1, 3))
    assert len(scanned(answers(([NAMELESS], 1, None)))) == 1
    end = [NAMELESS, numbered(None)]
    pages = scanned(
        answers(([*items([1]), NAMELESS, *items([2]), *end], 7, 7), ([*end, *items([5]), NAMELESS], 4, 7)),
        5,
    )
    assert [page.position for page in pages] == [ScanPosition(2, 1, 3), ScanPosition(5, 2, 7)]
    assert [len(page.items) for page in pages] == [3, 4]
    assert not any(page.changed_during_scan for page in pages)


ENDLESS = items(list(range(1, 11)))


@pytest.mark.parametrize(
    ("pages", "error", "said"),
    [
        ([(ENDLESS, 25, None)] * 2, ContractChanged, "never end"),
        ([(ENDLESS, 25, None), (ENDLESS, 25, None), ([], 0, None)], ContractChanged, "never end"),
        ([(items([1, 3, 2]), 3, None)], ContractChanged, "not sorted"),
        ([([], 5, None), ([], 0, None)], BrokenResponse, "empty"),
    ],
    ids=["again and ends", "again and goes on", "not sorted", "empty before the end"],
)
def test_an_impossible_page_ends_the_scan(
    pages: list[tuple[list[RawItem], int, int | None]], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        scanned(answers(*pages))
