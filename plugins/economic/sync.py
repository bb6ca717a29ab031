"""A sync from begin to end: who may run, how a task attempt goes on with it, and how it is closed.

The three phases live beside this module: :mod:`economic.scanning`, :mod:`economic.storing` and :mod:`economic.naming`.
"""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Protocol

from psycopg.types.json import Jsonb

from economic import lease as leases
from economic import runs, schema, store
from economic.database import Connection, run, transaction
from economic.envelope import Envelope
from economic.errors import LeaseLost, SyncEnded
from economic.lease import Lease
from economic.models import Agreement, Totals
from economic.runs import SyncRun
from economic.stats import Counts, SyncStatistics

log = logging.getLogger(__name__)

RESUMABLE_FOR = timedelta(minutes=15)
"""A scan goes on where an earlier attempt stopped only within this time: its pages would mix too distant moments."""
ORPHANED_AFTER_SECONDS = 1200
"""A running row without a lease that was silent for longer belongs to a process that is gone: it would have spoken or failed by then."""
_HEARTBEAT_SECONDS = 20.0


class TrafficCounts(Protocol):
    """Requests, retries and body bytes of a client so far."""

    requests: int
    retries: int
    bytes: int


class Client(Protocol):
    """What a sync asks of e-conomic; the hook is one."""

    while_waiting: Callable[[], None]

    @property
    def traffic(self) -> TrafficCounts: ...
    def agreement(self) -> Agreement: ...
    def invoices_above(
        self,
        number: int | None,
        *,
        page_size: int,
        date_from: date | None = None,
        date_to: date | None = None,
    ) -> Envelope: ...
    def count_invoices(self, *, date_from: date | None = None, date_to: date | None = None) -> int: ...
    def totals(self) -> Totals: ...
    def employees_above(self, number: int | None, *, page_size: int = 1000) -> Envelope: ...


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be synced, for which DAG run.

    :param attempt: which task attempt asks, for people: task and try.
    :param date_from: only invoices dated this day or later; with neither date the sync is a full one.
    :param force: take the lease from a live sync, and do not trust the employee cache.
    """

    dag_id: str
    run_id: str
    run_type: str
    conn_id: str
    attempt: str
    date_from: date | None = None
    date_to: date | None = None
    force: bool = False

    @property
    def scope(self) -> str:
        """``full`` or ``range``."""
        return "full" if self.date_from is None and self.date_to is None else "range"


@dataclass(slots=True)
class Attempt:
    """One task attempt at work on a sync: its connection, its lease, and the sync's row as of the last commit."""

    connection: Connection
    lease: Lease
    run: SyncRun
    client: Client | None = None
    _heard: float = field(default_factory=time.monotonic)
    _clock: float = field(default_factory=time.monotonic)
    _told: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        if self.client is not None:
            self.client.while_waiting = self.keep_alive

    @property
    def counts(self) -> Counts:
        """What the sync has counted so far, as of the last commit."""
        return self.run.counts

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction under the lease."""
        with leases.fenced(self.connection, self.lease):
            yield
        self._heard = time.monotonic()

    def keep_alive(self) -> None:
        """Renew the lease when it was not renewed lately; for the waits between transactions.

        :raises LeaseLost: another sync took over.
        """
        if time.monotonic() - self._heard > _HEARTBEAT_SECONDS:
            with self.writing():
                pass

    def spent(self, seconds: str) -> Counts:
        """What was spent since the last commit: time (under the name of the phase), requests, memory."""
        traffic = self.client.traffic if self.client is not None else None
        now = (traffic.requests, traffic.retries, traffic.bytes) if traffic else (0, 0, 0)
        requests, retries, size = (a - b for a, b in zip(now, self._told, strict=True))
        counts = Counts(requests=requests, retries=retries, bytes=size, peak_memory_mb=peak_memory_mb())
        return replace(counts, **{seconds: time.monotonic() - self._clock})  # type: ignore[arg-type]  # a float field

    def committed(self, counts: Counts, **changes: Any) -> None:
        """Take over what a transaction wrote, after its commit."""
        self.run = replace(self.run, counts=counts, **changes)
        if self.client is not None:
            traffic = self.client.traffic
            self._told = (traffic.requests, traffic.retries, traffic.bytes)
        self._clock = time.monotonic()


def peak_memory_mb() -> float:
    """Most memory this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def begin(client: Client, connection: Connection, order: Order) -> Attempt:
    """Open a sync, or go on with the one that an earlier attempt of this DAG run left unfinished.

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
    # A forced sync that was displaced by a newer one must not displace that one when it is tried again.
    force = order.force and not (before is not None and before.status == "superseded")
    bound = store.bound_agreement(connection, order.conn_id)
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
    return _attempt(connection, lease, client)


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


def join(connection: Connection, sync_id: int, attempt: str, client: Client | None = None) -> Attempt:
    """Go on with a sync in one of its later tasks.

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
    return _attempt(connection, lease, client)


def _attempt(connection: Connection, lease: Lease, client: Client | None) -> Attempt:
    found = runs.sync_run(connection, lease.sync_id)
    if found is None:
        raise SyncEnded(f"Sync {lease.sync_id} is not known to the database.")
    return Attempt(connection, lease, found, client)


def note_failure(connection: Connection, dag_id: str, run_id: str, message: str) -> None:
    """Note on a running sync why an attempt failed that will be tried again."""
    found = runs.sync_run_of_dag_run(connection, dag_id, run_id)
    if found is not None:
        with transaction(connection):
            run(connection, "update_sync_run_message", sync_id=found.sync_id, message=message)


def wait(connection: Connection, dag_id: str, run_id: str, message: str) -> float:
    """Note that a sync waits for the one that holds the lease; for how many seconds it has waited."""
    found = runs.sync_run_of_dag_run(connection, dag_id, run_id)
    if found is None:
        return 0.0
    with transaction(connection):
        run(connection, "update_sync_run_waiting", sync_id=found.sync_id, message=message)
    return found.age_seconds


def close(
    connection: Connection, dag_id: str, run_id: str, status: str, message: str, lease: Lease | None = None
) -> None:
    """Close the sync of a DAG run that will not be tried again, and free its lease in the same transaction.

    :param lease: the lease of the attempt that closes, if it had one.
    :raises LeaseLost: another attempt or sync took that lease over; nothing was closed.
    """
    found = runs.sync_run_of_dag_run(connection, dag_id, run_id)
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
    errors = "; ".join(part for part in (refused, now.warning, problem) if part)
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
    message = f"Synced {counted(spent.fetched, 'invoice')}" + (f"; {errors}" if errors else "")
    with attempt.writing():
        runs.close_sync_run(
            attempt.connection,
            now.sync_id,
            statistics.status,
            message,
            percentage=100,
            statistics=statistics.to_xcom(),
        )
        run(attempt.connection, "delete_staged_invoices", sync_id=now.sync_id)
        leases.release(attempt.connection, attempt.lease)
    log.info("Invoice sync completed %s", statistics.to_xcom())
    return statistics


def counted(number: int, thing: str) -> str:
    """A number with its noun, in words for people: ``1 invoice``, ``22,500 invoices``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def stored_counts(counts: Counts) -> Jsonb:
    """Counts as the sync's row keeps them."""
    return Jsonb(counts.to_json())


def percentage(counts: Counts, results: int) -> float:
    """How much of a sync is done: each invoice counts once when fetched and once when stored. 100 is said at the end only."""
    done = counts.fetched - counts.discarded + counts.stored
    return min(99.9, round(100.0 * done / (2 * results), 1)) if results else 0.0
