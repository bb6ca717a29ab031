"""Scripted answers: which request gets which fault, and what happens after which request."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, get_args
from urllib.parse import unquote_plus

Kind = Literal[
    "status",
    "reset",
    "half_body",
    "half_json",
    "slow",
    "drip",
    "html",
    "bad_gzip",
    "redirect",
    "body",
    "headers",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(slots=True)
class Fault:
    """A fault for the `at`-th matching request and the `times` - 1 after it, or for all of them.

    status     `status` with `headers`, and `body` or the API's own error document
    reset      the connection is cut without an answer
    half_body  half of the healthy answer under the length of the whole, then the connection is cut
    half_json  half of the healthy answer under its true length: complete HTTP, truncated JSON
    slow       the healthy answer after `seconds`
    drip       the healthy answer in small pieces spread over `seconds`
    html       `status` (502) with a page as a gateway sends it
    bad_gzip   200 with Content-Encoding gzip and a body that is none
    redirect   `status` (302) to `location`
    body       `status` (200) with `body` verbatim, as JSON unless `headers` say otherwise
    headers    the healthy answer with `headers` replaced; null takes one away
    """

    match: str
    kind: Kind
    query_contains: str | None = None
    at: int | Literal["all"] = 1
    times: int | None = None
    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 1.0
    location: str = "https://elsewhere.invalid/"
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault of the kind {self.kind}; there are {', '.join(KINDS)}")

    def concerns(self, path: str, query: str) -> bool:
        if not path.startswith(self.match):
            return False
        return (
            self.query_contains is None
            or self.query_contains in query
            or self.query_contains in unquote_plus(query)
        )

    def is_due(self) -> bool:
        """Say whether it strikes the request just counted."""
        first = 1 if self.at == "all" else self.at
        times = self.times if self.times is not None else None if self.at == "all" else 1
        return self.seen >= first and (times is None or self.seen < first + times)


@dataclass(slots=True)
class Hook:
    """Actions to do once, after the k-th matching request has been worked out and before it is answered."""

    after_request: int
    do: list[dict[str, Any]]
    match: str = "/"
    seen: int = 0


class Script:
    """The faults and hooks in force."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []
        self._hooks: list[Hook] = []

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """Replace all faults; their requests are counted from now on."""
        fresh = [Fault(**fault) for fault in faults]
        with self._lock:
            self._faults = fresh

    def add_hook(self, hook: Hook) -> None:
        with self._lock:
            self._hooks.append(hook)

    def clear_hooks(self) -> None:
        with self._lock:
            self._hooks.clear()

    def fault_for(self, path: str, query: str) -> Fault | None:
        """Count a request against every fault it concerns and return the first that strikes."""
        with self._lock:
            striking = None
            for fault in self._faults:
                if fault.concerns(path, query):
                    fault.seen += 1
                    if striking is None and fault.is_due():
                        striking = fault
            return striking

    def due_after(self, path: str) -> list[dict[str, Any]]:
        """Count a request against every hook and return the actions that are due now."""
        with self._lock:
            due: list[dict[str, Any]] = []
            for hook in list(self._hooks):
                if path.startswith(hook.match):
                    hook.seen += 1
                    if hook.seen == hook.after_request:
                        due += hook.do
                        self._hooks.remove(hook)
            return due
