"""Typed records from e-conomic's items, and why an item is refused.

Fields, limits and what may be missing: e-conomic's published JSON schemas of ``/invoices/booked``, ``/employees`` and ``/self``. Only the
``self`` link is formally required there and unset properties are left out, so nearly everything may be missing here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from economic.envelope import Item
from economic.errors import BrokenResponse, RecordError

LARGEST_NUMBER = 10**18 - 1
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_NUL = "\x00"
_NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class Invoice(NamedTuple):
    """One booked invoice or credit note; the fields are columns of ``invoice``.

    Amounts are in the invoice's currency, those ending in ``_base`` and ``rounding_amount`` in the agreement's. ``exchange_rate`` is the price
    of 100 units of the currency in the base currency. ``raw_data`` is the item's own JSON text.
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


def _refuse(field: str, reason: str, said: str, value: object = None) -> RecordError:
    shown = "" if value is None else f": {_shown(value)}"
    return RecordError(f"{field} {said}{shown}.", field=field, reason=reason)


def _shown(value: object) -> str:
    # Never str() of a number here: one of a billion digits would be written out.
    text = f"a {type(value).__name__}" if isinstance(value, (dict, list, Decimal)) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_number(field: str, value: Any) -> int | None:
    """A whole number; digits in a string are taken too, a fraction or a truth value never."""
    if value is None:
        return None
    if type(value) is str and _NUMBER.fullmatch(value):
        return int(value)
    if type(value) is not int:
        raise _refuse(field, "not_a_number", "is no whole number", value)
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise _refuse(field, "number_out_of_range", "is too large")
    return value


def read_amount(field: str, value: Any) -> Decimal | None:
    """An exact decimal number of a sane size, stored as it came."""
    if value is None:
        return None
    if type(value) is int or (type(value) is str and _AMOUNT.fullmatch(value)):
        value = Decimal(value)
    if type(value) is not Decimal or not value.is_finite():
        raise _refuse(field, "not_an_amount", "is no amount", value)
    if value and (abs(value.adjusted()) > 24 or value.as_tuple().exponent < -30):  # type: ignore[operator]  # finite
        raise _refuse(field, "amount_out_of_range", "is too large or too fine")
    return value


def read_date(field: str, value: Any) -> date | None:
    """A date spelled YYYY-MM-DD: other spellings that Python or PostgreSQL would take are refused."""
    if value is None:
        return None
    if type(value) is str and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _refuse(field, "not_a_date", "is no day of the calendar", value) from None
    raise _refuse(field, "not_a_date", "is no date", value)


def read_text(field: str, value: Any) -> str | None:
    """Text as it came. NUL is taken out (PostgreSQL stores none); broken characters are refused."""
    if value is None:
        return None
    if type(value) is not str:
        raise _refuse(field, "not_a_text", "is no text", value)
    if value.isascii():
        return value.replace(_NUL, "") if _NUL in value else value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refuse(field, "broken_text", "holds a broken character") from None
    return value.replace(_NUL, "")


def read_currency(field: str, value: Any) -> str:
    """Three capital letters; which ones is e-conomic's to know."""
    if type(value) is not str or not _CURRENCY.fullmatch(value):
        raise _refuse(field, "not_a_currency", "is no currency code", value)
    return value


_Reader = Callable[[str, Any], Any]

# In the order of Invoice's fields: e-conomic's name, how to read it.
_FIELDS: tuple[tuple[str, _Reader], ...] = (
    ("bookedInvoiceNumber", read_number),
    ("orderNumber", read_number),
    ("date", read_date),
    ("dueDate", read_date),
    ("currency", read_currency),
    ("exchangeRate", read_amount),
    ("netAmount", read_amount),
    ("vatAmount", read_amount),
    ("grossAmount", read_amount),
    ("remainder", read_amount),
    ("netAmountInBaseCurrency", read_amount),
    ("grossAmountInBaseCurrency", read_amount),
    ("remainderInBaseCurrency", read_amount),
    ("roundingAmount", read_amount),
    ("customer.customerNumber", read_number),
    ("recipient.name", read_text),
    ("recipient.address", read_text),
    ("recipient.zip", read_text),
    ("recipient.city", read_text),
    ("recipient.country", read_text),
    ("recipient.ean", read_text),
    ("recipient.cvr", read_text),
    ("recipient.vatZone.vatZoneNumber", read_number),
    ("notes.heading", read_text),
    ("references.other", read_text),
    ("references.salesPerson.employeeNumber", read_number),
    ("references.vendorReference.employeeNumber", read_number),
    ("paymentTerms.paymentTermsNumber", read_number),
    ("paymentTerms.name", read_text),
    ("paymentTerms.paymentTermsType", read_text),
    ("paymentTerms.daysOfCredit", read_number),
    ("project.projectNumber", read_number),
    ("layout.layoutNumber", read_number),
    ("pdf.download", read_text),
)
_REQUIRED = frozenset({"bookedInvoiceNumber", "netAmount", "grossAmount", "remainder"})
# (name, parent's path, key, reader, required), split once: this runs for every field of every invoice.
_PLAN = tuple((n, tuple(n.split(".")[:-1]), n.split(".")[-1], r, n in _REQUIRED) for n, r in _FIELDS)
_NOTHING: dict[str, Any] = {}


def invoice_number(value: Any) -> int | None:
    """The number of an item that may be refused for other reasons, or None."""
    try:
        return _key(value)
    except RecordError:
        return None


def _key(value: Any) -> int:
    if type(value) is not dict:
        raise RecordError("The item is not an object.", field="(item)", reason="not_an_object")
    number = read_number("bookedInvoiceNumber", value.get("bookedInvoiceNumber"))
    if number is None:
        raise _refuse("bookedInvoiceNumber", "missing", "is missing")
    if number < 1:
        raise _refuse("bookedInvoiceNumber", "number_out_of_range", "is less than 1")
    return number


def read_invoice(item: Item) -> Invoice:
    """One booked invoice from one item of ``/invoices/booked``.

    :raises RecordError: a field is missing that must be there, or is not what it should be; names the field and a reason code.
    """
    _key(item.value)
    return Invoice._make((*_values(item.value), _raw_data(item)))


def _values(value: dict[str, Any]) -> Iterator[Any]:
    parents: dict[tuple[str, ...], dict[str, Any]] = {(): value}
    for name, path, key, read, required in _PLAN:
        parent = parents.get(path)
        if parent is None:
            parent = parents[path] = _parent(value, path)
        if key in parent:
            found = read(name, parent[key])
            if found is not None or not required:
                yield found
                continue
        if required:
            raise _refuse(name, "missing", "is missing")
        yield None


def _parent(value: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for depth, key in enumerate(path):
        found = value.get(key)
        if found is None:
            return _NOTHING
        if type(found) is not dict:
            raise _refuse(".".join(path[: depth + 1]), "not_an_object", "is no object", found)
        value = found
    return value


def _raw_data(item: Item) -> str:
    """The item's text, fit for ``jsonb``: without NUL, and refused when it is not UTF-8."""
    raw = item.raw
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise _refuse("(item)", "broken_text", "holds bytes that are not UTF-8") from None
    if "\\u0000" in raw:
        raw = _NUL_ESCAPE.sub(r"\1", raw)
    return raw


def read_employee(value: Any) -> Employee:
    """One employee from one item of ``/employees``.

    :raises RecordError: no number, or a name that is no text.
    """
    if type(value) is not dict:
        raise RecordError("The employee is not an object.", field="(item)", reason="not_an_object")
    number = read_number("employeeNumber", value.get("employeeNumber"))
    if number is None:
        raise _refuse("employeeNumber", "missing", "is missing")
    return Employee(number, read_text("name", value.get("name")))


def read_agreement(value: dict[str, Any]) -> Agreement:
    """The agreement behind the tokens, from ``/self``.

    :raises BrokenResponse: it names no agreement number.
    """
    try:
        number = read_number("agreementNumber", value.get("agreementNumber"))
        company = _parent(value, ("company",)).get("name")
        currency = _parent(value, ("settings",)).get("baseCurrency")
    except RecordError as error:
        raise BrokenResponse(f"/self is not what it should be: {error.message}") from None
    if number is None:
        raise BrokenResponse("/self names no agreement number.")
    return Agreement(
        number,
        read_text("company.name", company) if type(company) is str else None,
        currency if type(currency) is str and _CURRENCY.fullmatch(currency) else None,
    )


def read_totals(value: dict[str, Any]) -> Totals:
    """Count and net sum of all booked invoices, from ``/invoices/totals``.

    :raises BrokenResponse: it has no such numbers.
    """
    try:
        booked = _parent(value, ("booked",))
        count = read_number("booked.invoiceCount", booked.get("invoiceCount"))
        net = read_amount("booked.netAmountInBaseCurrency", booked.get("netAmountInBaseCurrency"))
        unpaid = _parent(booked, ("unpaid",)).get("grossRemainderInBaseCurrency")
        remainder = read_amount("booked.unpaid.grossRemainderInBaseCurrency", unpaid)
    except RecordError as error:
        raise BrokenResponse(f"/invoices/totals is not what it should be: {error.message}") from None
    if count is None or net is None:
        raise BrokenResponse("/invoices/totals lacks the booked count or sum.")
    return Totals(count, net, remainder)
