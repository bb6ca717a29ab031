"""A run that reads lines: what is not read yet, chunk by chunk, then e-conomic's count.

The copy is compared with itself: an invoice without proven lines is read, whatever woke the run. So
a lost event or a killed run loses nothing.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import psycopg

from economic.db import agreements, schema
from economic.db.sql import Connection, transaction, translate_errors
from economic.errors import AgreementMismatch, EconomicError, LeaseLost, LinesForbidden, SyncSkipped
from economic.lines import chunk, store
from economic.lines.chunk import LineClient, LineRun, Statistics, read_chunk
from economic.lines.counting import compare_counts
from economic.lines.store import Work
from economic.records.collector import collector_paused

log = logging.getLogger(__name__)

MOST_INVOICES = 5_000
CHUNK_LINES = 10_000
"""About as many lines are read, and stored, at once; a killed run loses no more."""
FIRST_CHUNK = 300
"""Invoices of the first chunk, which shows how many lines an invoice has."""
MOST_ALONE = 20
"""Invoices that do not add up and are read again alone in the same run."""


def read_lines(connection: Connection, client: LineClient, conn_id: str, attempt: str) -> dict[str, Any]:
    """Read the lines that the copy lacks; return the statistics.

    :param attempt: names the DAG run; a later try of it takes over at once.
    :raises SyncSkipped: no sync has reached an agreement through this connection, another run reads
        lines, or the app may not read them.
    """
    schema.migrate(connection)
    with transaction(connection):
        number = agreements.bound_agreement(connection, conn_id)
    if number is None:
        raise SyncSkipped(f"No sync has read invoices through the connection {conn_id} yet.")
    statistics = Statistics(number)
    work = store.work(connection, number)
    count_due = store.is_count_due(connection, number)
    if not work and not count_due:
        return asdict(statistics)
    place = store.take_place(connection, number, attempt)
    if place is None:
        raise SyncSkipped("Another run reads the lines of this company.")
    run = LineRun(place, client, statistics)
    client.while_waiting = run.keep_place
    try:
        with translate_errors():
            _read(run, work, count_due=count_due)
    except LeaseLost:
        raise
    except LinesForbidden as error:
        _end(run, "skipped", str(error))
        raise SyncSkipped(str(error)) from None
    except Exception as error:
        known = isinstance(error, EconomicError)
        # The failure may have broken the connection, and is the one to report.
        with suppress(psycopg.Error, LeaseLost):
            message = str(error) if known else f"Failed unexpectedly ({type(error).__name__})."
            _end(run, "failed", message)
        raise
    return asdict(statistics)


def _read(run: LineRun, work: Sequence[Work], *, count_due: bool) -> None:
    if run.client.agreement().agreement_number != run.place.agreement_number:
        raise AgreementMismatch(
            "The connection reaches another company than its invoices belong to. No line was read.",
            hint="Put the right tokens into the connection.",
        )
    run.place.total, run.place.message = len(work), "Reading lines"
    with collector_paused():
        doubtful = _read_chunks(run, work)
    for number in doubtful[:MOST_ALONE]:
        read_chunk(run, [number])
    if count_due or len(work) > chunk.MOST_NUMBERS:
        compare_counts(run)
    _end(run, "completed")


def _end(run: LineRun, status: str, message: str = "") -> None:
    statistics = run.statistics
    statistics.requests = run.client.traffic.requests
    counts = store.end(run.place, status, message, asdict(statistics))
    statistics.proven, statistics.differing, statistics.rejected = counts
    log.info("Reading lines ended: %s", asdict(statistics))


def _read_chunks(run: LineRun, work: Sequence[Work]) -> list[int]:
    """Read chunk after chunk; return the invoices whose lines do not add up."""
    doubtful: list[int] = []
    size, at = FIRST_CHUNK, 0
    while at < len(work):
        # The previous chunk is freed by now, so little is searched.
        gc.collect(1)
        part = work[at : at + size]
        unread = frozenset(each.invoice_number for each in part if not each.again)
        statuses = read_chunk(run, [each.invoice_number for each in part], unread)
        doubtful += [number for number, status in statuses.items() if status == "differing"]
        at += len(part)
        average = max(1.0, run.statistics.lines / at)
        size = min(MOST_INVOICES, max(1, int(CHUNK_LINES / average)))
    return doubtful
