"""The physical limit: fetch the same pages, parse them with exact decimals, one COPY into a temporary table, one upsert.

It stores what the sync stores (the typed columns and the raw item) and checks nothing: no paging checks, no validation, no resume, no isolation of bad
rows, no history, no lease, no progress. Nothing that keeps the same copy can cost less by much.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import requests

from economic.records.invoice import Invoice

PAGE = 1000
COLUMNS = tuple(field for field in Invoice._fields if field != "digest")
PATHS = tuple(
    tuple(name.split("."))
    for name in [
        "bookedInvoiceNumber",
        "orderNumber",
        "date",
        "dueDate",
        "currency",
        "exchangeRate",
        "netAmount",
        "vatAmount",
        "grossAmount",
        "remainder",
        "netAmountInBaseCurrency",
        "grossAmountInBaseCurrency",
        "remainderInBaseCurrency",
        "roundingAmount",
        "customer.customerNumber",
        "recipient.name",
        "recipient.address",
        "recipient.zip",
        "recipient.city",
        "recipient.country",
        "recipient.ean",
        "recipient.cvr",
        "recipient.vatZone.vatZoneNumber",
        "notes.heading",
        "references.other",
        "references.salesPerson.employeeNumber",
        "references.vendorReference.employeeNumber",
        "paymentTerms.paymentTermsNumber",
        "paymentTerms.name",
        "paymentTerms.paymentTermsType",
        "paymentTerms.daysOfCredit",
        "project.projectNumber",
        "layout.layoutNumber",
        "pdf.download",
    ]
)
"""Where the values of the columns are in an item, in the columns' order."""
TYPES = {
    "invoice_date": "date",
    "due_date": "date",
    "raw_data": "jsonb",
}
_TEXT = {
    "currency", "customer_name", "recipient_address", "recipient_zip", "recipient_city", "recipient_country", "recipient_ean",
    "recipient_cvr", "subject", "external_reference", "payment_terms_name", "payment_terms_type", "pdf_url",
}  # fmt: skip


class _Page(msgspec.Struct):
    collection: list[msgspec.Raw]


_page = msgspec.json.Decoder(_Page)
_quick = msgspec.json.Decoder(float_hook=Decimal)


def sql_type(column: str) -> str:
    """The type of a column of the bare table."""
    if column in TYPES:
        return TYPES[column]
    if column in _TEXT:
        return "text"
    return "bigint" if column.endswith("_number") or column == "days_of_credit" else "numeric"


def table(connection: psycopg.Connection[Any]) -> None:
    """Make the bare table."""
    columns = ", ".join(f"{column} {sql_type(column)}" for column in COLUMNS)
    connection.execute(
        f"create table if not exists bare_invoice ({columns}, primary key (invoice_number)) with (fillfactor = 80)".encode()
    )


def pages(base_url: str, headers: dict[str, str]) -> Iterator[bytes]:
    """The bodies of all pages, by number."""
    with requests.Session() as session:
        session.headers.update(headers)
        last = 0
        while True:
            parameters = {
                "pagesize": str(PAGE),
                "sort": "bookedInvoiceNumber",
                "filter": f"bookedInvoiceNumber$gt:{last}",
            }
            body = session.get(f"{base_url}/invoices/booked", params=parameters, timeout=60).content
            yield body
            # The last item's number, without parsing the page twice.
            found = body.rfind(b'"bookedInvoiceNumber":')
            if found < 0:
                return
            last = int(body[found + 22 :].split(b",", 1)[0].split(b"}", 1)[0])


def items(body: bytes) -> Iterator[tuple[dict[str, Any], str]]:
    """The items of a page with their own text, by the fastest parser that is known to keep decimals exact."""
    for raw in _page.decode(body).collection:
        yield _quick.decode(raw), bytes(raw).decode()


def row(value: dict[str, Any], raw: str) -> list[Any]:
    """The columns of an item, as they come."""
    found = []
    for path in PATHS:
        inner: Any = value
        for key in path:
            inner = inner.get(key)
            if inner is None:
                break
        found.append(inner)
    found.append(raw)
    return found


def load(dsn: str, base_url: str, headers: dict[str, str]) -> None:
    """One load of everything."""
    names = ", ".join(COLUMNS)
    others = [column for column in COLUMNS if column != "invoice_number"]
    with psycopg.connect(dsn) as connection:
        connection.execute("create temporary table incoming (like bare_invoice) on commit drop")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy incoming ({names}) from stdin".encode()) as copy,
        ):
            for body in pages(base_url, headers):
                for value, raw in items(body):
                    copy.write_row(row(value, raw))
        connection.execute(
            f"""insert into bare_invoice as held ({names}) select {names} from incoming
            on conflict (invoice_number) do update set {", ".join(f"{c} = excluded.{c}" for c in others)}
            where ({", ".join(f"held.{c}" for c in others)}) is distinct from ({", ".join(f"excluded.{c}" for c in others)})
            """.encode()
        )
