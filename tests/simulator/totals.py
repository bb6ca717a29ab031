"""Counts and sums over the booked invoices, and who the company is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from simulator.books import Invoice
from simulator.documents import HOST, spell_two
from simulator.ledger import Ledger
from simulator.spoiling import Literal, write_json


def totals_json(ledger: Ledger) -> bytes:
    """Write the totals of all invoices. What "unpaid" means for credit notes was never verified: here, whatever has a remainder."""
    own = f"{HOST}/invoices/totals"
    unpaid = _total(ledger, lambda invoice: invoice.remainder != 0)
    remainder = sum(one.in_base(one.remainder) for one in ledger.invoices.values())
    unpaid["grossRemainderInBaseCurrency"] = Literal(spell_two(remainder))
    booked = _total(ledger, lambda invoice: True) | {
        "paid": _total(ledger, lambda invoice: invoice.remainder == 0),
        "unpaid": unpaid | {"self": f"{own}/booked/unpaid"},
        "self": f"{own}/booked",
    }
    drafts = {"invoiceCount": 0, "netAmountInBaseCurrency": Literal("0.00")}
    return write_json({"drafts": drafts, "booked": booked, "self": own}).encode()


def _total(ledger: Ledger, belongs: Callable[[Invoice], bool]) -> dict[str, Any]:
    chosen = [invoice for invoice in ledger.invoices.values() if belongs(invoice)]
    net = spell_two(sum(one.in_base(one.net) for one in chosen))
    return {"invoiceCount": len(chosen), "netAmountInBaseCurrency": Literal(net)}


def self_json(ledger: Ledger) -> bytes:
    """Write who is asking: agreement, company, application, settings."""
    document = {
        "agreementNumber": ledger.agreement,
        "agreementType": {"agreementTypeNumber": 4, "name": "Standard"},
        "userName": "integration",
        "signupDate": "2016-03-01",
        "user": {"name": "Integration", "email": "integration@example.dk", "language": {"culture": "da-DK"}},
        "company": {"name": ledger.company, "city": "Aarhus C", "country": "Danmark", "zip": "8000"},
        "application": {
            "appNumber": 7001,
            "name": "Invoice sync",
            "requiredRoles": [{"roleNumber": 1, "name": "SuperUser", "self": f"{HOST}/app-roles/1"}],
            "self": f"{HOST}/self",
        },
        "settings": {"baseCurrency": ledger.books.base_currency},
        "canSendElectronicInvoice": True,
        "modules": [],
        "self": f"{HOST}/self",
    }
    return json.dumps(document, ensure_ascii=False).encode()
