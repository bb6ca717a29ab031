"""Booked invoices: the row that an item becomes, which of its fields are left out, and why one is rejected."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import MsgspecError
from msgspec.json import Decoder
from msgspec.structs import replace

from economic.errors import RecordError
from economic.records.booked_invoice import (
    AMOUNTS,
    BookedInvoice,
    Customer,
    Employee,
    Key,
    Layout,
    Notes,
    Object,
    PaymentTerms,
    Pdf,
    Project,
    Recipient,
    References,
    VatZone,
    item_amounts,
)
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
"""Stands for how items are read: a part of each digest. A test derives it from what a set of awkward items is read into, so that a changed
reading has another value here and every stored invoice is read again."""

_REQUIRED = frozenset({"bookedInvoiceNumber", "date", "dueDate", "currency"})
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]{1,80}", re.ASCII)


class Invoice(NamedTuple):
    """One booked invoice or credit note; the fields are columns of ``invoice``.

    Amounts are in the invoice's currency, those ending in ``_base`` and ``rounding_amount`` in the agreement's. ``exchange_rate`` is the price
    of 100 units of the currency in the base currency. ``raw_data`` is the item's own JSON text, ``digest`` what :func:`digest` makes of it.
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


class _Numbered(Object):
    booked_invoice_number: Key


_decoder = Decoder(BookedInvoice, strict=False, float_hook=Decimal)
_numbers = Decoder(_Numbered, strict=False)
_REQUIRED_AMOUNTS = frozenset({"netAmount", "grossAmount", "remainder"})
_NULL_TEXT = b'"null"'
"""msgspec takes this text for null where it also takes digits in a string."""
# What stands for an object that is absent.
_CUSTOMER, _RECIPIENT, _VAT_ZONE, _REFERENCES, _EMPLOYEE = (
    Customer(),
    Recipient(),
    VatZone(),
    References(),
    Employee(),
)
_TERMS, _NOTES, _LAYOUT, _PROJECT, _PDF = PaymentTerms(), Notes(), Layout(), Project(), Pdf()


def digest(item: RawItem) -> bytes:
    """Fingerprint of a raw item, used to recognise unchanged invoices: 20 bytes, of which the first 4 are :data:`READING`."""
    return READING + hashlib.blake2b(item.encoded, digest_size=16).digest()


def invoice_number(item: RawItem) -> int | None:
    """Return the number of an item that may be rejected for other reasons, or None."""
    try:
        return _numbers.decode(item.encoded).booked_invoice_number
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        # Not a plain number, or an item that only the careful way reads.
        pass
    try:
        value = item.decode()
        if type(value) is not dict:
            return None
        number = {"bookedInvoiceNumber": value.get("bookedInvoiceNumber")}
        return fit(number, BookedInvoice)[0].booked_invoice_number
    except RecordError:
        return None


def parse_invoice(item: RawItem) -> tuple[Invoice, list[DegradedField]]:
    """Parse one item of ``/invoices/booked``: the invoice, and which of its fields were left out and why.

    :raises RecordError: its number, a date, the currency or an amount is not what it should be, or it is not readable.
    """
    encoded = item.encoded
    if len(encoded) <= MOST_DIGITS and not (_has_nul(encoded) or _NULL_TEXT in encoded):
        try:
            found = _decoder.decode(encoded)
            if found.booked_invoice_number is not None:
                amounts = item_amounts(found)
                if not _are_usual(amounts):
                    amounts = _read_amounts(amounts)
                return _row(found, amounts, encoded.decode(), item), []
        except (MsgspecError, ArithmeticError, UnicodeDecodeError, RecursionError, RecordError):
            # Something in it is odd: it is parsed once more, with care.
            pass
    return _parse_odd(item)


def _has_nul(encoded: bytes) -> bool:
    # Most items hold no escape at all, and one byte is found faster than six.
    return b"\\" in encoded and b"\\u0000" in encoded


def _read_amounts(amounts: tuple[Any, ...]) -> tuple[Decimal | None, ...]:
    """Read the amounts as they were decoded.

    :raises RecordError: one is missing that must be there, or is not an amount.
    """
    for name, amount in zip(AMOUNTS, amounts, strict=True):
        if amount is None and name in _REQUIRED_AMOUNTS:
            raise missing(name).error()
    return tuple([read_amount(name, amount) for name, amount in zip(AMOUNTS, amounts, strict=True)])


def _are_usual(amounts: tuple[Any, ...]) -> bool:
    # A loop: a generator would cost twice as much.
    for amount in amounts:
        if type(amount) is not Decimal or not LOWEST <= amount.adjusted() <= HIGHEST:
            return False
    return True


def _row(found: BookedInvoice, amounts: tuple[Any, ...], raw: str, item: RawItem) -> Invoice:
    recipient = found.recipient or _RECIPIENT
    references = found.references or _REFERENCES
    terms = found.payment_terms or _TERMS
    # By place, as the columns come: this runs for every new invoice.
    return Invoice._make(
        (
            found.booked_invoice_number,
            found.order_number,
            found.date,
            found.due_date,
            found.currency,
            *amounts,
            (found.customer or _CUSTOMER).customer_number,
            text_or_none(recipient.name),
            text_or_none(recipient.address),
            text_or_none(recipient.zip),
            text_or_none(recipient.city),
            text_or_none(recipient.country),
            text_or_none(recipient.ean),
            text_or_none(recipient.cvr),
            (recipient.vat_zone or _VAT_ZONE).vat_zone_number,
            text_or_none((found.notes or _NOTES).heading),
            text_or_none(references.other),
            (references.sales_person or _EMPLOYEE).employee_number,
            (references.vendor_reference or _EMPLOYEE).employee_number,
            terms.payment_terms_number,
            text_or_none(terms.name),
            text_or_none(terms.payment_terms_type),
            terms.days_of_credit,
            (found.project or _PROJECT).project_number,
            (found.layout or _LAYOUT).layout_number,
            text_or_none((found.pdf or _PDF).download),
            raw,
            digest(item),
        )
    )


def _parse_odd(item: RawItem) -> tuple[Invoice, list[DegradedField]]:
    try:
        item.encoded.decode()
    except UnicodeDecodeError:
        message = "The item holds bytes that are not UTF-8."
        raise RecordError(message, field="(item)", reason="broken_text") from None
    value = item.decode()
    if type(value) is not dict:
        raise RecordError("The item is not an object.", field="(item)", reason="not_an_object")
    broken: list[str] = []
    try:
        kept = storable(value, "", broken)
        raw = write_json(kept) if broken or _has_nul(item.encoded) else item.raw
    except RecursionError:
        raise RecordError("The item is nested too deeply.", field="(item)", reason="not_readable") from None
    left_out = {}
    for path in broken:
        problem = _broken_text(path)
        left_out[problem.field] = problem
        if path not in _REQUIRED and path not in AMOUNTS:
            drop(kept, path)
    found, unfit = fit(kept, BookedInvoice, _REQUIRED)
    if found.booked_invoice_number is None:
        raise missing("bookedInvoiceNumber").error()
    try:
        read_amount(AMOUNTS[0], found.exchange_rate)
    except RecordError as error:
        unfit.append(DegradedField(error.field, error.reason, error.message))
        found = replace(found, exchange_rate=None)
    amounts = _read_amounts(item_amounts(found))
    left_out |= {problem.field: problem for problem in unfit}
    return _row(found, amounts, raw, item), list(left_out.values())


def _broken_text(path: str) -> DegradedField:
    known = all(_PLAIN_NAME.fullmatch(name) for name in path.split("."))
    field = path if known else "(item)"
    return DegradedField(
        field, "broken_text", f"{field} holds a broken character; raw_data has U+FFFD in its place."
    )
