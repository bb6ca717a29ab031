"""Invoices with any JSON in any field, for hypothesis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from economic.records.decoder import RawItem, decode_page
from economic.records.fitting import MOST_DIGITS, DegradedField
from economic.records.invoice import Invoice, parse_invoice
from simulator.spoiling import Literal, Spoil, write_json

WHOLE = """{
  "bookedInvoiceNumber": 10017, "orderNumber": 1017, "date": "2026-01-15", "currency": "EUR", "exchangeRate": 746.150000,
  "netAmount": 1000.00, "netAmountInBaseCurrency": 7461.50, "grossAmount": 1250.00, "grossAmountInBaseCurrency": 9326.88,
  "vatAmount": 250.00, "roundingAmount": 0.00, "remainder": 1250, "remainderInBaseCurrency": 9326.88, "dueDate": "2026-01-29",
  "paymentTerms": {"paymentTermsNumber": 2, "daysOfCredit": 14, "name": "Netto 14 dage", "paymentTermsType": "net"},
  "customer": {"customerNumber": 3001}, "recipient": {"name": "Æble & Ø ApS", "address": "Prøvevej 1\\n2. sal", "zip": "0800",
  "city": "Aarhus C", "country": "Danmark", "ean": "5790000000001", "cvr": "12345678", "vatZone": {"vatZoneNumber": 1}},
  "notes": {"heading": "Levering", "textLine1": "Tak"}, "delivery": {"address": "Prøvevej 2", "deliveryDate": "2026-01-14"}, "references": {"salesPerson": {"employeeNumber": 3}, "vendorReference": {"employeeNumber": 4},
  "other": "PO-77"}, "sent": "2026-01-15", "self": "https://x/10017", "project": {"projectNumber": 8}, "layout": {"layoutNumber": 21}, "pdf": {"download": "https://x/pdf"}, "new": [1]}"""
"""Every field that is read, some that are only kept, and one that is not documented."""
DOCUMENTED = WHOLE.replace(', "new": [1]', "")
LEAST = '{"bookedInvoiceNumber": 7, "self": "x", "netAmount": 1, "grossAmount": 1, "remainder": 0}'
"""The fewest fields that make an invoice."""


def item(text: str) -> RawItem:
    """The one item of a page."""
    body = f'{{"collection": [{text}], "pagination": {{"results": 1}}}}'
    return decode_page(body.encode("utf-8", "surrogateescape")).items[0]


def parse(candidate: RawItem) -> tuple[Invoice, list[DegradedField]]:
    """Parse an item, and once more with a blank that makes no difference but sends it the careful way: both read it the same.

    :raises RecordError: it is rejected.
    """
    careful = RawItem(candidate.encoded + b" " * MOST_DIGITS)
    found, left_out = parse_invoice(candidate)
    again, left_out_again = parse_invoice(careful)
    assert repr(found[:-2]) == repr(again[:-2])
    assert left_out == left_out_again
    found.raw_data.encode()
    return found, left_out


def _fields(document: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        yield above + key, value
        if isinstance(value, dict):
            yield from _fields(value, f"{above}{key}.")


_texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.text(st.sampled_from('\x00\ud800\udfff\u202eæ😀\\"\n\t{u'), max_size=6),
    st.sampled_from(
        ("", "NaN", "today", "2026-02-29", "0001-01-01", "9999-12-31", "12.50", "3", "-0", "DKK", "1e5")
    ),
).map(json.dumps)
_numbers = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(lambda d: f"{d:f}"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        (
            *("0", "-0", "-0.0", "1e24", "1e25", "1E-30", "1E-31", "1e400", "1E+999999999", "1e" + "9" * 30),
            *("NaN", "Infinity", "-Infinity", "0." + "3" * 28),
            *("9" * digits for digits in (18, 19, 30, 31, 5000)),
        )
    ),
)
json_texts: st.SearchStrategy[str] = st.recursive(
    st.one_of(st.sampled_from(("null", "true", "false")), _numbers, _texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(st.tuples(_texts, inner), max_size=3).map(
            lambda members: "{" + ",".join(f"{key}:{value}" for key, value in members) + "}"
        ),
    ),
    max_leaves=6,
)
"""Any JSON, as it is spelled; also keys that come twice, numbers that are none, and strings that are no text."""


def _spoiled(text: str, spoils: dict[str, str]) -> str:
    document = json.loads(text, parse_float=Literal, parse_int=Literal)
    # the deepest first: what replaces an object replaces what is in it
    for path, spelled in sorted(spoils.items(), key=lambda spoil: -spoil[0].count(".")):
        Spoil(path, spelled).apply(document)
    return write_json(document)


def _alike(value: Any) -> st.SearchStrategy[str]:
    """Return values that could well be where this is."""
    if isinstance(value, str):
        return _texts | st.dates().map(lambda day: f'"{day}"')
    return _numbers if isinstance(value, int | float) else json_texts


_spoils = st.one_of(
    st.one_of(
        [
            st.tuples(st.just(path), _alike(value) | st.just("null"))
            for path, value in _fields(json.loads(WHOLE))
        ]
    ),
    st.tuples(st.sampled_from(["new", *(path for path, _ in _fields(json.loads(WHOLE)))]), json_texts),
)


def _struck(text: str, at: int, byte: int) -> bytes:
    encoded = bytearray(text.encode())
    encoded[at % len(encoded)] = byte
    return bytes(encoded)


struck: st.SearchStrategy[bytes] = st.builds(
    _struck, st.just(DOCUMENTED), st.integers(0, len(DOCUMENTED.encode()) - 1), st.integers(0, 255)
)
"""A documented invoice of which one byte has become any other."""
invoices: st.SearchStrategy[str] = st.builds(
    _spoiled, st.sampled_from((WHOLE, DOCUMENTED)), st.lists(_spoils, min_size=1, max_size=3).map(dict)
)
"""An invoice with a few fields replaced, by what could well be there or by anything."""
