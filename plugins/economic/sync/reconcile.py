"""The end of phase two: mark missing invoices, and compare the copy with e-conomic's totals."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

from economic.db import invoices
from economic.db.invoices import MissingCandidates, StoredTotals
from economic.db.runs import Counts, as_json
from economic.db.sql import run
from economic.records.totals import Totals
from economic.records.unpaid_invoice import UnpaidInvoice
from economic.sync.attempt import Attempt, counted, stored_counts

log = logging.getLogger(__name__)

_TOLERATED_REJECTIONS = 50
_TOLERATED_SHARE = 0.01
_FEWEST_GONE = 10
_SHARE_GONE = Decimal("0.005")
"""If more invoices than this disappear at once, assume a bad response and mark none."""
_MOST_LOGGED = 100
_CENT = Decimal("0.01")
_ALL_DIGITS = Context(prec=150_000)
"""Enough for the largest sum that PostgreSQL's numeric holds."""

_IN_THE_LOG = {
    True: "The copy agrees with e-conomic's totals.",
    False: "The copy differs from e-conomic's totals: sync_run.verdict says how.",
}


def reconcile(attempt: Attempt) -> None:
    """Mark missing invoices and compare with e-conomic's totals, in one transaction."""
    counts, reconciled, verdict, warning = attempt.write(lambda: _write(attempt))
    attempt.apply_commit(counts, reconciled=reconciled, warning=warning)
    # The verdict holds sums, and who may read a task's log need not be allowed to read sums.
    log.info("%s", verdict if reconciled is None else _IN_THE_LOG[reconciled])
    if warning:
        log.warning("%s", warning)


def _write(attempt: Attempt) -> tuple[Counts, bool | None, str, str | None]:
    now = attempt.run
    attempt.check_scan_age()
    agreement = attempt.lease.agreement_number
    proven = now.complete and now.scope == "full"
    missing, warning = 0, None
    returned = (
        invoices.unmark_rejected(attempt.connection, agreement, now.sync_id) if attempt.counts.failed else 0
    )
    if proven:
        run(
            attempt.connection,
            "update_rejections_vanished",
            agreement_number=agreement,
            sync_id=now.sync_id,
        )
    held = invoices.stored_totals(attempt.connection, agreement)
    if too_many_rejected(attempt.counts.failed, attempt.run.scan_seen):
        warning = f"{attempt.counts.failed:,} of {counted(attempt.run.scan_seen, 'invoice')} could not be stored: none was marked missing"
    elif proven and not _holds_what_was_shown(attempt, held):
        # What is not staged any more would look as if it were gone from e-conomic.
        attempt.check_staging()
        missing, warning = _mark_missing(attempt, held)
    if missing:
        held = invoices.stored_totals(attempt.connection, agreement)
    reconciled, verdict = _verdict(attempt, held, warning)
    counts = attempt.counts_so_far("upsert_seconds") + Counts(missing=missing, returned=returned)
    run(
        attempt.connection,
        "update_sync_run_reconciled",
        sync_id=now.sync_id,
        reconciled=reconciled,
        verdict=verdict,
        warning=warning,
        held=as_json(asdict(held)),
        statistics=stored_counts(counts),
    )
    return counts, reconciled, verdict, warning


def too_many_rejected(rejected: int, of: int) -> bool:
    """Return whether so many invoices were rejected that the scan proves nothing."""
    return rejected > max(_TOLERATED_REJECTIONS, int(of * _TOLERATED_SHARE))


def _holds_what_was_shown(attempt: Attempt, held: StoredTotals) -> bool:
    """Return whether the counts alone prove that nothing is gone."""
    return not attempt.counts.failed and held.invoice_count == sum(attempt.run.staged_rows)


def _mark_missing(attempt: Attempt, held: StoredTotals) -> tuple[int, str | None]:
    """Mark the invoices that e-conomic neither lists nor counts any more.

    :return: how many were marked, and why none was although some are gone from the list.
    """
    agreement = attempt.lease.agreement_number
    most = held.invoice_count if attempt.run.accept_missing else most_missing(held.invoice_count)
    gone = invoices.missing_candidates(attempt.connection, agreement, attempt.run.sync_id, most)
    if not gone.count:
        return 0, None
    if obstacle := _obstacle(gone, most, held, attempt.run.totals):
        return 0, (
            f"e-conomic no longer returns {gone.count:,} of {counted(held.invoice_count, 'invoice')}, {obstacle}: none was marked missing"
        )
    marked = invoices.mark_missing(attempt.connection, agreement, gone.numbers)
    more = ", ..." if gone.count > _MOST_LOGGED else ""
    log.warning(
        "e-conomic no longer returns %s, marked missing: %s%s.",
        counted(gone.count, "invoice"),
        ", ".join(map(str, gone.numbers[:_MOST_LOGGED])),
        more,
    )
    return marked, None


def most_missing(held: int) -> int:
    """Return how many invoices may be marked missing at once unless a person accepts more."""
    return min(max(_FEWEST_GONE, int(held * _SHARE_GONE)), held // 2)


def _obstacle(gone: MissingCandidates, most: int, held: StoredTotals, totals: Totals | None) -> str | None:
    """Return the evidence against marking the invoices that are gone from the list, None without
    any.
    """
    expected = held.invoice_count + held.unheld_count - gone.count
    if totals is not None and totals.invoice_count > expected:
        return f"but its totals still count {totals.invoice_count:,}"
    if gone.unnumbered:
        return f"but {counted(gone.unnumbered, 'item')} came without a usable number and may be among them"
    if gone.count > most:
        return f"more than the limit of {most:,} at once (accept_missing accepts it)"
    return None


def _verdict(attempt: Attempt, held: StoredTotals, warning: str | None) -> tuple[bool | None, str]:
    if attempt.run.scope == "range":
        return None, "Not compared: this sync covered a range of dates."
    if attempt.run.totals is None:
        return None, "Not compared: e-conomic's totals could not be read."
    return compare(attempt.run.totals, held, complete=attempt.run.complete, unmarked=warning is not None)


def compare(theirs: Totals, ours: StoredTotals, *, complete: bool, unmarked: bool) -> tuple[bool, str]:
    """Return whether the copy agrees with e-conomic's totals, and the verdict in words.

    A rejected invoice that was never stored is known by number only, so a copy with one is not
    reconciled. What is unpaid is shown and decides nothing: it changes with every payment.

    :param complete: whether the scan is proven to have seen every invoice.
    :param unmarked: whether invoices are gone from the list and not marked missing: nothing agrees
        then.
    """
    count, net = _beyond(theirs, ours)
    if not (count or net or ours.rejected_count or unmarked):
        agreed = f"Agrees with e-conomic: {counted(ours.invoice_count, 'invoice')}, net {_money(ours.net_amount_base, ours)}."
        return True, agreed + _unpaid(theirs, ours)
    parts = []
    if count or net:
        reason = _reason(count, ours, complete=complete, unmarked=unmarked)
        parts.append(f"{_difference(count, net, ours)}: {reason}")
    elif unmarked:
        parts.append("its totals count invoices that its list does not show")
    if ours.rejected_count:
        parts.append(f"{counted(ours.rejected_count, 'invoice')} rejected")
    return False, f"Differs from e-conomic: {'; '.join(parts)}." + _unpaid(theirs, ours)


def _beyond(theirs: Totals, ours: StoredTotals) -> tuple[int, Decimal]:
    """Return by how many invoices, and by what net sum, e-conomic exceeds the copy."""
    count = theirs.invoice_count - ours.invoice_count - ours.unheld_count
    return count, in_cents(theirs.net_amount_base) - in_cents(ours.net_amount_base)


def _difference(count: int, net: Decimal, ours: StoredTotals) -> str:
    amount = _money(abs(net), ours)
    if count and net and (count > 0) == (net > 0):
        return f"{counted(abs(count), 'invoice')}, {amount} {_where(count)}"
    parts = [f"{counted(abs(count), 'invoice')} {_where(count)}"] if count else []
    parts += [f"net {amount} {_where(net)}"] if net else []
    return ", ".join(parts)


def _where(difference: int | Decimal) -> str:
    return "more in e-conomic than here" if difference > 0 else "more here than in e-conomic"


def _reason(count: int, ours: StoredTotals, *, complete: bool, unmarked: bool) -> str:
    if unmarked:
        return "invoices are gone from its list that were not marked missing"
    if not complete:
        return "the scan was not proven complete; the next sync reads again"
    if count > 0:
        return "its totals count more than its list shows; the next sync compares again"
    if count < 0:
        return "its totals count less than its list shows; the next sync compares again"
    if ours.rejected_count:
        return "the rejected invoices' amounts are not in the copy"
    if ours.without_base:
        return f"{counted(ours.without_base, 'invoice')} came without a net amount in base currency"
    return "the counts agree; the next sync compares again"


def _unpaid(theirs: Totals, ours: StoredTotals) -> str:
    if theirs.remainder_base is None or in_cents(theirs.remainder_base) == in_cents(ours.remainder_base):
        return ""
    return f" Unpaid there {_money(theirs.remainder_base, ours)}, here {_money(ours.remainder_base, ours)}."


def in_cents(amount: Decimal) -> Decimal:
    """Round to cents: e-conomic's totals have two decimals, amounts of invoices may have more."""
    return amount.quantize(_CENT, ROUND_HALF_UP, _ALL_DIGITS)


def _money(amount: Decimal, ours: StoredTotals) -> str:
    return f"{amount:,.2f} {ours.base_currency or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a quick sync has read.

    :param unpaid: the list of unpaid invoices, by number.
    :param unreadable: numbers of its items that cannot be read.
    :param asked: numbers of the invoices that were read by number, or just rejected.
    :param absent: those of them that e-conomic did not return.
    """

    unpaid: dict[int, UnpaidInvoice]
    unreadable: set[int]
    asked: set[int]
    absent: set[int]


@dataclass(frozen=True, slots=True)
class Proof:
    """How the copy compares.

    :param problem: why it is not proven; None when it is.
    :param held: what the copy holds, if it was looked at.
    :param needs_full: whether only a full scan can show what is wrong.
    :param unlisted: how many open invoices the list of unpaid ones leaves out.
    """

    problem: str | None
    held: StoredTotals | None = None
    needs_full: bool = False
    unlisted: int = 0


def prove(attempt: Attempt, totals: Totals, read: Changes) -> Proof:
    """Compare the copy, and the list of unpaid invoices, with e-conomic's totals."""
    agreement = attempt.lease.agreement_number
    held = invoices.stored_totals(attempt.connection, agreement)
    if read.absent:
        gone = counted(len(read.absent), "invoice")
        return Proof(f"e-conomic no longer returns {gone}", held, needs_full=True)
    count, net = _beyond(totals, held)
    explained = held.unheld_count or held.without_base
    if count or (net and not explained):
        return Proof("the count or sum differs from e-conomic's totals", held, needs_full=True)
    if problem := _unpaid_problem(totals, read):
        return Proof(problem, held)
    open_now = invoices.open_invoices(attempt.connection, agreement)
    rejected = invoices.rejected_numbers(attempt.connection, agreement).keys()
    differing = {number for number, one in read.unpaid.items() if open_now.get(number, 0) != one.remainder}
    if differing - rejected:
        return Proof("invoices came with another remainder than the list shows", held)
    unlisted = open_now.keys() - read.unpaid.keys()
    # Only what is below zero may be left out of the list.
    owed = {number for number in unlisted if open_now[number] > 0}
    if (unlisted - read.asked) | (owed - rejected):
        return Proof("invoices are open here that the list leaves out", held)
    return Proof(None, held, unlisted=len(unlisted))


def _unpaid_problem(totals: Totals, read: Changes) -> str | None:
    """Return why the list of unpaid invoices is not the one that the totals count."""
    if totals.unpaid_count is None or totals.remainder_base is None:
        return "e-conomic's totals do not say what is unpaid"
    if read.unreadable:
        return f"the list of unpaid invoices has {counted(len(read.unreadable), 'item')} that cannot be read"
    remainders = [one.remainder_base for one in read.unpaid.values() if one.remainder_base is not None]
    if len(remainders) != len(read.unpaid):
        return "the list of unpaid invoices lacks amounts in base currency"
    listed = in_cents(sum(remainders, Decimal()))
    if len(read.unpaid) != totals.unpaid_count or listed != in_cents(totals.remainder_base):
        return "the list of unpaid invoices differs from e-conomic's totals"
    return None
