"""Lines of invoices: read once, proven to add up, and never in the way of a sync."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from economic.lines import chunk, reading
from simulator import InProcess
from tests.integration.conftest import Company
from tests.support.expected_lines import QUERY, wrong_lines


def read_lines(company: Company, run_id: str = "lines 1") -> dict[str, Any]:
    """Let one run read lines; return its statistics."""
    with company.hook() as hook:
        return reading.read_lines(company.connection, hook, company.conn_id, run_id)


def wrong_invoices(company: Company) -> list[int]:
    """Return the invoices whose stored lines are not those of the books."""
    return list(wrong_lines(company.rows(QUERY), company.books.line_book, company.books.ledger.agreement))


def statuses(company: Company) -> Counter[str]:
    return Counter(row["status"] for row in company.rows("select status from economic.line_check"))


def asked(company: Company) -> list[str]:
    """Return the paths of the requests since the last reset, without what lines are not about."""
    return [request["path"].rsplit("/", 1)[-1] for request in company.books.requests()]


@pytest.fixture
def copied(company: Company) -> Company:
    """Return a company whose invoices are copied, and whose lines are not."""
    company.sync()
    company.books.reset()
    return company


def test_all_lines_are_read_and_proven(copied: Company) -> None:
    statistics = read_lines(copied)
    invoices = copied.value("select count(*) from economic.invoice")
    assert wrong_invoices(copied) == []
    assert statuses(copied) == {"proven": invoices}
    assert (statistics["proven"], statistics["lines"], statistics["count_agrees"]) == (
        invoices,
        3 * invoices,
        True,
    )
    assert copied.value("select statistics from economic.line_reading") == statistics


def test_nothing_new_makes_no_request(copied: Company) -> None:
    read_lines(copied)
    copied.books.reset()
    assert read_lines(copied)["invoices"] == 0
    assert copied.books.requests() == []


def test_booking_takes_two_requests(copied: Company) -> None:
    read_lines(copied)
    (number,) = copied.books.book()
    copied.sync()
    copied.books.reset()
    statistics = read_lines(copied)
    assert (statistics["invoices"], statistics["requests"]) == (1, 2)
    assert asked(copied) == ["self", "lines"]
    assert wrong_invoices(copied) == []
    assert (
        copied.value("select status from economic.line_check where invoice_number = %s", number) == "proven"
    )


def test_more_lines_than_fit_are_read_in_halves(copied: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk, "MOST_LINES", 50)
    read_lines(copied)
    assert set(statuses(copied)) == {"proven"}
    assert wrong_invoices(copied) == []


def test_difference_is_read_again_alone_and_kept(copied: Company) -> None:
    number = copied.books.ledger.numbers[5]
    copied.books.differ(number, "0.01")
    statistics = read_lines(copied)
    assert (statistics["differing"], statistics["proven"]) == (
        1,
        copied.value("select count(*) - 1 from economic.invoice"),
    )
    (check,) = copied.rows("select * from economic.line_check where status <> 'proven'")
    assert (check["invoice_number"], check["status"], check["tries"]) == (number, "differing", 2)
    assert check["lines_net_amount"] - check["invoice_net_amount"] == Decimal("0.01")
    shown = copied.rows("select proven from economic.invoice_lines where invoice_number = %s", number)
    assert [row["proven"] for row in shown] == [False] * 3


def age_checks(company: Company, hours: int) -> None:
    company.connection.execute(
        "update economic.line_check set last_read_at = last_read_at - make_interval(hours => %s)", [hours]
    )


def test_difference_is_looked_at_daily_for_a_week(copied: Company) -> None:
    number = copied.books.ledger.numbers[5]
    copied.books.differ(number, "5")
    read_lines(copied)
    assert read_lines(copied)["invoices"] == 0
    age_checks(copied, 21)
    assert read_lines(copied)["invoices"] == 2  # with the others, and once more alone
    copied.books.heal(number)
    age_checks(copied, 21)
    assert read_lines(copied)["differing"] == 0
    copied.books.differ(number, "5")
    copied.connection.execute(
        "update economic.line_check set status = 'differing', first_read_at = now() - interval '8 days', "
        "last_read_at = now() - interval '1 day' where invoice_number = %s",
        [number],
    )
    assert read_lines(copied)["invoices"] == 0


@pytest.mark.parametrize("ending", ["failed", "skipped", "running"])
def test_retry_with_nothing_left_ends_well(copied: Company, ending: str) -> None:
    """A run may break off after its last line is stored."""
    read_lines(copied)
    copied.connection.execute("update economic.line_reading set status = %s", [ending])
    assert read_lines(copied)["count_agrees"] is True
    assert copied.value("select status from economic.line_reading") == "completed"
    copied.books.reset()
    read_lines(copied)
    assert copied.books.requests() == []


def test_missing_invoice_leaves_the_views(copied: Company) -> None:
    read_lines(copied)
    number = copied.books.ledger.numbers[0]
    copied.connection.execute(
        "update economic.invoice set missing_since = now() where invoice_number = %s", [number]
    )
    assert copied.rows("select 1 from economic.invoice_lines where invoice_number = %s", number) == []
    copied.connection.execute("update economic.line_reading set counted_at = now() - interval '1 day'")
    copied.connection.execute("delete from economic.invoice_history")
    read_lines(copied)
    assert copied.value("select counted = held from economic.line_reading")
    assert copied.value("select count(*) from economic.line_check where invoice_number = %s", number) == 0


def with_text_line(books: InProcess) -> int:
    """Return an invoice that has a line without an amount."""
    book = books.line_book
    return next(
        number
        for number in book.ledger.numbers
        if any("totalNetAmount" not in line for line in book.items(number))
    )


def test_lost_text_line_is_found_by_the_count(copied: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    number = with_text_line(copied.books)
    copied.books.lose(number)
    assert read_lines(copied)["count_agrees"] is False
    assert copied.rows("select held - counted as lost from economic.line_reading") == [{"lost": -1}]
    copied.books.heal(number)
    copied.connection.execute("update economic.line_reading set counted_at = now() - interval '1 day'")
    monkeypatch.setattr(chunk, "MOST_NUMBERS", 20)
    statistics = read_lines(copied)
    assert statistics["count_agrees"] is True
    assert statistics["invoices"] <= 20
    assert wrong_invoices(copied) == []


def books_revenue(books: InProcess) -> Decimal:
    items = books.ledger.items().values()
    return sum((item["netAmountInBaseCurrency"] for item in items), Decimal(0))


def test_revenue_by_product_adds_up_to_that_by_month(copied: Company) -> None:
    read_lines(copied)
    by_month = copied.value("select sum(revenue_base) from economic.revenue_by_month")
    by_product = copied.value("select sum(revenue_base) from economic.revenue_by_product")
    lines = copied.value("select count(*) from economic.invoice_lines")
    assert by_month == books_revenue(copied.books)
    # Each line is rounded for itself.
    assert abs(by_product - by_month) <= Decimal("0.005") * lines
