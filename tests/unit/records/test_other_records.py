"""Employees, the agreement and the totals: equal values are read equally, and nothing optional stops a sync."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economic.errors import BrokenResponse, RecordError
from economic.records.agreement import Agreement, parse_agreement
from economic.records.decoder import RawItem
from economic.records.employee import Employee, parse_employee
from economic.records.fitting import LONGEST_TEXT
from economic.records.totals import Totals, parse_totals
from economic.records.unpaid_invoice import UnpaidInvoice, parse_unpaid_invoice
from tests.support import payloads

LONG = f'"{"x" * (LONGEST_TEXT + 1)}"'


@pytest.mark.parametrize("number", ["3", "3.0", '"3"', "0.3e1"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('"Mette"', "Mette"),
        (r'"Met\u0000te"', "Mette"),
        *((blank, None) for blank in ('""', '"  "', "null", r'"\u0000"', r'"\ud800"')),
    ],
)
def test_an_employee_is_read(number: str, name: str, expected: str | None) -> None:
    item = RawItem(f'{{"employeeNumber": {number}, "name": {name}}}'.encode())
    assert parse_employee(item) == Employee(3, expected)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", "(item)"),
        ("{}", "employeeNumber"),
        ('{"employeeNumber": 1.5}', "employeeNumber"),
        ('{"employeeNumber": 3, "name": 7}', "name"),
        (f'{{"employeeNumber": 3, "name": {LONG}}}', "name"),
    ],
)
def test_an_unusable_employee_is_rejected(text: str, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse_employee(RawItem(text.encode()))
    assert caught.value.field == field


@pytest.mark.parametrize("number", ["5", "5.0", '"5"'])
@pytest.mark.parametrize(
    ("company", "name"),
    [
        ('{"name": "Ø"}', "Ø"),
        *((odd, None) for odd in ("5", "[]", "null", '{"name": ""}', '{"name": 7}', r'{"name": "\ud800"}')),
        (f'{{"name": {LONG}}}', "x" * 199 + "…"),
        (r'{"name": "a\nCRITICAL: b"}', "a CRITICAL: b"),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize(
    ("settings", "currency"),
    [('{"baseCurrency": "DKK"}', "DKK"), ('{"baseCurrency": "dkk"}', None), ("7", None), ("null", None)],
)
def test_the_agreement_is_read(
    number: str, company: str, name: str | None, settings: str, currency: str | None
) -> None:
    body = f'{{"agreementNumber": {number}, "company": {company}, "settings": {settings}}}'
    assert parse_agreement(body.encode()) == Agreement(5, name, currency)


@pytest.mark.parametrize("body", ["{}", "[]", '{"agreementNumber": "x"}', '{"agreementNumber": null}'])
def test_an_answer_without_agreement_number_is_refused(body: str) -> None:
    with pytest.raises(BrokenResponse):
        parse_agreement(body.encode())


@pytest.mark.parametrize("count", ["2", "2.0", '"2"'])
@pytest.mark.parametrize("net", ["1.10", '"1.10"', "110e-2"])
def test_totals_are_read_exactly(count: str, net: str) -> None:
    body = f'{{"booked": {{"invoiceCount": {count}, "netAmountInBaseCurrency": {net}}}}}'
    assert parse_totals(body.encode()) == Totals(2, Decimal("1.10"))


@pytest.mark.parametrize(
    "booked", ["null", "7", '{"invoiceCount": 2}', '{"invoiceCount": 2, "netAmountInBaseCurrency": "x"}']
)
def test_totals_without_count_or_sum_are_refused(booked: str) -> None:
    with pytest.raises(BrokenResponse):
        parse_totals(f'{{"booked": {booked}}}'.encode())


@given(
    st.dictionaries(
        st.sampled_from(("agreementNumber", "company", "settings", "booked", "employeeNumber", "name")),
        payloads.json_texts,
    )
)
def test_any_json_is_read_or_refused(members: dict[str, str]) -> None:
    body = ("{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}").encode()
    for parse in (parse_agreement, parse_totals):
        with suppress(BrokenResponse):
            parse(body)
    with suppress(RecordError):
        parse_employee(RawItem(body))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"bookedInvoiceNumber": 7, "remainder": 1.50, "remainderInBaseCurrency": -2}',
            UnpaidInvoice(7, Decimal("1.50"), Decimal(-2)),
        ),
        ('{"bookedInvoiceNumber": "7", "remainder": "1.5e1"}', UnpaidInvoice(7, Decimal("1.5e1"), None)),
        (
            '{"bookedInvoiceNumber": 7.0, "remainder": 0.1, "date": 5, "x": "%s"}' % ("y" * 20_000),
            UnpaidInvoice(7, Decimal("0.1"), None),
        ),
    ],
)
def test_unpaid_invoice_is_read(text: str, expected: UnpaidInvoice) -> None:
    assert parse_unpaid_invoice(RawItem(text.encode())) == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"remainder": 1}',
        '{"bookedInvoiceNumber": 7}',
        '{"bookedInvoiceNumber": 7, "remainder": "much"}',
        '{"bookedInvoiceNumber": 7.5, "remainder": 1}',
        '{"bookedInvoiceNumber": 7, "remainder": 1e999}',
        "[]",
    ],
)
def test_unusable_unpaid_invoice_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        parse_unpaid_invoice(RawItem(text.encode()))
