"""The history of changes: undoing it from `invoice` gives every earlier state, and payments can be read from it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.conftest import Company

NOT_IN_HISTORY = {"raw_data", "digest", "employee_name", "first_seen_at", "last_changed_at", "missing_since"}
INVOICES = 12
State = dict[int, dict[str, Any]]


def state(company: Company) -> State:
    """The typed columns of every invoice, as JSON has them."""
    found = company.rows("select invoice_number, to_jsonb(invoice) as typed from economic.invoice")
    return {
        row["invoice_number"]: {k: v for k, v in row["typed"].items() if k not in NOT_IN_HISTORY}
        for row in found
    }


def undone(company: Company, sync_id: int) -> State:
    """The state after a sync, by undoing from today's invoices what later syncs changed."""
    then = state(company)
    later = company.rows(
        "select * from economic.invoice_history where sync_id > %s order by change_id desc", sync_id
    )
    for change in later:
        now = then[change["invoice_number"]]
        assert {key: now[key] for key in change["new_values"]} == change["new_values"]
        now.update(change["old_values"])
    return then


amounts = st.decimals(min_value=-5000, max_value=5000, places=2)
fields = st.sampled_from(
    [
        ("notes.heading", st.none() | st.text("abcæ \"'\\\n{}", max_size=5)),
        ("dueDate", st.dates().map(str)),
        ("references.salesPerson.employeeNumber", st.integers(1, 4)),
        ("paymentTerms.daysOfCredit", st.integers(0, 90)),
        ("grossAmount", amounts.map(float)),
        ("currency", st.sampled_from(["DKK", "EUR"])),
    ]
)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(0, INVOICES - 1), amounts),
        st.tuples(st.just("unpay"), st.integers(0, INVOICES - 1), amounts),
        st.tuples(
            st.just("spoil"),
            st.integers(0, INVOICES - 1),
            fields.flatmap(lambda f: st.tuples(st.just(f[0]), f[1])),
        ),
        st.tuples(st.just("heal"), st.integers(0, INVOICES - 1), st.none()),
    ),
    max_size=6,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(rounds=st.lists(changes, min_size=1, max_size=4))
def test_undoing_the_history_gives_every_earlier_state(company: Company, rounds: list[Any]) -> None:
    numbers = sorted(company.books.ledger.items())
    states = []
    for todo in [[], *rounds]:
        for kind, at, value in todo:
            number = numbers[at]
            if kind == "spoil":
                company.books.heal(number)
                company.books.spoil(number, value[0], value=value[1])
            elif kind == "heal":
                company.books.heal(number)
            else:
                company.books.control(kind, number=number, amount=value)
        statistics = company.sync()
        assert statistics["failed"] == 0
        noted = company.value(
            "select count(*) from economic.invoice_history where sync_id = %s", statistics["sync_id"]
        )
        assert noted == statistics["updated"]
        states.append((statistics["sync_id"], state(company)))
    for sync_id, then in states:
        assert undone(company, sync_id) == then


def test_a_payment_can_be_read(company: Company) -> None:
    number = next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 100)
    before = company.books.ledger.item(number)["remainder"]
    company.sync()
    company.books.pay(number, "40.25")
    company.sync()
    company.books.unpay(number, "10.25")
    company.sync()
    paid = company.rows(
        "select * from economic.payments where kind in ('paid', 'taken back') order by seen_at"
    )
    assert [(row["invoice_number"], row["amount"], row["remainder_after"]) for row in paid] == [
        (number, Decimal("40.25"), before - Decimal("40.25")),
        (number, Decimal("-10.25"), before - Decimal("30.00")),
    ]
    # The sync that saw the first one may have read the invoice just before the second one.
    assert paid[0]["earliest_at"] < paid[1]["earliest_at"] < paid[0]["seen_at"] < paid[1]["seen_at"]
    assert [row["kind"] for row in paid] == ["paid", "taken back"]


def test_what_was_paid_before_is_one_row(company: Company) -> None:
    """Of a credit note too, and not of what nobody has paid."""
    number = next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 100)
    company.books.unpay(number)
    company.books.match(number, company.books.credit(number))
    items = company.books.ledger.items()
    company.sync()
    opening = company.rows("select * from economic.payments")
    paid = {number: item["grossAmount"] - item["remainder"] for number, item in items.items()}
    assert {row["invoice_number"]: row["amount"] for row in opening} == {n: a for n, a in paid.items() if a}
    assert min(paid.values()) < 0
    for row in opening:
        assert (row["kind"], row["earliest_at"], row["sync_id"]) == (
            "already paid when first seen",
            None,
            None,
        )
        assert row["remainder_after"] == items[row["invoice_number"]]["remainder"]


def test_credit_note_is_used_and_taken_back(company: Company) -> None:
    number = next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 100)
    gross = company.books.ledger.item(number)["grossAmount"]
    company.books.unpay(number)
    note = company.books.credit(number)
    company.sync()
    company.books.match(number, note)
    company.sync()
    company.books.unmatch(number, note)
    company.sync()
    query = "select kind, amount, remainder_after from economic.payments where invoice_number = %s order by seen_at"
    seen = {each: [tuple(row.values()) for row in company.rows(query, each)] for each in (number, note)}
    assert seen == {
        number: [("paid", gross, 0), ("taken back", -gross, gross)],
        note: [("credit used", -gross, 0), ("credit taken back", gross, -gross)],
    }


@pytest.mark.parametrize("unseen", ["gone", "rejected", "only some days read", "not complete"])
def test_payment_is_dated_by_syncs_that_read_it(company: Company, unseen: str) -> None:
    """The sync before has not read the invoice, so it shows nothing about when it was paid."""
    number = next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 100)
    company.sync()
    before = company.value("select scan_started_at from economic.sync_run")
    if unseen == "gone":
        company.books.control("remove", number=number)
    elif unseen == "rejected":
        company.books.spoil(number, "date", value="2026-02-30")
    company.sync(
        **({"date_from": date(2000, 1, 1), "date_to": date(2000, 1, 2)} if unseen.startswith("only") else {})
    )
    if unseen == "not complete":
        company.connection.execute("update economic.sync_run set complete = false where sync_id = 2")
    if unseen == "gone":
        company.books.control("restore", number=number)
    company.books.heal(number)
    company.books.pay(number)
    company.sync()
    earliest = company.value("select earliest_at from economic.payments where kind = 'paid'")
    assert earliest == (None if unseen in ("gone", "rejected") else before)


def test_corrected_gross_amount_keeps_the_sums(company: Company) -> None:
    number = next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 100)
    company.sync()
    for amount in (7000.25, 8000.5):
        company.books.spoil(number, "grossAmount", value=amount)
        company.books.pay(number, "1.25")
        company.sync()
    (found,) = company.rows(
        "select gross_amount - remainder as paid, sum(amount) as listed from economic.invoice"
        " inner join economic.payments using (invoice_number) where invoice_number = %s group by 1",
        number,
    )
    assert found["paid"] == found["listed"]
