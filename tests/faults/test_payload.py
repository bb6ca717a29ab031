"""P01 to P34: invoices and employees that come otherwise than documented.

Each row is one whole sync with the bad items among good ones: the good ones are stored exactly, the counts add up, a bad one is kept aside with its
field and reason, and the next healthy sync heals it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

import simulator
from economic.errors import BrokenResponse
from simulator import InProcess
from simulator.spoiling import Literal
from tests.faults.conftest import Case
from tests.support import invariants as oracle
from tests.support.dag_runs import Outcome
from tests.support.expected_rows import OTHERS
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

INVOICES = 60
PAGE_SIZE = 25
Spoil = tuple[str, str]
"""A field's path and the JSON text that it is delivered as."""


@pytest.fixture
def books() -> Iterator[InProcess]:
    with simulator.running(
        invoices=INVOICES, employees=4, app_secret_token=APP_SECRET, agreement_grant_token=AGREEMENT_GRANT
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def pages(case: Case) -> None:
    case.runs.page_size(PAGE_SIZE)


def spoil(case: Case, *spoils: Spoil) -> dict[int, Spoil]:
    """Deliver as many invoices wrong, spread over the pages; which ones."""
    numbers = sorted(case.books.ledger.items())
    chosen = numbers[3 :: max(1, INVOICES // len(spoils))][: len(spoils)]
    for number, (path, raw) in zip(chosen, spoils, strict=True):
        case.books.spoil(number, path, raw=raw)
    return dict(zip(chosen, spoils, strict=True))


def run(case: Case) -> Outcome:
    outcome = case.run()
    assert outcome.state == "success", outcome.errors
    return outcome


def set_aside(case: Case, field: str, reason: str, *spoils: Spoil) -> dict[int, Spoil]:
    """All of these are kept aside for this reason, nothing else is; then e-conomic delivers them right, and they are stored."""
    spoiled = spoil(case, *spoils)
    statistics = run(case).statistics
    assert (statistics["status"], statistics["complete"], statistics["reconciled"]) == (
        "completed_with_errors",
        True,
        False,
    )
    assert (statistics["fetched"], statistics["created"], statistics["failed"]) == (
        INVOICES,
        INVOICES - len(spoils),
        len(spoils),
    )
    rejected = case.rejected()
    assert [(one["field"], one["reason"]) for one in rejected] == [(field, reason)] * len(spoils)
    assert sorted(set(oracle_numbers(case)) ^ set(case.books.ledger.items())) == sorted(spoiled)
    oracle.the_table_equals_the_books(case.witness, refused=spoiled)
    heal(case, spoiled)
    return spoiled


def oracle_numbers(case: Case) -> list[int]:
    return [row["invoice_number"] for row in case.witness.rows("select invoice_number from economic.invoice")]


def heal(case: Case, spoiled: dict[int, Spoil]) -> None:
    for number in spoiled:
        case.books.heal(number)
    case.heals()
    assert case.rejected() == []
    assert case.stored() == INVOICES


def stored(case: Case, *spoils: Spoil, degraded: int = 0) -> dict[int, dict[str, Any]]:
    """All of these are stored; the rows, by number, before e-conomic delivers them as usual again."""
    spoiled = spoil(case, *spoils)
    statistics = run(case).statistics
    assert (statistics["status"], statistics["failed"]) == ("completed", 0)
    assert statistics["created"] + statistics["updated"] + statistics["unchanged"] == INVOICES
    assert statistics["degraded"] == degraded
    rows = {row["invoice_number"]: row for row in rows_as_text(case, list(spoiled))}
    for number in spoiled:
        case.books.heal(number)
    run(case)
    case.heals()
    return {number: rows[number] for number in spoiled}


def rows_as_text(case: Case, numbers: list[int]) -> list[dict[str, Any]]:
    """Whole rows; raw_data as it is, too, for Python's own reader refuses numbers of 5000 digits."""
    with case.witness.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.adapters.register_loader("jsonb", TextLoader)
        rows = cursor.execute(
            "select * from economic.invoice where invoice_number = any(%s)", [numbers]
        ).fetchall()
    for row in rows:
        row["raw_text"] = row["raw_data"]
        row["raw_data"] = json.loads(row["raw_text"], parse_int=Decimal)
    return rows


def left_out(case: Case, name: str | None, reason: str, *spoils: Spoil) -> list[dict[str, Any]]:
    """All of these are stored with that column empty, and reported until e-conomic delivers them right; the rows."""
    found = stored(case, *spoils, degraded=len(spoils))
    reports = case.witness.rows(
        "select field, reason, resolved_at from economic.degraded_field order by invoice_number"
    )
    assert [(one["field"], one["reason"]) for one in reports] == [(path, reason) for path, _ in spoils]
    assert all(one["resolved_at"] for one in reports)
    rows = list(found.values())
    assert name is None or [row[name] for row in rows] == [None] * len(spoils)
    return rows


def column(case: Case, name: str, *spoils: Spoil) -> list[Any]:
    """What one column holds after these, in their order."""
    return [row[name] for row in stored(case, *spoils).values()]


def at(path: str, *raws: str) -> list[Spoil]:
    return [(path, raw) for raw in raws]


# -- the number ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("P01")
def test_an_item_without_a_number_is_kept_under_its_own_text(case: Case) -> None:
    number = "bookedInvoiceNumber"
    numbers = sorted(case.books.ledger.items())
    case.books.spoil(numbers[3], number, absent=True)
    # the last one of its page: the next page begins after the one before it, and shows it again
    case.books.spoil(numbers[PAGE_SIZE - 1], number, raw="null")
    case.books.spoil(numbers[-1], number, absent=True)
    for _ in range(2):
        statistics = run(case).statistics
        assert (statistics["fetched"], statistics["failed"], statistics["complete"]) == (INVOICES, 3, True)
    rejected = case.rejected()
    assert [(one["invoice_number"], one["field"], one["reason"]) for one in rejected] == [
        (None, number, "missing")
    ] * 3
    assert all(one["item_key"].startswith("sha256:") and one["seen_count"] == 2 for one in rejected)
    oracle.the_table_equals_the_books(case.witness, refused=(numbers[3], numbers[PAGE_SIZE - 1], numbers[-1]))
    heal(case, dict.fromkeys((numbers[3], numbers[PAGE_SIZE - 1], numbers[-1]), ("", "")))


@pytest.mark.fault("P01")
def test_an_invoice_that_lost_its_number_is_not_taken_for_gone(case: Case) -> None:
    case.synced()
    number = min(case.books.ledger.items())
    case.books.spoil(number, "bookedInvoiceNumber", absent=True)
    statistics = run(case).statistics
    assert (statistics["failed"], statistics["missing"]) == (1, 0)
    assert case.witness.value("select count(*) from economic.invoice where missing_since is null") == INVOICES
    heal(case, {number: ("", "")})


@pytest.mark.fault("P02")
def test_a_number_may_come_as_digits_in_a_string(case: Case) -> None:
    numbers = sorted(case.books.ledger.items())
    for number in numbers[5:8]:
        case.books.spoil(number, "bookedInvoiceNumber", raw=f'"{number}"')
    assert run(case).statistics["created"] == INVOICES
    assert sorted(oracle_numbers(case)) == numbers
    for number in numbers[5:8]:
        case.books.heal(number)
    case.heals()


@pytest.mark.fault("P02")
def test_other_strings_are_no_number(case: Case) -> None:
    number = "bookedInvoiceNumber"
    set_aside(case, number, "not_a_number", *at(number, '"12abc"', '" 12"', '"１２"', '""', '"012"', '"1_0"'))


@pytest.mark.fault("P03")
def test_what_is_no_number_of_an_invoice_is_kept_aside(case: Case) -> None:
    number = "bookedInvoiceNumber"
    set_aside(case, number, "not_a_number", *at(number, "true", "1.5", "[]", "{}", "NaN"))


@pytest.mark.fault("P03")
def test_a_number_out_of_range_is_kept_aside(case: Case) -> None:
    number = "bookedInvoiceNumber"
    set_aside(case, number, "number_out_of_range", *at(number, "0", "-5", '"-7"', str(2**63), f"{2**70}.0"))


# -- amounts ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("P04")
def test_a_credit_note_is_an_invoice(case: Case) -> None:
    raws = at("grossAmount", "-1250.00", "-0.01", "-0.0")
    assert column(case, "gross_amount", *raws) == [Decimal("-1250.00"), Decimal("-0.01"), Decimal(0)]


@pytest.mark.fault("P05")
def test_words_for_no_number_cost_their_own_invoice_only(case: Case) -> None:
    set_aside(case, "grossAmount", "not_an_amount", *at("grossAmount", "NaN", "Infinity", "-Infinity"))


@pytest.mark.fault("P05")
def test_such_a_word_in_a_field_nobody_reads_is_kept_as_text(case: Case) -> None:
    found = stored(case, *at("aField.nobodyReads", "NaN", "-Infinity"))
    assert [row["raw_data"]["aField"]["nobodyReads"] for row in found.values()] == ["NaN", "-Infinity"]


@pytest.mark.fault("P06")
def test_words_for_no_number_as_strings_are_no_amounts(case: Case) -> None:
    set_aside(case, "netAmount", "not_an_amount", *at("netAmount", '"NaN"', '"Infinity"', '"-inf"'))


@pytest.mark.parametrize("poison", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.fault("P06")
def test_the_table_itself_takes_none_whoever_writes(case: Case, poison: str) -> None:
    """One of them would spoil every sum of its column."""
    case.synced()
    with case.witness.connect() as connection:
        amounts = connection.execute(
            "select column_name from information_schema.columns"
            " where table_schema = 'economic' and table_name = 'invoice' and data_type = 'numeric'"
        ).fetchall()
        assert len(amounts) == 9
        for (name,) in amounts:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"update economic.invoice set {name} = '{poison}'".encode())  # noqa: S608  # names from the catalogue of the database


HUGE = ("1e400", "1E+999999999", "1E-400", "-1e400", "1e25", "0.0000000000000000000000000000001")
BEYOND = ("1e9999999999999999999", "-1E-9999999999999999999", "1e" + "9" * 5000)
"""Exponents that no decimal number of Python can have."""


@pytest.mark.fault("P07")
def test_amounts_of_no_sane_size_are_kept_aside_without_being_written_out(case: Case) -> None:
    set_aside(case, "remainder", "amount_out_of_range", *at("remainder", *HUGE, *BEYOND))


@pytest.mark.fault("P07")
def test_the_same_in_a_field_nobody_reads(case: Case) -> None:
    set_aside(case, "(item)", "sqlstate_22003", *at("aField", "1E+999999999", *BEYOND))


@pytest.mark.fault("P08")
def test_an_integer_of_5000_digits_costs_its_own_invoice_only(case: Case) -> None:
    digits = "7" * 5000
    set_aside(case, "netAmount", "amount_out_of_range", *at("netAmount", digits, f"-{digits}"))


@pytest.mark.fault("P08")
def test_as_a_number_it_is_none_and_in_a_field_nobody_reads_it_is_kept(case: Case) -> None:
    digits = "7" * 5000
    (row,) = stored(case, ("aField", digits)).values()
    assert f'"aField": {digits}' in row["raw_text"]
    left_out(case, "customer_number", "number_out_of_range", *at("customer.customerNumber", digits))


@pytest.mark.fault("P09")
def test_amounts_are_stored_to_the_last_digit(case: Case) -> None:
    raws = ("12345678901234567.89", "-99999999999999999999.99", "0.000000001")
    assert column(case, "gross_amount", *at("grossAmount", *raws)) == [Decimal(raw) for raw in raws]


@pytest.mark.fault("P10")
def test_nothing_is_rounded(case: Case) -> None:
    raws = ("2.675", "-2.665", "0.30000000000000004", "0.1", "1e2")
    assert column(case, "net_amount", *at("netAmount", *raws)) == [Decimal(raw) for raw in raws]


@pytest.mark.fault("P11")
def test_an_amount_as_a_plain_decimal_string_is_taken(case: Case) -> None:
    raws = at("vatAmount", '"12.50"', '"-3"', '"1e3"')
    assert column(case, "vat_amount", *raws) == [Decimal("12.50"), Decimal(-3), Decimal(1000)]


@pytest.mark.fault("P11")
def test_other_strings_are_no_amounts(case: Case) -> None:
    set_aside(
        case, "vatAmount", "not_an_amount", *at("vatAmount", '"1.234,56"', '"12,50"', '"1_000"', '""', '" 1"')
    )


@pytest.mark.fault("P12")
def test_an_amount_that_may_be_missing_is_null(case: Case) -> None:
    assert column(case, "vat_amount", ("vatAmount", "null")) == [None]


@pytest.mark.parametrize("field", ["netAmount", "grossAmount", "remainder"])
@pytest.mark.fault("P12")
def test_one_that_must_be_there_is_not_made_up(case: Case, field: str) -> None:
    number = sorted(case.books.ledger.items())[40]
    case.books.spoil(number, field, absent=True)
    spoiled = spoil(case, (field, "null"))
    assert run(case).statistics["failed"] == 2
    assert [(one["field"], one["reason"]) for one in case.rejected()] == [(field, "missing")] * 2
    heal(case, spoiled | {number: ("", "")})


# -- dates --------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("P13")
def test_a_date_that_is_missing_is_null(case: Case) -> None:
    assert column(case, "due_date", ("dueDate", "null")) == [None]
    assert column_again(case, "invoice_date", ("date", "null")) == [None]


def column_again(case: Case, name: str, *spoils: Spoil) -> list[Any]:
    spoiled = spoil(case, *spoils)
    run(case)
    rows = case.witness.rows("select * from economic.invoice where invoice_number = any(%s)", list(spoiled))
    for number in spoiled:
        case.books.heal(number)
    run(case)
    case.heals()
    return [row[name] for row in rows]


@pytest.mark.fault("P13")
def test_an_empty_date_is_none(case: Case) -> None:
    set_aside(case, "dueDate", "not_a_date", ("dueDate", '""'))


@pytest.mark.fault("P14")
def test_impossible_dates_are_set_aside(case: Case) -> None:
    set_aside(
        case,
        "date",
        "not_a_date",
        *at("date", '"2026-02-30"', '"0000-00-00"', '"10000-01-01"', '"2025-02-29"'),
    )


@pytest.mark.fault("P15")
def test_spellings_that_other_parsers_take_are_set_aside(case: Case) -> None:
    spellings = (
        "today",
        "infinity",
        "20260101",
        "01/02/2026",
        "2026-W01-1",
        "2026-01-01T00:00:00Z",
        "２０２６-01-01",
    )
    raws = at("date", *(json.dumps(text) for text in spellings), "20260101", "{}")
    set_aside(case, "date", "not_a_date", *raws)


# -- texts --------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("P16")
def test_which_currencies_exist_is_not_ours_to_say(case: Case) -> None:
    assert column(case, "currency", *at("currency", '"XXX"', '"BTC"')) == ["XXX", "BTC"]


@pytest.mark.fault("P16")
def test_what_cannot_be_a_currency_is_set_aside(case: Case) -> None:
    set_aside(case, "currency", "not_a_currency", *at("currency", '"dkk"', '""', '"DKKK"', '"D K"', "7"))


@pytest.mark.fault("P17")
def test_nul_is_taken_out(case: Case) -> None:
    raw = r'"a\u0000b \\u0000 c\u0000"'
    found = stored(case, ("notes.heading", raw), ("aField.nobodyReads", raw))
    read, unread = found
    assert found[read]["subject"] == r"ab \u0000 c"
    assert found[read]["raw_data"]["notes"]["heading"] == r"ab \u0000 c"
    assert found[unread]["raw_data"]["aField"]["nobodyReads"] == r"ab \u0000 c"


@pytest.mark.fault("P18")
def test_a_lone_surrogate_costs_its_own_field_only(case: Case) -> None:
    spoils = at("recipient.name", r'"\ud800"', r'"x\udfff y"', r'"\udc00\ud800"')
    rows = left_out(case, "customer_name", "broken_text", *spoils)
    kept = [row["raw_data"]["recipient"]["name"] for row in rows]
    assert kept == ["\ufffd", "x\ufffd y", "\ufffd\ufffd"]


@pytest.mark.fault("P18")
def test_in_a_field_nobody_reads_it_is_replaced_and_reported(case: Case) -> None:
    spoils = (("aField", r'"\ud800"'), ("another", r'{"\ud800": 1}'))
    rows = left_out(case, None, "broken_text", *spoils)
    assert [rows[0]["raw_data"]["aField"], rows[1]["raw_data"]["another"]] == ["\ufffd", {"\ufffd": 1}]


STRANGE = (
    "".join(map(chr, (*range(1, 0x20), 0x7F, *range(0x80, 0xA0)))),
    "‮gnirts‬ ​﻿ é́ \U0001f600 \U0001f468‍\U0001f469‍\U0001f467 \U0010ffff \ufffe ﷽",
    "a\r\nb\tc\\d\"e'f\\N\\.\\copy",
    " a ",
)


@pytest.mark.fault("P19")
def test_any_other_text_is_stored_unchanged(case: Case) -> None:
    raws = [json.dumps(text, ensure_ascii=bool(number % 2)) for number, text in enumerate(STRANGE)]
    # JSON lets DEL and C1 stand as they are; C0 must be escaped, which json.dumps does either way
    found = stored(case, *at("recipient.name", *raws))
    assert [row["customer_name"] for row in found.values()] == list(STRANGE)
    assert [row["raw_data"]["recipient"]["name"] for row in found.values()] == list(STRANGE)


@pytest.mark.fault("P20")
def test_a_text_of_a_megabyte_is_kept_in_the_raw_item_only(case: Case) -> None:
    texts = ["x" * 1_000_000, "æ" * 500_000]
    raws = [json.dumps(text, ensure_ascii=False) for text in texts]
    rows = left_out(case, "customer_name", "text_too_long", *at("recipient.name", *raws))
    assert [row["raw_data"]["recipient"]["name"] for row in rows] == texts


@pytest.mark.fault("P20")
def test_a_text_beyond_the_bound_of_an_answer_fails_the_page_and_heals(case: Case) -> None:
    """The bound is 64 MiB; made smaller here, the same code stops the same way."""
    case.runs.limit(body=2_000_000)
    spoiled = spoil(case, ("recipient.name", json.dumps("x" * 3_000_000)))
    outcome = case.run(retries=0)
    assert (outcome.state, type(outcome.error)) == ("failed", BrokenResponse)
    assert "larger than 2,000,000 bytes" in str(outcome.error)
    heal(case, spoiled)


TEXTS = [
    path for name, path in OTHERS.items() if not name.endswith(("number", "credit")) and name != "currency"
]


@pytest.mark.fault("P21")
def test_texts_longer_than_documented_are_stored_whole(case: Case) -> None:
    long = "Ærø 12 " * 700
    found = stored(case, *((path, json.dumps(long)) for path in TEXTS))
    by_path = {path: name for name, path in OTHERS.items()}
    assert [row[by_path[path]] for row, path in zip(found.values(), TEXTS, strict=True)] == [long] * len(
        TEXTS
    )


# -- structure ----------------------------------------------------------------------------------------------------------


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.fault("P22")
def test_nesting_of_500_is_stored(case: Case) -> None:
    (row,) = stored(case, ("aField", nested(500))).values()
    assert row["raw_text"].count('{"a": ') == 500


@pytest.mark.parametrize("depth", [5_000, 100_000])
@pytest.mark.fault("P22")
def test_nesting_without_end_fails_the_page_and_heals(case: Case, depth: int) -> None:
    spoiled = spoil(case, ("aField", nested(depth)))
    outcome = case.run(retries=0)
    if depth == 5_000 and sys.version_info >= (3, 12):
        # The parser has no limit of its own there; whatever it makes of 5,000, nothing breaks.
        assert outcome.state in {"success", "failed"}
    else:
        assert (outcome.state, type(outcome.error)) == ("failed", BrokenResponse)
        assert case.stored() == 0
    heal(case, spoiled)


@pytest.mark.fault("P22")
def test_what_is_too_deep_for_the_database_costs_its_own_invoice_only(case: Case) -> None:
    with case.witness.connect() as connection:
        connection.execute(f"alter database {connection.info.dbname} set max_stack_depth = '100kB'".encode())
    set_aside(case, "(item)", "sqlstate_54001", ("aField", nested(700)))


@pytest.mark.fault("P23")
def test_fields_nobody_knows_are_kept(case: Case) -> None:
    spoils = [
        ("brandNew", "1"),
        ("brandNew", "2"),
        ("recipient.loyalty", '{"level": 9}'),
        ("references.x y", "[{}]"),
    ]
    found = stored(case, *spoils)
    assert [row["raw_data"].get("brandNew") for row in found.values()] == [1, 2, None, None]


@pytest.mark.fault("P24")
def test_an_object_that_is_none_is_left_out(case: Case) -> None:
    spoils = [("customer", '"3001"'), ("recipient", "[]"), ("references.salesPerson", "3"), ("notes", "true")]
    rows = left_out(case, None, "not_an_object", *spoils)
    columns = ("customer_number", "customer_name", "employee_number", "subject")
    assert [row[name] for row, name in zip(rows, columns, strict=True)] == [None] * 4


@pytest.mark.fault("P24")
def test_the_same_one_level_down(case: Case) -> None:
    raws = at("recipient.name", "7", "true", "[]", '{"first": "x"}', "1.5")
    left_out(case, "customer_name", "not_a_text", *raws)


@pytest.mark.fault("P24")
def test_sixty_of_sixty_odd_postcodes_stop_nothing(case: Case) -> None:
    numbers = sorted(case.books.ledger.items())
    for number in numbers:
        case.books.spoil(number, "recipient.zip", raw="8000")
    for outcome in ("created", "unchanged"):
        statistics = run(case).statistics
        assert (statistics["degraded"], statistics[outcome], statistics["reconciled"]) == (
            INVOICES,
            INVOICES,
            True,
        )
    unpaid = next(number for number, one in case.books.ledger.items().items() if float(one["remainder"]) > 0)
    case.books.ledger.pay(unpaid)
    assert run(case).statistics["updated"] == 1
    for number in numbers:
        case.books.heal(number)
    assert run(case).statistics["updated"] == INVOICES
    case.heals()


@pytest.mark.fault("P25")
def test_of_a_key_that_comes_twice_the_last_one_counts(case: Case) -> None:
    once, twice = '"x"', r'{"heading": "first", "a": "\"heading\": \"no\"", "heading": "last"}'
    top = '1, "grossAmount": 17.5, "orderNumber": 4'
    found = stored(case, ("notes.heading", once), ("notes", twice), ("aField", top))
    plain, inner, outer = found
    assert [found[number]["subject"] for number in (plain, inner)] == ["x", "last"]
    assert found[outer]["gross_amount"] == Decimal("17.5")
    assert found[outer]["raw_data"]["grossAmount"] == 17.5


@pytest.mark.fault("P26")
def test_an_invoice_without_references_or_salesperson_is_complete(case: Case) -> None:
    items = sorted(case.books.ledger.items().items())
    number = next(n for n, one in items[50:] if one.get("references", {}).keys() <= {"customerContact"})
    case.books.spoil(number, "references", absent=True)
    rows = stored(case, ("references", "null"), ("references", "{}"), ("references.salesPerson", "null"))
    assert [row["employee_number"] for row in rows.values()] == [None] * 3
    assert [row["employee_name"] for row in rows.values()] == [None] * 3


# -- employees ----------------------------------------------------------------------------------------------------------

EMPLOYEE = "references.salesPerson.employeeNumber"
AN_HOUR_AND_A_BIT = "61 minutes"


def age_the_employees(case: Case, by: str) -> None:
    """Make it so long ago that the employees were fetched, by the database's clock."""
    with case.witness.connect() as connection:
        connection.execute("update economic.employee set fetched_at = clock_timestamp() - %s::interval", [by])


def names(case: Case) -> dict[int, str | None]:
    found = case.witness.rows(
        "select distinct employee_number, employee_name from economic.invoice where employee_number is not null"
    )
    return {row["employee_number"]: row["employee_name"] for row in found}


@pytest.mark.fault("P27")
def test_numbers_that_no_employee_has_are_stored_without_a_name(case: Case) -> None:
    rows = stored(case, *at(EMPLOYEE, "0", "-1", '"3"', "3.0"))
    assert [row["employee_number"] for row in rows.values()] == [0, -1, 3, 3]
    third = case.books.ledger.employees()[3]["name"]
    assert [row["employee_name"] for row in rows.values()] == [None, None, third, third]


@pytest.mark.fault("P27")
def test_what_is_no_number_is_left_out(case: Case) -> None:
    rows = left_out(
        case, "employee_number", "not_a_number", *at(EMPLOYEE, "3.5", "true", '"x"', '" 3"', "[]")
    )
    assert [row["employee_name"] for row in rows] == [None] * 5


@pytest.mark.fault("P28")
def test_an_employee_nobody_lists_leaves_no_name_and_is_said_once(case: Case) -> None:
    gone = case.books.ledger.books.gone_employee
    number = min(case.books.ledger.items())
    case.books.ledger.invoices[number].sales_person = gone
    case.books.ledger._changed(number)
    run(case)
    run(case)
    assert names(case)[gone] is None
    said = f"e-conomic lists no employee with number {gone}."
    assert case.witness.log().count(said) == 1
    assert case.paths().count("/employees") == 1
    case.heals()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "3600"}},
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 400, "body": r'{"message": "bad\u0000 \ud800 word"}'},
        {"kind": "slow", "seconds": 30},
        {"kind": "body", "body": "[1, 2]"},
        {"kind": "body", "body": '{"collection": {}, "pagination": {"results": 1}}'},
        {"kind": "body", "body": "<html>"},
    ],
    ids=str,
)
@pytest.mark.fault("P29")
def test_employees_that_cannot_be_had_stop_nothing_and_blank_nothing(
    case: Case, fault: dict[str, Any]
) -> None:
    case.runs.limit(attempts=2, read=0.3, page=1.0)
    case.synced()
    before = names(case)
    number = case.books.ledger.book(sales_person=2)[0]
    case.books.control("rename_employee", number=1, name="Somebody New")
    age_the_employees(case, AN_HOUR_AND_A_BIT)
    case.books.fault("/employees", at="all", **fault)
    outcome = run(case)
    assert (outcome.statistics["status"], outcome.statistics["created"]) == ("completed_with_errors", 1)
    assert "the employee names could not be refreshed" in case.last_sync()["message"]
    # the stored names serve, for the new invoice too
    assert names(case) == before | {2: case.books.ledger.employees()[2]["name"]}
    assert number in oracle_numbers(case)
    case.heals()
    assert names(case)[1] == "Somebody New"


@pytest.mark.fault("P29")
def test_a_list_with_unreadable_employees_gives_the_names_it_has(case: Case) -> None:
    case.synced()
    before = names(case)
    age_the_employees(case, AN_HOUR_AND_A_BIT)

    def spoiled(document: dict[str, Any]) -> None:
        document["collection"][0]["name"] = 7
        document["collection"][1] = "no employee"
        document["collection"][2]["employeeNumber"] = None
        del document["collection"][3]["name"]

    known = "select employee_number, name from economic.employee order by 1"
    listed = case.witness.rows(known)
    case.books.fault("/employees", "edit", at="all", edit=spoiled)
    run(case)
    assert names(case) == before
    assert case.witness.rows(known) == listed
    case.heals()


@pytest.mark.fault("P29")
def test_an_empty_list_blanks_nothing(case: Case) -> None:
    case.synced()
    before = names(case)
    for number in list(case.books.ledger.employees()):
        case.books.control("remove_employee", number=number)
    age_the_employees(case, AN_HOUR_AND_A_BIT)
    run(case)
    assert names(case) == before
    case.heals()


@pytest.mark.parametrize(("age", "asked"), [("59 minutes 50 seconds", 0), ("60 minutes 1 second", 1)])
@pytest.mark.fault("P30")
def test_a_new_name_shows_after_the_hour_by_the_databases_clock(case: Case, age: str, asked: int) -> None:
    case.synced()
    (number, old), *_ = sorted((n, name) for n, name in names(case).items() if name)
    case.books.control("rename_employee", number=number, name="Ny Navn Østergård")
    age_the_employees(case, age)
    run(case)
    assert case.paths().count("/employees") == asked
    assert names(case)[number] == ("Ny Navn Østergård" if asked else old)
    age_the_employees(case, AN_HOUR_AND_A_BIT)
    case.heals()


# -- texts that would be more than texts ----------------------------------------------------------------------------------

SQL = "'); drop table economic.invoice; --"
LIVELY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}",
    "{% raw %}{{ conn.economic_default.password }}",
    "${jndi:ldap://x}",
    "%(sync_id)s %s {0}",
    "=HYPERLINK(1)",
)


@pytest.mark.fault("P31")
def test_sql_in_a_text_is_a_text(case: Case) -> None:
    rows = stored(case, *at("recipient.name", json.dumps(SQL)), *at("notes.heading", json.dumps(SQL)))
    assert [rows[n][name] for n, name in zip(rows, ("customer_name", "subject"), strict=True)] == [SQL, SQL]


@pytest.mark.fault("P31")
def test_the_same_as_a_name_of_an_employee_and_of_the_company(case: Case) -> None:
    case.books.control("rename_employee", number=1, name=SQL)
    case.books.control("agreement", number=1234567, company=SQL)
    run(case)
    assert names(case)[1] == SQL
    assert case.witness.value("select company_name from economic.agreement") == SQL
    case.heals()


@pytest.mark.parametrize("path", ["recipient.name", "pdf.download"])
@pytest.mark.fault("P32")
def test_markup_and_templates_are_stored_as_they_came(case: Case, path: str) -> None:
    name = {"recipient.name": "customer_name", "pdf.download": "pdf_url"}[path]
    assert column(case, name, *at(path, *map(json.dumps, LIVELY))) == list(LIVELY)


@pytest.mark.fault("P32")
def test_nothing_renders_them_where_a_refusal_quotes_them(case: Case) -> None:
    spoiled = spoil(case, *at("date", *map(json.dumps, LIVELY)))
    outcome = run(case)
    quoted = [one["message"] for one in case.rejected()]
    assert quoted == [f"date is not a date: {text!r}." for text in LIVELY]
    assert "49" not in json.dumps(quoted)
    # no field that Airflow renders holds anything but what the DAG file says
    assert all(text not in json.dumps(outcome.xcom) for text in LIVELY)
    heal(case, spoiled)


@pytest.mark.fault("P34")
def test_an_invoice_that_is_the_same_is_not_written(case: Case) -> None:
    case.synced()
    xmins = "select invoice_number, xmin::text from economic.invoice order by 1"
    before = case.witness.rows(xmins)
    number = min(case.books.ledger.items())
    rate = case.books.ledger.item(number)["exchangeRate"]
    case.books.spoil(number, "exchangeRate", raw=f"{rate}000")
    statistics = run(case).statistics
    assert (statistics["unchanged"], statistics["updated"], statistics["raw_changed"]) == (INVOICES, 0, 0)
    # but once with its new digest, by which it is recognised from now on
    assert case.witness.rows(xmins)[1:] == before[1:]
    after = case.witness.rows(xmins)
    run(case)
    assert case.witness.rows(xmins) == after
    assert case.witness.value("select count(*) from economic.invoice_history") == 0
    case.heals()


def test_a_company_whose_name_cannot_be_stored_is_synced_without_it(case: Case) -> None:
    def unreadable(document: dict[str, Any]) -> None:
        document["company"]["name"] = Literal(r'"x\ud800"')

    case.books.fault("/self", "edit", at="all", edit=unreadable)
    outcome = case.run(retries=0)
    assert outcome.state == "success", outcome.errors
    assert case.witness.value("select company_name from economic.agreement") is None
    case.heals()
