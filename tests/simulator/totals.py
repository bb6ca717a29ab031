"""Counts and sums over the booked invoices, and the documents that describe the company."""

from __future__ import annotations

import json
from typing import Any

from simulator.books import Invoice
from simulator.documents import HOST, spell_two
from simulator.ledger import Ledger
from simulator.resources import VIEWS
from simulator.spoiling import Literal, write_json

TOTALS = f"{HOST}/invoices/totals"
PATHS = {
    "/invoices/totals": "",
    "/invoices/totals/drafts": "drafts",
    "/invoices/totals/booked": "booked",
    "/invoices/totals/booked/paid": "paid",
    "/invoices/totals/booked/unpaid": "unpaid",
    "/invoices/totals/booked/unpaid/overdue": "overdue",
    "/invoices/totals/booked/unpaid/not-overdue": "not-due",
}


def totals_json(ledger: Ledger, path: str) -> bytes:
    """Write the totals of a view, or the tree of all of them."""
    view = PATHS[path]
    own = {"self": f"{HOST}{path}"}
    if view == "drafts":
        return write_json(_drafts() | own).encode()
    if view == "booked":
        dates = sorted(invoice.date for invoice in ledger.invoices.values())
        span = {"minDate": dates[0], "maxDate": dates[-1]} if dates else {}
        links = {name: f"{TOTALS}/booked/{name}" for name in ("employees", "customers", "paid", "unpaid")}
        return write_json(_total(ledger, "booked") | span | links | own).encode()
    if view:
        return write_json(_total(ledger, view) | own).encode()
    unpaid = _total(ledger, "unpaid") | {
        "overdue": _total(ledger, "overdue"),
        "notOverdue": _total(ledger, "not-due"),
        "self": f"{TOTALS}/booked/unpaid",
    }
    booked = _total(ledger, "booked") | {"paid": _total(ledger, "paid"), "unpaid": unpaid}
    tree = {"drafts": _drafts(), "booked": booked | {"self": f"{TOTALS}/booked"}}
    return write_json(tree | own).encode()


def _drafts() -> dict[str, Any]:
    return {"invoiceCount": 0, "netAmountInBaseCurrency": Literal("0.00")}


def _total(ledger: Ledger, view: str) -> dict[str, Any]:
    today = ledger.today().isoformat()
    belongs = VIEWS[view]
    chosen: list[Invoice] = [invoice for invoice in ledger.invoices.values() if belongs(invoice, today)]
    total: dict[str, Any] = {
        "invoiceCount": len(chosen),
        "netAmountInBaseCurrency": Literal(spell_two(sum(one.in_base(one.net) for one in chosen))),
    }
    if view in ("unpaid", "overdue", "not-due"):
        remainder = sum(one.in_base(one.remainder) for one in chosen)
        total["grossRemainderInBaseCurrency"] = Literal(spell_two(remainder))
    return total


def index_json() -> bytes:
    """Write the index of the invoice resources."""
    names = {"drafts": "drafts", "booked": "booked", "paid": "paid", "unpaid": "unpaid", "overdue": "overdue",
             "notDue": "not-due", "sent": "sent", "totals": "totals"}  # fmt: skip
    links = {name: f"{HOST}/invoices/{path}" for name, path in names.items()}
    return json.dumps(links | {"self": f"{HOST}/invoices"}).encode()


def self_json(ledger: Ledger) -> bytes:
    """Write who is asking: agreement, company, application, settings."""
    document = {
        "agreementNumber": ledger.agreement,
        "agreementType": {"agreementTypeNumber": 4, "name": "Standard"},
        "userName": "integration",
        "userLoginId": "integration",
        "signupDate": "2016-03-01",
        "user": {"name": "Integration", "email": "integration@example.dk", "language": {"culture": "da-DK"}},
        "company": {"name": ledger.company, "city": "Aarhus C", "country": "Danmark", "zip": "8000"},
        "bankInformation": {"bankName": "Prøvebanken", "pbsFiGroupNumber": ""},
        "application": {
            "appNumber": 7001,
            "name": "Invoice sync",
            "appPublicToken": "simulated",
            "created": "2025-01-02T08:00:00Z",
            "requiredRoles": [{"roleNumber": 1, "name": "SuperUser", "self": f"{HOST}/app-roles/1"}],
            "self": f"{HOST}/self",
        },
        "settings": {"baseCurrency": ledger.books.base_currency},
        "companyAffiliation": "economic",
        "canSendElectronicInvoice": True,
        "modules": [],
        "self": f"{HOST}/self",
    }
    return json.dumps(document, ensure_ascii=False).encode()
