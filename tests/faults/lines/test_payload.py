"""L09 to L14: books that change while their lines are read, and lines that are odd, unusable, or there twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest

from simulator.lines.drawing import line_number
from tests.faults.conftest import Case
from tests.faults.lines.conftest import (
    COUNT,
    LINES,
    checks,
    forget,
    heals,
    let_a_day_pass,
    no_false_proof,
    proves,
    reading_row,
    unproven,
    wrong,
)

INVOICES = 60


# -- books that change --------------------------------------------------------------------------------------------------


def book_low(case: Case) -> None:
    case.books.book(number=min(case.books.ledger.invoices) - 1)


def synced_meanwhile(case: Case) -> None:
    """A booking with a low number is copied while the lines are read."""
    book_low(case)
    assert case.run().state == "success"


CHANGES: dict[str, Callable[[Case], object]] = {
    "booking": lambda case: case.books.book(3),
    "credit note": lambda case: case.books.credit(case.books.ledger.numbers[7]),
    "low number": book_low,
    "low number, copied": synced_meanwhile,
    "invoice gone": lambda case: case.books.control("remove", number=case.books.ledger.numbers[40]),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.fault("L09")
def test_books_change_between_any_two_requests(copied: Case, what: str) -> None:
    """Nothing is called proven that is not, whatever a cursor skips; the next runs find the rest."""
    copied.books.lines(scattered=True)
    step = 1 if os.environ.get("ECONOMIC_SWEEP") else 4
    moments = range(3, 12, step)
    for at in moments:
        forget(copied)
        copied.books.when(at, partial(CHANGES[what], copied), match="/")
        outcome = copied.run(lines=True)
        assert outcome.state == "success", (at, outcome.errors)
        no_false_proof(copied)
        copied.books.control("when", clear=True)
        assert copied.run().state == "success"
        let_a_day_pass(copied)
        outcome = copied.run(lines=True)
        assert outcome.state == "success", (at, outcome.errors)
        assert unproven(copied) == {}
        assert outcome.statistics["count_agrees"] is True
    if what == "invoice gone":
        missing = "select invoice_number from economic.invoice where missing_since is not null"
        for row in copied.witness.rows(missing):
            copied.books.control("restore", number=row["invoice_number"])
        assert copied.run().state == "success"
    heals(copied)


@pytest.mark.fault("L09")
def test_invoice_stored_before_the_count_is_not_counted(copied: Case) -> None:
    """A sync copies a number between others after the lines were read: no search for what is not lost."""
    between = min(copied.books.ledger.invoices) - 2
    copied.books.book(number=between - 1)
    assert copied.run().state == "success"
    copied.books.reset()
    copied.run(lines=True)
    requests = copied.paths().count(LINES)

    def book_between() -> None:
        copied.books.book(number=between)
        assert copied.run().state == "success"

    forget(copied)
    copied.books.when(requests, book_between, match=LINES)
    copied.books.reset()
    assert copied.run(lines=True).statistics["count_agrees"] is True
    assert copied.paths().count(COUNT) == 1
    heals(copied)


@pytest.mark.fault("L09")
def test_missing_invoice_comes_back(read: Case) -> None:
    number = read.books.ledger.numbers[5]
    read.books.control("remove", number=number)
    assert read.run().state == "success"
    let_a_day_pass(read)
    assert read.run(lines=True).statistics["count_agrees"] is True
    read.books.control("restore", number=number)
    assert read.run().state == "success"
    statistics = read.run(lines=True).statistics
    assert statistics["invoices"] == 1
    heals(read)


@pytest.mark.fault("L09")
def test_changed_net_amount_is_compared_again(read: Case) -> None:
    """The invoice's amount is wrong for a day, and its lines are not."""
    number = read.books.ledger.numbers[5]
    read.books.spoil(number, "netAmount", raw="1.23")
    read.run()
    shown = "select bool_or(proven) from economic.invoice_lines where invoice_number = %s"
    assert read.witness.value(shown, number) is False
    read.run(lines=True)
    assert unproven(read) == {number: ("differing", None)}
    read.books.heal(number)
    assert read.run().state == "success"
    assert read.run(lines=True).statistics["invoices"] == 1
    assert unproven(read) == {}
    heals(read)


@pytest.mark.fault("L09")
def test_proven_invoice_that_differs_later_is_due_daily(read: Case) -> None:
    """Long after it was first read: the count has it read again when e-conomic has lost a line."""
    with read.witness.connect() as connection:
        connection.execute("update economic.line_check set first_read_at = now() - interval '1 year'")
    number = read.books.ledger.numbers[5]
    read.books.differ(number, "5")
    let_a_day_pass(read)
    read.books.fault(COUNT, "body", at=1, times=1, body="179")
    read.run(lines=True)
    # The search has halved the ranges, and compared the truth again: nothing was to be read.
    read.books.fault(COUNT, "body", at="all", body="2")
    let_a_day_pass(read)
    read.run(lines=True)
    assert unproven(read) == {number: ("differing", None)}
    read.books.faults()
    read.books.heal(number)
    let_a_day_pass(read)
    assert read.run(lines=True).state == "success"
    assert unproven(read) == {}
    heals(read)


@pytest.mark.parametrize(
    "habits",
    [
        {"most": 200},
        {"least": 1, "most": 200, "scattered": True, "page": 1000},
        {"scattered": True, "page": 7},
    ],
    ids=str,
)
@pytest.mark.fault("L10")
def test_one_to_two_hundred_lines_an_invoice(copied: Case, habits: dict[str, Any]) -> None:
    copied.books.lines(**habits)
    proves(copied)
    heals(copied)


# -- unusable lines -----------------------------------------------------------------------------------------------------


UNUSABLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "no number": ("number", {"absent": True}, "missing"),
    "number null": ("number", {"raw": "null"}, "missing"),
    "number of a fraction": ("number", {"raw": "3.5"}, "not_a_number"),
    "number a text": ("number", {"value": "three"}, "not_a_number"),
    "number too large": ("number", {"raw": "1e30"}, "number_out_of_range"),
    "amount a word": ("totalNetAmount", {"value": "much"}, "not_an_amount"),
    "amount NaN": ("totalNetAmount", {"raw": "NaN"}, "not_an_amount"),
    "amount Infinity": ("quantity", {"raw": "-Infinity"}, "not_an_amount"),
    "amount an object": ("vatAmount", {"raw": "{}"}, "not_an_amount"),
    "amount true": ("vatAmount", {"raw": "true"}, "not_an_amount"),
    "amount of many digits": ("unitNetPrice", {"raw": "1e25"}, "amount_out_of_range"),
    "amount of a huge exponent": ("unitNetPrice", {"raw": "1e999999999"}, "amount_out_of_range"),
    "no day": ("accrueStartDate", {"value": "2026-02-30T00:00:00Z"}, "not_a_date"),
    "text a number": ("description", {"raw": "5"}, "not_a_text"),
    "text too long": ("description", {"value": "x" * 200_000}, "text_too_long"),
    "truth a text": ("accrue", {"value": "yes"}, "not_a_date"),
    "nested deeply": ("other", {"raw": "[" * 300 + "]" * 300}, ""),
    "unknown number that is huge": ("other", {"raw": "1e200000"}, "refused_by_database"),
}
"""Reason "": it is stored, or rejected, but nothing else may happen."""


@pytest.mark.fault("L11")
def test_unusable_line_costs_its_invoice_only(copied: Case) -> None:
    """Each in an invoice of its own; all others are proven, and the count agrees."""
    chosen = dict(zip(copied.books.ledger.numbers[3:], UNUSABLE, strict=False))
    for number, what in chosen.items():
        field, how, _ = UNUSABLE[what]
        copied.books.spoil_line(number, 1, field, **how)
    outcome = copied.run(lines=True)
    assert outcome.state == "success", outcome.errors
    found = unproven(copied)
    for number, what in chosen.items():
        reason = UNUSABLE[what][2]
        if reason:
            assert found.pop(number, None) == ("rejected", reason), what
        else:
            found.pop(number, None)
    assert found == {}
    assert outcome.statistics["count_agrees"] is True
    kept = "select field from economic.line_check where strpos(rejected_item, '\"much\"') > 0"
    assert copied.witness.rows(kept) == [{"field": "totalNetAmount"}]
    for number in chosen:
        copied.books.heal(number)
    forget(copied)
    heals(copied)


@pytest.mark.parametrize("what", ["absent", "null", "of another invoice", "a text", "a list"])
@pytest.mark.fault("L11")
def test_line_without_its_invoice_is_counted_as_lost(copied: Case, what: str) -> None:
    number = copied.books.ledger.numbers[9]
    how: dict[str, dict[str, Any]] = {
        "absent": {"absent": True},
        "null": {"raw": "null"},
        "of another invoice": {"raw": str(copied.books.ledger.numbers[10])},
        "a text": {"value": "none"},
        "a list": {"raw": "[10001]"},
    }
    copied.books.spoil_line(number, 0, "documentId", **how[what])
    outcome = copied.run(lines=True)
    assert outcome.state == "success", outcome.errors
    assert number in unproven(copied)
    no_false_proof(copied)
    copied.books.heal(number)
    heals(copied)


@pytest.mark.parametrize("raw", ["{}", '"{}"', "{}.0", "{}e0"])
@pytest.mark.fault("L11")
def test_numbers_of_another_spelling_are_read(copied: Case, raw: str) -> None:
    """A whole number is one, however it is written."""
    number = copied.books.ledger.numbers[9]
    invoice = copied.books.ledger.invoices[number]
    copied.books.spoil_line(number, 1, "number", raw=raw.format(line_number(invoice, 1)))
    copied.books.spoil_line(number, 1, "documentId", raw=raw.format(number))
    copied.run(lines=True)
    assert unproven(copied) == {}
    stored = copied.witness.rows(
        "select line_number from economic.invoice_line where invoice_number = %s order by 1", number
    )
    assert [row["line_number"] for row in stored] == [line_number(invoice, at) for at in range(3)]
    copied.books.heal(number)
    forget(copied)
    heals(copied)


# -- values -------------------------------------------------------------------------------------------------------------


TEXTS = {
    "NUL": (r'"a\u0000b"', "ab"),
    "lone surrogate": (r'"a\ud800b"', "a\ufffdb"),
    "quotes and markup": ('"<b>\';--\\\\ {{ x }}"', "<b>';--\\ {{ x }}"),
    "blank": ('" "', None),
    "of ten thousand characters": ('"' + "ø" * 10_000 + '"', "ø" * 10_000),
    "tabs and lines": (r'"a\tb\nc\\N"', "a\tb\nc\\N"),
}


@pytest.mark.fault("L12")
def test_any_text_is_stored(copied: Case) -> None:
    chosen = dict(zip(copied.books.ledger.numbers, TEXTS.values(), strict=False))
    for number, (raw, _) in chosen.items():
        copied.books.spoil_line(number, 0, "description", raw=raw)
        copied.books.spoil_line(number, 1, "unknownText", raw=raw)
    copied.run(lines=True)
    assert unproven(copied) == {}
    rows = copied.witness.rows(
        "select invoice_number, description from economic.invoice_line where shown_number = 1"
    )
    stored = {row["invoice_number"]: row["description"] for row in rows}
    assert {number: stored[number] for number in chosen} == {
        number: text for number, (_, text) in chosen.items()
    }
    for number in chosen:
        copied.books.heal(number)
    forget(copied)
    heals(copied)


@pytest.mark.fault("L12")
def test_ten_thousand_unknown_fields_are_kept(copied: Case) -> None:
    number = copied.books.ledger.numbers[9]
    # Text that is delivered as it stands: one field that brings the others along.
    fields = "0" + "".join(f',"unknown{at}":{at}' for at in range(1, 10_000))
    copied.books.spoil_line(number, 0, "unknown0", raw=fields)
    copied.run(lines=True)
    assert unproven(copied) == {}
    query = (
        "select count(*) from economic.invoice_line, jsonb_object_keys(raw_data) as key"
        " where invoice_number = %s and key like 'unknown%%'"
    )
    assert copied.witness.value(query, number) == 10_000
    copied.books.heal(number)
    forget(copied)
    heals(copied)


AMOUNTS = {
    "finer than cents": ("0.0049", True),
    "half a cent": ("0.005", False),
    "many digits": ("0." + "0" * 25 + "1", True),
    "a cent": ("-0.01", False),
}


@pytest.mark.fault("L13")
def test_sum_is_compared_in_hundredths(copied: Case) -> None:
    """The sum of exact amounts is rounded, not each of them."""
    chosen = dict(zip(copied.books.ledger.numbers[10:], AMOUNTS.values(), strict=False))
    # Of invoices whose amounts are whole hundredths.
    for number, (by, _) in chosen.items():
        copied.books.differ(number, by)
    copied.run(lines=True)
    found = unproven(copied)
    expected = {
        number: ("differing", None)
        for number, (by, same) in chosen.items()
        if not same and _rounds_away(copied, number, by)
    }
    assert found == expected
    assert len(expected) >= 1
    for number in chosen:
        copied.books.heal(number)
    forget(copied)
    heals(copied)


def _rounds_away(case: Case, number: int, by: str) -> bool:
    total = sum(
        (line.get("totalNetAmount", Decimal()) for line in case.books.line_book.items(number)), Decimal()
    )
    cents = Decimal("0.01")
    return (total + Decimal(by)).quantize(cents, "ROUND_HALF_UP") != total.quantize(cents, "ROUND_HALF_UP")


@pytest.mark.fault("L13")
def test_invoices_without_lines_and_credit_notes(read: Case) -> None:
    """Without lines and of amount 0 it is proven; of another amount it differs until the lines come."""
    (nothing,) = read.books.book(net="0")
    (late,) = read.books.book(net="100.00")
    read.books.credit(read.books.ledger.numbers[0])
    read.books.credit(read.books.ledger.numbers[1])
    assert read.run().state == "success"
    empty = {"match": LINES, "kind": "edit", "at": "all"}
    gone = {str(nothing), str(late)}

    def without(page: dict[str, Any]) -> None:
        page["items"] = [item for item in page["items"] if item["documentId"] not in gone]

    read.books.faults(empty | {"edit": without})
    outcome = read.run(lines=True)
    assert outcome.state == "success", outcome.errors
    assert unproven(read) == {late: ("differing", None)}
    rows = read.witness.rows("select line_count from economic.line_check where invoice_number = %s", nothing)
    assert rows == [{"line_count": 0}]
    heals(read)


@pytest.mark.parametrize("amount", [True, False], ids=["with amounts", "one a text"])
@pytest.mark.fault("L14")
def test_repeated_line_number_is_found(copied: Case, amount: bool) -> None:
    """By the sum; where one of both is a text without an amount, by the count."""
    book = copied.books.line_book
    number = next(
        n
        for n in copied.books.ledger.numbers
        if any("totalNetAmount" not in line for line in book.items(n)) is not amount
    )
    items = book.items(number)
    at = 1 if amount else next(at for at, line in enumerate(items) if "totalNetAmount" not in line)
    copied.books.spoil_line(number, at, "number", raw=str(items[0]["number"]))
    statistics = copied.run(lines=True).statistics
    if amount:
        assert unproven(copied) == {number: ("differing", None)}
    else:
        # Which of both came last stays: the amount, or the sum is wrong.
        assert number in unproven(copied) or statistics["count_agrees"] is False
    assert statistics["count_agrees"] is False
    copied.books.heal(number)
    heals(copied)


@pytest.mark.fault("L14")
def test_line_delivered_twice_is_stored_once(copied: Case) -> None:
    """On two pages, as a booking between them may bring it about."""
    copied.books.fault(LINES, "edit", at="all", edit=_twice())
    proves(copied)
    assert reading_row(copied)["held"] == 3 * INVOICES == reading_row(copied)["counted"]
    heals(copied)


def _twice() -> Callable[[dict[str, Any]], None]:
    last: list[Any] = []
    times = count()

    def edit(page: dict[str, Any]) -> None:
        if next(times) % 2:
            page["items"] = [*last, *page["items"]]
        last[:] = page["items"][-3:] if "cursor" in page else []

    return edit


@pytest.mark.fault("L14")
def test_lost_line_is_found_by_sum_or_count(read: Case) -> None:
    assert checks(read) == {"proven": INVOICES}
    number = next(
        n
        for n in read.books.ledger.numbers
        if any("totalNetAmount" not in line for line in read.books.line_book.items(n))
    )
    read.books.lose(number)
    forget(read)
    assert read.run(lines=True).statistics["count_agrees"] is False
    assert wrong(read) == [number]
    read.books.heal(number)
    heals(read)
