"""What a sync did, in counts that add up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

_TOLERATED_REJECTIONS = 50
_TOLERATED_SHARE = 0.01
_WHOLE_PAGE = 10


def nothing_usable(rejected: int, of: int) -> bool:
    """Return whether a page holds nothing that can be stored: then the API or the table is not the one this version knows.

    A few items may all be bad by chance; ten are not.
    """
    return rejected == of >= _WHOLE_PAGE


def too_many_rejected(rejected: int, of: int) -> bool:
    """Return whether so many of a sync's invoices were rejected that what it did not see is not proof of anything."""
    return rejected > max(_TOLERATED_REJECTIONS, int(of * _TOLERATED_SHARE))


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one page, one phase or one whole sync; they add up with ``+``.

    ``fetched`` is every item e-conomic delivered. It is always the sum of ``created``, ``updated``, ``unchanged``, ``failed``,
    ``duplicates`` and ``discarded`` once a sync has ended. ``raw_changed`` is a part of ``unchanged``: only the raw item
    differed. ``failed`` was rejected, by validation or by the database. ``degraded`` are stored with a field left out that did not hold
    what it should: they are counted among the created, updated and unchanged too. ``discarded`` was fetched by a scan that was
    started again. ``missing`` were marked as no longer shown; ``returned`` had been, and were shown again: they are counted among the others
    too. Seconds are wall-clock seconds; ``peak_memory_mb`` is the largest of the task processes.
    """

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    raw_changed: int = 0
    failed: int = 0
    degraded: int = 0
    duplicates: int = 0
    discarded: int = 0
    missing: int = 0
    returned: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    bytes: int = 0
    employees: int = 0
    invoices_named: int = 0
    fetch_seconds: float = 0.0
    upsert_seconds: float = 0.0
    names_seconds: float = 0.0
    peak_memory_mb: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        sums["peak_memory_mb"] = max(self.peak_memory_mb, other.peak_memory_mb)
        return Counts(**sums)

    @property
    def stored(self) -> int:
        """Items that are in ``invoice`` now because of this sync."""
        return self.created + self.updated + self.unchanged

    @property
    def add_up(self) -> bool:
        """Whether every fetched item has exactly one outcome."""
        return self.fetched == self.stored + self.failed + self.duplicates + self.discarded

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> Counts:
        """Read what :meth:`to_json` wrote; keys of another version are left out."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: number for key, number in (value or {}).items() if key in known})

    def to_json(self) -> dict[str, int | float]:
        """Plain numbers by name, seconds to the millisecond."""
        return {key: round(n, 3) if isinstance(n, float) else n for key, n in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class SyncStatistics:
    """The result of one sync: what the XCom of the last task, the sync's row and the page show.

    ``complete`` is true only when the scan is proven to have seen every invoice that existed throughout it;
    ``reconciled`` is None when e-conomic's totals could not be read, or the sync covered a range.
    ``announced_syncs`` are those whose changes the event announces: this one, and earlier ones that no event has announced.
    """

    status: str
    sync_id: int
    agreement_number: int | None
    scope: str
    complete: bool
    reconciled: bool | None
    duration_seconds: float
    counts: Counts
    announced_syncs: tuple[int, ...] = ()

    def to_xcom(self) -> dict[str, Any]:
        """One flat dict of plain ints, floats, bools, strings and a list of ints: Airflow's XCom stores nothing else safely."""
        head = {
            "status": self.status,
            "sync_id": self.sync_id,
            "agreement_number": self.agreement_number,
            "scope": self.scope,
            "complete": self.complete,
            "reconciled": self.reconciled,
        }
        tail = {
            "duration_seconds": round(self.duration_seconds, 3),
            "announced_syncs": list(self.announced_syncs),
        }
        return head | self.counts.to_json() | tail
