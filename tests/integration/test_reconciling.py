"""What is gone is marked only when that is proven and believable, and the verdict says in words how the copy stands."""

from __future__ import annotations

import logging
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from economic.db.invoices import StoredTotals
from economic.records.totals import Totals
from economic.sync.reconcile import compare
from tests.integration.conftest import Company


def missing(company: Company) -> list[int]:
    found = company.rows(
        "select invoice_number from economic.invoice where missing_since is not null order by invoice_number"
    )
    return [row["invoice_number"] for row in found]


def last_sync(company: Company) -> dict[str, Any]:
    return company.rows("select * from economic.sync_run order by sync_id desc limit 1")[0]


def test_log_holds_no_sum(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    """Who may read a task's log need not be allowed to read sums."""
    caplog.set_level(logging.INFO)
    company.sync()
    company.connection.execute(
        "update economic.invoice set net_amount_base = net_amount_base + 1, digest = null"
    )
    company.books.control("remove", number=max(company.books.ledger.items()))
    company.sync()
    sums = company.rows(
        "select held ->> 'net_amount_base' as net, held ->> 'remainder_base' as owed,"
        " totals ->> 'net_amount_base' as their_net from economic.sync_run"
    )
    values = {value for row in sums for value in row.values()}
    assert len(values) > 2
    assert [
        value for value in values if value in caplog.text or f"{Decimal(value):,.2f}" in caplog.text
    ] == []
    assert "agrees with e-conomic" in caplog.text


def remove(company: Company, count: int, start: int = 100) -> list[int]:
    numbers = sorted(company.books.ledger.items())[start : start + count]
    for number in numbers:
        company.books.control("remove", number=number)
    return numbers


def test_missing_invoice_is_marked_and_not_deleted(company: Company) -> None:
    company.sync()
    gone = remove(company, 10)
    statistics = company.sync()
    assert (statistics["missing"], statistics["status"], statistics["reconciled"]) == (10, "completed", True)
    assert missing(company) == gone
    assert company.value("select count(*) from economic.invoice") == 250
    assert company.sync()["missing"] == 0
    assert missing(company) == gone


def test_missing_invoice_is_found_although_counts_agree(company: Company) -> None:
    """One is gone and a new one cannot be stored: as many are held as were shown, but not the same."""
    company.sync()
    (gone,) = remove(company, 1)
    (new,) = company.books.book()
    company.books.spoil(new, "date", value="2026-02-30")
    statistics = company.sync()
    assert (statistics["fetched"], statistics["failed"], statistics["missing"]) == (250, 1, 1)
    assert missing(company) == [gone]


def test_one_that_comes_back_is_no_longer_missing(company: Company) -> None:
    company.sync()
    (number,) = remove(company, 1)
    company.sync()
    assert missing(company) == [number]
    company.books.control("restore", number=number)
    statistics = company.sync()
    assert missing(company) == []
    assert (statistics["fetched"], statistics["unchanged"], statistics["reconciled"]) == (250, 250, True)
    assert statistics["returned"] == 1
    assert company.sync()["returned"] == 0


def test_returned_invoice_is_not_missing_when_rejected(company: Company) -> None:
    company.sync()
    (number,) = remove(company, 1)
    company.sync()
    company.books.control("restore", number=number)
    company.books.spoil(number, "date", value="2026-02-30")
    statistics = company.sync()
    assert missing(company) == []
    assert (statistics["failed"], statistics["returned"], statistics["complete"]) == (1, 1, True)


def test_too_many_missing_at_once_mark_nothing(company: Company) -> None:
    company.sync()
    remove(company, 11)
    statistics = company.sync()
    assert (statistics["missing"], statistics["status"], statistics["reconciled"]) == (
        0,
        "completed_with_errors",
        False,
    )
    assert missing(company) == []
    sync = last_sync(company)
    assert "e-conomic no longer returns 11 of 250 invoices, more than the limit of 10" in sync["warning"]
    assert sync["warning"] in sync["message"]


def test_empty_books_are_not_believed_either(company: Company) -> None:
    company.sync()
    remove(company, 250, start=0)
    statistics = company.sync()
    assert (statistics["missing"], statistics["status"]) == (0, "completed_with_errors")
    assert missing(company) == []


def counting(company: Company, count: int) -> None:
    """Let the totals count so many invoices, whatever the list shows."""
    net = sum((item["netAmountInBaseCurrency"] for item in company.books.ledger.items().values()), Decimal())
    booked = f'{{"invoiceCount": {count}, "netAmountInBaseCurrency": {net}}}'
    company.books.fault("/invoices/totals", "body", body=f'{{"booked": {booked}}}')


@pytest.mark.parametrize(("still_counted", "marked"), [(10, 0), (1, 0), (0, 10), (-1, 10)])
def test_invoices_still_counted_by_totals_are_not_missing(
    company: Company, still_counted: int, marked: int
) -> None:
    company.sync()
    remove(company, 10)
    counting(company, 240 + still_counted)
    statistics = company.sync()
    assert (statistics["missing"], statistics["reconciled"]) == (marked, still_counted == 0)
    assert len(missing(company)) == marked
    sync = last_sync(company)
    assert (sync["warning"] or "").endswith("none was marked missing") is not marked
    assert "booked while" not in sync["verdict"]


@pytest.mark.parametrize(("held", "gone", "marked"), [(10, 10, 0), (10, 6, 0), (10, 5, 5), (1, 1, 0)])
@pytest.mark.parametrize("counted", [True, False])
def test_most_of_a_small_company_is_never_marked(
    company: Company, held: int, gone: int, marked: int, counted: bool
) -> None:
    remove(company, 250 - held, start=0)
    company.sync()
    remove(company, gone, start=0)
    if counted:
        counting(company, held)
    statistics = company.sync()
    marked = 0 if counted else marked
    assert statistics["missing"] == len(missing(company)) == marked
    assert statistics["reconciled"] is (marked > 0)


def test_a_shrink_is_accepted_for_one_run_only(company: Company) -> None:
    company.sync()
    remove(company, 200, start=50)
    counting(company, 250)
    assert company.sync(accept_missing=True)["missing"] == 0, "the totals contradict"
    company.books.faults()
    assert company.sync()["missing"] == 0
    statistics = company.sync(accept_missing=True)
    assert (statistics["missing"], statistics["status"], statistics["reconciled"]) == (200, "completed", True)
    assert last_sync(company)["accept_missing"] is True
    remove(company, 30, start=0)
    assert company.sync()["missing"] == 0


def test_incomplete_scan_marks_nothing(company: Company) -> None:
    company.sync()
    remove(company, 3)
    for request, number in ((2, 9000), (6, 9001)):
        company.books.when(request, {"action": "book", "number": number})
    statistics = company.sync()
    assert (statistics["complete"], statistics["missing"]) == (False, 0)
    assert missing(company) == []


def test_a_range_marks_nothing(company: Company) -> None:
    company.sync()
    items = company.books.ledger.items()
    gone = remove(company, 3)
    day = items[gone[0]]["date"]
    assert company.sync(date_from=date.fromisoformat(day))["missing"] == 0
    assert missing(company) == []


def test_rejected_invoice_is_not_missing(company: Company) -> None:
    company.sync()
    number = sorted(company.books.ledger.items())[7]
    company.books.spoil(number, "date", value="2026-02-30")
    statistics = company.sync()
    assert (statistics["failed"], statistics["missing"], statistics["reconciled"]) == (1, 0, False)
    assert missing(company) == []
    assert last_sync(company)["verdict"] == "Differs from e-conomic: 1 invoice rejected."


def test_rejected_invoice_is_the_reason_of_a_difference(company: Company) -> None:
    number = sorted(company.books.ledger.items())[7]
    net = company.books.ledger.item(number)["netAmountInBaseCurrency"]
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    assert last_sync(company)["verdict"].startswith(
        f"Differs from e-conomic: net {abs(net):,.2f} DKK more in e-conomic than here: "
        "the rejected invoices' amounts are not in the copy; 1 invoice rejected."
    )


def test_unnumbered_item_prevents_marking(company: Company) -> None:
    company.sync()
    number = sorted(company.books.ledger.items())[7]
    company.books.spoil(number, "bookedInvoiceNumber", raw='"no number"')
    statistics = company.sync()
    assert (statistics["failed"], statistics["missing"], statistics["status"]) == (
        1,
        0,
        "completed_with_errors",
    )
    assert missing(company) == []
    assert "1 item came without a usable number" in last_sync(company)["warning"]
    company.books.heal(number)
    assert company.sync()["status"] == "completed"


def test_rejection_resolves_when_its_item_is_gone(company: Company) -> None:
    number = sorted(company.books.ledger.items())[7]
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    company.books.control("remove", number=number)
    assert company.sync()["reconciled"] is True
    assert company.value("select count(*) from economic.rejected_invoice where resolved_at is null") == 0


def book_before_totals(company: Company, times: int) -> None:
    """Book two invoices after each of the first closing counts: three pages and a count, then a page and a count."""
    for closing_count in range(4, 4 + 2 * times, 2):
        company.books.when(closing_count, {"action": "book", "count": 2, "net": "500", "date": "2026-06-01"})


@pytest.mark.parametrize("times", [1, 2, 3])
def test_invoices_booked_before_the_totals_are_read_too(company: Company, times: int) -> None:
    book_before_totals(company, times)
    statistics = company.sync()
    assert (statistics["fetched"], statistics["complete"]) == (250 + 2 * times, True)
    assert (statistics["reconciled"], statistics["discarded"]) == (True, 0)


def test_books_that_never_stop_growing_end_the_reading(company: Company) -> None:
    book_before_totals(company, 20)
    statistics = company.sync()
    assert (statistics["fetched"], statistics["complete"], statistics["reconciled"]) == (256, True, False)
    verdict = last_sync(company)["verdict"]
    assert verdict.startswith("Differs from e-conomic: 2 invoices, ")
    assert "DKK more in e-conomic than here: its totals count more than its list shows" in verdict
    assert company.sync()["fetched"] > 256


def test_invoice_booked_below_before_the_totals_is_read(company: Company) -> None:
    company.books.when(4, {"action": "book", "number": 9000})
    statistics = company.sync()
    assert (statistics["complete"], statistics["reconciled"]) == (True, True)
    assert statistics["discarded"] == 250


def test_totals_that_always_count_more_cost_one_reading(company: Company) -> None:
    counting(company, 300)
    statistics = company.sync()
    paths = [entry["path"] for entry in company.books.requests()]
    assert paths.count("/invoices/totals") == 1
    assert (statistics["complete"], statistics["reconciled"], statistics["discarded"]) == (True, False, 0)


def test_what_is_held_is_kept_with_the_sync(company: Company) -> None:
    company.books.control("clock", date="2026-06-01")
    company.sync()
    held = last_sync(company)["held"]
    items = company.books.ledger.items().values()
    assert held["invoice_count"] == 250
    assert Decimal(held["net_amount_base"]) == sum(item["netAmountInBaseCurrency"] for item in items)
    assert Decimal(held["remainder_base"]) == sum(item["remainderInBaseCurrency"] for item in items)
    assert held["credit_count"] == sum(item["remainder"] < 0 for item in items)
    assert held["open_count"] + held["overdue_count"] == sum(item["remainder"] > 0 for item in items)
    months = company.rows(
        "select to_char(invoice_date, 'YYYY-MM') as month, count(*) as n from economic.invoice"
        " where invoice_date >= date_trunc('month', now()) - interval '23 months' group by 1"
    )
    assert held["months"] == {row["month"]: row["n"] for row in months}
    assert months


NOTHING = StoredTotals(
    invoice_count=10,
    net_amount_base=Decimal("100.00"),
    remainder_base=Decimal("40.00"),
    without_base=0,
    open_count=0,
    overdue_count=0,
    overdue_base=Decimal(0),
    credit_count=0,
    missing_count=0,
    rejected_count=0,
    unheld_count=0,
    base_currency="DKK",
)


@pytest.mark.parametrize(
    ("theirs", "proven", "unmarked", "said"),
    [
        (Totals(10, Decimal("100")), True, False, "Agrees with e-conomic: 10 invoices, net 100.00 DKK."),
        (
            Totals(10, Decimal("100"), Decimal("30.5")),
            True,
            False,
            "Agrees with e-conomic: 10 invoices, net 100.00 DKK. Unpaid there 30.50 DKK, here 40.00 DKK.",
        ),
        (
            Totals(12, Decimal("1350")),
            True,
            False,
            "Differs from e-conomic: 2 invoices, 1,250.00 DKK more in e-conomic than here: its totals count more than its list shows; the next sync compares again.",
        ),
        (
            Totals(11, Decimal("50")),
            True,
            False,
            "Differs from e-conomic: 1 invoice more in e-conomic than here, net 50.00 DKK more here than in e-conomic: its totals count more than its list shows; the next sync compares again.",
        ),
        (
            Totals(9, Decimal("90")),
            True,
            False,
            "Differs from e-conomic: 1 invoice, 10.00 DKK more here than in e-conomic: its totals count less than its list shows; the next sync compares again.",
        ),
        (
            Totals(9, Decimal("90")),
            True,
            True,
            "Differs from e-conomic: 1 invoice, 10.00 DKK more here than in e-conomic: invoices are gone from its list that were not marked missing.",
        ),
        (
            Totals(10, Decimal("100")),
            True,
            True,
            "Differs from e-conomic: its totals count invoices that its list does not show.",
        ),
        (
            Totals(9, Decimal("90")),
            False,
            False,
            "Differs from e-conomic: 1 invoice, 10.00 DKK more here than in e-conomic: the scan was not proven complete; the next sync reads again.",
        ),
        (Totals(10, Decimal("99.996")), True, False, "Agrees with e-conomic: 10 invoices, net 100.00 DKK."),
        (
            Totals(10, Decimal("99.99")),
            True,
            False,
            "Differs from e-conomic: net 0.01 DKK more here than in e-conomic: the counts agree; the next sync compares again.",
        ),
    ],
)
def test_the_verdict_says_how_it_stands(theirs: Totals, proven: bool, unmarked: bool, said: str) -> None:
    agreed, verdict = compare(theirs, NOTHING, complete=proven, unmarked=unmarked)
    assert verdict == said
    assert agreed is said.startswith("Agrees")
