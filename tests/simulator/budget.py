"""How many calls an agreement may make within a window of time."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from threading import Lock
from time import monotonic

COST = 1  # of whatever call; what the real ones cost differs and is not documented


class Budget:
    """A window begins with its first call; at its end all calls are allowed again."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._lock, self._clock, self._began = Lock(), clock, clock()
        self._limit, self._window, self._used = 10_000, 60.0, 0

    def change(self, limit: int | None = None, window: float | None = None, used: int | None = None) -> None:
        """Choose calls a window, its seconds, and how many calls of a window beginning now are used; None keeps what is."""
        with self._lock:
            self._limit = self._limit if limit is None else int(limit)
            self._window = self._window if window is None else float(window)
            self._began, self._used = self._clock(), self._used if used is None else int(used)

    def spend(self) -> tuple[int, dict[str, str]]:
        """Count a call. Return the seconds to wait instead when none is left, else 0, and the headers that tell."""
        with self._lock:
            now = self._clock()
            if now - self._began >= self._window:
                self._began, self._used = now, 0
            wait = 0
            if self._used + COST > self._limit:
                wait = max(1, ceil(self._began + self._window - now))
            else:
                self._used += COST
            rate = f"token-limit-{self._limit}-per-{self._window:g}-seconds: {self._used}/{self._limit}"
            return wait, {"X-CallCost": str(COST), "X-RateLimiting": rate}
