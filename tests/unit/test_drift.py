"""What is not as documented is told once, in a few harmless lines; what is as documented is not mentioned."""

from __future__ import annotations

import logging

import pytest

from economic.drift import Drift
from economic.envelope import Item, read_envelope
from simulator.books import Books
from simulator.ledger import Ledger


def items(*texts: str) -> list[Item]:
    return read_envelope(
        f'{{"collection": [{",".join(texts)}], "pagination": {{"results": {len(texts)}}}}}'.encode()
    ).items


def told(caplog: pytest.LogCaptureFixture, *texts: str) -> list[str]:
    caplog.set_level(logging.INFO)
    drift = Drift()
    drift.look(items(*texts))
    drift.tell()
    return caplog.messages


def test_of_documented_invoices_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(Books(500, 6, 1))
    assert told(caplog, *(ledger.written(number).decode() for number in ledger.numbers)) == []


@pytest.mark.parametrize(
    "text",
    [
        r'{"notes": {"heading": "say \"no\": no", "textLine1": "a\\"}}',
        '{ "bookedInvoiceNumber" : 7 , "notes" : { "heading" : "spread out" } }',
        r'{"notes": {"heading": "\\u0000"}}',
        '{"references": {}, "recipient": null, "customer": 5}',
        "[]",
        "7",
        "null",
        '"\\":"',
    ],
)
def test_what_only_looks_odd_is_not_told(caplog: pytest.LogCaptureFixture, text: str) -> None:
    assert told(caplog, text) == []


def test_unknown_fields_are_counted_by_path_and_not_below_it(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = told(
        caplog, '{"new": {"inner": [{"x": 1}]}}', '{"new": 1, "recipient": {"vatZone": {"rate": 1}, "x": 2}}'
    )
    assert line.endswith("raw_data: new (2), recipient.vatZone.rate (1), recipient.x (1).")


@pytest.mark.parametrize(
    "text",
    [
        '{"bookedInvoiceNumber": 5, "bookedInvoiceNumber": 7}',
        '{"bookedInvoiceNumber": 7, "recipient": {"name": "a", "name": "a"}}',
        '{"bookedInvoiceNumber": 7, "notes": {"heading": [{"a": 1, "a": 2}]}}',
        r'{"bookedInvoiceNumber": 7, "date": 1, "d\u0061te": 2, "notes": {"heading": "\":"}}',
    ],
)
def test_a_key_that_comes_twice_is_told_by_invoice(caplog: pytest.LogCaptureFixture, text: str) -> None:
    assert told(caplog, text, '{"bookedInvoiceNumber": 8}')[-1].endswith("counts, in invoices 7.")


def test_many_are_told_as_a_few_and_a_number(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = told(caplog, *(f'{{"bookedInvoiceNumber": {n}, "date": "\\u0000"}}' for n in range(1, 31)))
    assert line.endswith("out of invoices " + ", ".join(map(str, range(1, 21))) + " and 10 more.")


def test_a_name_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = told(caplog, r'{"a\n\u001b[2K\u202e\ud800": 1, "%s %d {}": 1, "' + "x" * 5000 + '": 1}')
    assert line.isprintable()
    assert len(line) < 300
