"""Scripted answers: which request gets which fault, and what happens after which request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, get_args
from urllib.parse import unquote_plus

Kind = Literal[
    "status", "html", "redirect", "body", "headers", "otherwise", "edit", "recoded", "half_json", "bad_gzip",
    "bad_checksum", "half_gzip", "layers", "reset", "silence", "slow", "drip", "drip_head", "half_body",
    "half_open_ended", "half_chunked", "half_reset", "flood", "packed_flood", "wire",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
Step = dict[str, Any] | Callable[[], object]


@dataclass(slots=True)
class Fault:
    """A fault for the `at`-th matching request and the `times` - 1 after it, or for all of them.

    Another answer:

    status        `status` with `headers`, and `body` or the API's own error document
    html          `status` (502) with a page as a gateway sends it
    redirect      `status` (302) to `location`
    body          `status` (200) with `body` verbatim, as JSON unless `headers` say otherwise
    headers       the healthy answer with `headers` replaced; null takes one away
    otherwise     the healthy answer to the question with these `parameters` instead; null takes one away
    edit          the healthy document after `edit` has changed it (numbers are text there, as they are spelled)
    recoded       the healthy answer in another `charset`; what it declares is for `headers` to say
    half_json     half of the healthy answer under its true length: complete HTTP, truncated JSON
    bad_gzip      200 with Content-Encoding gzip and a body that is none
    bad_checksum  the healthy answer packed, the checksum at its end turned over
    half_gzip     half of the packed answer under its true length
    layers        the healthy answer packed `layers` times over; `headers` may name the encoding otherwise

    The healthy answer, brought badly:

    reset            the connection is reset without an answer
    silence          nothing for `seconds`, or until the client has gone, then a reset
    slow             the answer after `seconds`
    drip             the body in small pieces spread over `seconds`
    drip_head        the head byte by byte spread over `seconds`
    half_body        half of the body under the length of the whole, then the end of the connection
    half_open_ended  half of the body without a length, then the end of the connection
    half_chunked     half of the body in chunks, without the last one
    half_reset       half of the body under the length of the whole, then a reset
    flood            `size` bytes of blanks under that length, as long as the client takes them, with `status` and `headers`
    packed_flood     the same, packed
    wire             `body` instead of anything of HTTP, then the end of the connection
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
    parameters: dict[str, str | None] = field(default_factory=dict)
    edit: Callable[[dict[str, Any]], object] | None = None
    charset: str = "latin-1"
    layers: int = 2
    size: int = 1 << 30
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault of the kind {self.kind}; there are {', '.join(KINDS)}")
        if self.kind == "edit" and not callable(self.edit):
            raise ValueError("an edit needs a function, which only a simulator in this process can be given")

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
    """What to do once, after the k-th matching request has been worked out and before it is answered: actions, or functions."""

    after_request: int
    do: list[Step]
    match: str = "/"
    seen: int = 0

    def __post_init__(self) -> None:
        if not all(isinstance(step, dict) or callable(step) for step in self.do):
            raise ValueError("a step is an action with its values; a function only in this process")


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

    def due_after(self, path: str) -> list[Step]:
        """Count a request against every hook and return what is to be done now."""
        with self._lock:
            due: list[Step] = []
            for hook in list(self._hooks):
                if path.startswith(hook.match):
                    hook.seen += 1
                    if hook.seen == hook.after_request:
                        due += hook.do
                        self._hooks.remove(hook)
            return due
