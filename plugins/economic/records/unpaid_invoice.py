"""What is left to pay of an invoice, from the items of ``/invoices/unpaid``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from economic.records.decoder import RawItem
from economic.records.fitting import MOST_DIGITS, Number, fit, missing, read_amount


class UnpaidInvoice(NamedTuple):
    """An invoice's number and remainder, in its currency and in the agreement's base currency."""

    invoice_number: int
    remainder: Decimal
    remainder_base: Decimal | None


class _Unpaid(Struct, rename="camel"):
    booked_invoice_number: Number | None = None
    remainder: Any = None
    remainder_in_base_currency: Any = None


_decoder = Decoder(_Unpaid, float_hook=Decimal)


def parse_unpaid_invoice(item: RawItem) -> UnpaidInvoice:
    """Parse one item. Its other fields are not read: published schemas leave some of them out.

    :raises RecordError: it has no number or no remainder.
    """
    unpaid = _decode(item)
    remainder = read_amount("remainder", unpaid.remainder)
    if unpaid.booked_invoice_number is None or remainder is None:
        raise missing("bookedInvoiceNumber" if remainder is not None else "remainder")
    base = read_amount("remainderInBaseCurrency", unpaid.remainder_in_base_currency)
    return UnpaidInvoice(unpaid.booked_invoice_number, remainder, base)


def _decode(item: RawItem) -> _Unpaid:
    if len(item.encoded) <= MOST_DIGITS:
        try:
            return _decoder.decode(item.encoded)
        except (MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError):
            # Something in the item is unusual: the slower reader names it.
            pass
    return fit(item.decode_object(), _Unpaid, frozenset({"bookedInvoiceNumber"}))[0]
