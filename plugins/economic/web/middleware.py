"""Headers that restrict the browser, and the answer and the log entry of an unexpected error."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse

from economic.web.queries import UNEXPECTED

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_MOST_FRAMES = 15

_IN_WORDS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>e-conomic sync</title></head><body>{paragraphs}</body></html>
"""


def instead(request: Request, told: dict[str, Any], status: int, *paragraphs: str) -> Response:
    """What is answered when what was asked for cannot be.

    :param told: to programs.
    :param paragraphs: the same to people, whose browser asks for a page and would show them JSON.
    """
    if "text/html" in request.headers.get("accept", ""):
        shown = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
        return HTMLResponse(_IN_WORDS.format(paragraphs=shown), status)
    return JSONResponse(told, status)


def where_raised(error: BaseException) -> str:
    """Return an exception's type and frames, and those of its causes: no message, no value of a variable.

    A message may hold a host, a role or a value of a row.
    """
    return "\n".join(_lines(error))


def _lines(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _lines(cause)
        yield "which led to:"
    sqlstate = getattr(error, "sqlstate", None)
    yield f"{type(error).__module__}.{type(error).__qualname__}" + (f" ({sqlstate})" if sqlstate else "")
    for frame, line in list(traceback.walk_tb(error.__traceback__))[-_MOST_FRAMES:]:
        yield f"  {frame.f_globals.get('__name__')}, line {line}, in {frame.f_code.co_name}"


class Guard:
    """Adds the headers to every answer, and turns an exception into an answer that tells nothing of it.

    Airflow itself sends none of these headers, and would log the exception with its message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                given = {name.lower() for name, _ in message.get("headers", [])}
                added = [
                    (name.lower().encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.lower().encode() not in given
                ]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception as error:
            log.error("The e-conomic sync page failed:\n%s", where_raised(error))
            if begun:
                return
            problem = {"problem": UNEXPECTED.to_json()}
            answer = instead(
                Request(scope), problem, UNEXPECTED.http_status, UNEXPECTED.text, UNEXPECTED.todo
            )
            await answer(scope, receive, guarded)
