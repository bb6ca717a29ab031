"""The envelope of a collection: lower-case parameters, links only where they lead somewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from simulator.refusals import Refusal, bad_query

DEFAULT_SIZE = 20
LARGEST_SIZE = 1000
HINT = "There are no results, so the links to pages are left out."  # wording unconfirmed


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: the base of this server, the path, and the parameters as sent."""

    base: str
    path: str
    query: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a collection that a request asks for."""

    skip: int
    size: int

    @classmethod
    def of(cls, request: Request) -> Window:
        skip = _whole(request, "skippages", 0, least=0)
        size = _whole(request, "pagesize", DEFAULT_SIZE, least=1)
        if size > LARGEST_SIZE:
            text = f"The page size {size} exceeds the maximum of {LARGEST_SIZE}."  # unconfirmed
            raise Refusal(400, text, errorCode="E04810")
        return cls(skip, size)

    @property
    def rows(self) -> slice:
        return slice(self.skip * self.size, (self.skip + 1) * self.size)


def _whole(request: Request, name: str, default: int, least: int) -> int:
    text = request.parameters.get(name)
    if text is None:
        return default
    # A page size below one and a negative page are refused; what the real answer says is unconfirmed.
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise bad_query(name, f"'{text}' is not a valid {name}.")
    return int(text)


def envelope(
    request: Request, window: Window, rows: list[bytes], results: int, whole: int, *, meta: bool
) -> bytes:
    """Join rows that are written already with their pagination.

    `metaData` is missing in several recorded answers and present in others, so both occur here.
    """
    pagination: dict[str, int | str] = {
        "maxPageSizeAllowed": LARGEST_SIZE,
        "skipPages": window.skip,
        "pageSize": window.size,
        "results": results,
        "resultsWithoutFilter": whole,
    }
    if results:
        pagination.update(_links(request, window, last=(results - 1) // window.size))
    else:
        pagination["developerHint"] = HINT
    tail = json.dumps(pagination, ensure_ascii=False, separators=(",", ":"))
    own = json.dumps(f"{request.base}{request.path}{'?' if request.query else ''}{request.query}")
    meta_data = '"metaData":{},' if meta else ""
    return b'{"collection":[%b],"pagination":%b,%b"self":%b}' % (
        b",".join(rows), tail.encode(), meta_data.encode(), own.encode(),
    )  # fmt: skip


def _links(request: Request, window: Window, last: int) -> dict[str, str]:
    kept = "".join(
        f"&{name}={quote(request.parameters[name], safe='$:,-')}"
        for name in ("filter", "sort")
        if name in request.parameters
    )

    def page(number: int) -> str:
        return f"{request.base}{request.path}?skippages={number}&pagesize={window.size}{kept}"

    links = {"firstPage": page(0)}
    if window.skip > 0:
        links["previousPage"] = page(window.skip - 1)
    if window.skip < last:
        links["nextPage"] = page(window.skip + 1)
    links["lastPage"] = page(last)
    return links
