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
from tests.conftest import expect
from tests.integration.conftest import Company


def missing(company: Company) -> list[int]:
    found = company.rows(
        "select invoice_number from economic.invoice where missing_since is not null order by invoice_number"
    )
    return [row["invoice_number"] for row in found]


def last_sync(company: Company) -> dict[str, Any]:
    return company.rows("select * from economic.sync_run order by sync_id desc limit 1")[0]


def test_log_holds_no_sum(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    """Keeps sums from those who may read a task's log only."""
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


def counting(company: Company, count: int) -> None:
    """Let the totals count so many invoices, whatever the list shows."""
    net = sum((item["netAmountInBaseCurrency"] for item in company.books.ledger.items().values()), Decimal())
    booked = f'{{"invoiceCount": {count}, "netAmountInBaseCurrency": {net}}}'
    company.books.fault("/invoices/totals", "body", body=f'{{"booked": {booked}}}')


BELIEVED = [(250, 10, 0), (250, 10, -1), (10, 5, 0)]
DOUBTED = [
    (250, 11, 0),
    (250, 10, 10),
    (250, 10, 1),
    (10, 10, 0),
    (10, 6, 0),
    (10, 5, 5),
    (1, 1, 0),
    (1, 1, 1),
]


@pytest.mark.parametrize(
    ("held", "gone", "still_counted", "marked"),
    [*((*shrink, True) for shrink in BELIEVED), *((*shrink, False) for shrink in DOUBTED)],
)
def test_a_believable_shrink_is_marked(
    company: Company, held: int, gone: int, still_counted: int, marked: bool
) -> None:
    """Doubts many at once, most of a small company, and what e-conomic's totals still count."""
    remove(company, 250 - held, start=0)
    company.sync()
    numbers = remove(company, gone, start=0)
    if still_counted:
        counting(company, held - gone + still_counted)
    expect(company.sync(), missing=gone * marked, reconciled=marked and not still_counted)
    assert missing(company) == numbers * marked
    assert company.value("select count(*) from economic.invoice") == held
    sync = last_sync(company)
    assert (sync["warning"] or "").endswith("none was marked missing") is not marked
    assert sync["status"] == ("completed" if marked else "completed_with_errors")
    assert (sync["warning"] or "") in sync["message"]
    if marked:
        assert company.sync()["missing"] == 0
        assert missing(company) == numbers


def test_missing_invoice_is_found_although_counts_agree(company: Company) -> None:
    """Holds as many as were shown, but not the same: one is gone, and a new one cannot be stored."""
    company.sync()
    (gone,) = remove(company, 1)
    (new,) = company.books.book()
    company.books.spoil(new, "date", value="2026-02-30")
    statistics = company.sync()
    assert (statistics["fetched"], statistics["failed"], statistics["missing"]) == (250, 1, 1)
    assert missing(company) == [gone]


@pytest.mark.parametrize("rejected", [False, True])
def test_one_that_comes_back_is_no_longer_missing(company: Company, rejected: bool) -> None:
    company.sync()
    (number,) = remove(company, 1)
    company.sync()
    assert missing(company) == [number]
    company.books.control("restore", number=number)
    if rejected:
        company.books.spoil(number, "date", value="2026-02-30")
    expect(
        company.sync(), fetched=250, failed=int(rejected), unchanged=250 - rejected, returned=1, complete=True
    )
    assert missing(company) == []
    assert company.sync()["returned"] == 0


def test_a_shrink_is_accepted_for_one_run_only(company: Company) -> None:
    company.sync()
    remove(company, 200, start=50)
    counting(company, 250)
    assert company.sync(accept_missing=True)["missing"] == 0, "the totals contradict"
    company.books.faults()
    assert company.sync()["missing"] == 0
    expect(company.sync(accept_missing=True), missing=200, status="completed", reconciled=True)
    assert last_sync(company)["accept_missing"] is True
    remove(company, 30, start=0)
    assert company.sync()["missing"] == 0


def test_incomplete_scan_or_range_marks_nothing(company: Company) -> None:
    company.sync()
    day = company.books.ledger.items()[remove(company, 3)[0]]["date"]
    expect(company.sync(date_from=date.fromisoformat(day)), scope="range", missing=0)
    company.books.reset()
    for request, number in ((2, 9000), (6, 9001)):
        company.books.when(request, {"action": "book", "number": number})
    expect(company.sync(), complete=False, missing=0)
    assert missing(company) == []


def test_rejected_invoice_is_not_missing(company: Company) -> None:
    company.sync()
    number = sorted(company.books.ledger.items())[7]
    company.books.spoil(number, "date", value="2026-02-30")
    expect(company.sync(), failed=1, missing=0, reconciled=False)
    assert missing(company) == []
    assert last_sync(company)["verdict"] == "Differs from e-conomic: 1 invoice rejected."


def test_rejection_explains_a_difference_until_resolved(company: Company) -> None:
    number = sorted(company.books.ledger.items())[7]
    net = company.books.ledger.item(number)["netAmountInBaseCurrency"]
    company.books.spoil(number, "date", value="2026-02-30")
    company.sync()
    assert last_sync(company)["verdict"].startswith(
        f"Differs from e-conomic: net {abs(net):,.2f} DKK more in e-conomic than here: "
        "the rejected invoices' amounts are not in the copy; 1 invoice rejected."
    )
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
        " where invoice_date >= date_trunc('month', now() at time zone 'Europe/Copenhagen') - interval '23 months' group by 1"
    )
    assert held["months"] == {row["month"]: row["n"] for row in months}
    assert months


HELD = StoredTotals(10, Decimal("100.00"), Decimal("40.00"), 0, 0, 0, Decimal(0), 0, 0, 0, 0, "DKK")
HERE, THERE = "more here than in e-conomic", "more in e-conomic than here"
MORE = "its totals count more than its list shows; the next sync compares again."
GONE = "invoices are gone from its list that were not marked missing."
AGAIN = "the next sync reads again."
LESS = "its totals count less than its list shows; the next sync compares again."
UNMARKED, UNPROVEN = {"unmarked": True}, {"complete": False}
VERDICTS: list[tuple[str, str, dict[str, bool], str]] = [
    ("12", "1350", {}, f"2 invoices, 1,250.00 DKK {THERE}: {MORE}"),
    ("11", "50", {}, f"1 invoice {THERE}, net 50.00 DKK {HERE}: {MORE}"),
    ("9", "90", {}, f"1 invoice, 10.00 DKK {HERE}: {LESS}"),
    ("9", "90", UNMARKED, f"1 invoice, 10.00 DKK {HERE}: {GONE}"),
    ("10", "100", UNMARKED, "its totals count invoices that its list does not show."),
    ("9", "90", UNPROVEN, f"1 invoice, 10.00 DKK {HERE}: the scan was not proven complete; {AGAIN}"),
    ("10", "99.99", {}, f"net 0.01 DKK {HERE}: the counts agree; the next sync compares again."),
]


@pytest.mark.parametrize(("count", "net", "state", "said"), VERDICTS)
def test_the_verdict_says_what_differs(count: str, net: str, state: dict[str, bool], said: str) -> None:
    theirs = Totals(int(count), Decimal(net))
    verdict = compare(theirs, HELD, **({"complete": True, "unmarked": False} | state))
    assert verdict == (False, f"Differs from e-conomic: {said}")


@pytest.mark.parametrize(
    ("net", "unpaid", "said"),
    [("100", "40", ""), ("99.996", "40", ""), ("100", "30.5", " Unpaid there 30.50 DKK, here 40.00 DKK.")],
)
def test_the_verdict_says_that_it_agrees(net: str, unpaid: str, said: str) -> None:
    theirs = Totals(10, Decimal(net), Decimal(unpaid))
    verdict = compare(theirs, HELD, complete=True, unmarked=False)
    assert verdict == (True, f"Agrees with e-conomic: 10 invoices, net 100.00 DKK.{said}")
