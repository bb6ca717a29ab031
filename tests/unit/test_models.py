"""Which items become invoices, exactly how, and which are refused for what."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economic.drift import Drift
from economic.envelope import Item, read_document, read_envelope
from economic.errors import BrokenResponse, EconomicError, RecordError
from economic.models import (
    Agreement,
    Employee,
    Invoice,
    Totals,
    digest,
    invoice_number,
    read_agreement,
    read_employee,
    read_totals,
)
from tests import payloads
from tests.payloads import LEAST, WHOLE, read


def item(text: str) -> Item:
    return read_envelope(f'{{"collection": [{text}], "pagination": {{"results": 1}}}}'.encode()).items[0]


def changed(path: str, raw: str) -> Item:
    """The whole item with one field spelled as ``raw``; it may be any JSON, or none."""
    value = json.loads(WHOLE)
    parent = value
    *parents, key = path.split(".")
    for name in parents:
        parent = parent[name]
    parent[key] = "@@"
    return item(json.dumps(value).replace('"@@"', raw))


def refused(candidate: Item) -> tuple[str, str]:
    with pytest.raises(RecordError) as caught:
        read(candidate)
    return caught.value.field, caught.value.reason


def test_every_field_of_a_whole_item_is_read() -> None:
    assert read(item(WHOLE)) == Invoice(
        invoice_number=10017,
        order_number=1017,
        invoice_date=date(2026, 1, 15),
        due_date=date(2026, 1, 29),
        currency="EUR",
        exchange_rate=Decimal("746.15"),
        net_amount=Decimal(1000),
        vat_amount=Decimal(250),
        gross_amount=Decimal(1250),
        remainder=Decimal(1250),
        net_amount_base=Decimal("7461.50"),
        gross_amount_base=Decimal("9326.88"),
        remainder_base=Decimal("9326.88"),
        rounding_amount=Decimal(0),
        customer_number=3001,
        customer_name="Æble & Ø ApS",
        recipient_address="Prøvevej 1\n2. sal",
        recipient_zip="0800",
        recipient_city="Aarhus C",
        recipient_country="Danmark",
        recipient_ean="5790000000001",
        recipient_cvr="12345678",
        vat_zone_number=1,
        subject="Levering",
        external_reference="PO-77",
        employee_number=3,
        vendor_employee_number=4,
        payment_terms_number=2,
        payment_terms_name="Netto 14 dage",
        payment_terms_type="net",
        days_of_credit=14,
        project_number=8,
        layout_number=21,
        pdf_url="https://x/pdf",
        raw_data=WHOLE,
        digest=digest(item(WHOLE)),
    )


def test_the_digest_tells_texts_apart_and_nothing_else() -> None:
    assert digest(item(WHOLE)) == digest(item(WHOLE))
    assert digest(item(WHOLE)) != digest(item(WHOLE.replace("10017", "10017 ")))
    assert digest(item(LEAST)) != digest(item(WHOLE))
    assert len(digest(item(WHOLE))) == 20
    assert digest(item(WHOLE))[:4] == digest(item(LEAST))[:4]


def test_the_least_legal_item_is_an_invoice() -> None:
    found = read(item(LEAST))
    assert found.invoice_number == 7
    assert found.due_date is found.currency is found.employee_number is found.customer_name is None


@pytest.mark.parametrize("field", ["bookedInvoiceNumber", "netAmount", "grossAmount", "remainder"])
def test_an_item_without_its_number_or_amounts_is_refused(field: str) -> None:
    value = json.loads(WHOLE)
    del value[field]
    assert refused(item(json.dumps(value))) == (field, "missing")
    assert refused(changed(field, "null")) == (field, "missing")


@pytest.mark.parametrize(("raw", "number"), [("20001", 20001), ('"20001"', 20001), ("9999999", 9999999)])
def test_numbers_may_come_as_digits_in_a_string(raw: str, number: int) -> None:
    assert read(changed("bookedInvoiceNumber", raw)).invoice_number == number


@pytest.mark.parametrize(
    "raw",
    [
        "0",
        "-5",
        "true",
        "1.0",
        "1.5",
        str(2**63),
        str(2**70),
        '"12abc"',
        '" 12"',
        '"1e3"',
        '"１２"',
        '""',
        "[]",
        "{}",
        "9" * 5000,
    ],
)
def test_what_is_no_invoice_number_is_refused(raw: str) -> None:
    candidate = changed("bookedInvoiceNumber", raw)
    assert refused(candidate)[0] == "bookedInvoiceNumber"
    assert invoice_number(candidate) is None


@pytest.mark.parametrize(
    ("raw", "amount"),
    [
        ("-1250.00", "-1250"),
        ("12345678901234567.89", "12345678901234567.89"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("2.675", "2.675"),
        ("1e2", "100"),
        ("0", "0"),
        ('"12.50"', "12.5"),
    ],
)
def test_amounts_are_stored_as_they_came(raw: str, amount: str) -> None:
    assert read(changed("grossAmount", raw)).gross_amount == Decimal(amount)


@pytest.mark.parametrize(
    "raw",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        '"NaN"',
        '"Infinity"',
        '"1.234,56"',
        "true",
        "[]",
        "1e400",
        "1E+999999999",
        "1E-400",
        "9" * 5000,
    ],
)
def test_what_is_no_amount_is_refused_without_being_written_out(raw: str) -> None:
    assert refused(changed("grossAmount", raw))[0] == "grossAmount"


@pytest.mark.parametrize(
    "raw",
    [
        '"2026-02-30"',
        '"0000-00-00"',
        '"10000-01-01"',
        '"today"',
        '"infinity"',
        '"20260101"',
        '"01/02/2026"',
        '"2026-W01-1"',
        '"2026-01-01T00:00:00Z"',
        '"２０２６-01-01"',
        '""',
        "20260101",
    ],
)
def test_what_is_no_date_is_refused(raw: str) -> None:
    assert refused(changed("date", raw)) == ("date", "not_a_date")


@pytest.mark.parametrize("raw", ['"dkk"', '""', '"DKKK"', "null", "1", '"D1K"'])
def test_what_is_no_currency_is_refused(raw: str) -> None:
    assert refused(changed("currency", raw)) == ("currency", "not_a_currency")


@pytest.mark.parametrize("raw", ['"XXX"', '"BTC"'])
def test_which_currencies_exist_is_not_ours_to_say(raw: str) -> None:
    assert read(changed("currency", raw)).currency == json.loads(raw)


def test_nul_is_taken_out_of_texts_and_of_the_raw_item() -> None:
    found = read(changed("notes.heading", r'"a\u0000b\\u0000"'))
    assert found.subject == r"ab\u0000"
    assert r'"ab\\u0000"' in found.raw_data


def test_a_broken_character_refuses_its_invoice() -> None:
    assert refused(changed("recipient.name", r'"\ud800"')) == ("recipient.name", "broken_text")


def test_bytes_that_are_not_utf8_refuse_their_invoice() -> None:
    raw = (
        f'{{"collection": [{LEAST[:-1]}, "x": "Bj@rn"}}], "pagination": {{"results": 1}}}}'.encode().replace(
            b"@", b"\xf8"
        )
    )
    assert refused(read_envelope(raw).items[0]) == ("(item)", "broken_text")


@pytest.mark.parametrize(
    "raw", [r'"\u202e‮ 😀 é́ \u0007"', '"\'); drop table invoice; --"', '"<script>{{7*7}}</script>"', '""']
)
def test_any_other_text_is_kept_as_it_is(raw: str) -> None:
    assert read(changed("recipient.name", raw)).customer_name == json.loads(raw)


@pytest.mark.parametrize(
    "path", ["customer", "recipient", "references", "references.salesPerson", "notes", "paymentTerms"]
)
@pytest.mark.parametrize("raw", ['"text"', "[]", "5"])
def test_a_value_where_an_object_should_be_is_refused(path: str, raw: str) -> None:
    assert refused(changed(path, raw)) == (path, "not_an_object")


@pytest.mark.parametrize(
    "path",
    ["customer", "recipient", "references", "references.salesPerson", "notes", "pdf", "dueDate", "date"],
)
def test_what_is_null_counts_as_left_out(path: str) -> None:
    assert read(changed(path, "null")).invoice_number == 10017


@pytest.mark.parametrize(("raw", "number"), [("0", 0), ("-1", -1), ('"3"', 3)])
def test_employee_numbers_are_stored_as_far_as_they_are_numbers(raw: str, number: int) -> None:
    assert read(changed("references.salesPerson.employeeNumber", raw)).employee_number == number


@pytest.mark.parametrize("raw", ["3.0", "true", '"x"', "[]"])
def test_what_is_no_employee_number_is_refused(raw: str) -> None:
    assert refused(changed("references.salesPerson.employeeNumber", raw))[1] == "not_a_number"


@pytest.mark.parametrize("raw", ["[]", '"x"', "null", "5"])
def test_an_item_that_is_no_object_is_refused(raw: str) -> None:
    assert refused(item(raw)) == ("(item)", "not_an_object")


def test_a_refusal_says_what_was_wrong_and_never_grows() -> None:
    with pytest.raises(RecordError, match="date is no day of the calendar: '2026-02-30'"):
        read(changed("date", '"2026-02-30"'))
    with pytest.raises(RecordError) as caught:
        read(changed("date", '"' + "x" * 1_000_000 + '"'))
    assert len(str(caught.value)) < 200


def test_employees_and_the_agreement_are_read() -> None:
    assert read_employee({"employeeNumber": 3, "name": "Mette"}) == Employee(3, "Mette")
    assert read_employee({"employeeNumber": 3}) == Employee(3, None)
    whole: dict[str, Any] = {
        "agreementNumber": 5,
        "company": {"name": "Ø"},
        "settings": {"baseCurrency": "DKK"},
    }
    assert read_agreement(whole) == Agreement(5, "Ø", "DKK")
    assert read_agreement({"agreementNumber": 5}) == Agreement(5, None, None)


@pytest.mark.parametrize(
    "value", [{}, {"agreementNumber": "x"}, {"agreementNumber": None}, {"agreementNumber": 1, "company": 5}]
)
def test_an_answer_that_names_no_agreement_is_not_believed(value: dict[str, Any]) -> None:
    with pytest.raises(BrokenResponse):
        read_agreement(value)


def test_totals_are_read_exactly() -> None:
    booked = {"booked": {"invoiceCount": 2, "netAmountInBaseCurrency": Decimal("1.10")}}
    assert read_totals(booked) == Totals(2, Decimal("1.10"))
    for broken in ({}, {"booked": None}, {"booked": {"invoiceCount": 2}}, {"booked": 7}):
        with pytest.raises(BrokenResponse):
            read_totals(broken)


def error_of(read: Callable[[], object], kind: type[EconomicError]) -> EconomicError | None:
    """The error of this kind that reading raises, None when it raises none; any other passes on."""
    try:
        read()
    except kind as error:
        return error
    return None


@given(payloads.invoices)
def test_any_json_in_any_field_is_an_invoice_or_refused_in_words(text: str) -> None:
    candidate = item(text)
    Drift().look([candidate])
    refusal = error_of(lambda: read(candidate), RecordError)
    if refusal is not None:
        assert len(refusal.message) < 200
        assert refusal.message.isprintable()
        assert vars(refusal)["reason"].isidentifier()
    else:
        found = read(candidate)
        assert found.invoice_number == invoice_number(candidate)
        assert found.net_amount.is_finite()


@given(payloads.json_texts)
def test_any_json_for_an_item_is_refused_or_read(text: str) -> None:
    candidate = item(text)
    assert error_of(lambda: read(candidate), RecordError) is not None
    error_of(lambda: read_employee(candidate.value), RecordError)


@given(
    st.dictionaries(
        st.sampled_from(("agreementNumber", "company", "settings", "booked")), payloads.json_texts
    )
)
def test_any_json_in_the_other_answers_is_read_or_not_believed(members: dict[str, str]) -> None:
    text = "{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}"
    for answer in (read_agreement, read_totals):
        error = error_of(lambda answer=answer: answer(read_document(text.encode())), BrokenResponse)
        assert error is None or error.message.isprintable()
