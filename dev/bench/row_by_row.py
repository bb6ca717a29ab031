"""What the replaced system does: for every invoice a select, then an insert or an update, each invoice in a transaction of its own, 100 ms between pages."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg

from dev.bench.limit import COLUMNS, pages, row

PAUSE = 0.1


def load(dsn: str, base_url: str, headers: dict[str, str]) -> None:
    """One load of everything."""
    names = ", ".join(COLUMNS)
    places = ", ".join(["%s"] * len(COLUMNS))
    change = ", ".join(f"{column} = %s" for column in COLUMNS)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for body in pages(base_url, headers):
            # Floats, as there.
            for item in json.loads(body)["collection"]:
                values: list[Any] = row(item, json.dumps(item))
                with connection.transaction():
                    known = connection.execute(
                        "select invoice_number from bare_invoice where invoice_number = %s",
                        (item["bookedInvoiceNumber"],),
                    ).fetchone()
                    if known is None:
                        connection.execute(
                            f"insert into bare_invoice ({names}) values ({places})".encode(), values
                        )
                    else:
                        connection.execute(
                            f"update bare_invoice set {change} where invoice_number = %s".encode(),
                            [*values, item["bookedInvoiceNumber"]],
                        )
            time.sleep(PAUSE)
