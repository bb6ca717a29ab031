"""The measured ways to load all invoices, each load in its own process.

*limit* fetches the same pages, parses them with exact decimals, and needs one COPY and one upsert. It stores what the
sync stores and checks nothing. Nothing that keeps the same copy can cost much less.
*row by row* is the replaced system: a select, then an insert or an update, one transaction an invoice.
*quick* is a quick sync. *ours* is the three tasks' work, each on its own connections, without the pauses between requests.
*lines* is a run that reads lines, and *limit of lines* the same at the least cost.

Processes of *ours* are forked from one that has Airflow imported, as Airflow's own are; those of the limits begin bare.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec
import psycopg
import requests

from dev import syncs
from dev.bench.measure import measured
from economic.client.responses import LINES_PATH
from economic.lines.invoice_line import InvoiceLine
from economic.records.invoice import Invoice

Load = Callable[[str, str, dict[str, str]], None]
Kind = Callable[[Callable[[], psycopg.Connection[Any]], str, str], dict[str, Any]]
CONN_ID = "economic_default"
_PAUSE_ROW_BY_ROW = 0.1
_COLUMNS = tuple(field for field in Invoice._fields if field != "digest")
_NAMES = ", ".join(_COLUMNS)
# Where an item has the columns' values, in the columns' order.
_FIELDS = """
    bookedInvoiceNumber orderNumber date dueDate currency exchangeRate netAmount vatAmount grossAmount remainder
    netAmountInBaseCurrency grossAmountInBaseCurrency remainderInBaseCurrency roundingAmount
    customer.customerNumber recipient.name recipient.address recipient.zip recipient.city recipient.country
    recipient.ean recipient.cvr recipient.vatZone.vatZoneNumber notes.heading references.other
    references.salesPerson.employeeNumber references.vendorReference.employeeNumber
    paymentTerms.paymentTermsNumber paymentTerms.name paymentTerms.paymentTermsType paymentTerms.daysOfCredit
    project.projectNumber layout.layoutNumber pdf.download
"""
_LINE_NAMES = ", ".join(InvoiceLine._fields)
_LINE_FIELDS = """
    documentId number userInterfaceNumber productNumber description quantity quantity2 unitNumber unit2Number
    unitNetPrice unitCostPrice recommendedPrice discountPercentage vatRate vatAmount totalNetAmount
    departmentNumber bookedAccount projectCloseAccount accrue accrueStartDate accrueEndDate
"""
_PATHS = [name.split(".") for name in _FIELDS.split()]


class _Page(msgspec.Struct):
    collection: list[msgspec.Raw]


class _LinePage(msgspec.Struct):
    items: list[msgspec.Raw]
    cursor: str | None = None


_page = msgspec.json.Decoder(_Page)
_line_page = msgspec.json.Decoder(_LinePage)
_quick = msgspec.json.Decoder(float_hook=Decimal)


def create_table(connection: psycopg.Connection[Any]) -> None:
    """Create the table of *limit* and *row by row*, with the column types of the product's table."""
    connection.execute(
        f"create table bare_invoice with (fillfactor = 80) as select {_NAMES} from economic.invoice".encode()
    )
    connection.execute("alter table bare_invoice add primary key (invoice_number)")


def pages(base_url: str, headers: dict[str, str]) -> Iterator[bytes]:
    """Yield the bodies of all pages, by number."""
    with requests.Session() as session:
        session.headers.update(headers)
        last = 0
        while True:
            parameters = {"pagesize": str(syncs.PAGE), "sort": "bookedInvoiceNumber"}
            parameters["filter"] = f"bookedInvoiceNumber$gt:{last}"
            body = session.get(f"{base_url}/invoices/booked", params=parameters, timeout=60).content
            yield body
            # The last item's number, without parsing the page twice.
            position = body.rfind(b'"bookedInvoiceNumber":')
            if position < 0:
                return
            last = int(body[position + 22 :].split(b",", 1)[0].split(b"}", 1)[0])


def _row(item: dict[str, Any], raw: str) -> list[Any]:
    row = []
    for path in _PATHS:
        value: Any = item
        for key in path:
            value = value.get(key)
            if value is None:
                break
        row.append(value)
    return [*row, raw]


def limit(dsn: str, base_url: str, headers: dict[str, str]) -> None:
    """Load everything at the least cost."""
    others = [column for column in _COLUMNS if column != "invoice_number"]
    old, new = (", ".join(f"{table}.{column}" for column in others) for table in ("held", "excluded"))
    with psycopg.connect(dsn) as connection:
        connection.execute("create temporary table incoming (like bare_invoice) on commit drop")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy incoming ({_NAMES}) from stdin".encode()) as copy,
        ):
            for body in pages(base_url, headers):
                for raw in _page.decode(body).collection:
                    copy.write_row(_row(_quick.decode(raw), bytes(raw).decode()))
        connection.execute(
            f"""insert into bare_invoice as held ({_NAMES}) select {_NAMES} from incoming
            on conflict (invoice_number) do update set {", ".join(f"{c} = excluded.{c}" for c in others)}
            where ({old}) is distinct from ({new})""".encode()
        )


def row_by_row(dsn: str, base_url: str, headers: dict[str, str]) -> None:
    """Load everything as the replaced system does, amounts as floats."""
    insert = f"insert into bare_invoice ({_NAMES}) values ({', '.join(['%s'] * len(_COLUMNS))})".encode()
    change = ", ".join(f"{column} = %s" for column in _COLUMNS)
    update = f"update bare_invoice set {change} where invoice_number = %s".encode()
    select = "select invoice_number from bare_invoice where invoice_number = %s"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for body in pages(base_url, headers):
            for item in json.loads(body)["collection"]:
                number, values = item["bookedInvoiceNumber"], _row(item, json.dumps(item))
                with connection.transaction():
                    if connection.execute(select, (number,)).fetchone() is None:
                        connection.execute(insert, values)
                    else:
                        connection.execute(update, [*values, number])
            time.sleep(_PAUSE_ROW_BY_ROW)


def limit_of_lines(dsn: str, base_url: str, headers: dict[str, str]) -> None:
    """Load all lines at the least cost; it checks nothing."""
    others = [column for column in InvoiceLine._fields if column not in {"invoice_number", "line_number"}]
    with psycopg.connect(dsn) as connection, requests.Session() as session:
        session.headers.update(headers)
        connection.execute(
            f"create table if not exists bare_line as select {_LINE_NAMES} from economic.invoice_line".encode()
        )
        connection.execute(
            "create unique index if not exists bare_key on bare_line (invoice_number, line_number)"
        )
        connection.execute("create temporary table incoming (like bare_line) on commit drop")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy incoming ({_LINE_NAMES}) from stdin".encode()) as copy,
        ):
            parameters = {"filter": "documentId$gte:1"}
            while True:
                body = session.get(base_url + LINES_PATH, params=parameters, timeout=60).content
                page = _line_page.decode(body)
                for raw in page.items:
                    value = _quick.decode(raw)
                    copy.write_row([*map(value.get, _LINE_FIELDS.split()), bytes(raw).decode()])
                if page.cursor is None:
                    break
                parameters["cursor"] = page.cursor
        connection.execute(
            f"""insert into bare_line ({_LINE_NAMES}) select {_LINE_NAMES} from incoming
            on conflict (invoice_number, line_number)
            do update set {", ".join(f"{c} = excluded.{c}" for c in others)}""".encode()
        )


def prepare_ours() -> None:
    """Load what a task has loaded by the time it begins: Airflow's secrets, connections and HTTP hook."""
    with syncs.hook(CONN_ID) as hook:
        hook.get_conn()


def ours(dsn: str, kind: Kind = syncs.full) -> dict[str, Any]:
    """Sync once, or read lines; return the statistics."""
    from economic.db.sql import prepare

    return kind(lambda: prepare(psycopg.connect(dsn)), CONN_ID, f"bench__{os.getpid()}")


OURS: Mapping[str, Kind] = {"ours": syncs.full, "quick": syncs.quick, "lines": syncs.lines}
BARE: Mapping[str, Load] = {"limit": limit, "row by row": row_by_row, "limit of lines": limit_of_lines}
_BARE = multiprocessing.get_context("spawn")
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(
    [__name__, "economic.client.hook", "economic.lines.reading", "economic.sync.quick"]
)


def load(way: str, environment: dict[str, str], answer: Connection) -> None:
    """Load once in this process, the named way; send the cost, and the statistics of a sync."""
    os.environ |= environment
    dsn, result = environment["BENCH_DSN"], {}
    statistics: dict[str, Any] = {}
    logging.disable(logging.WARNING)
    if way in OURS:
        prepare_ours()
    with measured(dsn, int(environment["BENCH_POSTMASTER"]), lambda cost: result.update(cost.as_json())):
        if way in OURS:
            statistics = ours(dsn, OURS[way])
        else:
            BARE[way](dsn, environment["BENCH_URL"], json.loads(environment["BENCH_HEADERS"]))
    answer.send((result, statistics))


def process(way: str, environment: dict[str, str], answer: Connection) -> BaseProcess:
    """Return a process that is to load once."""
    made: Callable[..., BaseProcess] = (_FORKED if way in OURS else _BARE).Process
    return made(target=load, args=(way, environment, answer))
