"""What e-conomic's refusals and faults mean, and which error says so.

Status codes and the error body: e-conomic's REST documentation, "HTTP status codes" and "Errors"; which keys may be missing, and that a gateway
answers with text or HTML, was seen in recorded answers. So nothing here relies on more than the status.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from economic.errors import CredentialsRefused, EconomicError, RateLimited, RequestRefused, ServerFault

_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Said:
    """The useful parts of an error body."""

    message: str = ""
    error_code: str | None = None
    log_id: str | None = None


def describe(body: bytes, scrub: Callable[[str], str]) -> Said:
    """Read an error body as far as it can be read; anything that is no JSON object says nothing.

    :param scrub: takes secrets out of a text, should the answer repeat them.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return Said()
    if not isinstance(value, dict):
        return Said()

    def plain(text: str) -> str:
        # Scrubbed while whole, cut before the slow part. What cannot be printed may not be storable either.
        shown = (c if c.isprintable() else " " for c in scrub(text)[: 4 * _LONGEST_MESSAGE])
        return " ".join("".join(shown).split())[:_LONGEST_MESSAGE]

    def text(key: str) -> str | None:
        found = value.get(key)
        return (plain(found) or None) if isinstance(found, str) else None

    message = text("message") or ""
    errors = value.get("errors")
    if isinstance(errors, list):
        details = "; ".join(e for e in errors if isinstance(e, str))
        message = plain(f"{message} {details}")
    return Said(message, text("errorCode"), text("logId"))


def refusal(status: int, path: str, said: Said, asked: float | None) -> EconomicError:
    """The error for an answer whose status is not 200.

    :param asked: seconds of the answer's ``Retry-After``, if it had a usable one.
    """
    extra = ", ".join(
        part
        for part in (
            said.error_code and f"errorCode {said.error_code}",
            said.log_id and f"logId {said.log_id}",
        )
        if part
    )
    words = f' "{said.message}"' if said.message else ""
    message = f"e-conomic answered {status} to GET {path}:{words}" + (f" ({extra})" if extra else "") + "."
    if not words and not extra:
        message = f"e-conomic answered {status} to GET {path}."
    known = {"status": status, "error_code": said.error_code, "log_id": said.log_id}
    if status == 429:
        return RateLimited(message, retry_after=asked, **known)
    if status >= 500 or status in {408, 425}:
        fault = ServerFault(message, **known)  # type: ignore[arg-type]  # the keywords of AnswerError
        fault.retry_after = asked
        return fault
    if status in {401, 403}:
        return CredentialsRefused(message, **known)  # type: ignore[arg-type]  # the keywords of AnswerError
    return RequestRefused(message, **known)  # type: ignore[arg-type]  # the keywords of AnswerError


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header: whole seconds or an HTTP date; anything else counts as absent.

    RFC 9110, section 10.2.3. e-conomic's own use of it is unconfirmed.
    """
    if header is None:
        return None
    value = header.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        return None
    seconds = (at - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None
