"""e-conomic's own totals of the booked invoices, from ``/invoices/totals``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import Struct

from economic.errors import BrokenResponse, RecordError
from economic.records.decoder import decode_document
from economic.records.fitting import Number, fit, read_amount

__all__ = ["Totals"]


class Totals(NamedTuple):
    """e-conomic's count and net sum of all booked invoices, and what is unpaid of them.

    Amounts are in base currency. What is unpaid may be absent. Whether it counts unmatched credit
    notes is unconfirmed.
    """

    invoice_count: int
    net_amount_base: Decimal
    remainder_base: Decimal | None = None
    unpaid_count: int | None = None


class _Unpaid(Struct, rename="camel"):
    invoice_count: Number | None = None
    gross_remainder_in_base_currency: Any = None


class _Booked(Struct, rename="camel"):
    invoice_count: Number | None = None
    net_amount_in_base_currency: Any = None
    unpaid: _Unpaid | None = None


class _Totals(Struct):
    booked: _Booked | None = None


def parse_totals(body: bytes) -> Totals:
    """Parse the answer of ``/invoices/totals``.

    :raises BrokenResponse: the count or the sum is missing, or a number is not a number.
    """
    try:
        document, _ = fit(decode_document(body), _Totals, frozenset({"booked", "booked.invoiceCount"}))
        booked = document.booked or _Booked()
        unpaid = booked.unpaid or _Unpaid()
        net = read_amount("booked.netAmountInBaseCurrency", booked.net_amount_in_base_currency)
        remainder = read_amount(
            "booked.unpaid.grossRemainderInBaseCurrency", unpaid.gross_remainder_in_base_currency
        )
    except RecordError as error:
        raise BrokenResponse(f"/invoices/totals is not what it should be: {error.message}") from None
    if booked.invoice_count is None or net is None:
        raise BrokenResponse("/invoices/totals lacks the booked count or sum.")
    return Totals(booked.invoice_count, net, remainder, unpaid.invoice_count)
