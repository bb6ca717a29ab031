"""Lines of booked invoices: the row made from an item, and why an item is rejected.

Members and limits: specification of Q2C 5.3.0, ``GET /invoices/booked/lines``. It requires no
member, and leaves out what is not set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder
from msgspec.structs import fields

from economic.errors import RecordError
from economic.records.decoder import RawItem, write_json
from economic.records.fitting import (
    HIGHEST,
    LOWEST,
    MOST_DIGITS,
    Number,
    Text,
    fit,
    missing,
    read_amount,
    storable,
    text_or_none,
)

_COPENHAGEN = ZoneInfo("Europe/Copenhagen")


class InvoiceLine(NamedTuple):
    """One line; the fields are columns of ``invoice_line``. Amounts are in the invoice's
    currency.
    """

    invoice_number: int
    line_number: int
    shown_number: int | None
    product_number: str | None
    description: str | None
    quantity: Decimal | None
    quantity2: Decimal | None
    unit_number: int | None
    unit2_number: int | None
    unit_net_price: Decimal | None
    unit_cost_price: Decimal | None
    recommended_price: Decimal | None
    discount_percentage: Decimal | None
    vat_rate: Decimal | None
    vat_amount: Decimal | None
    net_amount: Decimal | None
    department_number: int | None
    booked_account: int | None
    project_close_account: int | None
    accrue: bool | None
    accrue_start_date: date | None
    accrue_end_date: date | None
    raw_data: str


class _Line(Struct, rename="camel", gc=False):
    """The members that are read. Those of type Any are amounts, in the order of the columns."""

    document_id: Number | None = None
    number: Number | None = None
    user_interface_number: Number | None = None
    product_number: Text | None = None
    description: Text | None = None
    quantity: Any = None
    quantity2: Any = None
    unit_number: Number | None = None
    unit2_number: Number | None = None
    unit_net_price: Any = None
    unit_cost_price: Any = None
    recommended_price: Any = None
    discount_percentage: Any = None
    vat_rate: Any = None
    vat_amount: Any = None
    total_net_amount: Any = None
    department_number: Number | None = None
    booked_account: Number | None = None
    project_close_account: Number | None = None
    accrue: bool | None = None
    accrue_start_date: Text | None = None
    accrue_end_date: Text | None = None


_AMOUNTS = {field.name: field.encode_name for field in fields(_Line) if field.type is Any}
_amounts = attrgetter(*_AMOUNTS)
_decoder = Decoder(_Line, float_hook=Decimal)


def invoice_of_line(item: RawItem) -> int | None:
    """Return the number of the invoice that a line belongs to, or None."""
    try:
        value = {"documentId": item.decode_object().get("documentId")}
        return fit(value, _Line)[0].document_id
    except RecordError:
        return None


def parse_line(item: RawItem) -> InvoiceLine:
    """Parse one item.

    :raises RecordError: a member is unusable, or there is no number.
    """
    decoded, raw = _decode(item)
    if decoded.document_id is None or decoded.number is None:
        raise missing("documentId" if decoded.document_id is None else "number")
    amounts: Sequence[Any] = _amounts(decoded)
    for amount in amounts:
        if amount is not None and (type(amount) is not Decimal or not LOWEST <= amount.adjusted() <= HIGHEST):
            amounts = [read_amount(*one) for one in zip(_AMOUNTS.values(), amounts, strict=True)]
            break
    # Positional, in the order of the columns, because this runs for every line.
    return InvoiceLine._make(
        (
            decoded.document_id,
            decoded.number,
            decoded.user_interface_number,
            text_or_none(decoded.product_number),
            text_or_none(decoded.description),
            *amounts[:2],
            decoded.unit_number,
            decoded.unit2_number,
            *amounts[2:],
            decoded.department_number,
            decoded.booked_account,
            decoded.project_close_account,
            decoded.accrue,
            _day("accrueStartDate", decoded.accrue_start_date),
            _day("accrueEndDate", decoded.accrue_end_date),
            raw,
        )
    )


def _decode(item: RawItem) -> tuple[_Line, str]:
    encoded = item.encoded
    if len(encoded) <= MOST_DIGITS and b"\\u" not in encoded:
        try:
            return _decoder.decode(encoded), encoded.decode()
        except (MsgspecError, ArithmeticError, UnicodeDecodeError, RecursionError):
            # Something in the item is unusual: the slower reader names it.
            pass
    value = item.decode_object()
    try:
        copy = storable(value, "", [])
        raw = write_json(copy)
    except RecursionError:
        raise RecordError("The item is nested too deeply.", field="(item)", reason="not_readable") from None
    decoded, unfit = fit(copy, _Line)
    if unfit:
        raise unfit[0].error()
    return decoded, raw


def _day(name: str, text: str | None) -> date | None:
    """Return the day of a date-time.

    e-conomic does not say of which zone it is: midnight is taken as it stands, any other time of a
    named zone as a moment in Denmark.

    :raises RecordError: it is none.
    """
    if text is None or not text or text.isspace():
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and moment.time() != time():
            moment = moment.astimezone(_COPENHAGEN)
    except (ValueError, OverflowError):
        raise RecordError(f"{name} is not a date.", field=name, reason="not_a_date") from None
    return moment.date()
