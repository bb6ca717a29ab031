"""P01 to P34: invoices and employees that differ from the documentation.

Each test is a whole sync with the odd items among good ones. The good ones are stored exactly, the
counts add up, a rejected one is kept with its field and reason, and the next healthy sync repairs
everything. How each field is read, value by value, is stated in tests/unit/records.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from economic.errors import BrokenResponse
from tests.conftest import expect
from tests.faults.conftest import Case
from tests.support import invariants as oracle
from tests.support.dag_runs import Outcome
from tests.support.expected_rows import OTHERS

INVOICES = 60
PAGE_SIZE = 25
EMPLOYEE = "references.salesPerson.employeeNumber"
Spoil = tuple[str, str]
"""A field's path and the JSON text that it is delivered as."""


@pytest.fixture(autouse=True)
def pages(case: Case) -> None:
    case.runs.page_size(PAGE_SIZE)


def spoil(case: Case, spoils: Sequence[Spoil]) -> list[int]:
    """Deliver as many invoices wrong, spread over the pages; return their numbers. @ is its number."""
    numbers = sorted(case.books.ledger.items())
    chosen = numbers[3 :: max(1, INVOICES // len(spoils))][: len(spoils)]
    for number, (path, raw) in zip(chosen, spoils, strict=True):
        case.books.spoil(number, path, raw=raw.replace("@", str(number)))
    return chosen


def run(case: Case) -> Outcome:
    outcome = case.run()
    assert outcome.state == "success", outcome.errors
    return outcome


def heal(case: Case, *spoiled: int, before: bool = False) -> None:
    """Deliver these right again. ``before``: sync once more before the invariants read each row."""
    for number in spoiled:
        case.books.heal(number)
    if before:
        run(case)
    case.heals()
    assert case.rejected() == []
    assert case.stored() == INVOICES


def stored_numbers(case: Case) -> list[int]:
    return [row["invoice_number"] for row in case.witness.rows("select invoice_number from economic.invoice")]


def stored_rows(case: Case, numbers: list[int]) -> list[dict[str, Any]]:
    """Whole rows by number; raw_data as text too, because json refuses numbers of 5000 digits."""
    with case.witness.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.adapters.register_loader("jsonb", TextLoader)
        query = "select * from economic.invoice where invoice_number = any(%s) order by invoice_number"
        rows = cursor.execute(query, [numbers]).fetchall()
    for row in rows:
        row["raw_text"] = row["raw_data"]
        row["raw_data"] = json.loads(row["raw_text"], parse_int=Decimal)
    return rows


def within(row: dict[str, Any], path: str) -> Any:
    """A column, or what is at a path of the raw item."""
    value: Any = row
    for name in path.split("."):
        value = value[name]
    return value


# -- one table each: rejected, stored, stored without a field ---------------------------------------

NUMBER = "bookedInvoiceNumber"
BEYOND = "1e9999999999999999999"
"""An exponent that no decimal number of Python can have."""
REJECTED = [
    ("P02", NUMBER, '"12abc"', "not_a_number"),
    ("P03", NUMBER, "1.5", "not_a_number"),
    ("P03", NUMBER, "-5", "number_out_of_range"),
    ("P05", "grossAmount", "NaN", "not_an_amount"),
    ("P06", "netAmount", '"Infinity"', "not_an_amount"),
    ("P07", "remainder", "1E+999999999", "amount_out_of_range"),
    ("P07", "remainder", BEYOND, "amount_out_of_range"),
    ("P08", "netAmount", "7" * 5000, "amount_out_of_range"),
    ("P11", "vatAmount", '"1.234,56"', "not_an_amount"),
    *(("P12", field, "null", "missing") for field in ("netAmount", "grossAmount", "remainder")),
    ("P13", "dueDate", '""', "not_a_date"),
    ("P14", "date", '"2026-02-30"', "not_a_date"),
    ("P15", "date", '"20260101"', "not_a_date"),
    ("P16", "currency", '"dkk"', "not_a_currency"),
]


@pytest.mark.fault("P02", "P03", "P05", "P06", "P07", "P08", "P11", "P12", "P13", "P14", "P15", "P16")
def test_unusable_items_are_rejected_and_nothing_else(case: Case) -> None:
    # The database rejects these: no number of PostgreSQL holds them.
    unread = [("aField", raw) for raw in ("1E+999999999", BEYOND)]
    spoiled = spoil(case, [(path, raw) for _, path, raw, _ in REJECTED] + unread)
    statistics = run(case).statistics
    expect(statistics, status="completed_with_errors", complete=True, reconciled=False)
    expect(statistics, fetched=INVOICES, created=INVOICES - len(spoiled), failed=len(spoiled))
    expected = [(path, reason) for _, path, _, reason in REJECTED] + [("(item)", "sqlstate_22003")] * 2
    assert sorted((each["field"], each["reason"]) for each in case.rejected()) == sorted(expected)
    assert sorted(set(stored_numbers(case)) ^ set(case.books.ledger.items())) == spoiled
    oracle.the_table_equals_the_books(case.witness, refused=spoiled)
    expect(run(case).statistics, unchanged=INVOICES - len(spoiled), failed=len(spoiled), reconciled=False)
    kept = {each["invoice_number"]: each for each in case.rejected()}
    for number, (_, path, raw, _) in zip(spoiled, REJECTED, strict=False):
        if path != NUMBER:
            assert (raw in kept[number]["raw_data"], kept[number]["seen_count"]) == (True, 2)
    heal(case, *spoiled)


STRANGE = (
    "".join(map(chr, (*range(1, 0x20), 0x7F, *range(0x80, 0xA0)))),
    "‮gnirts‬ ​﻿ é́ \U0001f600 \U0001f468‍\U0001f469‍\U0001f467 \U0010ffff \ufffe ﷽",
    "a\r\nb\tc\\d\"e'f\\N\\.\\copy",
    " a ",
)
LONG = "Ærø 12 " * 700
COLUMNS = {path: name for name, path in OTHERS.items()}
TEXTS = [
    path for name, path in OTHERS.items() if not name.endswith(("number", "credit")) and name != "currency"
]
SQL = "'); drop table economic.invoice; --"
LIVELY = (
    "<script>alert(1)</script>",
    "{% raw %}{{ conn.economic_default.password }}",
    "${jndi:ldap://x}",
    "%(sync_id)s %s {0}",
    "=HYPERLINK(1)",
)
NESTED_500 = '{"a":' * 500 + "1" + "}" * 500
NUL = r'"a\u0000b \\u0000 c\u0000"'
HEADING_TWICE = r'{"heading": "first", "a": "\"heading\": \"no\"", "heading": "last"}'
STORED: list[tuple[str, str, str, str, Any]] = [
    ("P02", NUMBER, '"@"', "currency", "DKK"),
    ("P04", "grossAmount", "-1250.00", "gross_amount", Decimal(-1250)),
    ("P05", "aField.nobodyReads", "NaN", "raw_data.aField.nobodyReads", "NaN"),
    ("P09", "grossAmount", "-99999999999999999999.99", "gross_amount", Decimal("-99999999999999999999.99")),
    ("P10", "netAmount", "0.30000000000000004", "net_amount", Decimal("0.30000000000000004")),
    ("P10", "netAmount", "2.675", "net_amount", Decimal("2.675")),
    ("P11", "vatAmount", '"12.50"', "vat_amount", Decimal("12.5")),
    ("P12", "vatAmount", "null", "vat_amount", None),
    ("P13", "date", "null", "invoice_date", None),
    ("P16", "currency", '"BTC"', "currency", "BTC"),
    ("P17", "notes.heading", NUL, "subject", r"ab \u0000 c"),
    ("P17", "aField.nobodyReads", NUL, "raw_data.aField.nobodyReads", r"ab \u0000 c"),
    *(("P19", "recipient.name", json.dumps(text), "customer_name", text) for text in STRANGE),
    *(("P21", path, json.dumps(LONG), COLUMNS[path], LONG) for path in TEXTS),
    ("P23", "recipient.loyalty", '{"level": 9}', "raw_data.recipient.loyalty.level", 9),
    ("P25", "notes", HEADING_TWICE, "subject", "last"),
    ("P25", "aField", '1, "grossAmount": 17.5', "gross_amount", Decimal("17.5")),
    ("P26", "references", "null", "employee_name", None),
    ("P26", "references.salesPerson", "null", "employee_number", None),
    ("P27", EMPLOYEE, "-1", "employee_number", -1),
    ("P27", EMPLOYEE, "-1", "employee_name", None),
    ("P27", EMPLOYEE, '"3"', "employee_number", 3),
    ("P31", "notes.heading", json.dumps(SQL), "subject", SQL),
    *(("P32", "recipient.name", json.dumps(text), "customer_name", text) for text in LIVELY),
]


@pytest.mark.fault(
    "P02",
    "P04",
    "P05",
    "P08",
    "P09",
    "P10",
    "P11",
    "P12",
    "P13",
    "P16",
    "P17",
    "P19",
    "P21",
    "P22",
    "P23",
    "P25",
    "P26",
    "P27",
    "P31",
    "P32",
)
def test_unusual_items_are_stored_exactly(case: Case) -> None:
    unread = [("aField", "7" * 5000), ("aField", NESTED_500)]  # P08, P22
    spoiled = spoil(case, [(path, raw) for _, path, raw, _, _ in STORED] + unread)
    statistics = run(case).statistics
    assert (statistics["status"], statistics["failed"], statistics["degraded"]) == ("completed", 0, 0)
    assert statistics["created"] == INVOICES
    *rows, digits, nested = stored_rows(case, spoiled)
    found = [(row, within(stored, name)) for (row, _, _, name, _), stored in zip(STORED, rows, strict=True)]
    assert found == [(row, value) for row, _, _, _, value in STORED]
    assert f'"aField": {"7" * 5000}' in digits["raw_text"]
    assert nested["raw_text"].count('{"a": ') == 500
    heal(case, *spoiled, before=True)


MEGABYTE = "æ" * 500_000
DEGRADED = [
    ("P08", "customer.customerNumber", "7" * 5000, "number_out_of_range", "customer_number"),
    ("P18", "recipient.name", r'"x\udfff y"', "broken_text", "customer_name"),
    ("P18", "another", r'{"\ud800": 1}', "broken_text", None),
    ("P20", "recipient.name", json.dumps(MEGABYTE, ensure_ascii=False), "text_too_long", "customer_name"),
    ("P24", "customer", '"3001"', "not_an_object", "customer_number"),
    ("P24", "recipient", "[]", "not_an_object", "customer_name"),
    ("P24", "references.salesPerson", "3", "not_an_object", "employee_number"),
    ("P24", "recipient.name", "7", "not_a_text", "customer_name"),
    ("P27", EMPLOYEE, "3.5", "not_a_number", "employee_name"),
]


@pytest.mark.fault("P08", "P18", "P20", "P24", "P27")
def test_unfit_fields_are_left_out_until_repaired(case: Case) -> None:
    spoiled = spoil(case, [(path, raw) for _, path, raw, _, _ in DEGRADED])
    statistics = run(case).statistics
    expect(statistics, status="completed", failed=0, degraded=len(DEGRADED))
    rows = stored_rows(case, spoiled)
    names = [name for *_, name in DEGRADED]
    assert [name and row[name] for row, name in zip(rows, names, strict=True)] == [None] * len(rows)
    assert rows[1]["raw_data"]["recipient"]["name"] == "x\ufffd y"
    assert rows[2]["raw_data"]["another"] == {"\ufffd": 1}
    assert rows[3]["raw_data"]["recipient"]["name"] == MEGABYTE
    heal(case, *spoiled, before=True)
    reports = "select field, reason, resolved_at from economic.degraded_field order by invoice_number"
    found = case.witness.rows(reports)
    assert [(each["field"], each["reason"]) for each in found] == [
        (path, why) for _, path, _, why, _ in DEGRADED
    ]
    assert all(each["resolved_at"] for each in found)


# -- items without a number --------------------------------------------------------------------------


@pytest.mark.fault("P01")
def test_an_item_without_number_keeps_its_text(case: Case) -> None:
    numbers = sorted(case.books.ledger.items())
    case.books.spoil(numbers[3], NUMBER, absent=True)
    # The last one of its page: the next page begins after the one before it, and shows it again.
    case.books.spoil(numbers[PAGE_SIZE - 1], NUMBER, raw="null")
    case.books.spoil(numbers[-1], NUMBER, absent=True)
    for _ in range(2):
        statistics = run(case).statistics
        assert (statistics["fetched"], statistics["failed"], statistics["complete"]) == (INVOICES, 3, True)
    rejected = case.rejected()
    assert [(each["invoice_number"], each["field"], each["reason"]) for each in rejected] == [
        (None, NUMBER, "missing")
    ] * 3
    assert all(each["item_key"].startswith("sha256:") and each["seen_count"] == 2 for each in rejected)
    oracle.the_table_equals_the_books(case.witness, refused=(numbers[3], numbers[PAGE_SIZE - 1], numbers[-1]))
    heal(case, numbers[3], numbers[PAGE_SIZE - 1], numbers[-1])


@pytest.mark.fault("P01")
def test_an_invoice_without_number_is_not_missing(case: Case) -> None:
    case.synced()
    number = min(case.books.ledger.items())
    case.books.spoil(number, NUMBER, absent=True)
    expect(run(case).statistics, status="completed_with_errors", failed=1, missing=0)
    assert "1 item came without a usable number" in case.last_sync()["warning"]
    assert case.witness.value("select count(*) from economic.invoice where missing_since is null") == INVOICES
    heal(case, number)


# -- what the database and the decoder bound -----------------------------------------------------------


@pytest.mark.fault("P06")
def test_no_amount_column_takes_nan(case: Case) -> None:
    """Protects the sums of its column, whoever writes."""
    case.synced()
    with case.witness.connect() as connection:
        amounts = connection.execute(
            "select column_name from information_schema.columns"
            " where table_schema = 'economic' and table_name = 'invoice' and data_type = 'numeric'"
        ).fetchall()
        assert len(amounts) == 9
        for (name,) in amounts:
            for poison in ("NaN", "Infinity", "-Infinity"):
                with pytest.raises(psycopg.errors.CheckViolation):
                    connection.execute(f"update economic.invoice set {name} = '{poison}'".encode())  # noqa: S608  # names from the catalogue of the database


@pytest.mark.fault("P20")
def test_an_answer_beyond_the_limit_fails_and_heals(case: Case) -> None:
    """The limit is 64 MiB; made smaller here, the same code stops the same way."""
    case.runs.limit(body=2_000_000)
    spoiled = spoil(case, [("recipient.name", json.dumps("x" * 3_000_000))])
    outcome = case.run(retries=0)
    assert (outcome.state, type(outcome.error)) == ("failed", BrokenResponse)
    assert "larger than 2,000,000 bytes" in str(outcome.error)
    heal(case, *spoiled)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize("depth", [5_000, 100_000])
@pytest.mark.fault("P22")
def test_endless_nesting_fails_the_page_and_heals(case: Case, depth: int) -> None:
    spoiled = spoil(case, [("aField", nested(depth))])
    outcome = case.run(retries=0)
    if depth == 5_000 and sys.version_info >= (3, 12):
        # The parser has no limit of its own there; whatever it makes of 5,000, nothing breaks.
        assert outcome.state in {"success", "failed"}
    else:
        assert (outcome.state, type(outcome.error)) == ("failed", BrokenResponse)
        assert case.stored() == 0
    heal(case, *spoiled)


@pytest.mark.fault("P22")
def test_nesting_beyond_the_database_rejects_its_invoice(case: Case) -> None:
    with case.witness.connect() as connection:
        connection.execute(f"alter database {connection.info.dbname} set max_stack_depth = '100kB'".encode())
    spoiled = spoil(case, [("aField", nested(700))])
    assert run(case).statistics["failed"] == 1
    assert [(each["field"], each["reason"]) for each in case.rejected()] == [("(item)", "sqlstate_54001")]
    heal(case, *spoiled)


@pytest.mark.fault("P24")
def test_postcodes_all_unfit_stop_nothing(case: Case) -> None:
    numbers = sorted(case.books.ledger.items())
    for number in numbers:
        case.books.spoil(number, "recipient.zip", raw="8000")
    reports = "select field, reason, message from economic.degraded_field where resolved_at is null"
    for outcome in ("created", "unchanged"):
        statistics = run(case).statistics
        told = {tuple(row.values()) for row in case.witness.rows(reports)}
        assert told == {("recipient.zip", "not_a_text", "recipient.zip is not a text: 8000.")}
        assert case.witness.value("select degraded from economic.sync_status") == INVOICES
        assert (statistics["degraded"], statistics[outcome], statistics["reconciled"]) == (
            INVOICES,
            INVOICES,
            True,
        )
    unpaid = next(
        number for number, item in case.books.ledger.items().items() if float(item["remainder"]) > 0
    )
    case.books.ledger.pay(unpaid)
    assert run(case).statistics["updated"] == 1
    for number in numbers:
        case.books.heal(number)
    assert run(case).statistics["updated"] == INVOICES
    case.heals()


# -- employees ----------------------------------------------------------------------------------------------------------

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


@pytest.mark.fault("P28")
def test_an_unlisted_employee_is_logged_once(case: Case) -> None:
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
def test_unavailable_employees_stop_and_blank_nothing(case: Case, fault: dict[str, Any]) -> None:
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
    assert number in stored_numbers(case)
    case.heals()
    assert names(case)[1] == "Somebody New"


def spoil_employees(document: dict[str, Any]) -> None:
    document["collection"][0]["name"] = 7
    document["collection"][1] = "no employee"
    document["collection"][2]["employeeNumber"] = None
    del document["collection"][3]["name"]


def remove_employees(document: dict[str, Any]) -> None:
    document["collection"].clear()
    document["pagination"]["results"] = 0


@pytest.mark.fault("P29")
@pytest.mark.parametrize("edit", [spoil_employees, remove_employees])
def test_unreadable_or_missing_employees_keep_their_names(
    case: Case, edit: Callable[[dict[str, Any]], None]
) -> None:
    case.synced()
    before = names(case)
    age_the_employees(case, AN_HOUR_AND_A_BIT)
    known = "select employee_number, name from economic.employee order by 1"
    listed = case.witness.rows(known)
    case.books.fault("/employees", "edit", at="all", edit=edit)
    run(case)
    assert names(case) == before
    assert case.witness.rows(known) == listed
    case.heals()


@pytest.mark.parametrize(("age", "asked"), [("59 minutes 50 seconds", 0), ("60 minutes 1 second", 1)])
@pytest.mark.fault("P30")
def test_a_new_name_shows_after_an_hour(case: Case, age: str, asked: int) -> None:
    case.synced()
    (number, old), *_ = sorted((n, name) for n, name in names(case).items() if name)
    case.books.control("rename_employee", number=number, name="Ny Navn Østergård")
    age_the_employees(case, age)
    run(case)
    assert case.paths().count("/employees") == asked
    assert names(case)[number] == ("Ny Navn Østergård" if asked else old)
    age_the_employees(case, AN_HOUR_AND_A_BIT)
    case.heals()


# -- texts that would be more than texts ----------------------------------------------------------------


@pytest.mark.fault("P31")
def test_sql_in_other_names_is_a_text(case: Case) -> None:
    case.books.control("rename_employee", number=1, name=SQL)
    case.books.control("agreement", number=1234567, company=SQL)
    run(case)
    assert names(case)[1] == SQL
    assert case.witness.value("select company_name from economic.agreement") == SQL
    case.heals()


@pytest.mark.fault("P32")
def test_a_quoted_template_is_never_rendered(case: Case) -> None:
    spoiled = spoil(case, [("date", json.dumps(text)) for text in (*LIVELY, "{{7*7}}")])
    outcome = run(case)
    quoted = [each["message"] for each in case.rejected()]
    assert quoted == [f"date is not a date: {text!r}." for text in (*LIVELY, "{{7*7}}")]
    # No field that Airflow renders holds anything but what the DAG file says.
    assert all(text not in json.dumps(outcome.xcom) for text in LIVELY)
    heal(case, *spoiled)


def reverse_keys(page: dict[str, Any]) -> None:
    page["collection"] = [dict(reversed(item.items())) for item in page["collection"]]


def lengthen_numbers(page: dict[str, Any]) -> None:
    for item in page["collection"]:
        longer = {name: f"{value}00" for name, value in item.items() if "Amount" in name and "." in value}
        item.update((name, type(item[name])(value)) for name, value in longer.items())


@pytest.mark.parametrize("respell", [reverse_keys, lengthen_numbers])
@pytest.mark.fault("P34")
def test_an_unchanged_invoice_is_not_written(case: Case, respell: Callable[[dict[str, Any]], None]) -> None:
    """Costs one writing of the row in another spelling, with the digest by which it is recognised next time."""
    case.synced()
    rows = "select xmin::text, last_changed_at from economic.invoice order by invoice_number"
    case.books.fault("/invoices/booked", "edit", edit=respell, at="all")
    for written in (INVOICES, 0):
        before = case.witness.rows(rows)
        expect(run(case).statistics, unchanged=INVOICES, updated=0, raw_changed=0, invoices_named=0)
        after = case.witness.rows(rows)
        assert sum(new["xmin"] != old["xmin"] for new, old in zip(after, before, strict=True)) == written
        assert [row["last_changed_at"] for row in after] == [row["last_changed_at"] for row in before]
    assert case.witness.value("select count(*) from economic.invoice_history") == 0
    case.heals()
