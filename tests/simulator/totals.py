"""Counts and sums over the booked invoices, and who the company is."""

from __future__ import annotations

import json
from typing import Any

from simulator.documents import HOST, spell_two
from simulator.ledger import Ledger
from simulator.spoiling import Literal, write_json


def totals_json(ledger: Ledger) -> bytes:
    """Write the totals of all invoices: unpaid is what `/invoices/unpaid` lists, paid is the rest."""
    own = f"{HOST}/invoices/totals"
    unpaid = [ledger.invoices[number] for number in ledger.unpaid()]
    net = sum(one.in_base(one.net) for one in unpaid)
    remainder = Literal(spell_two(sum(one.in_base(one.remainder) for one in unpaid)))
    booked = _total(len(ledger.numbers), ledger.net) | {
        "paid": _total(len(ledger.numbers) - len(unpaid), ledger.net - net),
        "unpaid": _total(len(unpaid), net)
        | {"grossRemainderInBaseCurrency": remainder, "self": f"{own}/booked/unpaid"},
        "self": f"{own}/booked",
    }
    return write_json({"drafts": _total(0, 0), "booked": booked, "self": own}).encode()


def _total(count: int, net: int) -> dict[str, Any]:
    return {"invoiceCount": count, "netAmountInBaseCurrency": Literal(spell_two(net))}


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
