"""The members of a booked invoice that are read, as msgspec types.

Fields and limits: e-conomic's published JSON schema of ``/invoices/booked``. It requires only the
``self`` link and leaves out unset properties, so nearly every member may be missing here too.
"""

from __future__ import annotations

from datetime import date
from operator import attrgetter
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import fields

from economic.records.fitting import LARGEST_NUMBER, Number, Text

_Day = date
Key = Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]
_Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]


class Object(Struct, rename="camel", gc=False):
    """An object of an item, with the members that are read; ``raw_data`` alone has the others."""


class Customer(Object):
    customer_number: Number | None = None


class VatZone(Object):
    vat_zone_number: Number | None = None


class Recipient(Object):
    name: Text | None = None
    address: Text | None = None
    zip: Text | None = None
    city: Text | None = None
    country: Text | None = None
    ean: Text | None = None
    cvr: Text | None = None
    vat_zone: VatZone | None = None


class Employee(Object):
    employee_number: Number | None = None


class References(Object):
    other: Text | None = None
    sales_person: Employee | None = None
    vendor_reference: Employee | None = None


class PaymentTerms(Object):
    payment_terms_number: Number | None = None
    name: Text | None = None
    payment_terms_type: Text | None = None
    days_of_credit: Number | None = None


class Notes(Object):
    heading: Text | None = None


class Layout(Object):
    layout_number: Number | None = None


class Project(Object):
    project_number: Number | None = None


class Pdf(Object):
    download: Text | None = None


class BookedInvoice(Object):
    """An item of ``/invoices/booked``.

    Amounts are read by :func:`read_amount`: a msgspec Decimal would take ``"NaN"`` and ``"1_000"``.
    """

    booked_invoice_number: Key | None = None
    order_number: Number | None = None
    date: _Day | None = None
    due_date: _Day | None = None
    currency: _Currency | None = None
    exchange_rate: Any = None
    net_amount: Any = None
    vat_amount: Any = None
    gross_amount: Any = None
    remainder: Any = None
    net_amount_in_base_currency: Any = None
    gross_amount_in_base_currency: Any = None
    remainder_in_base_currency: Any = None
    rounding_amount: Any = None
    customer: Customer | None = None
    recipient: Recipient | None = None
    references: References | None = None
    payment_terms: PaymentTerms | None = None
    notes: Notes | None = None
    layout: Layout | None = None
    project: Project | None = None
    pdf: Pdf | None = None


_AMOUNTS = {field.name: field.encode_name for field in fields(BookedInvoice) if field.type is Any}
AMOUNTS = tuple(_AMOUNTS.values())
item_amounts = attrgetter(*_AMOUNTS)
"""Returns an item's amounts as they were decoded, in the order of :data:`AMOUNTS`."""
