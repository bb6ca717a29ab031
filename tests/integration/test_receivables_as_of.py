"""What was owed at the end of a past day; the random histories are in `tests/model/test_past_days.py`."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.integration.conftest import Company

ASKED = (
    "select * from economic.receivables_as_of(%s, %s)",
    "select * from economic.receivables_aging_as_of(%s, %s)",
    "select * from economic.days_sales_outstanding(%s, %s)",
)


@pytest.fixture
def today(company: Company) -> date:
    day: date = company.value("select (now() at time zone 'Europe/Copenhagen')::date")
    return day


def age(company: Company, days: int) -> None:
    """Make everything that was seen so far older, by days of Copenhagen: an hour more or less may be another day."""
    for table, columns in {
        "invoice": ("first_seen_at", "last_changed_at", "missing_since"),
        "invoice_history": ("changed_at", "old_values_since"),
        "agreement": ("complete_since",),
    }.items():
        for column in columns:
            change = sql.SQL(
                "update economic.{} set {column} = "
                "({column} at time zone 'Europe/Copenhagen' - make_interval(days => %s)) at time zone 'Europe/Copenhagen'"
            )
            names = sql.Identifier(table), sql.Identifier(column)
            company.connection.execute(change.format(names[0], column=names[1]), (days,))


def owed(company: Company, day: date) -> dict[int, dict[str, Any]]:
    found = company.rows("select * from economic.receivables_as_of(%s)", day)
    return {row["invoice_number"]: row for row in found}


def test_today_equals_the_views(company: Company, today: date) -> None:
    for number, item in company.books.ledger.items().items():
        if item["currency"] != "DKK":
            company.books.unpay(number)
    company.sync()
    number, *_, gone = owed(company, today)
    company.connection.execute("update economic.invoice set remainder_base = null, customer_number = null")
    company.books.pay(number, "1.25")
    company.books.control("remove", number=gone)
    company.sync(force=True)
    shown = company.rows("select * from economic.receivables")
    assert sorted(shown, key=str) == sorted(owed(company, today).values(), key=str)
    assert len(shown) > 20
    aging = company.rows("select * from economic.receivables_aging")
    assert len({row["currency"] for row in aging}) > 1
    found = company.rows("select * from economic.receivables_aging_as_of(%s)", today)
    assert sorted(aging, key=str) == sorted(found, key=str)


def test_aging_of_a_day_adds_up_to_its_invoices(company: Company, today: date) -> None:
    for number in list(company.books.ledger.invoices)[::5]:
        company.books.unpay(number)
    company.sync()
    age(company, 40)
    for number in list(owed(company, today))[::2]:
        company.books.pay(number)
    company.sync()
    for day in (today, today - timedelta(days=1), today - timedelta(days=40)):
        aging = company.rows("select * from economic.receivables_aging_as_of(%s)", day)
        invoices = owed(company, day).values()
        assert sum(row["invoices"] for row in aging) == len(invoices) > 5
        for amount in ("remainder", "remainder_base"):
            assert sum(row[amount] for row in aging) == sum(row[amount] for row in invoices)
        late = [row["remainder"] for row in invoices if 31 <= (row["days_overdue"] or 0) <= 60]
        assert sum(row["overdue_31_to_60"] for row in aging) == sum(late)


def test_other_values_are_those_of_that_day(company: Company, today: date) -> None:
    number = next(
        number
        for number, item in company.books.ledger.items().items()
        if item["remainder"] > 0 and item.get("references", {}).get("salesPerson")
    )
    company.sync()
    yesterday = today - timedelta(days=1)
    age(company, 2)
    before = owed(company, yesterday)[number]
    another = next(n for n in company.books.ledger.employees() if n != before["employee_number"])
    for path, value in {
        "dueDate": str(yesterday - timedelta(days=7)),
        "references.salesPerson.employeeNumber": another,
        "references.other": "web shop",
        "recipient.name": "New Name ApS",
    }.items():
        company.books.spoil(number, path, value=value)
    company.sync()
    after = owed(company, today)[number]
    assert owed(company, yesterday)[number] == before
    assert (after["external_reference"], after["customer_name"], after["employee_number"]) == (
        "web shop",
        "New Name ApS",
        another,
    )
    assert after["days_overdue"] == 8
    assert before["employee_name"] != after["employee_name"]


def test_unrecorded_employee_has_the_listed_name(company: Company, today: date) -> None:
    """The history has numbers only: an earlier employee's name is the one e-conomic lists."""
    company.sync()
    number = next(iter(owed(company, today)))
    (employee, name), *_ = company.books.ledger.employees().items()
    company.connection.execute(
        "update economic.invoice set employee_number = %s where invoice_number = %s", (employee, number)
    )
    age(company, 2)
    company.sync()
    assert owed(company, today - timedelta(days=1))[number]["employee_name"] == name["name"]


@pytest.mark.parametrize("how", ["stored", "rejected"])
def test_invoice_gone_for_days_is_left_out_of_them(company: Company, today: date, how: str) -> None:
    number = max(company.books.ledger.invoices)
    company.books.unpay(number)
    company.sync()
    age(company, 2)
    company.books.control("remove", number=number)
    assert company.sync()["missing"] == 1
    age(company, 2)
    company.books.control("restore", number=number)
    if how == "rejected":
        company.books.spoil(number, "date", value="2026-02-30")
    assert company.sync()["returned"] == 1
    days = [today - timedelta(days=back) for back in (4, 3, 2, 1, 0)]
    assert [number in owed(company, day) for day in days] == [True, True, False, False, True]


@pytest.mark.parametrize("query", ASKED, ids=["invoices", "aging", "days of sales"])
def test_days_that_cannot_be_known_are_errors(company: Company, today: date, query: str) -> None:
    def refused(message: str, day: Any, agreement: int | None = None) -> None:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
            company.rows(query, day, agreement)

    refused("Of agreement any number nothing is copied", today)
    company.sync(date_from=date(2026, 1, 1), date_to=date(2026, 12, 31))
    refused("no full sync has been proven complete yet", today)
    company.sync()
    refused(f"the first day known is {today}", today - timedelta(days=1))
    refused(f"today is {today} in Copenhagen", today + timedelta(days=1))
    refused("today is", "infinity")
    refused("the end of no day cannot be known", None)
    refused("Of agreement 5 nothing is copied", today, 5)
    company.connection.execute(
        "insert into economic.agreement (agreement_number, conn_id, company_name) values (5, 'five', 'Five ApS')"
    )
    refused(r"not known for agreement 5 \(Five ApS\): no full sync", today)
    assert company.rows(query, today, 1234567)


def test_first_complete_sync_is_noted_once(company: Company) -> None:
    company.sync()
    since = company.value("select complete_since from economic.sync_status")
    assert since == company.value("select complete_since from economic.agreement")
    ended = company.value("select finished_at from economic.sync_run")
    assert abs(since - ended) < timedelta(seconds=1)
    company.sync()
    assert company.value("select complete_since from economic.sync_status") == since


def test_amount_without_rate_is_null_in_base(company: Company, today: date) -> None:
    company.sync()
    number = next(iter(owed(company, today)))
    for rate, base in ((None, None), (Decimal(50), Decimal("0.63"))):
        company.connection.execute(
            "update economic.invoice set remainder = 1.25, remainder_base = null, currency = 'EUR', exchange_rate = %s"
            " where invoice_number = %s",
            (rate, number),
        )
        assert owed(company, today)[number]["remainder_base"] == base
