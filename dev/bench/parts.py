"""Where the time of a first load goes, part by part: the client's own, and PostgreSQL's by statement kind."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from dev.bench import limit
from dev.bench.__main__ import Bench
from economic import staging, store
from economic.database import prepare
from economic.records.decoder import decode_page
from economic.records.invoice import digest, invoice_number, parse_invoice

T = TypeVar("T")
REPEATS = 3
PAGE = 1000


def of_a_first_load(bench: Bench) -> dict[str, float]:
    """CPU milliseconds of each part for all invoices, the least of a few tries; on a database without any."""
    found: dict[str, float] = {}

    def client(name: str, work: Callable[[], T]) -> T:
        times = []
        for _ in range(REPEATS):
            gc.collect()
            gc.disable()
            began = time.process_time()
            result = work()
            times.append(time.process_time() - began)
            gc.enable()
        found[name] = round(1000 * min(times), 1)
        return result

    bodies = client(
        "requests, and unpacking the bodies",
        lambda: list(limit.pages(bench.books.base_url, bench.books.headers)),
    )
    envelopes = client(
        "splitting the pages, and the numbers on them",
        lambda: [[(item, invoice_number(item)) for item in decode_page(body, 1000).items] for body in bodies],
    )
    items = [item for envelope in envelopes for item, _ in envelope]
    client("digests, to know an item again (part of reading)", lambda: [digest(item) for item in items])
    invoices = client("parsing the items", lambda: [parse_invoice(item)[0] for item in items])
    with prepare(psycopg.connect(bench.server.dsn("bench"))) as connection:
        connection.execute("insert into economic.agreement (agreement_number, conn_id) values (1, 'parts')")
        connection.commit()

        def served(name: str, work: Callable[[], Any]) -> None:
            times = []
            for _ in range(REPEATS):
                with connection.transaction(force_rollback=True):
                    began = _cpu(connection)
                    work()
                    times.append(_cpu(connection) - began)
            found[name] = round(1000 * min(times), 1)

        def stage() -> None:
            for page, at in enumerate(range(0, len(invoices), PAGE), start=1):
                staging.write(connection, 1, page, partial(islice, invoices, at, at + PAGE))

        def upsert() -> None:
            for page, at in enumerate(range(0, len(invoices), PAGE), start=1):
                store.upsert(connection, 1, 1, page, 1, len(invoices[at : at + PAGE]))

        def stage_for_nothing() -> None:
            with connection.transaction(force_rollback=True):
                stage()

        client("writing them into COPY", stage_for_nothing)
        served("PostgreSQL: COPY into staging", stage)
        stage()
        connection.commit()
        served("PostgreSQL: new rows into invoice", upsert)
        connection.execute("truncate economic.staged_invoice")
        connection.commit()
    return found


def _cpu(connection: psycopg.Connection[Any]) -> float:
    """CPU seconds of the session's own process so far."""
    text = Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text()
    return int(text.split()[0]) / 1e9
