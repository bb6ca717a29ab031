"""What was asked of the API, for tests to look at: never a token, only the names of headers."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any

LONGEST = 200_000


@dataclass(slots=True)
class Entry:
    """One request; `status` stays None when the connection was cut instead of answered."""

    method: str
    path: str
    query: str
    received: float  # time.monotonic() when the request line had been read
    headers: list[str] = field(default_factory=list)
    accept_encoding: str | None = None
    status: int | None = None


class Journal:
    """The requests in the order in which they arrived."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: deque[Entry] = deque(maxlen=LONGEST)

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def reset(self) -> None:
        with self._lock:
            self._entries.clear()

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(entry) for entry in self._entries]
