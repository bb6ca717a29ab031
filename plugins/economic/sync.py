"""A sync from begin to end: who may run, how a task attempt goes on with it, and how it is closed.

The three phases live beside this module: :mod:`economic.scanning`, :mod:`economic.storing` and :mod:`economic.naming`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from economic import lease as leases
from economic import runs, schema, store
from economic.attempt import Attempt, Client, Order, counted
from economic.database import Connection, row, run, transaction
from economic.errors import LeaseBusy, LeaseLost, SyncEnded
from economic.lease import Lease
from economic.runs import SyncRun
from economic.stats import SyncStatistics

log = logging.getLogger(__name__)

RESUMABLE_FOR = timedelta(minutes=15)
"""A scan goes on where an earlier attempt stopped only within this time: its pages would mix too distant moments."""
ORPHANED_AFTER_SECONDS = 1200
"""A running row without a lease that was silent for longer belongs to a process that is gone: it would have spoken or failed by then."""
WAITING_FOR_SECONDS = 180
"""A waiting sync that has not looked for so long is not waiting any more: its process or its run is gone."""


def _nobody(sync_id: int) -> None:
    """Whoever does not need to know the sync before it has begun."""


def begin(
    client: Client,
    connection: Connection,
    order: Order,
    reopen: Callable[[], Connection] | None = None,
    opened: Callable[[int], object] = _nobody,
) -> Attempt:
    """Open a sync, or go on with the one that an earlier attempt of this DAG run left unfinished.

    :param reopen: gives another connection when this one is lost between begin and end.
    :param opened: is told which sync is this attempt's own, for :func:`wait`, :func:`note_failure` and :func:`close` when begin fails. An attempt
        that was believed to be dead must not close the sync of the one that took its place.

    :raises SchemaMismatch: the tables are not usable.
    :raises LeaseBusy: another sync of the agreement runs; the new sync's row stays open for :func:`wait` or :func:`close`.
    :raises AgreementMismatch: the connection suddenly reaches another agreement.
    """
    schema.prepare(connection)
    before = runs.sync_run_of_dag_run(connection, order.dag_id, order.run_id)
    resumed = _resume(connection, before, order) if before is not None else None
    if before is not None and before.status == "running" and before.phase == "waiting":
        sync_id = before.sync_id
    elif resumed is not None:
        sync_id = resumed.sync_id
    else:
        sync_id = _open(connection, order)
    opened(sync_id)
    # A forced sync that was displaced by a newer one must not displace that one when it is tried again.
    force = order.force and not (before is not None and before.status == "superseded")
    bound = store.bound_agreement(connection, order.conn_id)
    if resumed is None and order.run_type == "backfill":
        _give_way(connection, order.conn_id, sync_id)
    if bound is not None and resumed is None and not force:
        leases.check_free(connection, bound, sync_id)
    client.while_waiting = _renewal(connection, resumed)
    agreement = client.agreement()
    with transaction(connection):
        store.bind_agreement(connection, order.conn_id, agreement)
        run(
            connection,
            "update_sync_run_agreement",
            sync_id=sync_id,
            agreement_number=agreement.agreement_number,
        )
    lease = resumed or leases.acquire(
        connection, agreement.agreement_number, sync_id, order.attempt, force=force
    )
    with transaction(connection):
        run(connection, "delete_orphaned_staged_invoices")
    return _attempt(connection, lease, client, reopen)


def _give_way(connection: Connection, conn_id: str, sync_id: int) -> None:
    """Let a full sync go first that waits for its turn: a backfill's many runs would leave it none.

    :raises LeaseBusy: one waits.
    """
    waiting = row(
        connection,
        "find_waiting_full_sync",
        conn_id=conn_id,
        sync_id=sync_id,
        idle_seconds=WAITING_FOR_SECONDS,
    )
    if waiting is not None:
        raise LeaseBusy(
            f"Sync {waiting['sync_id']} (full, run {waiting['run_id']}) waits for its turn and goes first.",
            holder_scope="full",
        )


def _renewal(connection: Connection, lease: Lease | None) -> Callable[[], None]:
    def renew() -> None:
        if lease is not None:
            with leases.fenced(connection, lease):
                pass

    return renew


def _open(connection: Connection, order: Order) -> int:
    with transaction(connection):
        sync_id = runs.open_sync_run(
            connection,
            dag_id=order.dag_id,
            run_id=order.run_id,
            run_type=order.run_type,
            conn_id=order.conn_id,
            scope=order.scope,
            date_from=order.date_from,
            date_to=order.date_to,
            force=order.force,
            accept_missing=order.accept_missing,
            message="Starting",
        )
        run(
            connection,
            "close_orphaned_sync_runs",
            conn_id=order.conn_id,
            sync_id=sync_id,
            idle_seconds=ORPHANED_AFTER_SECONDS,
        )
    return sync_id


def _resume(connection: Connection, before: SyncRun, order: Order) -> Lease | None:
    """The lease of the sync that an earlier attempt left in its scan, when that scan may be gone on with."""
    if before.status != "running" or before.phase == "waiting":
        return None
    same = (before.scope, before.date_from, before.date_to) == (order.scope, order.date_from, order.date_to)
    lease = None
    if before.agreement_number is not None:
        try:
            lease = leases.enter(connection, before.agreement_number, before.sync_id, order.attempt)
        except LeaseLost:
            log.info("The earlier attempt's sync %d no longer holds the lease.", before.sync_id)
    if lease is not None and same and before.phase == "fetch" and before.idle < RESUMABLE_FOR:
        log.info("Going on with sync %d after page %d.", before.sync_id, len(before.staged_rows))
        return lease
    with transaction(connection):
        runs.close_sync_run(
            connection, before.sync_id, "abandoned", "Abandoned: begun again by a later attempt."
        )
        if lease is not None:
            leases.release(connection, lease)
    return None


def join(
    connection: Connection,
    sync_id: int,
    attempt: str,
    client: Client | None = None,
    reopen: Callable[[], Connection] | None = None,
) -> Attempt:
    """Go on with a sync in one of its later tasks.

    :param reopen: gives another connection when this one is lost.
    :raises SyncEnded: the sync is over; nothing may be written on its behalf.
    :raises LeaseLost: another sync took over.
    """
    found = runs.sync_run(connection, sync_id)
    if found is None or found.agreement_number is None:
        raise SyncEnded(f"Sync {sync_id} is not known to the database.")
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


def latest(connection: Connection, dag_id: str, run_id: str) -> int | None:
    """The newest sync that a DAG run began, None when it has begun none."""
    found = runs.sync_run_of_dag_run(connection, dag_id, run_id)
    return None if found is None else found.sync_id


def note_failure(connection: Connection, sync_id: int, message: str) -> None:
    """Note on a running sync why an attempt failed that will be tried again."""
    with transaction(connection):
        run(connection, "update_sync_run_message", sync_id=sync_id, message=message)


def wait(connection: Connection, sync_id: int, message: str) -> float:
    """Note that a sync waits for the one that holds the lease; for how many seconds it has waited."""
    with transaction(connection):
        run(connection, "update_sync_run_waiting", sync_id=sync_id, message=message)
    return runs.age_seconds(connection, sync_id)


def close(
    connection: Connection, sync_id: int, status: str, message: str, lease: Lease | None = None
) -> None:
    """Close a sync that will not be tried again, and free its lease in the same transaction.

    :param lease: the lease of the attempt that closes, if it had one.
    :raises LeaseLost: another attempt or sync took that lease over; nothing was closed.
    """
    found = runs.sync_run(connection, sync_id)
    if found is None or found.status != "running":
        return
    with transaction(connection) if lease is None else leases.fenced(connection, lease):
        runs.close_sync_run(connection, found.sync_id, status, message)
        if found.agreement_number is not None:
            leases.release(connection, lease or Lease(found.agreement_number, found.sync_id, 0))


def end(attempt: Attempt, problem: str | None) -> SyncStatistics:
    """Close a sync that went through: its statistics stored, staging emptied, the lease freed, in one transaction.

    :param problem: what did not work although every invoice is stored, in words; None when all did.
    """
    now = attempt.run
    spent = attempt.counts + attempt.spent("names_seconds")
    if not spent.add_up:
        raise ArithmeticError(f"Sync {now.sync_id}: the counts do not add up: {spent.to_json()}.")
    refused = f"{counted(spent.failed, 'invoice')} refused (see rejected_invoice)" if spent.failed else None
    warning = "; ".join(part for part in (now.warning, problem) if part) or None
    errors = "; ".join(part for part in (refused, warning) if part)
    statistics = SyncStatistics(
        status="completed_with_errors" if errors else "completed",
        sync_id=now.sync_id,
        agreement_number=now.agreement_number,
        scope=now.scope,
        complete=now.complete,
        reconciled=now.reconciled,
        duration_seconds=runs.age_seconds(attempt.connection, now.sync_id),
        counts=spent,
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
