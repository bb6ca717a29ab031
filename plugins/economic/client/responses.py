"""Turns e-conomic's error responses into typed errors.

Status codes and the error body: e-conomic's REST documentation, "HTTP status codes" and "Errors".
The newer services answer with ``application/problem+json``: specification of Q2C 5.3.0. Recorded
answers lack keys, and gateways answer with text or HTML, so only the status is relied on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from economic.errors import (
    CredentialsRefused,
    EconomicError,
    LinesForbidden,
    LinesNotFound,
    RateLimited,
    RequestRefused,
    RetriableError,
    ServerFault,
)
from economic.outside_text import LONGEST, bounded, harmless

LINES_VERSION = "5.3.0"
"""The version of e-conomic's service q2capi, which is part of its path."""
LINES_PATH = f"/q2capi/v{LINES_VERSION}/invoices/booked/lines"
_LONGEST_ID = 100
_MOST_REASONS = 20
_RATE = re.compile(r"per-([0-9]{1,4})-seconds\s*:\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\b", re.ASCII)
_COST = re.compile(r"[0-9]{1,6}", re.ASCII)
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?", re.ASCII)


def describe_error_body(body: bytes, scrub: Callable[[str], str]) -> str:
    """Return message and ids of an error body; nothing of anything but a JSON object.

    :param scrub: takes tokens out of a text, in case the answer repeats them.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict):
        return ""

    def text(value: object, longest: int = _LONGEST_ID) -> str:
        # Scrub after removing invisible characters, which may break up a token. Cut after
        # scrubbing, so that no half token is left.
        return bounded(scrub(harmless(value)), longest) if isinstance(value, str) else ""

    errors = value.get("errors")
    reasons = [_reason(error) for error in errors[:_MOST_REASONS]] if isinstance(errors, list) else []
    heading = value.get("message") or value.get("title")
    quote = text(
        " ".join([heading if isinstance(heading, str) else "", "; ".join(filter(None, reasons))]), LONGEST
    )
    ids = ", ".join(
        f"{key} {found}" for key in ("errorCode", "logId", "traceId") if (found := text(value.get(key)))
    )
    return " ".join(filter(None, (quote and f'"{quote}"', ids and f"({ids})")))


def _reason(error: object) -> str:
    """Return one member of ``errors`` as text: it is one, or an object that holds several."""
    if isinstance(error, dict):
        members = [error.get(key) for key in ("property", "message", "errorCode")]
        return " ".join(member for member in members if isinstance(member, str))
    return error if isinstance(error, str) else ""


def error_for_status(status: int, path: str, details: str, wait: float | None) -> EconomicError:
    """Return the error for any status but 200.

    :param details: of :func:`describe_error_body`.
    :param wait: seconds of the answer's ``Retry-After``, if it had a usable one.
    """
    text = f"e-conomic answered {status} to GET {path}"
    error = _error_class(status, path)(f"{text}: {details}." if details else f"{text}.")
    if isinstance(error, RetriableError):
        error.retry_after = wait
    return error


def _error_class(status: int, path: str) -> type[EconomicError]:
    if path.startswith(LINES_PATH) and status in {403, 404}:
        return LinesForbidden if status == 403 else LinesNotFound
    if status == 429:
        return RateLimited
    if status >= 500 or status in {408, 425}:
        return ServerFault
    return CredentialsRefused if status in {401, 403} else RequestRefused


class Budget(NamedTuple):
    """What an answer tells of e-conomic's fair use.

    :param cost: what the call cost.
    :param used: calls of the present window, by everybody with the same tokens.
    :param limit: calls allowed in it; 0 when the answer does not tell.
    :param seconds: the window's length.
    """

    cost: int
    used: int
    limit: int
    seconds: int

    @property
    def nearly_spent(self) -> bool:
        """Whether more than four fifths of the window are used."""
        return 0 < 4 * self.limit < 5 * self.used


def read_budget(headers: Mapping[str, str]) -> Budget:
    """Read ``X-CallCost`` and ``X-RateLimiting``, which not every answer carries.

    Their form was seen live, and is not documented: what cannot be read counts as absent. The demo
    agreement sends a letter as the cost.
    """
    cost = headers.get("X-CallCost", "").strip()
    rate = _RATE.search(headers.get("X-RateLimiting", ""))
    seconds, used, limit = map(int, rate.groups()) if rate else (0, 0, 0)
    return Budget(int(cost) if _COST.fullmatch(cost) else 0, used, limit, seconds)


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds to wait from a ``Retry-After`` header: a number or an HTTP date.

    Anything else counts as absent. RFC 9110, section 10.2.3, allows whole seconds; equal numbers
    such as ``1.0`` are read as well. e-conomic's own use of the header is unconfirmed.
    """
    value = (header or "").strip()
    if _SECONDS.fullmatch(value):
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        return None
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None
