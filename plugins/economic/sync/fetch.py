"""Phase one: every booked invoice from e-conomic into staging, page by page, proven complete."""

from __future__ import annotations

import gc
import logging
from typing import Any

from economic.db.runs import Counts, as_json
from economic.db.sql import run
from economic.records.collector import collector_paused
from economic.records.decoder import CollectionPage
from economic.records.totals import Totals
from economic.sync.attempt import ENDS_A_SYNC, Attempt, Client, in_words, stored_counts
from economic.sync.employee_names import refresh_employees
from economic.sync.pagination import ScanPosition, scan_pages
from economic.sync.stage import stage

log = logging.getLogger(__name__)

MOST_SCANS = 2
MOST_TAILS = 3
"""How often the end of the list is read again because the totals count more than was seen."""


def fetch_pages(attempt: Attempt, page_size: int, cache_seconds: int) -> dict[str, Any]:
    """Scan e-conomic's booked invoices into staging; resume an earlier attempt after its last page.

    :param cache_seconds: how long the stored list of employees may be used.
    :return: the task's XCom: sync id, agreement and counts.
    :raises ContractChanged: nothing on a page can be read, or the paging is not as documented.
    """
    log.info("Starting invoice sync from E-conomic API")
    if attempt.staged() is None:
        _scan_again(attempt, "the staged pages were lost")
    complete, count, totals = _scan_to_the_totals(attempt, page_size)
    while not complete and attempt.run.scan_number < MOST_SCANS:
        _scan_again(attempt, "invoices were booked or removed among those read")
        complete, count, totals = _scan_to_the_totals(attempt, page_size)
    # Tried once, so that the invoices do not wait: phase three tries again.
    refresh_employees(attempt, cache_seconds, attempts=1)
    counts = attempt.counts_so_far("fetch_seconds")
    words = "all of them" if complete else "not proven to be all"
    attempt.write(
        lambda: run(
            attempt.connection,
            "update_sync_run_scanned",
            sync_id=attempt.run.sync_id,
            booked_count=count,
            totals=totals and as_json(totals._asdict()),
            complete=complete,
            statistics=stored_counts(counts),
            message=f"Fetched {attempt.run.scan_seen:,} invoices, {words}",
        )
    )
    attempt.apply_commit(counts, complete=complete, totals=totals)
    return {
        "sync_id": attempt.run.sync_id,
        "agreement_number": attempt.run.agreement_number,
        "pages": counts.pages,
        "fetched": counts.fetched,
        "rejected": counts.failed,
        "requests": counts.requests,
        "complete": complete,
    }


def _scan_to_the_totals(attempt: Attempt, page_size: int) -> tuple[bool, int, Totals | None]:
    """Scan until neither e-conomic's count nor its totals count more invoices than were seen.

    :return: whether the scan is proven complete, e-conomic's count, and its totals if they were
        read.
    """
    complete, count = _scan_to_the_end(attempt, page_size)
    if attempt.run.scope != "full":
        return complete, count, None
    totals = _totals(attempt.client)
    for _ in range(MOST_TAILS):
        seen = attempt.run.scan_seen
        if totals is None or not complete or totals.invoice_count <= seen:
            break
        # Booked after the count, so above the cursor: only these need to be read as well.
        complete, count = _scan_to_the_end(attempt, page_size)
        if attempt.run.scan_seen == seen:
            break
        totals = _totals(attempt.client)
    return complete, count, totals


def _scan_to_the_end(attempt: Attempt, page_size: int) -> tuple[bool, int]:
    """Scan until e-conomic counts as many invoices as were seen; return whether it does, and its
    count.
    """
    _scan(attempt, page_size)
    count = _count(attempt)
    if count > attempt.run.scan_seen and not attempt.run.scan_drifted:
        # Booked after the last page, so above the cursor: only these need to be read as well.
        _scan(attempt, page_size)
        count = _count(attempt)
    return count == attempt.run.scan_seen and not attempt.run.scan_drifted, count


def _count(attempt: Attempt) -> int:
    return attempt.client.count_invoices(date_from=attempt.run.date_from, date_to=attempt.run.date_to)


def _scan(attempt: Attempt, page_size: int) -> None:
    now = attempt.run

    def get(cursor: int | None) -> CollectionPage:
        # The previous page is freed by now, so little is searched; see collector_paused.
        gc.collect(1)
        log.info("Fetching page %d from E-conomic", len(attempt.run.staged_rows) + 1)
        return attempt.client.invoices_above(
            cursor, page_size=page_size, date_from=now.date_from, date_to=now.date_to
        )

    start = ScanPosition(now.scan_cursor, len(now.staged_rows), now.scan_seen)
    with collector_paused():
        for page in scan_pages(get, page_size=page_size, start=start, whole=now.scope == "full"):
            if page.items or page.duplicates:
                stage(attempt, page)
            elif page.changed_during_scan and not attempt.run.scan_drifted:
                attempt.apply_commit(attempt.counts_so_far("fetch_seconds"), scan_drifted=True)
            del page


def start_again(attempt: Attempt, message: str, *, scope: str, scan_number: int) -> None:
    """Discard what was fetched and not stored, and begin at the first page.

    :param scope: ``full`` for a quick sync that becomes a full one.
    """
    now = attempt.counts
    counts = attempt.counts_so_far("fetch_seconds") + Counts(
        discarded=now.fetched - now.discarded - now.stored,
        failed=-now.failed,
        degraded=-now.degraded,
        duplicates=-now.duplicates,
    )
    log.warning("%s.", message)

    def write() -> None:
        run(attempt.connection, "delete_staged_invoices", sync_id=attempt.run.sync_id)
        run(
            attempt.connection,
            "update_sync_run_rescan",
            sync_id=attempt.run.sync_id,
            scope=scope,
            scan_number=scan_number,
            statistics=stored_counts(counts),
            message=message,
        )

    attempt.write(write)
    attempt.apply_commit(
        counts,
        scope=scope,
        scan_number=scan_number,
        scan_cursor=None,
        scan_seen=0,
        scan_drifted=False,
        staged_rows=(),
        stored_pages=0,
    )


def _scan_again(attempt: Attempt, why: str) -> None:
    message = f"Scanning again from the first page: {why}"
    start_again(attempt, message, scope=attempt.run.scope, scan_number=attempt.run.scan_number + 1)


def _totals(client: Client) -> Totals | None:
    """Return e-conomic's totals, or None: without them the copy is not reconciled."""
    try:
        return client.totals()
    except ENDS_A_SYNC:
        raise
    except Exception as error:
        log.warning("The totals could not be read, so this sync is not reconciled: %s", in_words(error))
        return None
