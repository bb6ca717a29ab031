"""A quick sync: reads only what can have changed, and proves the copy with e-conomic's totals.

It reads the invoices above the highest number held, the list of unpaid ones, and by number those
that this list shows to have changed. The copy equals e-conomic when its count and sum, and those of
the list, are the totals', and every invoice held as open is listed or was just read. When the count
or sum differs, a number below the highest was booked or an invoice is gone: only a full scan shows
which.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Protocol

from psycopg.types.json import Jsonb

from economic.db import invoices, runs
from economic.db.invoices import StoredTotals
from economic.db.runs import SyncStatistics
from economic.db.sql import run
from economic.errors import BrokenResponse, ContractChanged, RecordError, RequestRefused, SyncSkipped
from economic.records.decoder import CollectionPage
from economic.records.totals import Totals
from economic.records.unpaid_invoice import UnpaidInvoice, parse_unpaid_invoice
from economic.sync.attempt import Attempt, Client, counted, in_words, stored_counts
from economic.sync.employee_names import populate_employee_names
from economic.sync.ending import end
from economic.sync.fetch import fetch_pages
from economic.sync.pagination import Page, ScanPosition, scan_pages
from economic.sync.reconcile import compare, holdings_json, in_cents
from economic.sync.stage import stage
from economic.sync.upsert import store_staged, upsert_invoices

log = logging.getLogger(__name__)

FULL_AGAIN_AFTER = timedelta(hours=1)
"""How long after a full sync a quick one does not become a full one."""
MOST_ROUNDS = 3
"""How often changes are read until nothing moves between the list and the totals."""
MOST_NUMBERS = 200
"""e-conomic refuses a longer list of numbers."""
MOST_CHANGED = 5_000
"""A full scan needs fewer requests for more."""
_UNUSABLE = (BrokenResponse, ContractChanged, RequestRefused)


class QuickClient(Client, Protocol):
    """What a quick sync needs of e-conomic besides; the hook implements it."""

    def unpaid_above(self, number: int | None, *, page_size: int) -> CollectionPage: ...
    def invoices_numbered(self, numbers: Sequence[int]) -> CollectionPage: ...


@dataclass(frozen=True, slots=True)
class _Read:
    """What one round has read.

    :param unpaid: the list of unpaid invoices, by number.
    :param asked: numbers of the invoices that were read by number, or just rejected.
    :param absent: those of them that e-conomic did not return.
    """

    unpaid: dict[int, UnpaidInvoice]
    asked: set[int]
    absent: set[int]


@dataclass(frozen=True, slots=True)
class _Proof:
    """How the copy compares.

    :param problem: why it is not proven; None when it is.
    :param needs_full: whether only a full scan can show what is wrong.
    :param held: what the copy holds, if it was looked at.
    :param unlisted: how many open invoices the list of unpaid ones leaves out.
    """

    problem: str | None
    held: StoredTotals | None = None
    needs_full: bool = False
    unlisted: int = 0


def sync_quickly(attempt: Attempt, client: QuickClient, page_size: int, cache_seconds: int) -> SyncStatistics:
    """Bring the copy up to date, prove it, and end the sync; go on as a full one when needed.

    :param cache_seconds: how long the stored list of employees may be used.
    :raises SyncSkipped: no full sync has ended yet that saw every invoice.
    """
    basis = runs.quick_basis(attempt.connection, attempt.lease.agreement_number, FULL_AGAIN_AFTER)
    if not basis.seen_all:
        raise SyncSkipped("No full sync has seen every invoice yet: a quick one has nothing to build on.")
    totals = client.totals()
    if totals == basis.totals:
        _note(attempt, totals, _Proof(None), basis.reconciled, basis.verdict)
        return end(attempt, None, proven=True)
    proof, round_number = _Proof("nothing was read"), 0
    while proof.problem and not proof.needs_full and round_number < MOST_ROUNDS:
        round_number += 1
        try:
            read = _read_changes(attempt, client, page_size)
        except _UNUSABLE as error:
            proof = _Proof(f"the changes cannot be read: {in_words(error)}", needs_full=True)
        else:
            before, totals = totals, client.totals()
            settled = totals == before or round_number == MOST_ROUNDS
            proof = _prove(attempt, totals, read, settled=settled)
    if proof.needs_full and not basis.full_lately:
        return _go_on_as_full(attempt, client, page_size, cache_seconds, str(proof.problem))
    held = proof.held or invoices.stored_totals(attempt.connection, attempt.lease.agreement_number)
    agrees, verdict = compare(totals, held, complete=proof.problem is None, unmarked=False)
    _note(attempt, totals, proof, agrees and proof.problem is None, verdict, held)
    # Rejected invoices, and open ones that the list leaves out, can change without moving the
    # totals: look each time.
    proven = proof.problem is None and not proof.unlisted and not held.rejected_count
    return populate_employee_names(attempt, client, cache_seconds, proven=proven)


def _read_changes(attempt: Attempt, client: QuickClient, page_size: int) -> _Read:
    """Read and store new invoices, then those that the list of unpaid ones shows to have changed.

    :raises ContractChanged: too many changed, or an answer is not as documented.
    """
    agreement = attempt.lease.agreement_number
    highest = invoices.highest_number(attempt.connection, agreement)
    start = ScanPosition(highest, len(attempt.run.staged_rows), attempt.run.scan_seen)
    _store(
        attempt,
        scan_pages(
            lambda number: client.invoices_above(number, page_size=page_size),
            page_size=page_size,
            start=start,
            whole=False,
        ),
    )
    unpaid = _list_unpaid(client, page_size)
    held = invoices.open_invoices(attempt.connection, agreement)
    changed = {one.invoice_number for one in unpaid.values() if not _is_held(one, held)}
    wanted = changed | (held.keys() - unpaid.keys())
    risen = [number for number in changed if _has_risen(unpaid[number], held)]
    # What is open again was matched with something before: its customer's credit notes may be, too.
    wanted |= invoices.settled_credit_notes(attempt.connection, agreement, risen)
    rejected = invoices.rejected_numbers(attempt.connection, agreement)
    just_rejected = {number for number, sync_id in rejected.items() if sync_id == attempt.run.sync_id}
    wanted = (wanted | rejected.keys()) - just_rejected
    if len(wanted) > MOST_CHANGED:
        raise ContractChanged(f"{len(wanted):,} invoices have changed, more than a quick sync reads")
    absent = wanted - _read_numbered(attempt, client, sorted(wanted))
    return _Read(unpaid, wanted | just_rejected, absent)


def _is_held(listed: UnpaidInvoice, held: dict[int, UnpaidInvoice]) -> bool:
    ours = held.get(listed.invoice_number)
    return ours is not None and (
        ours == listed or (listed.remainder_base is None and ours.remainder == listed.remainder)
    )


def _has_risen(listed: UnpaidInvoice, held: dict[int, UnpaidInvoice]) -> bool:
    return listed.remainder > _remainder(listed.invoice_number, held)


def _remainder(number: int, held: dict[int, UnpaidInvoice]) -> Decimal:
    return held[number].remainder if number in held else Decimal()


def _list_unpaid(client: QuickClient, page_size: int) -> dict[int, UnpaidInvoice]:
    found: dict[int, UnpaidInvoice] = {}
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
                raise ContractChanged(
                    f"/invoices/unpaid has an item that cannot be read: {error.message}"
                ) from None
            found[unpaid.invoice_number] = unpaid
    return found


def _read_numbered(attempt: Attempt, client: QuickClient, numbers: list[int]) -> set[int]:
    """Read and store invoices by number; return the numbers that e-conomic returned."""
    returned: set[int] = set()
    for first in range(0, len(numbers), MOST_NUMBERS):
        asked = numbers[first : first + MOST_NUMBERS]
        envelope = client.invoices_numbered(asked)
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


def _prove(attempt: Attempt, totals: Totals, read: _Read, *, settled: bool) -> _Proof:
    """Compare the copy, and the list of unpaid invoices, with e-conomic's totals.

    :param settled: whether another round could show nothing new: then a difference in the count or
        the sum needs a full scan.
    """
    agreement = attempt.lease.agreement_number
    held = invoices.stored_totals(attempt.connection, agreement)
    if read.absent:
        gone = counted(len(read.absent), "invoice")
        return _Proof(f"e-conomic no longer returns {gone}", held, needs_full=True)
    count = totals.invoice_count - held.invoice_count - held.unheld_count
    net = in_cents(totals.net_amount_base) - in_cents(held.net_amount_base)
    explained = held.unheld_count or held.without_base
    if count or (net and not explained):
        return _Proof("the count or sum differs from e-conomic's totals", held, needs_full=settled)
    if problem := _unpaid_problem(totals, read.unpaid):
        return _Proof(problem, held)
    open_now = invoices.open_invoices(attempt.connection, agreement)
    rejected = invoices.rejected_numbers(attempt.connection, agreement)
    differing = [
        number for number, one in read.unpaid.items() if _remainder(number, open_now) != one.remainder
    ]
    if set(differing) - rejected.keys():
        return _Proof("invoices came with another remainder than the list shows", held)
    unlisted = open_now.keys() - read.unpaid.keys()
    if unlisted - read.asked:
        return _Proof("invoices became open while the list was read", held)
    return _Proof(None, held, unlisted=len(unlisted))


def _unpaid_problem(totals: Totals, unpaid: dict[int, UnpaidInvoice]) -> str | None:
    """Return why the list of unpaid invoices is not the one that the totals count."""
    if totals.unpaid_count is None or totals.remainder_base is None:
        return "e-conomic's totals do not say what is unpaid"
    remainders = [one.remainder_base for one in unpaid.values() if one.remainder_base is not None]
    if len(remainders) != len(unpaid):
        return "the list of unpaid invoices lacks amounts in base currency"
    if len(unpaid) != totals.unpaid_count or in_cents(sum(remainders, Decimal())) != in_cents(
        totals.remainder_base
    ):
        return "the list of unpaid invoices differs from e-conomic's totals"
    return None


def _note(
    attempt: Attempt,
    totals: Totals,
    proof: _Proof,
    reconciled: bool | None,
    verdict: str | None,
    held: StoredTotals | None = None,
) -> None:
    """Record what the sync has proven.

    :param held: what the copy holds; None when it holds what it did.
    """
    warning = f"not proven: {proof.problem}" if proof.problem else None
    counts = attempt.counts + attempt.usage_since_commit("upsert_seconds")

    def write() -> None:
        run(
            attempt.connection,
            "update_sync_run_scanned",
            sync_id=attempt.run.sync_id,
            booked_count=totals.invoice_count,
            totals=Jsonb(runs.totals_json(totals)),
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
            held=held and Jsonb(holdings_json(held)),
            statistics=stored_counts(counts),
        )

    attempt.write(write)
    attempt.apply_commit(
        counts,
        complete=proof.problem is None,
        totals=totals,
        reconciled=reconciled,
        verdict=verdict,
        warning=warning,
    )
    if warning:
        log.warning("This quick sync is %s", warning)


def _go_on_as_full(
    attempt: Attempt, client: QuickClient, page_size: int, cache_seconds: int, why: str
) -> SyncStatistics:
    """Scan everything in the same sync."""
    message = f"Going on as a full sync: {why}"
    log.warning("%s.", message)

    def widen() -> None:
        run(attempt.connection, "delete_staged_invoices", sync_id=attempt.run.sync_id)
        run(attempt.connection, "update_sync_run_widened", sync_id=attempt.run.sync_id, message=message)

    attempt.write(widen)
    attempt.apply_commit(
        attempt.counts + attempt.usage_since_commit("fetch_seconds"),
        scope="full",
        scan_number=1,
        scan_cursor=None,
        scan_seen=0,
        scan_drifted=False,
        staged_rows=(),
        stored_pages=0,
    )
    fetch_pages(attempt, client, page_size, cache_seconds)
    upsert_invoices(attempt)
    return populate_employee_names(attempt, client, cache_seconds)
