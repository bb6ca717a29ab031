"""The measured ways to load all invoices, each in its own process: `python -m dev.bench.ways WAY`.

*limit* fetches the same pages, parses them with exact decimals, and needs one COPY and one upsert. It stores what the
sync stores and checks nothing. Nothing that keeps the same copy can cost much less.
*row by row* is the replaced system: a select, then an insert or an update, one transaction an invoice.
*quick* is a quick sync. *ours* is the three tasks' work, each on its own connections, without the pauses between requests.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import requests

from dev.bench.measure import measured
from economic.records.invoice import Invoice

Load = Callable[[str, str, dict[str, str]], None]
CONN_ID = "economic_default"
PAGE = 1000
_CACHE_SECONDS = 3600
_PAUSE_ROW_BY_ROW = 0.1
_COLUMNS = tuple(field for field in Invoice._fields if field != "digest")
_NAMES = ", ".join(_COLUMNS)
_FIELDS = """
    bookedInvoiceNumber orderNumber date dueDate currency exchangeRate netAmount vatAmount grossAmount remainder
    netAmountInBaseCurrency grossAmountInBaseCurrency remainderInBaseCurrency roundingAmount
    customer.customerNumber recipient.name recipient.address recipient.zip recipient.city recipient.country
    recipient.ean recipient.cvr recipient.vatZone.vatZoneNumber notes.heading references.other
    references.salesPerson.employeeNumber references.vendorReference.employeeNumber
    paymentTerms.paymentTermsNumber paymentTerms.name paymentTerms.paymentTermsType paymentTerms.daysOfCredit
    project.projectNumber layout.layoutNumber pdf.download
"""
"""Where an item has the columns' values, in the columns' order."""
_PATHS = [name.split(".") for name in _FIELDS.split()]


class _Page(msgspec.Struct):
    collection: list[msgspec.Raw]


_page = msgspec.json.Decoder(_Page)
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
            parameters = {"pagesize": str(PAGE), "sort": "bookedInvoiceNumber"}
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


def prepare_ours() -> None:
    """Load what a task has loaded by the time it begins: Airflow's secrets, connections and HTTP hook."""
    from economic.client.hook import EconomicHook
    from economic.client.transport import Limits

    with EconomicHook(CONN_ID, limits=Limits(interval=0.0)) as hook:
        hook.get_conn()


def ours(dsn: str) -> dict[str, Any]:
    """Sync once; return the statistics."""
    from economic.client.hook import EconomicHook
    from economic.client.transport import Limits
    from economic.db.sql import prepare
    from economic.sync import employee_names, lifecycle, upsert
    from economic.sync.fetch import fetch_pages
    from economic.sync.request import SyncRequest

    limits = Limits(interval=0.0)
    request = SyncRequest("bench", f"bench__{os.getpid()}", "bench", "manual", CONN_ID, "bench")
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook(CONN_ID, limits=limits) as hook:
        begun = lifecycle.begin(hook, connection, request)
        fetch_pages(begun, hook, PAGE, _CACHE_SECONDS)
        run = begun.run
    with prepare(psycopg.connect(dsn)) as connection:
        upsert.upsert_invoices(lifecycle.join(connection, run.sync_id, run.owner, "bench", None))
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook(CONN_ID, limits=limits) as hook:
        attempt = lifecycle.join(connection, run.sync_id, run.owner, "bench", hook)
        return employee_names.populate_employee_names(attempt, hook, _CACHE_SECONDS).to_xcom()


def quick(dsn: str) -> dict[str, Any]:
    """Sync quickly once; return the statistics."""
    from economic.client.hook import EconomicHook
    from economic.client.transport import Limits
    from economic.db.sql import prepare
    from economic.sync import lifecycle
    from economic.sync.quick import sync_quickly
    from economic.sync.request import SyncRequest

    request = SyncRequest("bench", f"bench__{os.getpid()}", "bench", "manual", CONN_ID, "bench", quick=True)
    with (
        prepare(psycopg.connect(dsn)) as connection,
        EconomicHook(CONN_ID, limits=Limits(interval=0.0)) as hook,
    ):
        attempt = lifecycle.begin(hook, connection, request)
        return sync_quickly(attempt, hook, PAGE, _CACHE_SECONDS).to_xcom()


def main() -> int:
    """Load once, the named way; print the cost as a line of JSON. The environment has the rest."""
    way, dsn, result = sys.argv[1], os.environ["BENCH_DSN"], {}
    logging.disable(logging.INFO)
    if way in {"ours", "quick"}:
        prepare_ours()
    with measured(dsn, int(os.environ["BENCH_POSTMASTER"]), lambda cost: result.update(cost.as_json())):
        if way in {"ours", "quick"}:
            statistics = ours(dsn) if way == "ours" else quick(dsn)
        else:
            load: Load = {"limit": limit, "row by row": row_by_row}[way]
            load(dsn, os.environ["BENCH_URL"], json.loads(os.environ["BENCH_HEADERS"]))
    print(json.dumps(result | ({"statistics": statistics} if way in {"ours", "quick"} else {})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
