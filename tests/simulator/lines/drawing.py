"""The lines of an invoice: the same for the same books, and they add up to its net amount to the last decimal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from simulator.books import Invoice
from simulator.dice import Dice
from simulator.documents import quoted, spell_two

WARES = 500
TEN_THOUSANDTHS = 100  # a hundredth of the currency has so many
QUANTITIES = (100, 100, 200, 150, 25, 1000, 1275, 333)  # hundredths
UNITS = (1, 2, 7)
DEPARTMENTS = (1, 2, 40)
PRODUCTS = ("1", "VARE-7", "Ø-102", "TIME.1", "fragt/DK")
DESCRIPTIONS = ("Konsulenttimer", "Fragt & emballage", 'Skærm 27" "Nordlys"', "Ærter, frosne", "Køb i alt")
TEXTS = ("Efter aftale med Åse", "Levering uge 3\\nPort Ø", "")


def lines_json(invoice: Invoice, seed: int, count: int) -> list[bytes]:
    """Write so many lines of an invoice, by the number shown; one in some is text without amounts."""
    texts = {at for at in range(1, count) if (invoice.index + 3 * at) % 7 == 0}
    amounts = _split(invoice, count - len(texts))
    return [
        (_text_json(invoice, at) if at in texts else _sale_json(invoice, seed, at, next(amounts))).encode()
        for at in range(count)
    ]


def line_number(invoice: Invoice, at: int) -> int:
    """Return a number that is unique within its invoice only, and is not the one shown."""
    return 7 * at + 1 + invoice.index % 5


def _split(invoice: Invoice, parts: int) -> Iterator[int]:
    """Split the net amount into ten thousandths that add up to it; in one of five invoices they are no whole hundredths."""
    grain = 1 if invoice.index % 5 == 4 else TEN_THOUSANDTHS
    left = invoice.net * TEN_THOUSANDTHS
    for remaining in range(parts, 1, -1):
        # The first is the largest.
        part = left // (2 if remaining == parts else remaining) // grain * grain
        left -= part
        yield part
    yield left


def _spelled(value: int, decimals: int) -> str:
    whole, fraction = divmod(abs(value), 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0")
    return f"{'-' if value < 0 else ''}{whole}.{digits or '0'}"


def _head(invoice: Invoice, at: int) -> str:
    number = line_number(invoice, at)
    rate = invoice.customer.vat_percent
    return (
        f'{{"documentId":{invoice.number},"number":{number},"userInterfaceNumber":{at + 1},"vatRate":{rate}.0'
    )


def _text_json(invoice: Invoice, at: int) -> str:
    text = TEXTS[invoice.index % len(TEXTS)]
    return f'{_head(invoice, at)},"description":"{text}","accrue":false}}'


def _sale_json(invoice: Invoice, seed: int, at: int, amount: int) -> str:
    quantity, ware = _ware(seed, (invoice.index * 31 + at * 17) % WARES)
    price = amount * 10_000 // quantity  # millionths
    vat = (abs(amount) * invoice.customer.vat_percent + 5000) // 10_000 * (-1 if amount < 0 else 1)
    if (invoice.index + at) % 17:
        accrued = '"accrue":false'
    else:
        accrued = f'"accrue":true,"accrueStartDate":"{invoice.date}T00:00:00Z","accrueEndDate":"2027-12-31T00:00:00Z"'
    return (
        f'{_head(invoice, at)},{ware},"unitNetPrice":{_spelled(price, 6)},"unitCostPrice":{price // 2_000_000}.5,'
        f'"vatAmount":{spell_two(vat)},"totalNetAmount":{_spelled(amount, 4)},{accrued}}}'
    )


@lru_cache(maxsize=8 * WARES)
def _ware(seed: int, which: int) -> tuple[int, str]:
    """Draw what a line sells, and how much of it. There are some hundred, so that a page is written quickly."""
    dice = Dice(seed, "ware", which)
    quantity = dice.pick(QUANTITIES)
    parts = [f'"description":{quoted(dice.pick(DESCRIPTIONS))},"quantity":{_spelled(quantity, 2)}']
    if dice.chance(850):
        parts.append(f'"productNumber":{quoted(dice.pick(PRODUCTS))}')
    if dice.chance(100):
        parts.append('"quantity2":12.5,"unit2Number":2,"recommendedPrice":99.95,"projectCloseAccount":3010')
    if dice.chance(300):
        parts.append(f'"discountPercentage":{dice.pick(("10.0", "12.5", "33.333333"))}')
    if dice.chance(400):
        parts.append(f'"departmentNumber":{dice.pick(DEPARTMENTS)}')
    parts.append(f'"unitNumber":{dice.pick(UNITS)},"bookedAccount":{1010 + 10 * dice.below(4)}')
    return quantity, ",".join(parts)
