"""The end of a successful sync, and which syncs' changes no event has announced yet.

An event reaches Airflow only when the last task has succeeded there. So changes count as announced
once Airflow has recorded that. What a failed sync had stored is announced by the next one that
ends. An event may come twice, and none is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from economic.db import agreements, runs
from economic.db import lease as leases
from economic.db.runs import Owner
from economic.db.sql import Connection, row, rows, run, transaction
from economic.sync.attempt import Attempt, counted

log = logging.getLogger(__name__)

MOST_FORGOTTEN = 5_000
"""Rows of old syncs that one sync deletes."""


def end(attempt: Attempt, problem: str | None, *, proven: bool = False) -> dict[str, Any]:
    """Close a sync: store its statistics, empty staging and free the lease, in one transaction;
    return the statistics, flat and of plain values: Airflow's XCom stores nothing else safely.

    It announces the changes that no event has announced yet, also those of earlier, failed syncs.

    :param problem: what failed although every invoice is stored; None when nothing did.
    :param proven: whether the copy equals e-conomic in every remainder too, so that a quick sync
        that finds the same totals need not read.
    """
    now = attempt.run
    spent = attempt.counts_so_far("names_seconds")
    if not spent.add_up:
        raise ArithmeticError(f"Sync {now.sync_id}: the counts do not add up: {spent.to_json()}.")
    rejected = f"{counted(spent.failed, 'invoice')} rejected (see rejected_invoice)" if spent.failed else None
    warning = "; ".join(part for part in (now.warning, problem) if part) or None
    errors = "; ".join(part for part in (rejected, warning) if part)
    statistics: dict[str, Any] = {
        "status": "completed_with_errors" if errors else "completed",
        "sync_id": now.sync_id,
        "agreement_number": now.agreement_number,
        "scope": now.scope,
        "complete": now.complete,
        "reconciled": now.reconciled,
        **spent.to_json(),
        "duration_seconds": round(runs.age_seconds(attempt.connection, now.sync_id), 3),
        "announced_syncs": pending(attempt.connection, attempt.lease.agreement_number),
    }
    quiet = now.scope == "quick" and not spent.fetched and not errors
    synced = "Nothing has changed" if quiet else f"Synced {counted(spent.fetched, 'invoice')}"
    degraded = (
        f"{counted(spent.degraded, 'invoice')} stored with a field left out (see degraded_field)"
        if spent.degraded
        else None
    )
    message = "; ".join(part for part in (synced, degraded, errors) if part)

    def close() -> None:
        runs.close_sync_run(
            attempt.connection,
            now.sync_id,
            statistics["status"],
            message,
            warning=warning,
            percentage=100,
            statistics=statistics,
        )
        if now.scope == "full" and now.complete:
            agreements.note_complete(attempt.connection, attempt.lease.agreement_number)
        run(attempt.connection, "delete_staged_invoices", sync_id=now.sync_id)
        leases.release(attempt.connection, attempt.lease.agreement_number, now.sync_id)
        if proven:
            leases.keep_proven(attempt.connection, attempt.lease)

    attempt.write(close)
    log.info("Invoice sync completed %s", statistics)
    return statistics


def forget_old_syncs(attempt: Attempt, days: int) -> None:
    """Delete rows of old syncs, a bounded number; see ``delete_old_sync_runs.sql``.

    :param days: how long most rows are kept.
    """
    attempt.write(
        lambda: run(
            attempt.connection,
            "delete_old_sync_runs",
            agreement_number=attempt.lease.agreement_number,
            conn_id=attempt.run.owner.conn_id,
            days=days,
            most=MOST_FORGOTTEN,
        )
    )


def pending(connection: Connection, agreement_number: int) -> list[int]:
    """Return the syncs whose changes no recorded event has announced."""
    found = rows(connection, "select_unannounced_syncs", agreement_number=agreement_number)
    return [each["sync_id"] for each in found]


def confirm(connection: Connection, sync_ids: Sequence[int]) -> None:
    """Note that Airflow has recorded the event that announces these syncs."""
    with transaction(connection):
        run(connection, "update_sync_run_announced", sync_ids=list(sync_ids))


def statistics_of(
    connection: Connection, sync_id: int, owner: Owner, clear_number: int
) -> dict[str, Any] | None:
    """Return the statistics of a sync that this DAG run has ended, None when it has not.

    The last task may die between that end and Airflow's recording of it. Then the retry finds
    everything done, and only the event is left to raise.

    :param clear_number: the DAG run's; a run that was cleared since works again.
    """
    found = row(
        connection, "select_ended_sync", sync_id=sync_id, clear_number=clear_number, **owner._asdict()
    )
    return None if found is None else dict(found["statistics"])
