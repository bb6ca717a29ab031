"""Coalesced database reads: viewers who ask for the same within a second cost one read."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio import CapacityLimiter, Lock, fail_after, to_thread

Result = TypeVar("Result")


@dataclass
class _Entry:
    lock: Lock = field(default_factory=Lock)
    result: Any = None
    error: Exception | None = None
    good_until: float = 0.0


class CoalescedReads:
    """Run reads in threads, a few at once, and return each outcome to everybody who asks for the
    same.

    The threads are limited here: those that Airflow's own routes share must not wait for this
    database.

    :param at_once: the most reads at the same time, hence the most database connections.
    :param good_for: for how many seconds an outcome is returned after it has come.
    :param patience: for how many seconds a read waits for its turn. A read that has begun is not
        abandoned: it has time limits, and its connection must stay counted.
    """

    def __init__(self, *, at_once: int = 4, good_for: float = 1.0, patience: float = 8.0) -> None:
        self._limiter = CapacityLimiter(at_once)
        self._good_for = good_for
        self._patience = patience
        self._entries: dict[Hashable, _Entry] = {}

    async def get(self, key: Hashable, read: Callable[[], Result]) -> Result:
        """Return the outcome of ``read``, or the one that the same key had a moment ago.

        :param key: what is read, and for whom; never used for two different reads.
        :raises TimeoutError: the patience ended before the read began.
        """
        now = time.monotonic()
        self._entries = {
            other: entry
            for other, entry in self._entries.items()
            if entry.good_until > now or entry.lock.locked()
        }
        entry = self._entries.setdefault(key, _Entry())
        with fail_after(self._patience):
            async with entry.lock:
                if entry.good_until <= time.monotonic():
                    await to_thread.run_sync(self._fill, entry, read, limiter=self._limiter)
        if entry.error is not None:
            raise entry.error
        result: Result = entry.result
        return result

    def _fill(self, entry: _Entry, read: Callable[[], Any]) -> None:
        try:
            entry.result, entry.error = read(), None
        except Exception as error:
            # Kept like a result: otherwise everybody who waits would meet the same failure in turn.
            entry.result, entry.error = None, error
        entry.good_until = time.monotonic() + self._good_for
