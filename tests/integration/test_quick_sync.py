"""A quick sync reads what can have changed, proves the copy, and says so when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from economic.errors import BrokenResponse, SyncSkipped
from economic.sync import ending, lifecycle, quick
from simulator import InProcess
from tests.integration.conftest import Company
from tests.support.expected_rows import expected_row
from tests.support.invariants import BOOKKEEPING

Change = Callable[[InProcess], object]
Numbers = list[int]


def sync_quickly(company: Company) -> dict[str, Any]:
    """Run one quick sync; return its statistics."""
    order = company.order(quick=True, dag_id="economic_invoice_quick_sync")
    with company.hook() as hook:
        attempt = lifecycle.begin(hook, company.connection, order)
        return quick.sync_quickly(attempt, company.page_size, company.cache_seconds)


def differing(company: Company) -> dict[int, Any]:
    """Return the values of the copy that differ from the books (copied, booked), by invoice."""
    with company.connection.cursor(row_factory=dict_row) as cursor:
        cursor.adapters.register_loader("jsonb", TextLoader)  # raw_data is not compared, and long
        found_rows = cursor.execute("select * from economic.invoice where missing_since is null")
        rows = {row["invoice_number"]: row for row in found_rows}
    employees = company.books.ledger.employees()
    books = {number: expected_row(item, employees) for number, item in company.books.ledger.items().items()}
    found = {}
    for number in rows.keys() | books.keys():
        copied, booked = rows.get(number, {}), books.get(number, {})
        keys = (copied.keys() | booked.keys()) - BOOKKEEPING
        if wrong := {
            key: (copied.get(key), booked.get(key)) for key in keys if copied.get(key) != booked.get(key)
        }:
            found[number] = wrong
    return found


@pytest.fixture
def settled(company: Company) -> Company:
    """Return a company whose copy is proven by a full and a quick sync."""
    company.sync()
    statistics = sync_quickly(company)
    assert (statistics["complete"], statistics["scope"]) == (True, "quick")
    return company


def open_numbers(books: InProcess) -> Numbers:
    """Return the numbers of invoices with something left to pay, the lowest first."""
    return [number for number, item in books.ledger.items().items() if item["remainder"] > 0]


def settled_numbers(books: InProcess) -> Numbers:
    return [number for number, item in books.ledger.items().items() if item["remainder"] == 0]


def test_nothing_moved_takes_two_requests(settled: Company) -> None:
    before, standing = settled.xmins(), "select verdict, held, reconciled from economic.sync_status"
    stood = settled.rows(standing)
    statistics = sync_quickly(settled)
    assert settled.rows(standing) == stood
    assert stood[0]["reconciled"] is True
    assert (statistics["requests"], statistics["status"], statistics["complete"]) == (2, "completed", True)
    assert statistics["reconciled"] is True
    assert settled.xmins() == before
    assert (
        settled.value("select message from economic.sync_run order by sync_id desc limit 1")
        == "Nothing has changed"
    )


def test_payment_and_booking_take_seven_requests(settled: Company) -> None:
    paid = open_numbers(settled.books)[0]
    settled.books.pay(paid)
    settled.books.book()
    statistics = sync_quickly(settled)
    assert statistics["requests"] <= 7
    assert (statistics["created"], statistics["updated"], statistics["complete"]) == (1, 1, True)
    assert differing(settled) == {}
    history = settled.rows("select invoice_number from economic.invoice_history")
    assert [row["invoice_number"] for row in history] == [paid]


def pay_in_part(books: InProcess) -> None:
    books.pay(open_numbers(books)[0], "1.25")


def reopen(books: InProcess) -> None:
    books.unpay(settled_numbers(books)[0], "10.50")


def match_and_unmatch(books: InProcess) -> None:
    number = open_numbers(books)[-1]
    books.match(number, books.credit(number))


def pay_many(books: InProcess) -> None:
    for number in open_numbers(books):
        books.pay(number)


CHANGES: dict[str, Change] = {
    "part payment": pay_in_part,
    "payment": lambda books: books.pay(open_numbers(books)[0]),
    "remainder that goes up again": reopen,
    "credit note": lambda books: books.credit(open_numbers(books)[0]),
    "credit note matched": match_and_unmatch,
    "three bookings": lambda books: books.book(3),
    "many payments": pay_many,
}


@pytest.mark.parametrize("negative", [True, False], ids=["credits listed", "credits not listed"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.fault("Q01")
def test_change_is_copied_and_proven(company: Company, change: Change, negative: bool) -> None:
    company.books.unpaid(negative=negative)
    company.sync()
    sync_quickly(company)
    change(company.books)
    statistics = sync_quickly(company)
    assert (statistics["scope"], statistics["complete"]) == ("quick", True)
    assert differing(company) == {}


@pytest.mark.parametrize("negative", [True, False], ids=["credits listed", "credits not listed"])
@pytest.mark.fault("Q01")
def test_unmatched_credit_note_is_read_too(company: Company, negative: bool) -> None:
    company.books.unpaid(negative=negative)
    number = open_numbers(company.books)[-1]
    note = company.books.credit(number)
    company.books.match(number, note)
    company.sync()
    sync_quickly(company)
    company.books.unmatch(number, note)
    assert sync_quickly(company)["complete"] is True
    assert differing(company) == {}


def age_full_syncs(company: Company) -> None:
    company.connection.execute(
        "update economic.sync_run set finished_at = finished_at - interval '2 hours' where scope = 'full'"
    )


def book_low(books: InProcess) -> None:
    """Book a settled invoice with a number below all others; an open one would be listed."""
    number = min(books.ledger.invoices) - 5
    books.book(number=number)
    books.pay(number)


@pytest.mark.parametrize(
    "change", [book_low, lambda books: books.control("remove", number=max(books.ledger.items()))]
)
@pytest.mark.fault("Q02")
def test_what_only_a_full_scan_shows(settled: Company, change: Change) -> None:
    """A number booked below the highest, or an invoice gone: the same run goes on as a full sync."""
    change(settled.books)
    statistics = sync_quickly(settled)
    # A full sync has just ended: it is not done again at once.
    assert (statistics["scope"], statistics["complete"]) == ("quick", False)
    assert statistics["status"] == "completed_with_errors"
    age_full_syncs(settled)
    statistics = sync_quickly(settled)
    assert (statistics["scope"], statistics["complete"], statistics["reconciled"]) == ("full", True, True)
    assert differing(settled) == {}


def test_widened_sync_counts_each_item_once(settled: Company) -> None:
    """A scan that is begun again within it discards what was read and not stored."""
    age_full_syncs(settled)
    book_low(settled.books)
    settled.books.pay(open_numbers(settled.books)[0])
    # The eighth request is that for the scan's second page.
    settled.books.when(8, lambda: book_low(settled.books), match="/")
    statistics = sync_quickly(settled)
    assert (statistics["scope"], statistics["complete"]) == ("full", True)
    assert (statistics["discarded"] > 0, statistics["updated"]) == (True, 1)
    assert differing(settled) == {}


@pytest.mark.fault("Q09")
def test_first_sync_is_a_full_one(company: Company) -> None:
    with pytest.raises(SyncSkipped, match="No full sync"):
        sync_quickly(company)


def test_sync_between_makes_the_next_one_read(settled: Company) -> None:
    """Totals are proof only while nothing else has written since they were compared."""
    paid = open_numbers(settled.books)[0]
    settled.books.pay(paid)
    settled.sync()
    settled.books.unpay(paid)
    # The totals are those of the last quick sync again, and the copy is not.
    assert sync_quickly(settled)["complete"] is True
    assert differing(settled) == {}


@pytest.mark.fault("Q05")
def test_totals_that_cannot_be_read_fail_it(settled: Company) -> None:
    settled.books.fault("/invoices/totals", "body", body="[1", times=10)
    with pytest.raises(BrokenResponse):
        sync_quickly(settled)


def test_old_rows_are_forgotten_but_the_last(settled: Company) -> None:
    """Quick syncs that changed nothing stay for a day, all others for the days set."""
    settled.books.pay(open_numbers(settled.books)[0])
    changed = sync_quickly(settled)["sync_id"]
    quiet = [sync_quickly(settled)["sync_id"] for _ in range(3)]

    def forget(age: str) -> set[int]:
        settled.connection.execute(
            "update economic.sync_run set finished_at = finished_at - %s::interval", [age]
        )
        attempt = settled.fetch(settled.order())
        ending.forget_old_syncs(attempt, 365)
        settled.store(attempt.run.sync_id)
        settled.name(attempt.run.sync_id)
        return {row["sync_id"] for row in settled.rows("select sync_id from economic.sync_run")}

    before = forget("1 hour")
    assert {changed, *quiet} <= before
    after_a_day = forget("2 days")
    # Of the quiet ones the last is what the next quick sync's proof was read from.
    assert after_a_day & {changed, *quiet} == {changed, quiet[-1]}
    after_a_year = forget("366 days")
    assert changed not in after_a_year
    assert settled.value("select count(*) from economic.sync_status where last_synced_at is not null") == 1


def test_name_of_a_new_employee_is_read(settled: Company) -> None:
    (number, name) = next((n, one["name"]) for n, one in settled.books.ledger.employees().items())
    settled.connection.execute("delete from economic.employee where employee_number = %s", [number])
    (booked,) = settled.books.book(sales_person=number)
    assert sync_quickly(settled)["complete"] is True
    stored = "select employee_name from economic.invoice where invoice_number = %s"
    assert settled.value(stored, booked) == name
