"""A sync from begin to end: who may run, how a task attempt resumes it, and how it is closed.

The three phases are :mod:`economic.sync.fetch`, :mod:`economic.sync.upsert` and
:mod:`economic.sync.employee_names`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from economic.db import agreements, runs, schema
from economic.db import lease as leases
from economic.db.lease import Lease
from economic.db.runs import Counts, Owner, SyncRun
from economic.db.sql import Connection, one, row, run, transaction
from economic.errors import LeaseBusy, LeaseLost, SyncEnded
from economic.sync.attempt import SCAN_VALID_FOR, Attempt, Client
from economic.sync.request import SyncRequest

log = logging.getLogger(__name__)

RESUMABLE_FOR = timedelta(minutes=15)
"""A scan is resumed only within this time: its pages would mix too distant moments."""
ORPHANED_AFTER_SECONDS = 1200
"""A running row without a lease that was not updated for longer belongs to a dead process."""
TRIED_AGAIN = "Will be tried again: "
WAITING_FOR_SECONDS = 180
"""A waiting sync that has not polled for longer is not waiting any more."""


def begin(
    client: Client,
    connection: Connection,
    request: SyncRequest,
    reopen: Callable[[], Connection] | None = None,
    opened: Callable[[int], object] = lambda sync_id: None,
) -> Attempt:
    """Open a sync, or resume the one that an earlier attempt of this DAG run left unfinished.

    :param reopen: opens another connection when this one is lost.
    :param opened: called with this attempt's own sync, for :func:`wait`, :func:`note_failure` and
    :func:`close` when begin fails. An attempt must not close the sync of the one that replaced it.
    :raises SchemaMismatch: the tables are not usable.
    :raises LeaseBusy: another sync of the agreement runs; the new sync's row stays open.
    :raises AgreementMismatch: the connection reaches another agreement than before.
    """
    schema.migrate(connection)
    conn_id = request.owner.conn_id
    before = runs.sync_run_of(connection, request.owner)
    if before is not None and _was_displaced(before, request):
        request = replace(request, force=False)
    resumed = _resume(connection, before, request) if before is not None else None
    if before is not None and before.status == "running" and before.phase == "waiting":
        sync_id = before.sync_id
    elif resumed is not None:
        sync_id = resumed.sync_id
    else:
        sync_id = open_row(connection, request)
    opened(sync_id)
    bound = agreements.bound_agreement(connection, conn_id)
    if resumed is None and request.run_type == "backfill":
        _yield_to_waiting_full_sync(connection, conn_id, sync_id)
    if bound is not None and resumed is None and not request.force:
        leases.check_free(connection, bound, sync_id)
    client.while_waiting = _renewal(connection, resumed)
    agreement = client.agreement()
    if resumed is not None and resumed.agreement_number != agreement.agreement_number:
        # The connection was given another company's tokens between two tries.
        _abandon(connection, resumed.sync_id, resumed, "the connection reaches another company now")
        resumed, sync_id = None, open_row(connection, request)
        opened(sync_id)
        client.while_waiting = _renewal(connection, None)
    with transaction(connection):
        agreements.bind_agreement(connection, conn_id, agreement)
        run(
            connection,
            "update_sync_run_agreement",
            sync_id=sync_id,
            agreement_number=agreement.agreement_number,
            clear_number=request.clear_number,
        )
    lease = resumed or leases.acquire(
        connection, agreement.agreement_number, sync_id, request.attempt, force=request.force, reopen=reopen
    )
    with transaction(connection):
        if resumed is None:
            run(connection, "update_sync_run_scan_started", sync_id=sync_id)
        run(connection, "delete_orphaned_staged_invoices")
    attempt = _attempt(connection, lease, client, reopen)
    attempt.knows_agreement = True
    return attempt


def _yield_to_waiting_full_sync(connection: Connection, conn_id: str, sync_id: int) -> None:
    """Let a waiting full sync go first: a backfill's many runs would leave it no turn.

    :raises LeaseBusy: one waits.
    """
    waiting = row(
        connection,
        "select_waiting_full_sync",
        conn_id=conn_id,
        sync_id=sync_id,
        idle_seconds=WAITING_FOR_SECONDS,
    )
    if waiting is not None:
        raise LeaseBusy(
            f"Sync {waiting['sync_id']} (full) waits for its turn and goes first.",
            holder_scope="full",
            detail=f"It is of run {waiting['run_id']}.",
        )


def _was_displaced(before: SyncRun, request: SyncRequest) -> bool:
    """Return whether a newer sync displaced a forced one before this retry of it.

    The row of a further retry was not forced any more. A person who clears the run means to force.
    """
    displaced = before.status == "superseded" or not before.force
    return request.force and displaced and before.clear_number == request.clear_number


def _renewal(connection: Connection, lease: Lease | None) -> Callable[[], None]:
    def renew() -> None:
        if lease is not None:
            with leases.fenced(connection, lease):
                pass

    return renew


def open_row(connection: Connection, request: SyncRequest) -> int:
    """Open the row of a new sync, and close those that a crash left open."""
    with transaction(connection):
        opened = one(
            connection,
            "insert_sync_run",
            **request.owner._asdict(),
            clear_number=request.clear_number,
            run_type=request.run_type,
            scope=request.scope,
            date_from=request.date_from,
            date_to=request.date_to,
            force=request.force,
            accept_missing=request.accept_missing,
            message="Starting",
        )
        run(
            connection,
            "update_orphaned_sync_runs",
            conn_id=request.owner.conn_id,
            sync_id=opened["sync_id"],
            idle_seconds=ORPHANED_AFTER_SECONDS,
        )
    return int(opened["sync_id"])


def _resume(connection: Connection, before: SyncRun, request: SyncRequest) -> Lease | None:
    """Enter the lease of the sync that an earlier attempt left, if its scan can be resumed."""
    if before.status != "running" or before.phase == "waiting":
        return None
    same = (before.scope, before.date_from, before.date_to) == (
        request.scope,
        request.date_from,
        request.date_to,
    )
    lease = None
    if before.agreement_number is not None:
        try:
            lease = leases.enter(connection, before.agreement_number, before.sync_id, request.attempt)
        except LeaseLost:
            log.info("The earlier attempt's sync %d no longer holds the lease.", before.sync_id)
    scanning = before.phase == "fetch" and before.scope != "quick"
    if lease is not None and same and scanning and _is_young(before):
        log.info("Going on with sync %d after page %d.", before.sync_id, len(before.staged_rows))
        return lease
    # Why the attempt before failed stays readable.
    failure = before.message.partition(TRIED_AGAIN)[2]
    _abandon(
        connection, before.sync_id, lease, f"{failure or 'its process is gone'} A later attempt began again"
    )
    return None


def _is_young(before: SyncRun) -> bool:
    return (
        before.scan_idle is not None
        and before.scan_age is not None
        and before.scan_idle < RESUMABLE_FOR
        and before.scan_age < SCAN_VALID_FOR
    )


def _abandon(connection: Connection, sync_id: int, lease: Lease | None, why: str) -> None:
    with transaction(connection) if lease is None else leases.fenced(connection, lease):
        runs.close_sync_run(connection, sync_id, "abandoned", f"Abandoned: {why}.")
        if lease is not None:
            leases.release(connection, lease.agreement_number, lease.sync_id)


def join(
    connection: Connection,
    sync_id: int,
    owner: Owner,
    attempt: str,
    client: Client | None = None,
    reopen: Callable[[], Connection] | None = None,
) -> Attempt:
    """Resume a sync in one of its later tasks.

    :param owner: the DAG run and its connection.
    :param reopen: opens another connection when this one is lost.
    :raises SyncEnded: the sync is over, or not this DAG run's.
    :raises LeaseLost: another sync took over.
    """
    found = runs.sync_run(connection, sync_id)
    if found is None or found.agreement_number is None:
        raise SyncEnded(f"Sync {sync_id} is not known to the database.")
    if owner != found.owner:
        raise SyncEnded(f"Sync {sync_id} is of another DAG run or connection.")
    if found.status in {"superseded", "abandoned"}:
        raise LeaseLost(f"Sync {sync_id} was {found.status}: {found.message}")
    if found.status != "running":
        raise SyncEnded(f"Sync {sync_id} has ended as {found.status}.")
    lease = leases.enter(connection, found.agreement_number, sync_id, attempt)
    return _attempt(connection, lease, client, reopen)


def _attempt(
    connection: Connection, lease: Lease, client: Client | None, reopen: Callable[[], Connection] | None
) -> Attempt:
    found = runs.sync_run(connection, lease.sync_id)
    if found is None:
        raise SyncEnded(f"Sync {lease.sync_id} is not known to the database.")
    return Attempt(connection, lease, found, client, reopen)


def latest(connection: Connection, owner: Owner) -> int | None:
    """Return the newest sync that a DAG run began with its connection, None without one."""
    found = runs.sync_run_of(connection, owner)
    return None if found is None else found.sync_id


def note_failure(connection: Connection, sync_id: int, message: str) -> None:
    """Note on a running sync why an attempt failed that will be retried."""
    with transaction(connection):
        run(connection, "update_sync_run_message", sync_id=sync_id, message=f"{TRIED_AGAIN}{message}")


def wait(connection: Connection, sync_id: int, message: str) -> float:
    """Note that a sync waits for the lease; return for how many seconds it has waited."""
    with transaction(connection):
        run(connection, "update_sync_run_waiting", sync_id=sync_id, message=message)
    return runs.age_seconds(connection, sync_id)


def close(
    connection: Connection,
    sync_id: int,
    status: str,
    message: str,
    lease: Lease | None = None,
    counts: Counts | None = None,
) -> None:
    """Close a sync that will not be retried, and free its lease in the same transaction.

    :param lease: the lease of the attempt that closes, if it had one.
    :param counts: with what was requested since the last commit; only with a lease.
    :raises LeaseLost: another attempt or sync took that lease over; nothing was closed.
    """
    found = runs.sync_run(connection, sync_id)
    if found is None or found.status != "running":
        return
    with transaction(connection) if lease is None else leases.fenced(connection, lease):
        if lease is None and found.agreement_number is not None:
            # The lease's row before the sync's, as everywhere, to avoid deadlocks.
            leases.lock(connection, found.agreement_number)
        statistics = None if counts is None else counts.to_json()
        runs.close_sync_run(connection, sync_id, status, message, statistics=statistics)
        if found.agreement_number is not None:
            leases.release(connection, found.agreement_number, sync_id)
