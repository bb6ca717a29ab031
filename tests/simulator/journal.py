"""What was asked of the API, for tests to look at: never a token, only the names of headers."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from threading import Lock
from time import monotonic
from typing import Any

LONGEST = 200_000
WINDOW = 60.0


@dataclass(slots=True)
class Entry:
    """One request; `status` stays None when the connection was cut instead of answered."""

    method: str
    path: str
    query: str
    received: float  # time.monotonic() when the request line had been read
    headers: list[str] = field(default_factory=list)
    accept_encoding: str | None = None
    user_agent: str | None = None
    status: int | None = None


class Journal:
    """The requests in the order in which they arrived, and how full the bucket of calls is."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: deque[Entry] = deque(maxlen=LONGEST)
        self._window_started = monotonic()
        self._used = 0

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def reset(self) -> None:
        with self._lock:
            self._entries.clear()

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(entry) for entry in self._entries]

    def spend(self, cost: int) -> int:
        """Take a call out of the bucket of the current minute and return what it has used."""
        with self._lock:
            now = monotonic()
            if now - self._window_started >= WINDOW:
                self._window_started, self._used = now, 0
            self._used += cost
            return self._used
