"""A complete scan of the booked invoices.

Key-set paging: each request asks for the lowest numbers above the highest one seen
(``sort=bookedInvoiceNumber``, ``filter=bookedInvoiceNumber$gt:LAST``). So every invoice that exists
during the whole scan is delivered exactly once. Paging by offset skips or repeats invoices when
others are booked or removed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from economic.errors import BrokenResponse, ContractChanged
from economic.records.decoder import CollectionPage, RawItem
from economic.records.invoice import invoice_number

log = logging.getLogger(__name__)

_MOST_BOOKED_MEANWHILE = 1000
"""A scan may meet twice as many invoices as announced at its start, and this many more."""


@dataclass(frozen=True, slots=True)
class ScanPosition:
    """How far a scan has come.

    :param cursor: the highest invoice number seen; None before the first page.
    :param pages: pages read.
    :param seen: distinct items read, with those without a usable number.
    """

    cursor: int | None = None
    pages: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan.

    :param items: the items to keep, each number once (the last one delivered wins).
    :param numbered: those of them that have a number, by it.
    :param duplicates: items left out because their number came more than once.
    :param position: where the scan stands after this page.
    :param results: how many invoices the whole scan will deliver, as e-conomic counts now.
    :param changed_during_scan: whether an invoice below the cursor was booked or removed.
    """

    number: int
    items: list[RawItem]
    numbered: dict[int, RawItem]
    duplicates: int
    position: ScanPosition
    results: int
    changed_during_scan: bool


def scan_pages(
    get: Callable[[int | None], CollectionPage], *, page_size: int, start: ScanPosition, whole: bool
) -> Iterator[Page]:
    """Read page after page until e-conomic has no more.

    :param get: returns the page above a cursor (None for the first).
    :param page_size: how many items are requested.
    :param start: where an earlier attempt stopped; ``ScanPosition()`` for a new scan.
    :param whole: whether the scan covers all booked invoices: then each page's
        ``resultsWithoutFilter`` is checked against what was seen.
    :raises ContractChanged: the items are not sorted or filtered, so the scan could miss some.
    """
    position = start
    most: int | None = None
    warned = False
    while True:
        envelope = get(position.cursor)
        count = len(envelope.items)
        more = count > 0 and (envelope.has_next or envelope.results > count or count >= page_size)
        page = _page(envelope, position, whole=whole, more=more)
        most = 2 * page.results + _MOST_BOOKED_MEANWHILE if most is None else most
        if not count and envelope.results:
            raise BrokenResponse(
                f"Page {page.number} is empty, but {envelope.results} invoices should follow."
            )
        if more and page.position.cursor == position.cursor:
            raise ContractChanged(
                f"Page {page.number} holds no invoice above number {position.cursor}: the scan would never end."
            )
        if page.position.seen > most:
            raise ContractChanged(
                f"Page {page.number} brings the scan to {page.position.seen:,} invoices, far more than were announced: it would never end."
            )
        if more and count != page_size and not warned:
            log.warning("Page %d holds %d invoices; %d were asked for.", page.number, count, page_size)
            warned = True
        yield page
        if not more:
            return
        position = page.position
        # Free the page's many objects before the next page is read.
        del envelope, page


def _page(envelope: CollectionPage, before: ScanPosition, *, whole: bool, more: bool) -> Page:
    number = before.pages + 1
    items = envelope.items
    if more:
        # The next page shows trailing items without a number again: they are taken there.
        end = len(items)
        while end and invoice_number(items[end - 1]) is None:
            end -= 1
        items = items[:end]
    kept: dict[int, RawItem] = {}
    unnumbered: list[RawItem] = []
    highest = before.cursor
    repeated = 0
    for item in items:
        key = invoice_number(item)
        if key is None:
            unnumbered.append(item)
            continue
        if before.cursor is not None and key <= before.cursor:
            repeated += 1
            continue
        if highest is not None and key < highest and key not in kept:
            raise ContractChanged(
                f"Page {number} is not sorted by bookedInvoiceNumber: {key} comes after {highest}."
            )
        if key in kept:
            repeated += 1
            if kept[key].encoded != item.encoded:
                log.warning("Invoice %d came twice, and not the same: the last one counts.", key)
        kept[key] = item
        highest = key if highest is None else max(highest, key)
    seen = before.seen + len(kept) + len(unnumbered)
    # The filter hides what lies at or below the cursor: exactly the invoices seen so far.
    hidden = (
        None
        if envelope.results_without_filter is None
        else envelope.results_without_filter - envelope.results
    )
    changed = whole and hidden is not None and hidden != before.seen
    return Page(
        number=number,
        items=[*kept.values(), *unnumbered],
        numbered=kept,
        duplicates=repeated,
        position=ScanPosition(highest, number, seen),
        results=before.seen + envelope.results,
        changed_during_scan=changed,
    )
