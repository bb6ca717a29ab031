"""What the table should hold, worked out from the simulator's ledger and from nothing of the package."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

AMOUNTS = {
    "exchange_rate": "exchangeRate",
    "net_amount": "netAmount",
    "vat_amount": "vatAmount",
    "gross_amount": "grossAmount",
    "remainder": "remainder",
    "net_amount_base": "netAmountInBaseCurrency",
    "gross_amount_base": "grossAmountInBaseCurrency",
    "remainder_base": "remainderInBaseCurrency",
    "rounding_amount": "roundingAmount",
}
OTHERS = {
    "invoice_number": "bookedInvoiceNumber",
    "order_number": "orderNumber",
    "currency": "currency",
    "customer_number": "customer.customerNumber",
    "customer_name": "recipient.name",
    "recipient_address": "recipient.address",
    "recipient_zip": "recipient.zip",
    "recipient_city": "recipient.city",
    "recipient_country": "recipient.country",
    "recipient_ean": "recipient.ean",
    "recipient_cvr": "recipient.cvr",
    "vat_zone_number": "recipient.vatZone.vatZoneNumber",
    "subject": "notes.heading",
    "external_reference": "references.other",
    "employee_number": "references.salesPerson.employeeNumber",
    "vendor_employee_number": "references.vendorReference.employeeNumber",
    "payment_terms_number": "paymentTerms.paymentTermsNumber",
    "payment_terms_name": "paymentTerms.name",
    "payment_terms_type": "paymentTerms.paymentTermsType",
    "days_of_credit": "paymentTerms.daysOfCredit",
    "project_number": "project.projectNumber",
    "layout_number": "layout.layoutNumber",
    "pdf_url": "pdf.download",
}


KEYS = {path: tuple(path.split(".")) for path in (*AMOUNTS.values(), *OTHERS.values())}


def at(item: dict[str, Any], path: str) -> Any:
    value: Any = item
    for key in KEYS.get(path) or path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def expected_row(item: dict[str, Any], employees: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """One row of `invoice` (its facts, not its bookkeeping columns) from one true item."""
    row = {column: at(item, path) for column, path in OTHERS.items()}
    row |= {
        column: None if at(item, path) is None else Decimal(at(item, path))
        for column, path in AMOUNTS.items()
    }
    for column, key in (("invoice_date", "date"), ("due_date", "dueDate")):
        row[column] = None if at(item, key) is None else date.fromisoformat(at(item, key))
    known = employees.get(row["employee_number"]) if row["employee_number"] is not None else None
    return row | {"employee_name": known and known["name"]}
