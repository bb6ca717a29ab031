"""What readers see: the views and their comments."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from psycopg.types.json import Jsonb

from tests.conftest import expect
from tests.integration.conftest import Company

OLD_COLUMNS = [
    "invoice_number",
    "invoice_date",
    "due_date",
    "customer_number",
    "customer_name",
    "subject",
    "gross_amount",
    "remainder",
    "currency",
    "external_reference",
    "external_id",
    "employee_number",
    "employee_name",
    "pdf_url",
    "raw_data",
    "last_synced_at",
]


def test_old_reports_keep_their_names(company: Company) -> None:
    statistics = company.sync()
    found = company.rows("select * from economic.invoices order by invoice_number")
    assert [column for column in found[0] if column != "agreement_number"] == OLD_COLUMNS
    assert len(found) == statistics["created"]
    item = min(company.books.ledger.items().items())[1]
    assert found[0]["gross_amount"] == item["grossAmount"]
    began = company.value("select max(scan_started_at) from economic.sync_run")
    assert {row["last_synced_at"] for row in found} == {began}


def test_old_reports_do_not_count_missing_invoices(company: Company) -> None:
    company.sync()
    company.books.control("remove", number=min(company.books.ledger.items()))
    company.sync()
    assert company.value("select count(*) from economic.invoices") == 249
    assert company.value("select count(*) from economic.invoice_overview") == 250


def test_status_is_as_of_today_in_copenhagen(company: Company) -> None:
    company.sync()
    today: date = company.value("select (now() at time zone 'Europe/Copenhagen')::date")
    cases = {
        ("0", -10): ("settled", None),
        ("-5", -10): ("credit", None),
        ("5", -10): ("overdue", 10),
        **{("5", due): ("open", None) for due in (0, 3, None)},
    }
    numbers = sorted(company.books.ledger.items())[: len(cases)]
    change = "update economic.invoice set remainder = %s, due_date = %s where invoice_number = %s"
    for number, (remainder, due) in zip(numbers, cases, strict=True):
        due_date = None if due is None else today + timedelta(days=due)
        company.connection.execute(change, (Decimal(remainder), due_date, number))
    found = company.rows(
        "select status, days_overdue from economic.invoice_overview order by invoice_number limit %s",
        len(cases),
    )
    assert [(row["status"], row["days_overdue"]) for row in found] == list(cases.values())


def test_aging_adds_up_and_never_mixes_currencies(company: Company) -> None:
    foreign = next(n for n, item in company.books.ledger.items().items() if item["currency"] != "DKK")
    company.books.unpay(foreign)
    company.sync()
    aging = company.rows("select * from economic.receivables_aging")
    buckets = [
        "not_due",
        "overdue_1_to_30",
        "overdue_31_to_60",
        "overdue_61_to_90",
        "overdue_over_90",
        "credit",
    ]
    for row in aging:
        assert sum(row[bucket] for bucket in buckets) == row["remainder"]
    by_currency: dict[str, Decimal] = {}
    for item in company.books.ledger.items().values():
        by_currency[item["currency"]] = by_currency.get(item["currency"], Decimal()) + item["remainder"]
    found: dict[str, Decimal] = {}
    for row in aging:
        found[row["currency"]] = found.get(row["currency"], Decimal()) + row["remainder"]
    assert found == {currency: total for currency, total in by_currency.items() if currency in found}
    assert company.books.ledger.item(foreign)["currency"] in found
    assert len(found) > 1


def test_aging_in_base_adds_all_currencies(company: Company) -> None:
    foreign = next(n for n, item in company.books.ledger.items().items() if item["currency"] != "DKK")
    company.books.unpay(foreign)
    company.sync()
    for row in company.rows("select * from economic.receivables_aging_base"):
        columns = [name for name in row if name.startswith(("not_due", "overdue_", "credit"))]
        assert len(columns) == 6
        assert sum(row[name] for name in columns) == row["remainder_base"]
    by_currency = company.value("select sum(remainder_base) from economic.receivables_aging")
    assert company.value("select sum(remainder_base) from economic.receivables_aging_base") == by_currency


def test_aging_names_a_customer_by_the_newest_invoice(company: Company) -> None:
    """The newest invoice may be paid; the alphabet decides nothing, and neither does an invoice that is missing."""
    company.sync()
    numbers = sorted(company.books.ledger.items())
    company.connection.execute(
        "update economic.invoice set customer_number = 7, customer_name = 'Zeta', remainder = 0"
    )
    for number, name, remainder in (
        (numbers[5], "Old Ltd", 5),
        (numbers[-3], "New Ltd", 0),
        (numbers[-2], None, 1),
    ):
        company.connection.execute(
            "update economic.invoice set customer_name = %s, remainder = %s where invoice_number = %s",
            (name, remainder, number),
        )
    company.connection.execute(
        "update economic.invoice set missing_since = now() where invoice_number > %s", (numbers[-2],)
    )
    found = company.rows("select distinct customer_number, customer_name from economic.receivables_aging")
    assert found == [{"customer_number": 7, "customer_name": "New Ltd"}]
    company.connection.execute("update economic.invoice set customer_number = null")
    found = company.rows("select distinct customer_number, customer_name from economic.receivables_aging")
    assert found == [{"customer_number": None, "customer_name": "New Ltd"}]


@pytest.mark.parametrize(
    ("base", "rate", "currency", "paid"),
    [
        ("74.60", "746", "EUR", "30.00"),  # as e-conomic gives it
        (None, "746", "EUR", "29.84"),  # by the price of 100
        (None, None, "DKK", "4.00"),
        (None, None, "EUR", None),
    ],
)
def test_base_amounts_are_computed_where_they_are_absent(
    company: Company, base: str | None, rate: str | None, currency: str, paid: str | None
) -> None:
    company.sync()
    number = company.value("select min(invoice_number) from economic.invoice")
    after = None if base is None else Decimal(base) - Decimal("30.00")
    company.connection.execute(
        "update economic.invoice set remainder = 4, remainder_base = %s, exchange_rate = %s, currency = %s,"
        " customer_number = -1 where invoice_number = %s",
        (base, rate, currency, number),
    )
    values = {"remainder": 8, **({} if base is None else {"remainder_base": base})}
    changed = {"remainder": 4, **({} if after is None else {"remainder_base": str(after)})}
    company.connection.execute(
        "insert into economic.invoice_history (agreement_number, invoice_number, sync_id, old_values, new_values)"
        " values (1234567, %s, 1, %s, %s)",
        (number, Jsonb(values), Jsonb(changed)),
    )
    (payment,) = company.rows("select amount, amount_base from economic.payments where kind = 'paid'")
    assert payment == {"amount": Decimal(4), "amount_base": paid and Decimal(paid)}
    owed = company.value("select remainder_base from economic.receivables_aging where customer_number = -1")
    assert owed == (Decimal(base) if base else paid and Decimal(paid))


def test_sync_status_shows_running_and_stalled_syncs(company: Company) -> None:
    company.sync()
    (status,) = company.rows("select * from economic.sync_status")
    expect(status, running=False, stalled=False, invoices=250, rejected=0)
    company.fetch(company.order())
    (status,) = company.rows("select * from economic.sync_status")
    assert (status["running"], status["stalled"], status["last_phase"]) == (True, False, "fetch")
    company.connection.execute("update economic.sync_lease set expires_at = now() - interval '1 second'")
    (status,) = company.rows("select * from economic.sync_status")
    assert (status["running"], status["stalled"]) == (True, True)
    assert status["success_sync_id"] == 1
