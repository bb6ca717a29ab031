"""The end of phase two: what is gone from e-conomic is marked, and the copy is compared with e-conomic's own totals."""

from __future__ import annotations

import logging
from dataclasses import asdict
from decimal import Decimal

from psycopg.types.json import Jsonb

from economic import store
from economic.attempt import Attempt, counted, stored_counts
from economic.database import run
from economic.models import Totals
from economic.stats import Counts
from economic.store import HeldTotals

log = logging.getLogger(__name__)

_FEWEST_GONE = 10
_SHARE_GONE = Decimal("0.005")
"""More invoices than this gone at once is not believed: booked invoices do not vanish, so the answers are suspect."""


def reconcile(attempt: Attempt) -> None:
    """Mark what a proven complete full scan did not show, compare with e-conomic's totals, and note both, in one transaction."""
    counts, reconciled, verdict, warning = attempt.write(lambda: _write(attempt))
    attempt.committed(counts, reconciled=reconciled, verdict=verdict, warning=warning)
    log.info("%s", verdict)
    if warning:
        log.warning("%s", warning)


def _write(attempt: Attempt) -> tuple[Counts, bool | None, str, str | None]:
    now = attempt.run
    agreement = attempt.lease.agreement_number
    proven = now.complete and now.scope == "full"
    missing, warning = 0, None
    returned = (
        store.unmark_refused(attempt.connection, agreement, now.sync_id) if attempt.counts.failed else 0
    )
    if proven:
        run(
            attempt.connection,
            "resolve_vanished_rejections",
            agreement_number=agreement,
            sync_id=now.sync_id,
        )
    held = store.held_totals(attempt.connection, agreement)
    if proven and not _holds_what_was_shown(attempt, held):
        # What is not staged any more would look as if it were gone from e-conomic.
        attempt.check_staging()
        missing, warning = _mark_missing(attempt, held.invoice_count)
    if missing:
        held = store.held_totals(attempt.connection, agreement)
    reconciled, verdict = _verdict(attempt, held, warning)
    counts = attempt.counts + attempt.spent("upsert_seconds") + Counts(missing=missing, returned=returned)
    run(
        attempt.connection,
        "update_sync_run_reconciled",
        sync_id=now.sync_id,
        reconciled=reconciled,
        verdict=verdict,
        warning=warning,
        held=Jsonb(holdings_json(held)),
        statistics=stored_counts(counts),
    )
    return counts, reconciled, verdict, warning


def _holds_what_was_shown(attempt: Attempt, held: HeldTotals) -> bool:
    """Whether the counts alone prove that nothing is gone: each invoice that was shown is stored, and no more are held than were shown."""
    return not attempt.counts.failed and held.invoice_count == sum(attempt.run.staged_rows)


def holdings_json(held: HeldTotals) -> dict[str, int | str | dict[str, int] | None]:
    """What is held, as the sync's row keeps it: amounts as text."""
    return {key: str(value) if isinstance(value, Decimal) else value for key, value in asdict(held).items()}


def _mark_missing(attempt: Attempt, held: int) -> tuple[int, str | None]:
    """How many invoices were marked missing, and why none was although some are gone."""
    agreement = attempt.lease.agreement_number
    most = max(_FEWEST_GONE, int(held * _SHARE_GONE))
    gone = store.gone_invoices(attempt.connection, agreement, attempt.run.sync_id, most)
    if gone.count > most:
        return 0, (
            f"{counted(gone.count, 'invoice')} of {held:,} no longer shown by e-conomic, more than the {most:,} that are believed at "
            "once: none was marked missing"
        )
    if gone.count and gone.unnumbered:
        return 0, (
            f"{counted(gone.count, 'invoice')} no longer shown by e-conomic, but {counted(gone.unnumbered, 'item')} came without a "
            "usable number and may be among them: none was marked missing"
        )
    if not gone.count:
        return 0, None
    marked = store.mark_missing(attempt.connection, agreement, gone.numbers)
    log.warning("No longer shown by e-conomic, marked missing: %s.", ", ".join(map(str, gone.numbers)))
    return marked, None


def _verdict(attempt: Attempt, held: HeldTotals, warning: str | None) -> tuple[bool | None, str]:
    if attempt.run.scope == "range":
        return None, "Not compared: this sync covered a range of dates."
    if attempt.run.totals is None:
        return None, "Not compared: e-conomic's totals could not be read."
    return compare(attempt.run.totals, held, complete=attempt.run.complete, unmarked=warning is not None)


def compare(theirs: Totals, ours: HeldTotals, *, complete: bool, unmarked: bool) -> tuple[bool, str]:
    """Whether the copy agrees with e-conomic's totals, and how it stands, in words.

    An invoice that was refused and never stored counts as known by number, but its amount is not in the copy's sum: while one is open, the copy is
    not called reconciled. What is unpaid is told, but decides nothing: it moves with every payment.

    :param complete: whether the scan is proven to have seen every invoice.
    :param unmarked: whether invoices are gone from e-conomic that were not marked missing.
    """
    count = theirs.invoice_count - ours.invoice_count - ours.unheld_count
    net = theirs.net_amount_base - ours.net_amount_base
    if not (count or net or ours.rejected_count):
        agreed = f"Agrees with e-conomic: {counted(ours.invoice_count, 'invoice')}, net {_money(ours.net_amount_base, ours)}."
        return True, agreed + _unpaid(theirs, ours)
    parts = []
    if count or net:
        reason = _reason(count, ours, complete=complete, unmarked=unmarked)
        parts.append(f"{_difference(count, net, ours)}: {reason}")
    if ours.rejected_count:
        parts.append(f"{counted(ours.rejected_count, 'invoice')} refused and kept aside")
    return False, f"Differs from e-conomic: {'; '.join(parts)}." + _unpaid(theirs, ours)


def _difference(count: int, net: Decimal, ours: HeldTotals) -> str:
    amount = _money(abs(net), ours)
    if count and net and (count > 0) == (net > 0):
        return f"{counted(abs(count), 'invoice')}, {amount} {_where(count)}"
    parts = [f"{counted(abs(count), 'invoice')} {_where(count)}"] if count else []
    parts += [f"net {amount} {_where(net)}"] if net else []
    return ", ".join(parts)


def _where(difference: int | Decimal) -> str:
    return "more in e-conomic than here" if difference > 0 else "more here than in e-conomic"


def _reason(count: int, ours: HeldTotals, *, complete: bool, unmarked: bool) -> str:
    if unmarked:
        return "invoices are gone there that are not believed to be"
    if not complete:
        return "the scan was not proven complete; the next sync reads again"
    if count > 0:
        return "booked while we read; the next sync takes them"
    if count < 0:
        return "removed while we read; the next sync marks them"
    if ours.rejected_count:
        return "the refused invoices' amounts are not in the copy"
    if ours.without_base:
        return f"{counted(ours.without_base, 'invoice')} came without a net amount in base currency"
    return "the counts agree; the next sync compares again"


def _unpaid(theirs: Totals, ours: HeldTotals) -> str:
    if theirs.remainder_base is None or theirs.remainder_base == ours.remainder_base:
        return ""
    return f" Unpaid there {_money(theirs.remainder_base, ours)}, here {_money(ours.remainder_base, ours)}."


def _money(amount: Decimal, ours: HeldTotals) -> str:
    return f"{amount:,.2f} {ours.base_currency or ''}".rstrip()
