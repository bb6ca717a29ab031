"""One task attempt at work on a sync: what it may write, and what it has used."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from economic.db import invoices, retry, staging
from economic.db.lease import Lease
from economic.db.runs import Counts, SyncRun
from economic.db.sql import Connection, one
from economic.db.staging import StagedPage
from economic.errors import (
    AgreementMismatch,
    DatabaseUnavailable,
    EconomicError,
    FatalError,
    LeaseLost,
    ScanExpired,
)
from economic.records.agreement import Agreement
from economic.records.decoder import CollectionPage
from economic.records.totals import Totals

T = TypeVar("T")

_HEARTBEAT_SECONDS = 20.0
SCAN_VALID_FOR = timedelta(hours=1)
"""An older scan is never stored: its invoices may have changed since."""
_WHOLE_PAGE = 10
ENDS_A_SYNC = (LeaseLost, DatabaseUnavailable, psycopg.Error)
"""A lost lease or database ends a sync also while names or totals are read; other errors there do
not."""


class TrafficCounts(Protocol):
    """What a client has used so far; see :class:`economic.client.transport.Traffic`."""

    requests: int
    retries: int
    bytes: int
    cost: int
    used: int
    limit: int


class Client(Protocol):
    """What a sync needs of e-conomic; the hook implements it."""

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
    ) -> CollectionPage: ...
    def count_invoices(self, *, date_from: date | None = None, date_to: date | None = None) -> int: ...
    def totals(self) -> Totals: ...
    def unpaid_above(self, number: int | None, *, page_size: int) -> CollectionPage: ...
    def invoices_numbered(self, numbers: Sequence[int]) -> CollectionPage: ...
    def employees_above(self, number: int | None, *, attempts: int | None = None) -> CollectionPage: ...


@dataclass(slots=True)
class Attempt:
    """One task attempt at work on a sync: its connection, its lease, and the sync's row at the last
    commit.
    """

    connection: Connection
    lease: Lease
    run: SyncRun
    _client: Client | None = None
    reopen: Callable[[], Connection] | None = None
    knows_agreement: bool = False
    _last_heartbeat: float = field(default_factory=time.monotonic)
    _clock: float = field(default_factory=time.monotonic)
    _reported: tuple[int, int, int, int] = (0, 0, 0, 0)
    _degraded: set[int] | None = None
    _empty: bool | None = None

    def __post_init__(self) -> None:
        if self._client is not None:
            self._client.while_waiting = self.keep_alive

    @property
    def client(self) -> Client:
        """e-conomic; an attempt that only stores was given none."""
        if self._client is None:
            raise LookupError("This attempt was given no client.")
        return self._client

    @property
    def counts(self) -> Counts:
        """The sync's counts as of the last commit."""
        return self.run.counts

    def write(self, work: Callable[[], T]) -> T:
        """Run ``work`` in one transaction under the lease; see :mod:`economic.db.retry`.

        :param work: writes through :attr:`connection` and has no other effect.
        """
        result = retry.run_until_committed(self, work)
        self._last_heartbeat = time.monotonic()
        return result

    def keep_alive(self) -> None:
        """Renew the lease when it was not renewed lately; for the waits between transactions.

        :raises LeaseLost: another sync took over.
        """
        if time.monotonic() - self._last_heartbeat > _HEARTBEAT_SECONDS:
            self.write(lambda: None)

    def staged(self, first: int = 1, last: int | None = None) -> dict[int, StagedPage] | None:
        """Return the staged pages that have rows, from ``first`` to ``last`` or the end.

        None when rows are missing: a crash of PostgreSQL empties the table.
        """
        last = len(self.run.staged_rows) if last is None else last
        found = staging.pages(self.connection, self.run.sync_id, first, last)
        rows = [found[page].rows if page in found else 0 for page in range(first, last + 1)]
        return found if rows == list(self.run.staged_rows[first - 1 : last]) else None

    def check_staging(self, first: int = 1, last: int | None = None) -> dict[int, StagedPage]:
        """Return the staged pages that have rows, from ``first`` to ``last`` or the end.

        :raises FatalError: rows are missing.
        """
        found = self.staged(first, last)
        if found is None:
            raise FatalError(
                f"The staged pages of sync {self.run.sync_id} are not whole: PostgreSQL lost them in a crash. Pages stored so far stay.",
                hint="The next sync fetches them again; trigger one to have it now.",
            )
        return found

    def holds_nothing(self) -> bool:
        """Return whether no invoice was stored when the scan began: then none can be unchanged."""
        if self._empty is None:
            number = self.lease.agreement_number
            self._empty = invoices.highest_number(self.connection, number) is None
        return self._empty

    def degraded_before(self) -> set[int]:
        """Return the invoices that were stored with a field left out when the scan began."""
        if self._degraded is None:
            self._degraded = invoices.degraded_numbers(self.connection, self.lease.agreement_number)
        return self._degraded

    def check_agreement(self) -> None:
        """Check once an attempt that the connection still reaches the sync's agreement.

        :raises AgreementMismatch: it was given another company's tokens since the sync began.
        """
        if self.knows_agreement:
            return
        if self.client.agreement().agreement_number != self.lease.agreement_number:
            raise AgreementMismatch("the connection reaches another company than when the sync began")
        self.knows_agreement = True

    def check_scan_age(self) -> None:
        """Check, within a transaction, that what it stores was read lately.

        :raises ScanExpired: it was not: the DAG was paused, or its tasks were queued for long.
        """
        scan = one(self.connection, "select_scan_age", sync_id=self.run.sync_id)
        if scan["age"] is None or scan["age"] > SCAN_VALID_FOR:
            raise ScanExpired(
                f"The invoices of sync {self.run.sync_id} were read more than {SCAN_VALID_FOR.total_seconds() / 60:.0f} minutes ago "
                f"(from {scan['scan_started_at']:%Y-%m-%d %H:%M:%S} UTC): the rest of them is not stored."
            )

    def counts_so_far(self, seconds: str) -> Counts:
        """Return the sync's counts with time, requests and memory used since the last commit.

        :param seconds: the count that takes the time.
        """
        traffic = self._client.traffic if self._client is not None else None
        now = _sums(traffic) if traffic else self._reported
        requests, retries, size, cost = (a - b for a, b in zip(now, self._reported, strict=True))
        used = Counts(
            requests=requests,
            retries=retries,
            bytes=size,
            call_cost=cost,
            rate_limit_used=traffic.used if traffic else 0,
            rate_limit=traffic.limit if traffic else 0,
            peak_memory_mb=peak_memory_mb(),
        )
        return self.counts + replace(used, **{seconds: time.monotonic() - self._clock})  # type: ignore[arg-type]  # a float field

    def used(self) -> Counts:
        """Return the sync's counts with what was requested since the last commit, stored or not."""
        so_far = self.counts_so_far("fetch_seconds")
        return replace(so_far, fetch_seconds=self.counts.fetch_seconds)

    def apply_commit(self, counts: Counts, **changes: Any) -> None:
        """Update this attempt with what a transaction wrote, after its commit."""
        self.run = replace(self.run, counts=counts, **changes)
        if "scan_number" in changes:
            self._degraded = self._empty = None
        if self._client is not None:
            self._reported = _sums(self._client.traffic)
        self._clock = time.monotonic()


def _sums(traffic: TrafficCounts) -> tuple[int, int, int, int]:
    return traffic.requests, traffic.retries, traffic.bytes, traffic.cost


def nothing_usable(rejected: int, of: int) -> bool:
    """Return whether a page holds nothing that can be stored.

    A few items may all be bad by chance. If ten are, the API or the table is not the expected one.
    """
    return rejected == of >= _WHOLE_PAGE


def in_words(error: Exception) -> str:
    """Return an error's message; of an unexpected error its type only, since its text may hold
    anything.
    """
    return error.message if isinstance(error, EconomicError) else f"unexpected {type(error).__name__}"


def peak_memory_mb() -> float:
    """Return the most memory this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: ``1 invoice``, ``22,500 invoices``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def stored_counts(counts: Counts) -> Jsonb:
    """Return counts for the sync's row."""
    return Jsonb(counts.to_json())


def percentage(counts: Counts, results: int) -> float:
    """Return how much of a sync is done: each invoice counts once fetched and once stored.

    Only an ended sync shows 100.
    """
    done = counts.fetched - counts.discarded + counts.stored
    return min(99.9, round(100.0 * done / (2 * results), 1)) if results else 0.0
