"""A quick sync: reads only what can have changed, and proves the copy with e-conomic's totals.

It reads the invoices above the highest number held, the list of unpaid ones, and by number those
that this list shows to have changed. The copy equals e-conomic when its count and sum, and those of
the list, are the totals', and every invoice held as open is listed or was just read. When the count
or sum differs, a number below the highest was booked or an invoice is gone: only a full scan shows
which.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import Any

from economic.db import invoices, runs
from economic.db.invoices import StoredTotals
from economic.db.runs import as_json
from economic.db.sql import run
from economic.errors import BrokenResponse, ContractChanged, RecordError, RequestRefused, SyncSkipped
from economic.records.decoder import CollectionPage
from economic.records.invoice import invoice_number
from economic.records.totals import Totals
from economic.records.unpaid_invoice import UnpaidInvoice, parse_unpaid_invoice
from economic.sync.attempt import Attempt, Client, in_words, stored_counts
from economic.sync.employee_names import populate_employee_names
from economic.sync.ending import end
from economic.sync.fetch import fetch_pages, start_again
from economic.sync.pagination import Page, ScanPosition, scan_pages
from economic.sync.reconcile import Changes, Proof, compare, prove
from economic.sync.stage import stage
from economic.sync.upsert import store_staged, upsert_invoices

log = logging.getLogger(__name__)

FULL_AGAIN_AFTER = timedelta(hours=1)
"""How long after a full sync, or two that failed, a quick one does not become a full one."""
MOST_ROUNDS = 3
"""How often changes are read while e-conomic's totals move."""
MOST_NUMBERS = 200
"""e-conomic refuses a longer list of numbers."""
MOST_CHANGED = 5_000
"""A full scan needs fewer requests for more."""
_UNUSABLE = (BrokenResponse, ContractChanged, RequestRefused)


def sync_quickly(attempt: Attempt, page_size: int, cache_seconds: int) -> dict[str, Any]:
    """Bring the copy up to date, prove it, and end the sync; go on as a full one when needed.

    :param cache_seconds: how long the stored list of employees may be used.
    :raises SyncSkipped: no full sync has ended yet that saw every invoice.
    """
    basis = runs.quick_basis(attempt.connection, attempt.lease.agreement_number, FULL_AGAIN_AFTER)
    if not basis.seen_all:
        raise SyncSkipped("No full sync has seen every invoice yet: a quick one has nothing to build on.")
    totals = attempt.client.totals()
    if totals == basis.totals:
        _note(attempt, totals, Proof(None), basis.reconciled, basis.verdict)
        return end(attempt, None, proven=True)
    for _ in range(MOST_ROUNDS):
        try:
            changes = _read_changes(attempt, page_size)
        except _UNUSABLE as error:
            proof = Proof(f"the changes cannot be read: {in_words(error)}", needs_full=True)
            break
        before, totals = totals, attempt.client.totals()
        proof = prove(attempt, totals, changes)
        # Where the totals stood still, another round would show the same.
        if proof.problem is None or totals == before:
            break
    if proof.needs_full and not basis.full_lately:
        return _go_on_as_full(attempt, page_size, cache_seconds, str(proof.problem))
    if proof.needs_full:
        wait = "only a full sync can tell more, and a quick one becomes one an hour after the last"
        proof = replace(proof, problem=f"{proof.problem}; {wait}")
    held = proof.held or invoices.stored_totals(attempt.connection, attempt.lease.agreement_number)
    agrees, verdict = compare(totals, held, complete=proof.problem is None, unmarked=False)
    if proof.problem is not None and agrees:
        agrees, verdict = False, f"Not proven: {proof.problem}."
    _note(attempt, totals, proof, agrees, verdict, held)
    # Rejected invoices, and open ones that the list leaves out, can change without moving the
    # totals: look each time.
    proven = proof.problem is None and not proof.unlisted and not held.rejected_count
    return populate_employee_names(attempt, cache_seconds, proven=proven)


def _read_changes(attempt: Attempt, page_size: int) -> Changes:
    """Read and store new invoices, then those that the list of unpaid ones shows to have changed.

    :raises ContractChanged: too many changed, or an answer is not as documented.
    """
    agreement = attempt.lease.agreement_number
    highest = invoices.highest_number(attempt.connection, agreement)
    start = ScanPosition(highest, len(attempt.run.staged_rows), attempt.run.scan_seen)
    _store(
        attempt,
        scan_pages(
            lambda number: attempt.client.invoices_above(number, page_size=page_size),
            page_size=page_size,
            start=start,
            whole=False,
        ),
    )
    unpaid, unreadable = _list_unpaid(attempt.client, page_size)
    held = invoices.open_invoices(attempt.connection, agreement)
    changed = {number for number, one in unpaid.items() if held.get(number) != one.remainder}
    wanted = changed | unreadable | (held.keys() - unpaid.keys())
    if all(one.remainder > 0 for one in unpaid.values()):
        # The list may leave out what is below zero. What is owed again may have been matched with a
        # credit note of its customer, which is open again too.
        risen = [number for number in changed if unpaid[number].remainder > max(0, held.get(number, 0))]
        wanted |= invoices.settled_credit_notes(attempt.connection, agreement, risen)
    rejected = invoices.rejected_numbers(attempt.connection, agreement)
    just_rejected = {number for number, sync_id in rejected.items() if sync_id == attempt.run.sync_id}
    wanted = (wanted | rejected.keys()) - just_rejected
    if len(wanted) > MOST_CHANGED:
        raise ContractChanged(f"{len(wanted):,} invoices have changed, more than a quick sync reads")
    absent = wanted - _read_numbered(attempt, sorted(wanted))
    return Changes(unpaid, unreadable, wanted | just_rejected, absent)


def _list_unpaid(client: Client, page_size: int) -> tuple[dict[int, UnpaidInvoice], set[int]]:
    """Return the list of unpaid invoices, and the numbers of its items that cannot be read.

    :raises ContractChanged: an item has no number, or the pages are not as documented.
    """
    found: dict[int, UnpaidInvoice] = {}
    unreadable: set[int] = set()
    pages = scan_pages(
        lambda number: client.unpaid_above(number, page_size=page_size),
        page_size=page_size,
        start=ScanPosition(),
        whole=False,
    )
    for page in pages:
        for item in page.items:
            try:
                unpaid = parse_unpaid_invoice(item)
            except RecordError as error:
                number = invoice_number(item)
                if number is None:
                    raise ContractChanged(
                        f"/invoices/unpaid has an item without a number: {error.message}"
                    ) from None
                unreadable.add(number)
            else:
                found[unpaid.invoice_number] = unpaid
    return found, unreadable


def _read_numbered(attempt: Attempt, numbers: list[int]) -> set[int]:
    """Read and store invoices by number; return the numbers that e-conomic returned."""
    returned: set[int] = set()
    for first in range(0, len(numbers), MOST_NUMBERS):
        asked = numbers[first : first + MOST_NUMBERS]
        envelope = attempt.client.invoices_numbered(asked)
        start = ScanPosition(None, len(attempt.run.staged_rows), attempt.run.scan_seen)
        pages = scan_pages(partial(_again, envelope), page_size=len(asked) + 1, start=start, whole=False)
        for page in pages:
            if strange := page.numbered.keys() - set(asked):
                raise ContractChanged(f"Invoice {min(strange)} came, which was not asked for by its number.")
            returned |= page.numbered.keys()
            _store(attempt, [page])
    return returned


def _again(page: CollectionPage, _: int | None) -> CollectionPage:
    return page


def _store(attempt: Attempt, pages: Iterable[Page]) -> None:
    # Each page at once: when a later one cannot be read, the counts still add up.
    for page in pages:
        if page.items or page.duplicates:
            stage(attempt, page)
        store_staged(attempt)


def _note(
    attempt: Attempt,
    totals: Totals,
    proof: Proof,
    reconciled: bool | None,
    verdict: str | None,
    held: StoredTotals | None = None,
) -> None:
    """Record what the sync has proven.

    :param held: what the copy holds; None when it holds what it did.
    """
    warning = f"not proven: {proof.problem}" if proof.problem else None
    counts = attempt.counts_so_far("upsert_seconds")

    def write() -> None:
        run(
            attempt.connection,
            "update_sync_run_scanned",
            sync_id=attempt.run.sync_id,
            booked_count=totals.invoice_count,
            totals=as_json(totals._asdict()),
            complete=proof.problem is None,
            statistics=stored_counts(counts),
            message="Compared with e-conomic's totals",
        )
        run(
            attempt.connection,
            "update_sync_run_reconciled",
            sync_id=attempt.run.sync_id,
            reconciled=reconciled,
            verdict=verdict,
            warning=warning,
            held=held and as_json(asdict(held)),
            statistics=stored_counts(counts),
        )

    attempt.write(write)
    attempt.apply_commit(
        counts,
        complete=proof.problem is None,
        totals=totals,
        reconciled=reconciled,
        warning=warning,
    )
    if warning:
        log.warning("This quick sync is %s", warning)


def _go_on_as_full(attempt: Attempt, page_size: int, cache_seconds: int, why: str) -> dict[str, Any]:
    """Scan everything in the same sync."""
    start_again(attempt, f"Going on as a full sync: {why}", scope="full", scan_number=1)
    fetch_pages(attempt, page_size, cache_seconds)
    upsert_invoices(attempt)
    return populate_employee_names(attempt, cache_seconds)
