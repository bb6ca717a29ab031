"""Typed records from e-conomic's items, and why an item is refused.

Fields, limits and what may be missing: e-conomic's published JSON schemas of ``/invoices/booked``, ``/employees`` and ``/self``. Only the
``self`` link is formally required there and unset properties are left out, so nearly everything may be missing here too.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder

from economic import __version__
from economic.envelope import Item
from economic.errors import BrokenResponse, RecordError
from economic.fields import (
    LARGEST_NUMBER,
    read_amount,
    read_currency,
    read_date,
    read_number,
    read_object,
    read_required_amount,
    read_text,
    refuse,
)
from economic.outside_text import bounded

NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_VERSION = hashlib.blake2b(__version__.encode(), digest_size=4).digest()
MOST_DIGITS = 16_000
"""PostgreSQL's numeric takes 16,383 digits behind the point. Only an item with a longer text can hold more."""
_LONG_NUMBER = re.compile(rf"[0-9]{{{MOST_DIGITS}}}", re.ASCII)

_LONGEST_COMPANY = 200


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


class Employee(NamedTuple):
    """An employee's number and name."""

    employee_number: int
    name: str | None


class Agreement(NamedTuple):
    """Who the tokens belong to: ``/self``."""

    agreement_number: int
    company_name: str | None
    base_currency: str | None


class Totals(NamedTuple):
    """e-conomic's own count and net sum of all booked invoices, and what is unpaid of them: ``/invoices/totals``.

    Amounts are in base currency. Whether ``remainder_base`` counts unmatched credit notes is unconfirmed; it may be absent.
    """

    invoice_count: int
    net_amount_base: Decimal
    remainder_base: Decimal | None = None


class _Numbered(Struct, rename="camel"):
    booked_invoice_number: Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]


_numbers = Decoder(_Numbered)


def invoice_number(item: Item) -> int | None:
    """The number of an item that may be refused for other reasons, or None."""
    try:
        return _numbers.decode(item.encoded).booked_invoice_number
    except (MsgspecError, RecursionError):
        # No plain number, or an item that only the standard library reads.
        return _number_by_the_rules(item)


def _number_by_the_rules(item: Item) -> int | None:
    try:
        return _key(item.value)
    except RecordError:
        return None


def _key(value: Any) -> int:
    if type(value) is not dict:
        raise RecordError("The item is not an object.", field="(item)", reason="not_an_object")
    number = read_number("bookedInvoiceNumber", value.get("bookedInvoiceNumber"))
    if number is None:
        raise refuse("bookedInvoiceNumber", "missing", "is missing")
    if number < 1:
        raise refuse("bookedInvoiceNumber", "number_out_of_range", "is less than 1")
    return number


def digest(item: Item) -> bytes:
    """What an item is known again by: equal for equal texts, read by the same version of this package. 20 bytes, of which the first 4 stand for the version.

    Another version may read the same text otherwise, so its digests differ, and everything is read once more.
    """
    return _VERSION + hashlib.blake2b(item.encoded, digest_size=16).digest()


def read_invoice(item: Item) -> Invoice:
    """One booked invoice from one item of ``/invoices/booked``.

    :raises RecordError: a field is missing that must be there, or is not what it should be; names the field and a reason code.
    """
    value = item.value
    number = _key(value)
    raw = _raw_data(item.encoded)
    customer = read_object(value, "", "customer")
    recipient = read_object(value, "", "recipient")
    references = read_object(value, "", "references")
    terms = read_object(value, "", "paymentTerms")
    vat_zone = read_object(recipient, "recipient.", "vatZone")
    sales_person = read_object(references, "references.", "salesPerson")
    vendor = read_object(references, "references.", "vendorReference")
    get = value.get
    # In the order of Invoice's fields: to name them would cost as much as reading half of them.
    return Invoice(
        number,
        read_number("orderNumber", get("orderNumber")),
        read_date("date", get("date")),
        read_date("dueDate", get("dueDate")),
        read_currency("currency", value["currency"]) if "currency" in value else None,
        read_amount("exchangeRate", get("exchangeRate")),
        read_required_amount("netAmount", get("netAmount")),
        read_amount("vatAmount", get("vatAmount")),
        read_required_amount("grossAmount", get("grossAmount")),
        read_required_amount("remainder", get("remainder")),
        read_amount("netAmountInBaseCurrency", get("netAmountInBaseCurrency")),
        read_amount("grossAmountInBaseCurrency", get("grossAmountInBaseCurrency")),
        read_amount("remainderInBaseCurrency", get("remainderInBaseCurrency")),
        read_amount("roundingAmount", get("roundingAmount")),
        read_number("customer.customerNumber", customer.get("customerNumber")),
        read_text("recipient.name", recipient.get("name")),
        read_text("recipient.address", recipient.get("address")),
        read_text("recipient.zip", recipient.get("zip")),
        read_text("recipient.city", recipient.get("city")),
        read_text("recipient.country", recipient.get("country")),
        read_text("recipient.ean", recipient.get("ean")),
        read_text("recipient.cvr", recipient.get("cvr")),
        read_number("recipient.vatZone.vatZoneNumber", vat_zone.get("vatZoneNumber")),
        read_text("notes.heading", read_object(value, "", "notes").get("heading")),
        read_text("references.other", references.get("other")),
        read_number("references.salesPerson.employeeNumber", sales_person.get("employeeNumber")),
        read_number("references.vendorReference.employeeNumber", vendor.get("employeeNumber")),
        read_number("paymentTerms.paymentTermsNumber", terms.get("paymentTermsNumber")),
        read_text("paymentTerms.name", terms.get("name")),
        read_text("paymentTerms.paymentTermsType", terms.get("paymentTermsType")),
        read_number("paymentTerms.daysOfCredit", terms.get("daysOfCredit")),
        read_number("project.projectNumber", read_object(value, "", "project").get("projectNumber")),
        read_number("layout.layoutNumber", read_object(value, "", "layout").get("layoutNumber")),
        read_text("pdf.download", read_object(value, "", "pdf").get("download")),
        raw,
        digest(item),
    )


def _raw_data(encoded: bytes) -> str:
    """The item's text, fit for ``jsonb``: UTF-8, and without NUL."""
    try:
        raw = encoded.decode()
    except UnicodeDecodeError:
        raise refuse("(item)", "broken_text", "holds bytes that are not UTF-8") from None
    if len(raw) > MOST_DIGITS and _LONG_NUMBER.search(raw):
        raise refuse("(item)", "number_too_long", f"holds a number of more than {MOST_DIGITS:,} digits")
    if "\\" in raw and "\\u0000" in raw:
        raw = NUL_ESCAPE.sub(r"\1", raw)
    return raw


def read_employee(value: Any) -> Employee:
    """One employee from one item of ``/employees``.

    :raises RecordError: no number, or a name that is no text.
    """
    if type(value) is not dict:
        raise RecordError("The employee is not an object.", field="(item)", reason="not_an_object")
    number = read_number("employeeNumber", value.get("employeeNumber"))
    if number is None:
        raise refuse("employeeNumber", "missing", "is missing")
    return Employee(number, read_text("name", value.get("name")))


def read_agreement(value: dict[str, Any]) -> Agreement:
    """The agreement behind the tokens, from ``/self``.

    :raises BrokenResponse: it names no agreement number.
    """
    try:
        number = read_number("agreementNumber", value.get("agreementNumber"))
        company = read_object(value, "", "company").get("name")
        currency = read_object(value, "", "settings").get("baseCurrency")
    except RecordError as error:
        raise BrokenResponse(f"/self is not what it should be: {error.message}") from None
    if number is None:
        raise BrokenResponse("/self names no agreement number.")
    try:
        text = read_text("company.name", company)
        # It identifies nothing, it is only shown: so it is kept as it may be shown.
        name = None if text is None else bounded(text, _LONGEST_COMPANY) or None
    except RecordError:
        # Which company it is the number says; a name that cannot be stored must not stop the sync.
        name = None
    return Agreement(
        number, name, currency if type(currency) is str and re.fullmatch("[A-Z]{3}", currency) else None
    )


def read_totals(value: dict[str, Any]) -> Totals:
    """Count and net sum of all booked invoices, from ``/invoices/totals``.

    :raises BrokenResponse: it has no such numbers.
    """
    try:
        booked = read_object(value, "", "booked")
        count = read_number("booked.invoiceCount", booked.get("invoiceCount"))
        net = read_amount("booked.netAmountInBaseCurrency", booked.get("netAmountInBaseCurrency"))
        unpaid = read_object(booked, "booked.", "unpaid").get("grossRemainderInBaseCurrency")
        remainder = read_amount("booked.unpaid.grossRemainderInBaseCurrency", unpaid)
    except RecordError as error:
        raise BrokenResponse(f"/invoices/totals is not what it should be: {error.message}") from None
    if count is None or net is None:
        raise BrokenResponse("/invoices/totals lacks the booked count or sum.")
    return Totals(count, net, remainder)
