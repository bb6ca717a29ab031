"""The history of changes: undoing it from `invoice` gives every earlier state, and payments can be read from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

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
    paid = company.rows("select * from economic.payments order by seen_at")
    assert [(row["invoice_number"], row["amount"], row["remainder_after"]) for row in paid] == [
        (number, Decimal("40.25"), before - Decimal("40.25")),
        (number, Decimal("-10.25"), before - Decimal("30.00")),
    ]
    assert paid[0]["seen_at"] < paid[1]["seen_at"]
