"""The documented shape of an invoice, and the quick reader for items that have it.

Nearly every item holds nothing but documented fields, each of its usual kind. Such an item is read by these types, in a fraction of the time that
:func:`economic.models.read_invoice` takes. Any other one is left to it: what is taken, and why something is refused, is decided there.

Fields: e-conomic's published JSON schema of ``/invoices/booked``, and those seen in recorded answers beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import astuple

from economic.envelope import Item
from economic.errors import RecordError
from economic.fields import HIGHEST, LARGEST_NUMBER, LOWEST, read_amount, read_currency, read_required_amount
from economic.models import MOST_DIGITS, Invoice, digest

_Day = date
_ABSENT: Any = None
"""The default of members kept as they are: msgspec knows no ``Raw | None``."""
_Number = Annotated[int, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
_Key = Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]


def _spelled(name: str) -> str:
    """A field's name in the API: camel case, and ``self`` for the link."""
    first, *others = name.split("_")
    return "self" if name == "link" else first + "".join(other.capitalize() for other in others)


class _Documented(Struct, forbid_unknown_fields=True, rename=_spelled, gc=False):
    """An object with its documented members; ``Raw`` are those that are kept in the item's text alone, ``Any`` those read by their own rules."""


class _Customer(_Documented):
    customer_number: _Number | None = None
    link: Raw = _ABSENT


class _Contact(_Documented):
    customer_contact_number: Raw = _ABSENT
    link: Raw = _ABSENT


class _VatZone(_Documented):
    vat_zone_number: _Number | None = None
    name: Raw = _ABSENT
    enabled_for_customer: Raw = _ABSENT
    enabled_for_supplier: Raw = _ABSENT
    link: Raw = _ABSENT


class _Recipient(_Documented):
    name: str | None = None
    address: str | None = None
    zip: str | None = None
    city: str | None = None
    country: str | None = None
    ean: str | None = None
    cvr: str | None = None
    vat_zone: _VatZone | None = None
    attention: _Contact | None = None
    public_entry_number: Raw = _ABSENT
    mobile_phone: Raw = _ABSENT
    nem_handel_type: Raw = _ABSENT


class _Employee(_Documented):
    employee_number: _Number | None = None
    link: Raw = _ABSENT


class _References(_Documented):
    other: str | None = None
    sales_person: _Employee | None = None
    vendor_reference: _Employee | None = None
    customer_contact: _Contact | None = None


class _PaymentTerms(_Documented):
    payment_terms_number: _Number | None = None
    name: str | None = None
    payment_terms_type: str | None = None
    days_of_credit: _Number | None = None
    description: Raw = _ABSENT
    link: Raw = _ABSENT


class _Notes(_Documented):
    heading: str | None = None
    text_line1: Raw = _ABSENT
    text_line2: Raw = _ABSENT


class _Layout(_Documented):
    layout_number: _Number | None = None
    link: Raw = _ABSENT


class _Project(_Documented):
    project_number: _Number | None = None
    link: Raw = _ABSENT


class _Pdf(_Documented):
    download: str | None = None
    link: Raw = _ABSENT


class _DeliveryLocation(_Documented):
    delivery_location_number: Raw = _ABSENT
    link: Raw = _ABSENT


class _Delivery(_Documented):
    address: Raw = _ABSENT
    zip: Raw = _ABSENT
    city: Raw = _ABSENT
    country: Raw = _ABSENT
    delivery_terms: Raw = _ABSENT
    delivery_date: Raw = _ABSENT


class BookedInvoice(_Documented):
    """An item of ``/invoices/booked``. First its plain members, then its amounts, its objects, its links."""

    booked_invoice_number: _Key
    order_number: _Number | None = None
    date: _Day | None = None
    due_date: _Day | None = None
    currency: Any = None
    exchange_rate: Any = None
    net_amount: Any = None
    vat_amount: Any = None
    gross_amount: Any = None
    remainder: Any = None
    net_amount_in_base_currency: Any = None
    gross_amount_in_base_currency: Any = None
    remainder_in_base_currency: Any = None
    rounding_amount: Any = None
    customer: _Customer | None = None
    recipient: _Recipient | None = None
    notes: _Notes | None = None
    references: _References | None = None
    payment_terms: _PaymentTerms | None = None
    project: _Project | None = None
    layout: _Layout | None = None
    pdf: _Pdf | None = None
    delivery: _Delivery | None = None
    delivery_location: _DeliveryLocation | None = None
    sent: Raw = _ABSENT
    link: Raw = _ABSENT


_decoder = Decoder(BookedInvoice, float_hook=Decimal)
_READ_AMOUNTS: tuple[tuple[str, Callable[[str, Any], Decimal | None]], ...] = (
    ("exchangeRate", read_amount),
    ("netAmount", read_required_amount),
    ("vatAmount", read_amount),
    ("grossAmount", read_required_amount),
    ("remainder", read_required_amount),
    ("netAmountInBaseCurrency", read_amount),
    ("grossAmountInBaseCurrency", read_amount),
    ("remainderInBaseCurrency", read_amount),
    ("roundingAmount", read_amount),
)
_FIRST_AMOUNT = BookedInvoice.__struct_fields__.index("exchange_rate")
_FIRST_OBJECT = _FIRST_AMOUNT + len(_READ_AMOUNTS)
_FIRST_LINK = BookedInvoice.__struct_fields__.index("sent")
# What stands for an object that is absent.
_CUSTOMER, _RECIPIENT, _VAT_ZONE = _Customer(), _Recipient(), _VatZone()
_NOTES, _REFERENCES, _EMPLOYEE = _Notes(), _References(), _Employee()
_TERMS, _PROJECT, _LAYOUT, _PDF = _PaymentTerms(), _Project(), _Layout(), _Pdf()


def read_documented(item: Item) -> Invoice | None:
    """The invoice of an item that is as documented in every way; None when it must be looked at by the rules for what is not.

    None as well when a key comes twice, when a text holds NUL, and when a number may be too long: all that is odd or refused.
    """
    encoded = item.encoded
    if len(encoded) > MOST_DIGITS or b"\\u0000" in encoded:
        return None
    try:
        return _invoice(item, _decoder.decode(encoded))
    except (MsgspecError, ArithmeticError, UnicodeDecodeError, RecordError, RecursionError):
        return None


def _invoice(item: Item, found: BookedInvoice) -> Invoice | None:
    recipient = found.recipient or _RECIPIENT
    vat_zone = recipient.vat_zone or _VAT_ZONE
    references = found.references or _REFERENCES
    terms = found.payment_terms or _TERMS
    amounts, present = _amounts(found)
    # A key that comes twice, or that is within a member kept as it is, is one more in the text than there are members; so is a null.
    if item.encoded.count(b'":') != present + _other_members(found, recipient, references):
        return None
    # By place, as the columns come: this runs for every new invoice.
    return Invoice._make(
        (
            found.booked_invoice_number,
            found.order_number,
            found.date,
            found.due_date,
            None if found.currency is None else read_currency("currency", found.currency),
            *amounts,
            (found.customer or _CUSTOMER).customer_number,
            recipient.name,
            recipient.address,
            recipient.zip,
            recipient.city,
            recipient.country,
            recipient.ean,
            recipient.cvr,
            vat_zone.vat_zone_number,
            (found.notes or _NOTES).heading,
            references.other,
            (references.sales_person or _EMPLOYEE).employee_number,
            (references.vendor_reference or _EMPLOYEE).employee_number,
            terms.payment_terms_number,
            terms.name,
            terms.payment_terms_type,
            terms.days_of_credit,
            (found.project or _PROJECT).project_number,
            (found.layout or _LAYOUT).layout_number,
            (found.pdf or _PDF).download,
            # Strict: members that are kept unread may hold bytes that are not UTF-8, which the rules refuse.
            item.encoded.decode(),
            digest(item),
        )
    )


def _amounts(found: BookedInvoice) -> tuple[tuple[Decimal | None, ...], int]:
    """The amounts, and how many of them are there."""
    amounts = (
        found.exchange_rate,
        found.net_amount,
        found.vat_amount,
        found.gross_amount,
        found.remainder,
        found.net_amount_in_base_currency,
        found.gross_amount_in_base_currency,
        found.remainder_in_base_currency,
        found.rounding_amount,
    )
    for amount in amounts:
        if type(amount) is not Decimal or not LOWEST <= amount.adjusted() <= HIGHEST:
            break
    else:
        return amounts, len(amounts)
    read = tuple([rule(name, value) for (name, rule), value in zip(_READ_AMOUNTS, amounts, strict=True)])
    return read, len(read) - read.count(None)


def _other_members(found: BookedInvoice, recipient: _Recipient, references: _References) -> int:
    """How many members all objects of an item have together, besides its amounts."""
    top = astuple(found)
    # To look for None among amounts would compare each of them with it.
    before, after = top[:_FIRST_AMOUNT], top[_FIRST_OBJECT:]
    members = len(before) - before.count(None) + len(after) - after.count(None)
    for each in (
        *top[_FIRST_OBJECT:_FIRST_LINK],
        recipient.vat_zone,
        recipient.attention,
        references.sales_person,
        references.vendor_reference,
        references.customer_contact,
    ):
        if each is not None:
            inner = astuple(each)
            members += len(inner) - inner.count(None)
    return members
