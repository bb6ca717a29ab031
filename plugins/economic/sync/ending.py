"""The end of a successful sync."""

from __future__ import annotations

import logging

from economic.db import lease as leases
from economic.db import runs
from economic.db.runs import SyncStatistics
from economic.db.sql import run
from economic.sync import announcements
from economic.sync.attempt import Attempt, counted

log = logging.getLogger(__name__)


def end(attempt: Attempt, problem: str | None) -> SyncStatistics:
    """Close a sync: store its statistics, empty staging and free the lease, in one transaction.

    It announces the changes that no event has announced yet, also those of earlier, failed syncs.

    :param problem: what failed although every invoice is stored; None when nothing did.
    """
    now = attempt.run
    spent = attempt.counts + attempt.usage_since_commit("names_seconds")
    if not spent.add_up:
        raise ArithmeticError(f"Sync {now.sync_id}: the counts do not add up: {spent.to_json()}.")
    rejected = f"{counted(spent.failed, 'invoice')} rejected (see rejected_invoice)" if spent.failed else None
    warning = "; ".join(part for part in (now.warning, problem) if part) or None
    errors = "; ".join(part for part in (rejected, warning) if part)
    statistics = SyncStatistics(
        status="completed_with_errors" if errors else "completed",
        sync_id=now.sync_id,
        agreement_number=now.agreement_number,
        scope=now.scope,
        complete=now.complete,
        reconciled=now.reconciled,
        duration_seconds=runs.age_seconds(attempt.connection, now.sync_id),
        counts=spent,
        announced_syncs=announcements.pending(attempt.connection, attempt.lease.agreement_number),
    )
    degraded = (
        f"{counted(spent.degraded, 'invoice')} stored with a field left out (see degraded_field)"
        if spent.degraded
        else None
    )
    message = "; ".join(
        part for part in (f"Synced {counted(spent.fetched, 'invoice')}", degraded, errors) if part
    )

    def close() -> None:
        runs.close_sync_run(
            attempt.connection,
            now.sync_id,
            statistics.status,
            message,
            warning=warning,
            percentage=100,
            statistics=statistics.to_xcom(),
        )
        run(attempt.connection, "delete_staged_invoices", sync_id=now.sync_id)
        leases.release(attempt.connection, attempt.lease)

    attempt.write(close)
    log.info("Invoice sync completed %s", statistics.to_xcom())
    return statistics
