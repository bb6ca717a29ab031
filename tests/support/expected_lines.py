"""What the tables of lines should hold, worked out from the simulator's books and from nothing of the package."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from simulator.lines.book import LineBook
from tests.support.invariants import plain

AMOUNTS = {
    "quantity": "quantity",
    "quantity2": "quantity2",
    "unit_net_price": "unitNetPrice",
    "unit_cost_price": "unitCostPrice",
    "recommended_price": "recommendedPrice",
    "discount_percentage": "discountPercentage",
    "vat_rate": "vatRate",
    "vat_amount": "vatAmount",
    "net_amount": "totalNetAmount",
}
OTHERS = {
    "invoice_number": "documentId",
    "line_number": "number",
    "shown_number": "userInterfaceNumber",
    "product_number": "productNumber",
    "unit_number": "unitNumber",
    "unit2_number": "unit2Number",
    "department_number": "departmentNumber",
    "booked_account": "bookedAccount",
    "project_close_account": "projectCloseAccount",
    "accrue": "accrue",
}
DATES = {"accrue_start_date": "accrueStartDate", "accrue_end_date": "accrueEndDate"}
Row = dict[str, Any]
QUERY = "select *, raw_data::text as raw from economic.invoice_line order by invoice_number, line_number"


def expected_line(item: dict[str, Any]) -> Row:
    """Return the row of a line, without its agreement."""
    row: Row = {column: item.get(name) for column, name in OTHERS.items()}
    for column, name in AMOUNTS.items():
        row[column] = Decimal(str(item[name])) if name in item else None
    for column, name in DATES.items():
        row[column] = date.fromisoformat(item[name][:10]) if name in item else None
    return row | {"description": item.get("description") or None, "raw_data": item}


def wrong_lines(rows: list[Row], book: LineBook, agreement: int) -> dict[int, Any]:
    """Return the invoices whose stored lines are not those of the books, with both.

    :param rows: of :data:`QUERY`.
    """
    stored: dict[int, list[Row]] = {}
    for row in rows:
        found = {key: value for key, value in row.items() if key != "raw"}
        if found.pop("agreement_number") == agreement:
            found["raw_data"] = plain(row["raw"])
            stored.setdefault(found["invoice_number"], []).append(found)
    wrong: dict[int, Any] = {}
    with book.ledger.lock:
        for number in sorted({*book.ledger.numbers, *stored}):
            items = book.items(number) if number in book.ledger.invoices else []
            expected = sorted(map(expected_line, items), key=lambda line: line["line_number"])
            if stored.get(number, []) != expected:
                wrong[number] = stored.get(number, []), expected
    return wrong
