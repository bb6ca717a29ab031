"""The quick reader takes documented items, reads them as the rules do, and leaves everything odd to them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given

from economic import drift
from economic.documented import read_documented
from economic.envelope import Item, read_envelope
from economic.errors import RecordError
from simulator.books import Books
from simulator.ledger import Ledger
from tests import payloads
from tests.payloads import DOCUMENTED, read


def item(text: str) -> Item:
    return read_envelope(f'{{"collection": [{text}], "pagination": {{"results": 1}}}}'.encode()).items[0]


@pytest.fixture(scope="module")
def told() -> Iterator[list[str]]:
    """What the log is told of fields that are not as documented."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    kept = Keep()
    drift.log.addHandler(kept)
    before = drift.log.level
    drift.log.setLevel(logging.INFO)
    yield lines
    drift.log.setLevel(before)
    drift.log.removeHandler(kept)


def test_every_usual_invoice_is_read_quickly_and_as_by_the_rules() -> None:
    ledger = Ledger(Books(500, 6, 1))
    for number in ledger.numbers:
        found = item(ledger.written(number).decode())
        assert read_documented(found) == read(found)


@pytest.mark.parametrize("text", [DOCUMENTED, payloads.LEAST])
def test_an_invoice_of_all_fields_and_one_of_the_fewest_are_read_quickly(text: str) -> None:
    assert read_documented(item(text)) == read(item(text))


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ('"netAmount": 1000.00', '"netAmount": 1000.00, "netAmount": 1000.00'),
        ('"vatZoneNumber": 1', '"vatZoneNumber": 1, "vatZoneNumber": 1'),
        ('"Tak"', '{"a": 1}'),
        ('"customerNumber": 3001', '"customerNumber": "3001"'),
        ('"customerNumber": 3001', '"customerNumber": 3001.0'),
        ('"netAmount": 1000.00', '"netAmount": NaN'),
        ('"netAmount": 1000.00', '"netAmount": 1e25'),
        ('"netAmount": 1000.00, ', ""),
        ('"bookedInvoiceNumber": 10017', '"bookedInvoiceNumber": 0'),
        ('"2026-01-15"', '"2026-01-15T00:00:00"'),
        ('"EUR"', '"eur"'),
        ('"Levering"', r'"Leve\u0000ring"'),
        ('"Levering"', r'"Leve\ud800ring"'),
        ('"Levering"', '"Leve\udcffring"'),
        ('"Tak"', '"T\udcffk"'),
        ('"https://x/10017"', '"https://x/\udcff"'),
        ('"PO-77"', "5"),
        ('"PO-77"', "null"),
        ('"project"', '"projekt"'),
        ('"download": "https://x/pdf"', '"download": "https://x/pdf", "self": ' + "1" * 16_001),
    ],
)
def test_what_is_odd_in_any_way_is_left_to_the_rules(found: str, instead: str) -> None:
    assert found in DOCUMENTED
    text = DOCUMENTED.replace(found, instead)
    body = f'{{"collection": [{text}], "pagination": {{"results": 1}}}}'.encode(errors="surrogateescape")
    assert read_documented(read_envelope(body).items[0]) is None


@given(payloads.struck)
def test_any_byte_may_be_broken(encoded: bytes) -> None:
    with suppress(RecordError):
        read(Item(encoded))


@given(payloads.invoices)
def test_of_what_is_read_quickly_there_is_nothing_to_tell(told: list[str], text: str) -> None:
    candidate = item(text)
    if read_documented(candidate) is not None:
        looked = drift.Drift()
        looked.look([candidate])
        looked.tell()
        assert told == []
