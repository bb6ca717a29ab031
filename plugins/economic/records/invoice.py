"""Booked invoices: the row made from an item, its degraded fields, and why an item is rejected."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import MsgspecError
from msgspec.json import Decoder

from economic.errors import RecordError
from economic.records import booked_invoice as members
from economic.records.booked_invoice import AMOUNTS, BookedInvoice, item_amounts
from economic.records.decoder import RawItem, write_json
from economic.records.fitting import (
    HIGHEST,
    LOWEST,
    MOST_DIGITS,
    DegradedField,
    drop,
    fit,
    missing,
    read_amount,
    storable,
    text_or_none,
)

READING = bytes.fromhex("a9ef804b")
"""Stands for how items are read, and begins each digest.

A test derives it from how a set of awkward items is read. A change in reading needs a new value,
and then every stored invoice is read again.
"""

_REQUIRED = frozenset({"bookedInvoiceNumber", "date", "dueDate", "currency"})
_REQUIRED_AMOUNTS = frozenset({"netAmount", "grossAmount", "remainder"})
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]{1,80}", re.ASCII)


class Invoice(NamedTuple):
    """One booked invoice or credit note; the fields are columns of ``invoice``.

    Amounts are in the invoice's currency; those ending in ``_base`` and ``rounding_amount`` are in
    the agreement's. ``exchange_rate`` is the price of 100 units of the currency in the base
    currency. ``raw_data`` is the item's JSON text.
    """

    invoice_number: int
    order_number: int | None
    invoice_date: date | None
    due_date: date | None
    currency: str | None
    exchange_rate: Decimal | None
    net_amount: Decimal
    vat_amount: Decimal | None
    gross_amount: Decimal
    remainder: Decimal
    net_amount_base: Decimal | None
    gross_amount_base: Decimal | None
    remainder_base: Decimal | None
    rounding_amount: Decimal | None
    customer_number: int | None
    customer_name: str | None
    recipient_address: str | None
    recipient_zip: str | None
    recipient_city: str | None
    recipient_country: str | None
    recipient_ean: str | None
    recipient_cvr: str | None
    vat_zone_number: int | None
    subject: str | None
    external_reference: str | None
    employee_number: int | None
    vendor_employee_number: int | None
    payment_terms_number: int | None
    payment_terms_name: str | None
    payment_terms_type: str | None
    days_of_credit: int | None
    project_number: int | None
    layout_number: int | None
    pdf_url: str | None
    raw_data: str
    digest: bytes


class _Numbered(members.Object):
    booked_invoice_number: members.Key


# Strict: otherwise msgspec reads 1495981489075312.875 as a whole number, and "null" as null. What
# equals a number in another spelling is left to the slower reader.
_decoder = Decoder(BookedInvoice, float_hook=Decimal)
_numbers = Decoder(_Numbered)
# Stand for absent objects.
_CUSTOMER, _RECIPIENT, _VAT_ZONE = members.Customer(), members.Recipient(), members.VatZone()
_REFERENCES, _EMPLOYEE, _TERMS = members.References(), members.Employee(), members.PaymentTerms()
_NOTES, _LAYOUT, _PROJECT, _PDF = members.Notes(), members.Layout(), members.Project(), members.Pdf()


def digest(item: RawItem) -> bytes:
    """Return 20 bytes that recognise an unchanged item; the first 4 are :data:`READING`."""
    return READING + hashlib.blake2b(item.encoded, digest_size=16).digest()


def invoice_number(item: RawItem) -> int | None:
    """Return an item's number, or None; the item may be rejected for other reasons."""
    try:
        return _numbers.decode(item.encoded).booked_invoice_number
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        # Not a plain number, or an item that only the slower reader takes.
        pass
    try:
        number = {"bookedInvoiceNumber": item.decode_object().get("bookedInvoiceNumber")}
        return fit(number, BookedInvoice)[0].booked_invoice_number
    except RecordError:
        return None


def parse_invoice(item: RawItem) -> tuple[Invoice, list[DegradedField]]:
    """Parse one item of ``/invoices/booked`` into the invoice and its degraded fields.

    :raises RecordError: its number, a date, the currency or an amount is unusable, or it is not
        readable.
    """
    encoded = item.encoded
    if len(encoded) <= MOST_DIGITS and not _has_nul(encoded):
        try:
            decoded = _decoder.decode(encoded)
            if decoded.booked_invoice_number is not None:
                amounts = item_amounts(decoded)
                if not _are_usual(amounts):
                    amounts = _read_amounts(amounts)
                return _row(decoded, amounts, encoded.decode(), item), []
        except (MsgspecError, ArithmeticError, UnicodeDecodeError, RecursionError, RecordError):
            # Something in the item is unusual: the slower reader names it.
            pass
    return _parse_odd(item)


def _has_nul(encoded: bytes) -> bool:
    # Most items hold no escape at all, and one byte is found faster than six.
    return b"\\" in encoded and b"\\u0000" in encoded


def _are_usual(amounts: tuple[Any, ...]) -> bool:
    # A loop, because a generator takes twice as long.
    for amount in amounts:
        if type(amount) is not Decimal or not LOWEST <= amount.adjusted() <= HIGHEST:
            return False
    return True


def _read_amounts(amounts: tuple[Any, ...]) -> tuple[Decimal | None, ...]:
    """Read the amounts as they were decoded.

    :raises RecordError: a required one is missing, or one is not an amount.
    """
    for name, amount in zip(AMOUNTS, amounts, strict=True):
        if amount is None and name in _REQUIRED_AMOUNTS:
            raise missing(name)
    return tuple([read_amount(name, amount) for name, amount in zip(AMOUNTS, amounts, strict=True)])


def _row(decoded: BookedInvoice, amounts: tuple[Any, ...], raw: str, item: RawItem) -> Invoice:
    recipient = decoded.recipient or _RECIPIENT
    references = decoded.references or _REFERENCES
    terms = decoded.payment_terms or _TERMS
    # Positional, in the order of the columns, because this runs for every new invoice.
    return Invoice._make(
        (
            decoded.booked_invoice_number,
            decoded.order_number,
            decoded.date,
            decoded.due_date,
            decoded.currency,
            *amounts,
            (decoded.customer or _CUSTOMER).customer_number,
            text_or_none(recipient.name),
            text_or_none(recipient.address),
            text_or_none(recipient.zip),
            text_or_none(recipient.city),
            text_or_none(recipient.country),
            text_or_none(recipient.ean),
            text_or_none(recipient.cvr),
            (recipient.vat_zone or _VAT_ZONE).vat_zone_number,
            text_or_none((decoded.notes or _NOTES).heading),
            text_or_none(references.other),
            (references.sales_person or _EMPLOYEE).employee_number,
            (references.vendor_reference or _EMPLOYEE).employee_number,
            terms.payment_terms_number,
            text_or_none(terms.name),
            text_or_none(terms.payment_terms_type),
            terms.days_of_credit,
            (decoded.project or _PROJECT).project_number,
            (decoded.layout or _LAYOUT).layout_number,
            text_or_none((decoded.pdf or _PDF).download),
            raw,
            digest(item),
        )
    )


def _parse_odd(item: RawItem) -> tuple[Invoice, list[DegradedField]]:
    """Parse an item field by field, and leave out each optional field that does not fit."""
    try:
        item.encoded.decode()
    except UnicodeDecodeError:
        message = "The item holds bytes that are not UTF-8."
        raise RecordError(message, field="(item)", reason="broken_text") from None
    value = item.decode_object()
    broken: list[str] = []
    try:
        copy = storable(value, "", broken)
        raw = write_json(copy) if broken or _has_nul(item.encoded) else item.raw
    except RecursionError:
        raise RecordError("The item is nested too deeply.", field="(item)", reason="not_readable") from None
    degraded = {}
    for path in broken:
        problem = _broken_text(path)
        degraded[problem.field] = problem
        if path not in _REQUIRED and path not in AMOUNTS:
            drop(copy, path)
    decoded, unfit = fit(copy, BookedInvoice, _REQUIRED)
    if decoded.booked_invoice_number is None:
        raise missing("bookedInvoiceNumber")
    try:
        # The one amount without which the invoice is still the invoice.
        read_amount("exchangeRate", decoded.exchange_rate)
    except RecordError as error:
        unfit.append(DegradedField(error.field, error.reason, error.message))
        decoded.exchange_rate = None
    amounts = _read_amounts(item_amounts(decoded))
    degraded |= {problem.field: problem for problem in unfit}
    return _row(decoded, amounts, raw, item), list(degraded.values())


def _broken_text(path: str) -> DegradedField:
    # The names of unknown fields come from outside, so an unusual one is not shown.
    field = path if all(map(_PLAIN_NAME.fullmatch, path.split("."))) else "(item)"
    message = f"{field} holds a broken character; raw_data has U+FFFD in its place."
    return DegradedField(field, "broken_text", message)
