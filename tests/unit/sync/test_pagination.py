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


def books(numbers: set[int], size: int) -> Callable[[int | None], CollectionPage]:
    """The books of a company, as e-conomic answers a key-set request."""

    def get(cursor: int | None) -> CollectionPage:
        left = sorted(n for n in numbers if n > (cursor or 0))
        return CollectionPage(items(left[:size]), len(left), len(numbers), len(left) > size, 0)

    return get


def numbers(pages: list[Page]) -> list[int]:
    return [item.decode()["bookedInvoiceNumber"] for page in pages for item in page.items]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (9, 1), (10, 2), (25, 3), (30, 4)])
def test_every_invoice_is_seen_once_in_order(count: int, requests: int) -> None:
    pages = list(
        scan_pages(books(set(range(1, count + 1)), 10), page_size=10, start=ScanPosition(), whole=True)
    )
    assert numbers(pages) == list(range(1, count + 1))
    assert len(pages) == requests
    assert not any(page.changed_during_scan for page in pages)


def test_scan_resumes_after_the_last_page() -> None:
    get = books(set(range(1, 26)), 10)
    first = next(scan_pages(get, page_size=10, start=ScanPosition(), whole=True))
    rest = list(scan_pages(get, page_size=10, start=first.position, whole=True))
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
    """Whatever is booked or removed between two requests, the scan delivers all that stayed, each once."""
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

    seen = numbers(list(scan_pages(get, page_size=7, start=ScanPosition(), whole=True)))
    assert throughout <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_booking_below_the_cursor_is_noticed() -> None:
    present = set(range(10, 40))

    def get(cursor: int | None) -> CollectionPage:
        if cursor == 19:
            present.add(3)
        return books(present, 10)(cursor)

    pages = list(scan_pages(get, page_size=10, start=ScanPosition(), whole=True))
    assert [page.changed_during_scan for page in pages] == [False, True, True, True]


def test_scan_follows_a_page_size_not_honoured() -> None:
    pages = list(scan_pages(books(set(range(1, 51)), 20), page_size=1000, start=ScanPosition(), whole=True))
    assert numbers(pages) == list(range(1, 51))


def test_scan_keeps_the_last_of_two_equal_numbers() -> None:
    twice = [numbered(n, more) for n, more in [(1, "a"), (2, "b"), (2, "c"), (3, "d")]]
    (page,) = scan_pages(
        lambda _: CollectionPage(twice, 4, 4, False, 0), page_size=10, start=ScanPosition(), whole=False
    )
    assert [item.decode()["more"] for item in page.items] == ["a", "c", "d"]
    assert (page.duplicates, page.position.seen) == (1, 3)


def test_scan_drops_numbers_of_earlier_pages() -> None:
    answers = iter(
        [CollectionPage(items([1, 2]), 4, None, True, 0), CollectionPage(items([2, 3, 4]), 3, None, False, 0)]
    )
    pages = list(scan_pages(lambda _: next(answers), page_size=10, start=ScanPosition(), whole=True))
    assert numbers(pages) == [1, 2, 3, 4]
    assert pages[1].duplicates == 1


def test_unnumbered_item_does_not_move_the_cursor() -> None:
    nameless = [NAMELESS, *items([1]), numbered("no")]
    (page,) = scan_pages(
        lambda _: CollectionPage(nameless, 3, None, False, 0), page_size=10, start=ScanPosition(), whole=True
    )
    assert len(page.items) == 3
    assert page.position == ScanPosition(1, 1, 3)


def test_trailing_unnumbered_items_come_from_the_next_page() -> None:
    nameless = [NAMELESS, numbered(None)]
    answers = iter(
        [
            CollectionPage([*items([1]), nameless[0], *items([2]), *nameless], 7, 7, True, 0),
            CollectionPage([*nameless, *items([5]), nameless[0]], 4, 7, False, 0),
        ]
    )
    pages = list(scan_pages(lambda _: next(answers), page_size=5, start=ScanPosition(), whole=True))
    assert [page.position for page in pages] == [ScanPosition(2, 1, 3), ScanPosition(5, 2, 7)]
    assert [len(page.items) for page in pages] == [3, 4]
    assert not any(page.changed_during_scan for page in pages)


def test_scan_ends_on_a_page_of_unnumbered_items() -> None:
    pages = list(
        scan_pages(
            lambda _: CollectionPage([NAMELESS], 1, None, False, 0),
            page_size=10,
            start=ScanPosition(),
            whole=True,
        )
    )
    assert len(pages) == 1


@pytest.mark.parametrize("has_next", [True, False])
def test_answers_that_never_get_on_end_the_scan(has_next: bool) -> None:
    calls = 0

    def get(_: int | None) -> CollectionPage:
        nonlocal calls
        calls += 1
        return CollectionPage(items(list(range(1, 11))), 25, None, has_next, 0)

    with pytest.raises(ContractChanged, match="never end"):
        list(scan_pages(get, page_size=10, start=ScanPosition(), whole=True))
    assert calls == 2


def test_answers_that_are_not_sorted_are_refused() -> None:
    with pytest.raises(ContractChanged, match="not sorted"):
        list(
            scan_pages(
                lambda _: CollectionPage(items([1, 3, 2]), 3, None, False, 0),
                page_size=10,
                start=ScanPosition(),
                whole=True,
            )
        )


def test_empty_page_before_the_end_is_an_error() -> None:
    with pytest.raises(BrokenResponse):
        list(
            scan_pages(
                lambda _: CollectionPage([], 5, None, True, 0), page_size=10, start=ScanPosition(), whole=True
            )
        )


def test_endless_scan_is_stopped() -> None:
    asked = 0

    def get(cursor: int | None) -> CollectionPage:
        nonlocal asked
        asked += 1
        first = (cursor or 0) + 1
        return CollectionPage(items(list(range(first, first + 100))), 250, None, True, 0)

    with pytest.raises(ContractChanged, match="far more than were announced"):
        list(scan_pages(get, page_size=100, start=ScanPosition(), whole=True))
    assert asked == 16  # twice what was announced and a thousand more: 1500


def test_other_page_size_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pages = list(scan_pages(books(set(range(1, 96)), 20), page_size=1000, start=ScanPosition(), whole=True))
    assert numbers(pages) == list(range(1, 96))
    assert caplog.text.count("20 invoices; 1000 were asked for") == 1


def test_scan_logs_two_different_items_of_one_number(caplog: pytest.LogCaptureFixture) -> None:
    twice = [*items([1, 2]), numbered(2, "another"), *items([3, 3])]
    (page,) = scan_pages(
        lambda cursor: CollectionPage(twice, 3, 3, False, 0), page_size=10, start=ScanPosition(), whole=True
    )
    assert [item.decode()["more"] for item in page.items] == ["", "another", ""]
    assert page.duplicates == 2
    assert [record.args for record in caplog.records] == [(2,)]
