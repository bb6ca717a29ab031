"""One page into staging: its items are unchanged, parsed or rejected."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from economic.db import invoices, staging
from economic.db.invoices import Rejection
from economic.db.runs import Counts
from economic.db.sql import run
from economic.errors import ContractChanged, RecordError
from economic.records.decoder import RawItem
from economic.records.fitting import DegradedField
from economic.records.invoice import Invoice, digest, invoice_number, parse_invoice
from economic.sync.attempt import Attempt, nothing_usable, percentage, stored_counts
from economic.sync.pagination import Page

log = logging.getLogger(__name__)

_MOST_LOGGED = 20


@dataclass(frozen=True, slots=True)
class _TriagedPage:
    """The items of a page.

    :param unchanged: numbers of the items that are stored exactly so.
    :param others: items that must be parsed.
    :param degraded: by number, the fields that parsing left out.
    :param rejected: those that cannot be stored.
    """

    unchanged: list[int]
    others: list[RawItem]
    degraded: dict[int, list[DegradedField]] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)

    def parse(self) -> Iterator[Invoice]:
        """Yield the others as invoices; what cannot be one is rejected."""
        for item in self.others:
            try:
                invoice, left_out = parse_invoice(item)
            except RecordError as error:
                self.rejected.append(Rejection(invoice_number(item), item.raw, error))
                continue
            if left_out:
                self.degraded[invoice.invoice_number] = left_out
            yield invoice

    @property
    def usable(self) -> int:
        """How many were not rejected, once all are parsed."""
        return len(self.unchanged) + len(self.others) - len(self.rejected)


def stage(attempt: Attempt, page: Page) -> None:
    """Validate one page and commit it: invoices, rejections, position, counts and progress
    together.
    """
    counts, triaged = attempt.write(lambda: _write_page(attempt, page))
    attempt.apply_commit(
        counts,
        scan_cursor=page.position.cursor,
        scan_seen=page.position.seen,
        scan_drifted=attempt.run.scan_drifted or page.changed_during_scan,
        staged_rows=(*attempt.run.staged_rows, triaged.usable),
    )
    _log_reasons(page.number, triaged)
    if nothing_usable(len(triaged.rejected), len(page.items)):
        raise ContractChanged(f"None of the {len(page.items):,} items of page {page.number} can be read.")


def _log_reasons(page: int, triaged: _TriagedPage) -> None:
    for rejection in triaged.rejected[:_MOST_LOGGED]:
        log.warning(
            "Invoice %s was rejected: %s", rejection.invoice_number or "(no number)", rejection.error.message
        )
    if len(triaged.rejected) > _MOST_LOGGED:
        log.warning("Page %d: %d invoices were rejected in all.", page, len(triaged.rejected))
    if triaged.degraded:
        number, (first, *_) = next(iter(triaged.degraded.items()))
        log.warning(
            "Page %d: %d invoices are stored with a field left out (see degraded_field); the first is %d: %s",
            page,
            len(triaged.degraded),
            number,
            first.message,
        )


def _write_page(attempt: Attempt, page: Page) -> tuple[Counts, _TriagedPage]:
    now = attempt.run
    agreement = attempt.lease.agreement_number
    triaged = _triage(attempt, page)
    if triaged.others:
        first = len(triaged.unchanged) + 1
        staging.write(attempt.connection, now.sync_id, page.number, first, triaged.parse())
    invoices.reject(attempt.connection, agreement, now.sync_id, triaged.rejected)
    rejected = {rejection.invoice_number for rejection in triaged.rejected}
    before = attempt.degraded_before()
    parsed = page.numbered.keys() - triaged.unchanged - rejected
    if reported := triaged.degraded.keys() | (parsed & before):
        invoices.report_degraded(
            attempt.connection, agreement, now.sync_id, triaged.degraded, parsed=reported
        )
    counts = attempt.counts_so_far("fetch_seconds") + Counts(
        fetched=len(page.items) + page.duplicates,
        failed=len(triaged.rejected),
        degraded=len(triaged.degraded) + len(before.intersection(triaged.unchanged)),
        duplicates=page.duplicates,
        pages=1,
    )
    fetched = page.position.seen
    run(
        attempt.connection,
        "update_sync_run_fetched",
        sync_id=now.sync_id,
        cursor=page.position.cursor,
        seen=fetched,
        drifted=page.changed_during_scan,
        rows=triaged.usable,
        statistics=stored_counts(counts),
        current=fetched,
        total=page.results,
        percentage=percentage(counts, page.results),
        message=f"Fetched {fetched:,} of {page.results:,} invoices (page {page.number})",
    )
    return counts, triaged


def _triage(attempt: Attempt, page: Page) -> _TriagedPage:
    """Stage the unchanged items and separate the others; a forced or first sync parses all."""
    if attempt.run.force or attempt.holds_nothing():
        return _TriagedPage([], page.items)
    digests = {number: digest(item) for number, item in page.numbered.items()}
    unchanged = staging.write_unchanged(
        attempt.connection, attempt.lease.agreement_number, attempt.run.sync_id, page.number, digests
    )
    left_out = {id(page.numbered[number]) for number in unchanged}
    return _TriagedPage(unchanged, [item for item in page.items if id(item) not in left_out])
