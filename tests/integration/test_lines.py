"""Lines of invoices: read once, proven to add up, and never in the way of a sync."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from economic.errors import AgreementMismatch, LeaseLost, SyncSkipped
from economic.lines import chunk, reading, store
from economic.lines.invoice_line import parse_line
from economic.records.decoder import RawItem
from simulator import InProcess
from tests.integration.conftest import Company


def read_lines(company: Company, run_id: str = "lines 1") -> dict[str, Any]:
    """Let one run read lines; return its statistics."""
    with company.hook() as hook:
        return reading.read_lines(company.connection, hook, company.conn_id, run_id)


def wrong_invoices(company: Company) -> list[int]:
    """Return the invoices whose stored lines are not those of the books."""
    stored: dict[int, list[dict[str, Any]]] = {}
    for row in company.rows("select * from economic.invoice_line order by invoice_number, line_number"):
        stored.setdefault(row["invoice_number"], []).append(row)
    book = company.books.line_book
    wrong = []
    for number in book.ledger.numbers:
        expected = []
        for text in book.healthy(number):
            line = parse_line(RawItem(text))
            expected.append({**line._asdict(), "raw_data": None})
        found = [
            {key: value for key, value in row.items() if key != "agreement_number"} | {"raw_data": None}
            for row in stored.get(number, [])
        ]
        if sorted(expected, key=lambda line: line["line_number"]) != found:
            wrong.append(number)
    return wrong


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


@pytest.mark.parametrize(
    "habits",
    [
        {"scattered": True},
        {"page": 7},
        {"least": 1, "most": 200},
        {"scattered": True, "page": 100, "most": 9},
    ],
    ids=str,
)
def test_order_and_size_of_pages_do_not_matter(copied: Company, habits: dict[str, Any]) -> None:
    copied.books.lines(**habits)
    read_lines(copied)
    assert set(statuses(copied)) == {"proven"}
    assert wrong_invoices(copied) == []


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


def test_unusable_line_leaves_only_its_invoice_unproven(copied: Company) -> None:
    number = copied.books.ledger.numbers[3]
    copied.books.spoil_line(number, 1, "totalNetAmount", value="much")
    statistics = read_lines(copied)
    assert (statistics["rejected"], statistics["differing"]) == (1, 0)
    (check,) = copied.rows("select * from economic.line_check where status <> 'proven'")
    assert (check["invoice_number"], check["field"], check["reason"]) == (
        number,
        "totalNetAmount",
        "not_an_amount",
    )
    assert '"much"' in check["rejected_item"]
    assert statistics["count_agrees"] is True


def test_lines_of_another_company_are_not_read(copied: Company) -> None:
    copied.connection.execute("update economic.agreement set conn_id = 'elsewhere'")
    copied.connection.execute(
        "insert into economic.agreement (agreement_number, conn_id) values (99, %s)", [copied.conn_id]
    )
    with pytest.raises(AgreementMismatch):
        read_lines(copied)
    assert copied.value("select count(*) from economic.invoice_line") == 0
    assert copied.value("select status from economic.line_reading") == "failed"


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


def test_second_run_is_kept_apart(copied: Company) -> None:
    place = store.take_place(
        copied.connection, copied.value("select agreement_number from economic.agreement"), "a"
    )
    assert place is not None
    with pytest.raises(SyncSkipped, match="Another run"):
        read_lines(copied, "b")
    assert read_lines(copied, "a")["invoices"] > 0
    with pytest.raises(LeaseLost):
        store.renew(place)


def test_changed_net_amount_is_read_again(copied: Company) -> None:
    read_lines(copied)
    number = copied.books.ledger.numbers[0]
    copied.connection.execute(
        "with old as (update economic.invoice set net_amount = net_amount + 1 where invoice_number = %s returning *) "
        "insert into economic.invoice_history (agreement_number, invoice_number, sync_id, old_values, new_values) "
        "select agreement_number, invoice_number, 1, '{\"net_amount\": 0}', '{\"net_amount\": 1}' from old",
        [number],
    )
    shown = copied.rows("select proven from economic.invoice_lines where invoice_number = %s", number)
    assert not any(row["proven"] for row in shown)
    assert read_lines(copied)["differing"] == 1


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


def test_lines_wait_for_the_first_sync(company: Company) -> None:
    with pytest.raises(SyncSkipped, match="yet"):
        read_lines(company)


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
