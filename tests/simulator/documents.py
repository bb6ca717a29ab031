"""Invoices and employees written as the API writes them: absent keys, spellings of numbers and all."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from simulator import vocabulary
from simulator.books import Customer, Employee, Invoice
from simulator.dice import Dice

HOST = (
    "https://restapi.e-conomic.com"  # in the links of entities, so that a free port changes no byte of them
)

_FACTS = attrgetter(*(one.name for one in fields(Invoice)))
quoted = json.JSONEncoder(ensure_ascii=False).encode
OLDEST = 0


def spell_short(amount: int) -> str:
    """Write 70.0, 12.5, 12.34: as the older answers do."""
    whole, cents = divmod(abs(amount), 100)
    tail = f"{cents:02d}"
    return f"{'-' if amount < 0 else ''}{whole}.{tail[0] if tail[1] == '0' else tail}"


def spell_two(amount: int) -> str:
    """Write 70.00."""
    whole, cents = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{cents:02d}"


def spell_eight(amount: int) -> str:
    """Write 25.00000000."""
    return f"{spell_two(amount)}000000"


def spell_rate(rate: int, *, short: bool) -> str:
    """Write 100.0 or 746.150000: the price of 100 units."""
    text = f"{rate // 1_000_000}.{rate % 1_000_000:06d}"
    return (
        f"{text.rstrip('0')}0" if short and text.endswith("000000") else text.rstrip("0") if short else text
    )


@lru_cache(maxsize=16384)
def recipient_json(customer: Customer, age: int) -> str:
    """Write the recipient as it was printed when the invoice was booked."""
    parts = [f'"recipient":{{"name":{quoted(customer.former_name if age < 2 else customer.name)}']
    if customer.address:
        parts.append(f'"address":{quoted(customer.address)}')
    parts += [f'"zip":"{customer.zip}"', f'"city":{quoted(customer.city)}', f'"country":"{customer.country}"']
    if customer.ean:
        parts.append(f'"ean":"{customer.ean}"')
    if customer.cvr and age > 1:
        parts.append(f'"cvr":"{customer.cvr}"')
    if age > 3:
        parts.append(f'"mobilePhone":"{20_000_000 + customer.number}"')
    zone = (
        (1, "Domestic")
        if customer.country == "Danmark"
        else (2, "EU")
        if customer.currency != "USD"
        else (3, "Abroad")
    )
    extra = f'"name":"{zone[1]}","enabledForCustomer":true,"enabledForSupplier":true,' if age > OLDEST else ""
    number = f'"vatZoneNumber":{zone[0]},'
    parts.append(f'"vatZone":{{{extra}{number}"self":"{HOST}/vat-zones/{zone[0]}"}}}}')
    return ",".join(parts)


@lru_cache(maxsize=256)
def terms_json(terms: vocabulary.Terms, age: int) -> str:
    """Write the terms of payment; an agreed date has no days of credit."""
    days = "" if terms.days is None else f'"daysOfCredit":{terms.days},'
    description = f'"description":{quoted(terms.name)},' if age > 1 else ""
    return (
        f'"paymentTerms":{{"paymentTermsNumber":{terms.number},{days}{description}"name":{quoted(terms.name)},'
        f'"paymentTermsType":"{terms.kind}","self":"{HOST}/payment-terms/{terms.number}"}}'
    )


def notes_json(invoice: Invoice, dice: Dice) -> str:
    kind = dice.below(10)
    if kind == 0:
        return ""
    heading = dice.pick(vocabulary.HEADINGS) if invoice.net >= 0 else f"Kreditnota til {invoice.number - 1}"
    second = (
        ""
        if kind < 7
        else f',"textLine1":{quoted(f"Ordre nr. {1000 + invoice.index}{chr(13)}{chr(10)}Tak!")}'
    )
    third = ',"textLine2":"Betales til reg. 1234\\r\\nkonto 0001234567"' if kind == 9 else ""
    return f',"notes":{{"heading":{quoted(heading)}{second}{third}}}'


def references_json(invoice: Invoice, dice: Dice) -> str:
    parts = []
    if dice.chance(250):
        contact = invoice.customer.number * 10 + 1
        link = f"{HOST}/customers/{invoice.customer.number}/contacts/{contact}"
        parts.append(f'"customerContact":{{"customerContactNumber":{contact},"self":"{link}"}}')
    if invoice.sales_person is not None:
        link = f"{HOST}/employees/{invoice.sales_person}"
        parts.append(f'"salesPerson":{{"employeeNumber":{invoice.sales_person},"self":"{link}"}}')
    if dice.chance(12):
        parts.append(f'"vendorReference":{{"employeeNumber":1,"self":"{HOST}/employees/1"}}')
    if dice.chance(350):
        kind, number = dice.pick(vocabulary.REFERENCES), dice.below(90000)
        parts.append(f'"other":{quoted(kind if kind in vocabulary.CHANNELS else f"{kind}{number}")}')
    return f',"references":{{{",".join(parts)}}}' if parts else ""


def invoice_json(invoice: Invoice, seed: int) -> str:
    """Write the invoice as an item of a listing."""
    return _invoice_json(_FACTS(invoice), seed)


@lru_cache(maxsize=4096)  # one process of tests starts hundreds of simulators with the same books
def _invoice_json(facts: tuple[Any, ...], seed: int) -> str:
    invoice = Invoice(*facts)
    dice = Dice(seed, "document", invoice.index)
    amount = spell_short if invoice.age < 2 else spell_two
    vat = spell_eight if invoice.age == 3 and dice.chance(200) else amount
    order = f'"orderNumber":{1000 + invoice.index},' if invoice.age > OLDEST else ""
    due = f'"dueDate":"{invoice.due}",' if invoice.due else ""
    gross_base, net_base = invoice.in_base(invoice.gross), invoice.in_base(invoice.net)
    # "The rounding error, if any, in base currency": what separate rounding leaves over.
    rounding = gross_base - net_base - invoice.in_base(invoice.vat)
    layout = 19 + invoice.age % 3
    delivery = ""
    if dice.chance(60):
        delivery = (
            f'"delivery":{{"address":"Rampe 4\\nPort Ø","city":"Køge","deliveryDate":"{invoice.date}"}},'
        )
    project = ""
    if dice.chance(15):
        number = 1 + dice.below(40)
        project = f',"project":{{"projectNumber":{number},"self":"{HOST}/projects/{number}"}}'
    own = f"{HOST}/invoices/booked/{invoice.number}"
    return (
        f'{{"bookedInvoiceNumber":{invoice.number},{order}"date":"{invoice.date}","currency":"{invoice.currency}",'
        f'"exchangeRate":{spell_rate(invoice.rate, short=invoice.age < 2)},"netAmount":{amount(invoice.net)},'
        f'"netAmountInBaseCurrency":{amount(net_base)},"grossAmount":{amount(invoice.gross)},'
        f'"grossAmountInBaseCurrency":{amount(gross_base)},"vatAmount":{vat(invoice.vat)},'
        f'"roundingAmount":{amount(rounding)},"remainder":{amount(invoice.remainder)},'
        f'"remainderInBaseCurrency":{amount(invoice.in_base(invoice.remainder))},{due}'
        f"{terms_json(invoice.terms, invoice.age)},"
        f'"customer":{{"customerNumber":{invoice.customer.number},"self":"{HOST}/customers/{invoice.customer.number}"}},'
        f"{recipient_json(invoice.customer, invoice.age)}{notes_json(invoice, dice)}{references_json(invoice, dice)},"
        f'{delivery}"layout":{{"layoutNumber":{layout},"self":"{HOST}/layouts/{layout}"}}{project},'
        f'"pdf":{{"download":"{own}/pdf"}},"sent":"{own}/sent","self":"{own}"}}'
    )


def employee_json(employee: Employee) -> str:
    """Write an employee; `barred` is left out where it is false. The link paths are not documented."""
    own = f"{HOST}/employees/{employee.number}"
    email = f'"email":{quoted(employee.email)},' if employee.email else ""
    phone = f'"phone":{quoted(employee.phone)},' if employee.phone else ""
    return (
        f'{{"employeeNumber":{employee.number},"employeeGroup":{{"employeeGroupNumber":{employee.group},'
        f'"self":"{HOST}/employee-groups/{employee.group}"}},"name":{quoted(employee.name)},{email}{phone}'
        f'{chr(34) + "barred" + chr(34) + ":true," if employee.barred else ""}"customers":"{own}/customers",'
        f'"draftInvoices":"{own}/invoices/drafts","bookedInvoices":"{own}/invoices/booked","self":"{own}"}}'
    )
