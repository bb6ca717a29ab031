"""How an item becomes an invoice, which fields are left out, and what rejects an item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from economic.errors import EconomicError, RecordError
from economic.records.decoder import RawItem, decode_page
from economic.records.fitting import LONGEST_TEXT, DegradedField
from economic.records.invoice import READING, Invoice, digest, invoice_number, parse_invoice
from simulator.books import Books
from simulator.ledger import Ledger
from tests.support import payloads
from tests.support.expected_rows import OTHERS
from tests.support.payloads import DOCUMENTED, LEAST, WHOLE, item, parse


def whole(candidate: RawItem) -> Invoice:
    """An invoice of which no field is left out."""
    found, left_out = parse(candidate)
    assert left_out == []
    return found


def changed(path: str, raw: str, among: str = WHOLE) -> RawItem:
    """The whole item with one field spelled as ``raw``; it may be any JSON, or none."""
    value = json.loads(among)
    parent = value
    *parents, key = path.split(".")
    for name in parents:
        parent = parent[name]
    parent[key] = "@@"
    return item(json.dumps(value).replace('"@@"', raw))


def rejected(candidate: RawItem) -> tuple[str, str]:
    with pytest.raises(RecordError) as caught:
        parse(candidate)
    return caught.value.field, caught.value.reason


def column(found: Invoice, path: str) -> Any:
    return getattr(found, COLUMNS[path])


COLUMNS = {"orderNumber": "order_number", "exchangeRate": "exchange_rate"} | {
    path: name for name, path in OTHERS.items() if name not in {"invoice_number", "currency"}
}
"""The fields without which an invoice is still the invoice."""
NUMBERS = [path for path in COLUMNS if path.endswith(("Number", "daysOfCredit"))]
TEXTS = [path for path in COLUMNS if path not in NUMBERS and path != "exchangeRate"]


def test_every_field_of_a_whole_item_is_read() -> None:
    assert whole(item(WHOLE)) == Invoice(
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


def test_usual_invoices_are_read_the_same_both_ways() -> None:
    ledger = Ledger(Books(500, 6, 1))
    for number in ledger.numbers:
        assert whole(item(ledger.written(number).decode())).invoice_number == number


def test_the_least_legal_item_is_an_invoice() -> None:
    found = whole(item(LEAST))
    assert found.invoice_number == 7
    assert found.due_date is found.currency is found.employee_number is found.customer_name is None


def test_digests_differ_with_the_text_alone() -> None:
    assert digest(item(WHOLE)) == digest(item(WHOLE))
    assert digest(item(WHOLE)) != digest(item(WHOLE.replace("10017", "10017 ")))
    assert len(digest(item(WHOLE))) == 20
    assert digest(item(WHOLE))[:4] == digest(item(LEAST))[:4]


# -- what rejects an invoice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["bookedInvoiceNumber", "netAmount", "grossAmount", "remainder"])
def test_an_item_without_number_or_amounts_is_rejected(field: str) -> None:
    value = json.loads(WHOLE)
    del value[field]
    assert rejected(item(json.dumps(value))) == (field, "missing")
    assert rejected(changed(field, "null")) == (field, "missing")


NO_NUMBERS = '0 -5 true 1.5 1.00000000000000001 1495981489075312.875 [] {} 1e400 NaN "12abc" "１２" "" "-7"'
MORE_NO_NUMBERS = [str(2**63), str(2**70), f"{2**70}.0", "9" * 5000, '" 12"', '"012"', '"1_0"', '"null"']


@pytest.mark.parametrize("raw", [*NO_NUMBERS.split(), *MORE_NO_NUMBERS], ids=lambda raw: raw[:20])
def test_a_wrong_invoice_number_rejects(raw: str) -> None:
    candidate = changed("bookedInvoiceNumber", raw)
    assert rejected(candidate)[0] == "bookedInvoiceNumber"
    assert invoice_number(candidate) is None


NO_AMOUNTS = 'NaN -Infinity "NaN" "inf" true [] {} "1.234,56" "12,50" "" "1_000" "１" "null"'
NO_SIZES = "1e400 1E+999999999 1E-400 1e25 1e9999999999999999999"
WRONG_AMOUNTS = [
    *((raw, "not_an_amount") for raw in (*NO_AMOUNTS.split(), '" 1"')),
    *((raw, "amount_out_of_range") for raw in (*NO_SIZES.split(), "9" * 5000, "0." + "3" * 16_001)),
]


@pytest.mark.parametrize("field", ["netAmount", "vatAmount", "remainderInBaseCurrency"])
@pytest.mark.parametrize(("raw", "reason"), WRONG_AMOUNTS, ids=lambda value: value[:20])
def test_a_wrong_amount_rejects_without_its_value(field: str, raw: str, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse(changed(field, raw))
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert not any(character.isdigit() for character in caught.value.message)


NO_DATES = (
    '"2026-02-30" "0000-00-00" "10000-01-01" "today" "infinity" "20260101" "01/02/2026" "2026-W01-1"'
    ' "2026-01-01T00:00:00Z" "２０２６-01-01" "" 20260101 {} "null" NaN'
)


@pytest.mark.parametrize("field", ["date", "dueDate"])
@pytest.mark.parametrize("raw", NO_DATES.split())
def test_a_wrong_date_rejects(field: str, raw: str) -> None:
    assert rejected(changed(field, raw)) == (field, "not_a_date")


@pytest.mark.parametrize("raw", ['"dkk"', '""', '"DKKK"', '"DKK\\n"', "1", "[]", '"D1K"', r'"DK\ud800"'])
def test_a_wrong_currency_rejects(raw: str) -> None:
    assert rejected(changed("currency", raw)) == ("currency", "not_a_currency")


@pytest.mark.parametrize("path", ["recipient.name", "date", "new"])
@pytest.mark.parametrize("beside", ["", ', "not": [NaN]', r', "not": "\ud800"'])
def test_bytes_not_utf8_reject_the_item(path: str, beside: str) -> None:
    encoded = changed(path, f'"Bj@rn"{beside}').encoded.replace(b"@", b"\xf8")
    body = b'{"collection": [' + encoded + b'], "pagination": {"results": 1}}'
    (candidate,) = decode_page(body).items
    assert rejected(candidate) == ("(item)", "broken_text")


@pytest.mark.parametrize("raw", ["[]", '"x"', "null", "5", "NaN"])
def test_an_item_not_an_object_is_rejected(raw: str) -> None:
    assert rejected(item(raw)) == ("(item)", "not_an_object")


@pytest.mark.parametrize(
    ("path", "raw", "message"),
    [
        ("date", '"2026-02-30"', "date is not a date: '2026-02-30'."),
        ("date", '"a\\nb"', r"date is not a date: 'a\nb'."),
        ("dueDate", "20260101", "dueDate is not a date: 20260101."),
        ("currency", '"dkk"', "currency is not a currency code: 'dkk'."),
        ("bookedInvoiceNumber", "-5", "bookedInvoiceNumber is out of range: -5."),
        ("bookedInvoiceNumber", "1.50", "bookedInvoiceNumber is not a whole number: 1.50."),
        ("bookedInvoiceNumber", "true", "bookedInvoiceNumber is not a whole number: true."),
        ("grossAmount", '"12,50"', "grossAmount is not an amount, but a text."),
        ("grossAmount", "[1250]", "grossAmount is not an amount, but a list."),
        ("grossAmount", "1e99", "grossAmount is too large or too small for an amount."),
    ],
)
def test_a_rejection_names_field_and_value_in_words(path: str, raw: str, message: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse(changed(path, raw))
    assert caught.value.message == message


@pytest.mark.parametrize("raw", ['"' + "x" * 1_000_000 + '"', "9" * 100_000])
@pytest.mark.parametrize("path", ["date", "currency", "bookedInvoiceNumber", "netAmount"])
def test_a_rejection_stays_short(path: str, raw: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse(changed(path, raw))
    assert len(caught.value.message) < 200


# -- equal values in different spellings ---------------------------------------------------------------------------------


EQUAL = [
    *((raw, 12) for raw in ("12", "12.0", '"12"', '"12.00"', "1.2e1")),
    *((raw, 1000) for raw in ('"1e3"', "1e3")),
    ("123456789012345678.0", 123456789012345678),
    ("999999999999999999e0", 999999999999999999),
]


@pytest.mark.parametrize("path", ["bookedInvoiceNumber", *NUMBERS])
@pytest.mark.parametrize(("raw", "number"), EQUAL)
def test_equal_numbers_are_read_equally(path: str, raw: str, number: int) -> None:
    candidate = changed(path, raw)
    found = whole(candidate)
    if path == "bookedInvoiceNumber":
        assert found.invoice_number == invoice_number(candidate) == number
    else:
        assert column(found, path) == number


EXACT = "-1250.00 -1250 12345678901234567.89 99999999999999999999 0.30000000000000004 2.675 1e2 0"


@pytest.mark.parametrize("raw", [*EXACT.split(), '"12.50"', '"-3"', '"1e3"'])
def test_amounts_are_read_to_the_last_digit(raw: str) -> None:
    amount = Decimal(raw.strip('"'))
    assert whole(changed("grossAmount", raw)).gross_amount == amount
    assert whole(changed("vatAmount", raw)).vat_amount == amount


@pytest.mark.parametrize("path", TEXTS)
@pytest.mark.parametrize("raw", ["null", '""', '" "', r'"\t\n"', r'"\u0000"', r'"\u00a0"'])
def test_null_and_blank_mean_absent(path: str, raw: str) -> None:
    assert column(whole(changed(path, raw)), path) is None


OPTIONAL = (
    "customer recipient references references.salesPerson notes pdf project layout dueDate date currency"
    " exchangeRate vatAmount orderNumber"
)


@pytest.mark.parametrize("path", OPTIONAL.split())
def test_null_counts_as_absent(path: str) -> None:
    assert whole(changed(path, "null")).invoice_number == 10017


@pytest.mark.parametrize(
    "raw",
    [
        r'"\u202e‮ 😀 é́ \u0007"',
        '"\'); drop table invoice; --"',
        '"<script>{{7*7}}</script>"',
        '" a "',
        '"null"',
    ],
)
def test_any_other_text_is_kept_as_it_is(raw: str) -> None:
    assert whole(changed("recipient.name", raw)).customer_name == json.loads(raw)


@pytest.mark.parametrize("raw", ['"XXX"', '"BTC"'])
def test_unknown_currencies_are_accepted(raw: str) -> None:
    assert whole(changed("currency", raw)).currency == json.loads(raw)


@pytest.mark.parametrize(
    ("twice", "name", "value"),
    [
        ('"grossAmount": "no", "grossAmount": 17.5', "gross_amount", Decimal("17.5")),
        ('"notes": {"heading": "a", "heading": "b"}', "subject", "b"),
    ],
)
def test_the_last_of_repeated_keys_counts(twice: str, name: str, value: object) -> None:
    assert getattr(whole(item(DOCUMENTED[:-1] + f", {twice}}}")), name) == value


def test_nul_is_removed_from_texts_and_raw_data() -> None:
    found = whole(changed("notes.heading", r'"a\u0000b\\u0000"'))
    assert found.subject == r"ab\u0000"
    assert json.loads(found.raw_data)["notes"]["heading"] == r"ab\u0000"


# -- what is left out ---------------------------------------------------------------------------------------------------

NOT_NUMBERS = [("true", "true"), ("1.5", "1.5"), ('"x"', "'x'"), ('" 3"', "' 3'"), ("[]", "a list")]
NOT_TEXTS = [("8000", "8000"), ("1.50", "1.50"), ("true", "true"), ("[]", "a list")]
NOT_TEXTS += [('{"a": 1}', "an object")]
TOO_LONG = f'"{"æ" * (LONGEST_TEXT + 1)}"'
BROKEN = (r'"\ud800"', r'"x\udfff y"', r'"\udc00\ud800"')
LEFT_OUT = [
    *(
        (path, raw, "not_a_number", f"{path} is not a whole number: {shown}.")
        for path in NUMBERS
        for raw, shown in NOT_NUMBERS
    ),
    *((path, str(10**18), "number_out_of_range", f"{path} is out of range: {10**18}.") for path in NUMBERS),
    *(
        (path, raw, "not_a_text", f"{path} is not a text: {shown}.")
        for path in TEXTS
        for raw, shown in NOT_TEXTS
    ),
    *((path, TOO_LONG, "text_too_long", f"{path} is longer than 10,000 characters.") for path in TEXTS),
    *(
        (path, raw, "broken_text", f"{path} holds a broken character; raw_data has U+FFFD in its place.")
        for path in TEXTS
        for raw in BROKEN
    ),
    ("exchangeRate", '"12,50"', "not_an_amount", "exchangeRate is not an amount, but a text."),
    ("exchangeRate", "1e99", "amount_out_of_range", "exchangeRate is too large or too small for an amount."),
]


@pytest.mark.parametrize(("path", "raw", "reason", "message"), LEFT_OUT, ids=lambda value: value[:30])
def test_only_the_unfit_field_is_left_out(path: str, raw: str, reason: str, message: str) -> None:
    found, left_out = parse(changed(path, raw))
    assert left_out == [DegradedField(path, reason, message)]
    assert column(found, path) is None
    usual = whole(item(WHOLE))
    assert found._replace(**{COLUMNS[path]: column(usual, path)})[:-2] == usual[:-2]


OBJECTS = "customer recipient recipient.vatZone references references.salesPerson notes paymentTerms"


@pytest.mark.parametrize("path", OBJECTS.split())
@pytest.mark.parametrize("raw", ['"text"', "[]", "5", "true", '"null"'])
def test_a_value_instead_of_an_object_is_dropped(path: str, raw: str) -> None:
    found, left_out = parse(changed(path, raw))
    assert [(field, reason) for field, reason, _ in left_out] == [(path, "not_an_object")]
    inside = [each for each in COLUMNS if each.startswith(f"{path}.")]
    assert [column(found, each) for each in inside] == [None] * len(inside)
    assert found.net_amount == Decimal(1000)


def test_several_unfit_fields_are_each_left_out() -> None:
    value = json.loads(WHOLE)
    value["recipient"] |= {"zip": 8000, "city": "\ud83d", "vatZone": 7}
    value["customer"] = None
    value["orderNumber"] = "A-17"
    found, left_out = parse(item(json.dumps(value)))
    assert {each.field for each in left_out} == {
        "recipient.zip",
        "recipient.city",
        "recipient.vatZone",
        "orderNumber",
    }
    assert found.customer_name == "Æble & Ø ApS"


@pytest.mark.parametrize(
    ("more", "field", "kept"),
    [
        (r'"new": "\ud83d"', "new", "\ufffd"),
        (r'"new": [{"deep": "\ud83d"}]', "new.deep", [{"deep": "\ufffd"}]),
        (r'"new": {"\ud83d": 1}', "new", {"\ufffd": 1}),
        (r'"a b\n": "\ud83d"', "(item)", None),
    ],
)
def test_a_broken_character_nobody_reads_is_reported(more: str, field: str, kept: object) -> None:
    found, left_out = parse(item(LEAST[:-1] + f", {more}}}"))
    assert [(each.field, each.reason) for each in left_out] == [(field, "broken_text")]
    assert json.loads(found.raw_data).get("new") == kept


def test_nan_in_an_unread_field_becomes_text() -> None:
    assert json.loads(whole(changed("new", "[NaN, -Infinity]")).raw_data)["new"] == ["NaN", "-Infinity"]


def test_exact_numbers_survive_being_written_again() -> None:
    digits = "0.1234567890123456789012345678901234567890"
    found = whole(changed("new", f"[NaN, {digits}, 1e400, {'7' * 5000}]"))
    assert f"{digits},1E+400,{'7' * 5000}]" in found.raw_data


# -- any JSON -----------------------------------------------------------------------------------------------------------


def error_of(read: Callable[[], object], kind: type[EconomicError]) -> EconomicError | None:
    """The error of this kind that reading raises, None when it raises none; any other passes on."""
    try:
        read()
    except kind as error:
        return error
    return None


@given(payloads.invoices)
def test_any_json_in_a_field_is_handled(text: str) -> None:
    candidate = item(text)
    rejection = error_of(lambda: parse(candidate), RecordError)
    if rejection is not None:
        reasons = [(vars(rejection)["reason"], rejection.message)]
    else:
        found, left_out = parse(candidate)
        assert found.invoice_number == invoice_number(candidate)
        assert found.net_amount.is_finite()
        assert len({each.field for each in left_out}) == len(left_out)
        reasons = [(each.reason, each.message) for each in left_out]
    for reason, message in reasons:
        assert reason.isidentifier()
        assert message.isprintable()
        assert len(message) < 200


@given(payloads.json_texts)
def test_any_json_for_an_item_is_rejected(text: str) -> None:
    assert error_of(lambda: parse(item(text)), RecordError) is not None


@given(payloads.struck)
def test_any_byte_may_be_broken(encoded: bytes) -> None:
    with suppress(RecordError):
        parse(RawItem(encoded))


# -- when everything must be read again ---------------------------------------------------------------------------------


def test_a_changed_reading_has_another_digest() -> None:
    """Fails when items are read otherwise. If on purpose: take the new value, and every stored invoice is read once more."""
    rows = []
    for path, raw, *_ in [*LEFT_OUT, *(("new", f"[{number}]", "") for number in range(3)), *SPELLINGS]:
        try:
            found, left_out = parse_invoice(changed(path, raw))
        except RecordError as error:
            rows.append(f"{path} {error.field} {error.reason}")
        else:
            values = [f"{type(value).__name__} {value}" for value in found[:-2]]
            rows.append(f"{path} {values} {[each[:2] for each in left_out]}")
    fingerprint = hashlib.sha256("\n".join(rows).encode()).digest()[:4]
    assert READING.hex() == fingerprint.hex()


VALUES = "null true 0 -0 -1 12.0 1e3 1.5 NaN 1e25 1e400 [] {}"
TEXT_VALUES = (
    *('""', '" "', '" a "', '"12"', '"12.50"', '"1e3"', '" 1"', '"null"', '"NaN"', '"DKK"', '"dkk"'),
    *('"2026-02-28"', '"2026-02-30"', '"20260228"', r'"a\u0000b"', r'"\ud800"', '"æ😀"'),
)
SPELLINGS = [
    (path, raw)
    for path in ("bookedInvoiceNumber", "date", "dueDate", "currency", "grossAmount", "vatAmount", *COLUMNS)
    for raw in (*VALUES.split(), str(10**18), *TEXT_VALUES)
]
