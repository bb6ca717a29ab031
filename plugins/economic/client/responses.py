"""What e-conomic's refusals and faults mean, and which error says so.

Status codes and the error body: e-conomic's REST documentation, "HTTP status codes" and "Errors"; which keys may be missing, and that a gateway
answers with text or HTML, was seen in recorded answers. So nothing here relies on more than the status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from economic.errors import CredentialsRefused, EconomicError, RateLimited, RequestRefused, ServerFault
from economic.outside_text import LONGEST, bounded, harmless

_LONGEST_ID = 100
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The useful parts of an error body."""

    message: str = ""
    error_code: str | None = None
    log_id: str | None = None


def parse_error_body(body: bytes, scrub: Callable[[str], str]) -> ErrorBody:
    """Read an error body as far as it can be read; anything that is no JSON object says nothing.

    :param scrub: takes secrets out of a text, should the answer repeat them.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ErrorBody()
    if not isinstance(value, dict):
        return ErrorBody()

    def text(key: str) -> str:
        found = value.get(key)
        return found if isinstance(found, str) else ""

    def shown(found: str, longest: int) -> str:
        # Scrubbed once it is harmless, for what is taken out may be what a token was broken up with; cut last, never through a token.
        return bounded(scrub(harmless(found)), longest)

    message = text("message")
    errors = value.get("errors")
    if isinstance(errors, list):
        message = " ".join((message, "; ".join(e for e in errors if isinstance(e, str))))
    return ErrorBody(
        shown(message, LONGEST),
        shown(text("errorCode"), _LONGEST_ID) or None,
        shown(text("logId"), _LONGEST_ID) or None,
    )


def error_for_status(status: int, path: str, said: ErrorBody, asked: float | None) -> EconomicError:
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


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header: seconds or an HTTP date; anything else counts as absent.

    RFC 9110, section 10.2.3, has whole seconds; equal numbers such as ``1.0`` are read as well. e-conomic's own use of it is unconfirmed.
    """
    if header is None:
        return None
    value = header.strip()
    if _SECONDS.fullmatch(value):
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        return None
    seconds = (at - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None
