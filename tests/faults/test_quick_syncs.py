"""Q02 to Q19: quick syncs whose answers, books, processes, database or lease change while they work.

Whatever a quick sync says to be complete is compared with the books at once. The next sync heals: a quick one, or a full one where only that can.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from simulator import InProcess
from simulator.spoiling import Literal
from tests.faults.conftest import Case
from tests.integration.test_quick_sync import open_numbers, settled_numbers
from tests.support import invariants as oracle
from tests.support.invariants import Bounds

SELF, TOTALS, BOOKED, UNPAID = "/self", "/invoices/totals", "/invoices/booked", "/invoices/unpaid"
PATIENT = Bounds(seconds=120)
REMAINDERS = ("remainder", "remainderInBaseCurrency")
Document = dict[str, Any]
Change = Callable[[InProcess], object]


def long_ago(case: Case) -> None:
    """Make it two hours later for full syncs and their marks: a quick one may become one again."""
    with case.witness.connect() as connection:
        for table, columns in (("sync_run", ("started_at", "finished_at")), ("invoice", ("missing_since",))):
            earlier = ", ".join(f"{column} = {column} - interval '2 hours'" for column in columns)
            which = "scope = 'full'" if table == "sync_run" else "missing_since is not null"
            connection.execute(f"update economic.{table} set {earlier} where {which}".encode())  # noqa: S608  # names from above


def prove(case: Case) -> Case:
    """The copy is proven by a full and by a quick sync; thirty invoices are open."""
    for number in settled_numbers(case.books)[:30]:
        case.books.unpay(number)
    case.synced()
    statistics = case.run(quick=True).statistics
    assert (statistics["scope"], statistics["complete"]) == ("quick", True)
    case.books.reset()
    return case


@pytest.fixture
def proven(case: Case) -> Case:
    return prove(case)


def pay_one(case: Case) -> int:
    """Somebody pays an invoice: there is something to read."""
    number = open_numbers(case.books)[-1]
    case.books.pay(number, "0.01")
    case.witness.look()
    return number


def outcome_of(case: Case, **options: Any) -> tuple[str, str, bool]:
    """Let a quick sync run; its state, and scope and completeness of its row. What it proves, is so."""
    synced = "select last_synced_at from economic.sync_status"
    before = case.witness.value(synced)
    state = case.run(quick=True, **options).state
    case.witness.look()
    row = case.last_sync()
    if row["complete"] and row["status"] in oracle.DONE:
        oracle.the_table_equals_the_books(case.witness)
        assert case.witness.value(synced) > before
    else:
        assert case.witness.value(synced) == before or row["scope"] == "full"
        assert row["status"] not in {"completed", "running"}
    return state, row["scope"], row["complete"]


# -- books that change --------------------------------------------------------------------------------------------------


def match_a_credit_note(books: InProcess) -> None:
    number = next(
        n for n in open_numbers(books) if books.ledger.invoices[n].gross == books.ledger.invoices[n].remainder
    )
    books.match(number, books.credit(number))


def book_low(books: InProcess, *, paid: bool) -> None:
    number = min(books.ledger.invoices) - 3
    books.book(number=number)
    if paid:
        books.pay(number)


CHANGES: dict[str, Change] = {
    "payment": lambda books: books.pay(open_numbers(books)[0]),
    "remainder that goes up again": lambda books: books.unpay(settled_numbers(books)[0], "10.50"),
    "credit note matched": match_a_credit_note,
    "credit note matched, not listed": match_a_credit_note,
    "booking that is paid at once": lambda books: books.pay(books.book()[0]),
    "low number, settled": lambda books: book_low(books, paid=True),
    "invoice gone": lambda books: books.control("remove", number=open_numbers(books)[0]),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.fault("Q03")
def test_change_between_any_two_calls(case: Case, what: str) -> None:
    case.books.unpaid(negative="not listed" not in what)
    prove(case)
    for call in count(1):
        long_ago(case)
        pay_one(case)
        case.books.reset()
        before = case.books.ledger.version
        case.books.when(call, partial(CHANGES[what], case.books), match="/")
        statistics = case.run(quick=True).statistics
        case.witness.look()
        if statistics["complete"] and statistics["scope"] == "quick" and call < len(case.paths()):
            oracle.the_table_equals_the_books(case.witness)
        if case.books.ledger.version == before:
            break
        long_ago(case)
        assert outcome_of(case)[::2] == ("success", True)
    assert call > 6
    case.books.control("when", clear=True)
    case.heals(quick=True, bounds=PATIENT)


@pytest.mark.fault("Q04")
def test_open_low_number_is_found_by_the_list(proven: Case) -> None:
    book_low(proven.books, paid=False)
    assert outcome_of(proven) == ("success", "quick", True)
    proven.heals(quick=True)


# -- answers that cannot be used ----------------------------------------------------------------------------------------


def emptied(page: Document) -> None:
    page["collection"] = []
    page["pagination"] |= {"results": Literal("0"), "resultsWithoutFilter": Literal("0")}


def shortened(page: Document) -> None:
    page["collection"] = page["collection"][:2]
    page["pagination"] |= {"results": Literal(str(len(page["collection"])))}


def endless() -> Callable[[Document], None]:
    numbers = count(50_001)

    def edit(page: Document) -> None:
        for item in page["collection"]:
            item["bookedInvoiceNumber"] = Literal(str(next(numbers)))

    return edit


def with_a_stranger(page: Document) -> None:
    for item in page["collection"][-1:]:
        item["bookedInvoiceNumber"] = Literal("99999")


def in_each(**changed: Any) -> Callable[[Document], None]:
    """Change a field of each item; None takes it away."""

    def edit(page: Document) -> None:
        for item in page["collection"]:
            for field, value in changed.items():
                item.pop(field) if value is None else item.update({field: value})

    return edit


def and_more(page: Document) -> None:
    page["pagination"] |= {"results": Literal("500")}


def without_unpaid(totals: Document) -> None:
    del totals["booked"]["unpaid"]


def off_by(count: int = 0, net: int = 0) -> Callable[[Document], None]:
    def edit(totals: Document) -> None:
        booked = totals["booked"]
        booked["invoiceCount"] = int(booked["invoiceCount"]) + count
        booked["netAmountInBaseCurrency"] = (
            Literal(f"{booked['netAmountInBaseCurrency']}") if not net else Literal("1.00")
        )

    return edit


UNPROVEN = ("success", "quick", False)
WIDENED = ("success", "full", True)
FAILED = ("failed", "quick", False)
IN = {"match": BOOKED, "query_contains": "$in:"}
ANSWERS: dict[str, tuple[dict[str, Any], tuple[str, str, bool], tuple[str, str, bool]]] = {
    # what is wrong; a full sync has just ended; it was long ago
    "list empty": ({"match": UNPAID, "kind": "edit", "edit": emptied}, UNPROVEN, UNPROVEN),
    "list cut short": ({"match": UNPAID, "kind": "edit", "edit": shortened}, UNPROVEN, UNPROVEN),
    "list without its filter": (
        {"match": UNPAID, "kind": "otherwise", "parameters": {"filter": None}},
        UNPROVEN,
        WIDENED,
    ),
    "list without end": (
        {"match": UNPAID, "kind": "edit", "edit": endless(), "parameters": {"filter": None}},
        UNPROVEN,
        WIDENED,
    ),
    "list refused": ({"match": UNPAID, "kind": "status", "status": 400}, UNPROVEN, WIDENED),
    "list forbidden": ({"match": UNPAID, "kind": "status", "status": 403}, FAILED, FAILED),
    "list down": ({"match": UNPAID, "kind": "status", "status": 500}, FAILED, FAILED),
    "list a page of a website": ({"match": UNPAID, "kind": "html", "status": 200}, UNPROVEN, WIDENED),
    "list without remainders": (
        {"match": UNPAID, "kind": "edit", "edit": in_each(remainder=None)},
        UNPROVEN,
        UNPROVEN,
    ),
    "list with an unknown number": (
        {"match": UNPAID, "kind": "edit", "edit": with_a_stranger},
        UNPROVEN,
        WIDENED,
    ),
    "invoices by number refused": ({**IN, "kind": "status", "status": 400}, UNPROVEN, WIDENED),
    "invoices by number: all others": (
        {**IN, "kind": "otherwise", "parameters": {"filter": None}},
        UNPROVEN,
        WIDENED,
    ),
    "invoices by number: none": ({**IN, "kind": "edit", "edit": emptied}, UNPROVEN, WIDENED),
    "invoices by number: more to come": ({**IN, "kind": "edit", "edit": and_more}, UNPROVEN, WIDENED),
    "totals unreadable": ({"match": TOTALS, "kind": "body", "body": "[1"}, FAILED, FAILED),
    "second totals unreadable": (
        {"match": TOTALS, "kind": "body", "body": "[1", "at": 2, "times": 50},
        FAILED,
        FAILED,
    ),
    "totals without the unpaid": (
        {"match": TOTALS, "kind": "edit", "edit": without_unpaid},
        UNPROVEN,
        UNPROVEN,
    ),
    "totals that count one more": (
        {"match": TOTALS, "kind": "edit", "edit": off_by(count=1)},
        UNPROVEN,
        WIDENED,
    ),
    "totals with another sum": ({"match": TOTALS, "kind": "edit", "edit": off_by(net=1)}, UNPROVEN, WIDENED),
}


@pytest.mark.parametrize(("fault", "lately", "later"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.fault("Q05")
def test_unusable_answer_proves_nothing(
    proven: Case, fault: dict[str, Any], lately: tuple[str, str, bool], later: tuple[str, str, bool]
) -> None:
    proven.runs.page_size(20)
    pay_one(proven)
    proven.books.faults({"at": "all"} | fault)
    assert outcome_of(proven, retries=0) == lately
    long_ago(proven)
    pay_one(proven)
    proven.books.faults({"at": "all"} | fault)
    assert outcome_of(proven, retries=0) == later
    proven.heals(quick=True)


@pytest.mark.fault("Q06")
def test_older_state_than_the_list_proves_nothing(proven: Case) -> None:
    """The invoice came as it was before the payment that the list shows."""
    number = open_numbers(proven.books)[-1]
    before = {key: Literal(str(proven.books.ledger.item(number)[key])) for key in REMAINDERS}
    proven.books.pay(number, "1.25")
    proven.books.faults({**IN, "at": "all", "kind": "edit", "edit": in_each(**before)})
    assert outcome_of(proven) == UNPROVEN
    proven.books.faults()
    assert outcome_of(proven) == ("success", "quick", True)
    proven.heals(quick=True)


@pytest.mark.parametrize("what", ["payment", "booking"])
@pytest.mark.fault("Q07")
def test_rejected_invoice_is_read_again(proven: Case, what: str) -> None:
    """Nothing else moves: the totals alone would say that there is nothing to do."""
    number = pay_one(proven) if what == "payment" else proven.books.book(2)[0]
    if what == "booking":
        proven.books.pay(number)
    proven.books.spoil(number, "date", value="soon")
    proven.witness.look()
    for _ in range(2):
        statistics = proven.run(quick=True).statistics
        assert (statistics["status"], statistics["failed"], statistics["complete"]) == (
            "completed_with_errors",
            1,
            True,
        )
    proven.books.heal(number)
    assert outcome_of(proven) == ("success", "quick", True)
    assert proven.rejected() == []
    proven.heals(quick=True)


@pytest.mark.fault("Q08")
def test_page_that_breaks_after_others_were_staged(proven: Case) -> None:
    proven.runs.page_size(20)
    for expected in (UNPROVEN, WIDENED):
        proven.books.book(30)
        proven.witness.look()
        proven.books.faults({"match": BOOKED, "kind": "body", "body": "[1", "at": 2, "times": 3})
        assert outcome_of(proven, retries=0) == expected
        long_ago(proven)
    proven.heals(quick=True)
