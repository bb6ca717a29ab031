"""Error answers: which typed error each is, with the message that it holds."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import unescape
from urllib.parse import quote, unquote

import pytest

from economic.client.responses import (
    LINES_PATH,
    Budget,
    describe_error_body,
    error_for_status,
    parse_retry_after,
    read_budget,
)
from economic.client.tokens import Tokens
from economic.errors import (
    CredentialsRefused,
    LinesForbidden,
    LinesNotFound,
    RateLimited,
    RequestRefused,
    ServerFault,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


STATUSES = {
    RequestRefused: (301, 400, 404),
    CredentialsRefused: (401, 403),
    RateLimited: (429,),
    ServerFault: (408, 425, 500, 502, 503, 504),
}


@pytest.mark.parametrize(
    ("status", "kind"), [(status, kind) for kind, statuses in STATUSES.items() for status in statuses]
)
def test_each_status_is_its_typed_error(status: int, kind: type[Exception]) -> None:
    body = b'{"message": "Could not parse.", "errorCode": "E04810", "logId": "0123-CPH"}'
    error = error_for_status(status, "/invoices/booked", describe_error_body(body, str), 7.0)
    assert type(error) is kind
    assert getattr(error, "retry_after", 7.0) == 7.0
    assert error.message == (
        f"e-conomic answered {status} to GET /invoices/booked: "
        '"Could not parse." (errorCode E04810, logId 0123-CPH).'
    )


@pytest.mark.parametrize(
    ("status", "path", "kind"),
    [
        (403, LINES_PATH, LinesForbidden),
        (403, f"{LINES_PATH}/count", LinesForbidden),
        (404, f"{LINES_PATH}/count", LinesNotFound),
        (401, LINES_PATH, CredentialsRefused),
        (400, LINES_PATH, RequestRefused),
        (503, LINES_PATH, ServerFault),
    ],
)
def test_refused_lines_have_their_own_types(status: int, path: str, kind: type[Exception]) -> None:
    """So that a caller can skip them and go on with the invoices."""
    error = error_for_status(status, path, "", None)
    assert type(error) is kind
    assert error.message == f"e-conomic answered {status} to GET {path}."


def test_a_problem_document_is_described() -> None:
    errors = [
        {"message": "must be positive", "errorCode": "Range", "property": "number", "more": "x"},
        {"message": ["no text"], "property": None},
        "a text",
        *({"message": f"reason {n}"} for n in range(100)),
    ]
    body = {
        "title": "Validation failed",
        "status": 400,
        "errorCode": "E1",
        "errors": errors,
        "traceId": "0-1",
    }
    details = describe_error_body(json.dumps(body).encode(), str)
    assert details.startswith('"Validation failed number must be positive Range; a text; reason 0; reason 1;')
    assert details.endswith('reason 16" (errorCode E1, traceId 0-1)')


@pytest.mark.parametrize("place", ["title", "errorCode", "traceId", "message", "property", "code"])
def test_a_problem_document_is_scrubbed(place: str) -> None:
    inner = {"message": "m", "property": "p", "errorCode": "c"} | {place.replace("code", "errorCode"): SECRET}
    body = {"title": "t", "status": 400, "errorCode": "E", "traceId": "1", "errors": [inner]}
    if place in body:
        body |= {place: SECRET, "errors": []}
    details = describe_error_body(json.dumps(body).encode(), Tokens(SECRET, GRANT).scrub)
    assert "***" in details
    assert hidden(details), details


def test_readable_parts_of_an_error_body_are_used() -> None:
    body = b'{"message": "Could not parse query string filter.", "errors": ["Filtering is not allowed."], "logId": "x-CPH", "errorCode": 5}'
    assert describe_error_body(body, str) == (
        '"Could not parse query string filter. Filtering is not allowed." (logId x-CPH)'
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b"[]", b"null", b"\xff", b'{"message": 5, "errors": {"a": 1}}']
)
def test_an_unreadable_error_body_is_empty(body: bytes) -> None:
    assert describe_error_body(body, str) == ""
    assert error_for_status(502, "/self", "", None).message == "e-conomic answered 502 to GET /self."


def test_a_long_message_is_scrubbed_and_cut() -> None:
    body = b'{"message": "token SECRET is bad ' + b"x" * 5000 + b'"}'
    details = describe_error_body(body, lambda text: text.replace("SECRET", "***"))
    assert len(details) == 502
    assert "SECRET" not in details


SECRET, GRANT = "abcdefghijklmnop1234+/=XYZ", "grant.token~0123456789"
SPELLED = {
    "as it is": lambda token: token,
    "in capitals": str.upper,
    "wrapped": lambda token: f"{token[:9]}\r\n\t{token[9:]}",
    "wrapped in escapes": lambda token: f"{token[:9]}\\n{token[9:12]}\\\\r\\\\n{token[12:]}",
    "wrapped for HTML": lambda token: f"{token[:9]}<br />{token[9:12]}<wbr>{token[12:]}",
    "with invisible characters": lambda token: f"{token[:9]}\u200b\x1b[31m{token[9:]}",
    "for a URL": lambda token: quote(token, safe=""),
    "for a URL, in small letters": lambda token: quote(token, safe="").lower(),
    "for a URL, each character": lambda token: "".join(f"%{ord(c):02x}" for c in token),
    "for a URL, twice": lambda token: quote(quote(token, safe=""), safe=""),
    "as HTML numbers": lambda token: "".join(f"&#{ord(c)};" for c in token),
    "as HTML hexadecimal": lambda token: "".join(f"&#x{ord(c):X}" + ";" for c in token),
    "as HTML names": lambda token: (
        token.replace("+", "&plus;").replace("/", "&sol;").replace("=", "&equals;")
    ),
    "as HTML of HTML": lambda token: "".join(f"&amp;#{ord(c)};" for c in token),
    "as JSON in JSON": lambda token: json.dumps(token).replace("/", r"\/"),
    "as JSON escapes": lambda token: "".join(rf"\u{ord(c):04x}" for c in token),
    "in hexadecimal": lambda token: token.encode().hex(),
    "in base64": lambda token: base64.b64encode(token.encode()).decode(),
    "in base64 for a URL": lambda token: base64.urlsafe_b64encode(b"?" + token.encode()).decode(),
    "in base64 with the other": lambda token: base64.b64encode(f"{token}:{GRANT}".encode()).decode(),
    "in base64 of JSON": lambda token: base64.b64encode(
        json.dumps({"a": token, "b": GRANT}).encode()
    ).decode(),
    "in base64 of lines": lambda token: base64.encodebytes(f"{token} {token} {token}".encode()).decode(),
    "in base64 for a URL parameter": lambda token: quote(base64.b64encode(f"12{token}".encode()), safe=""),
}


def hidden(text: str) -> bool:
    """Whether no piece of five characters of a token is in a text, nor of what its base64 holds."""
    texts = [text, unquote(unquote(text)), unescape(unescape(text))]
    for word in re.findall(r"[\w+/-]+", text):
        for start in range(4):
            piece = word[start : start + (len(word) - start) // 4 * 4]
            texts.append(
                base64.urlsafe_b64decode(piece.translate(str.maketrans("+/", "-_"))).decode("latin-1")
            )
    pieces = {token[at : at + 5].lower() for token in (SECRET, GRANT) for at in range(len(token) - 4)}
    return not any(piece in each.lower() for each in texts for piece in pieces)


@pytest.mark.parametrize("token", [SECRET, GRANT])
@pytest.mark.parametrize("spell", SPELLED.values(), ids=SPELLED)
def test_a_repeated_token_is_hidden_in_every_spelling(spell: Callable[[str], str], token: str) -> None:
    """Keeps what stands around it readable, save for base64 that holds both."""
    body = json.dumps({"message": f"before {spell(token)} after", "logId": spell(token)}).encode()
    details = describe_error_body(body, Tokens(SECRET, GRANT).scrub)
    assert details.startswith('"before ')
    assert ' after" (logId ' in details
    assert hidden(details), details
    assert describe_error_body(body, Tokens("demo", "demo").scrub) != details


@pytest.mark.parametrize("piece", ["\\", "%25", "&amp;", "%2561", SECRET[:-1], "&#", "a", " "])
def test_a_long_answer_is_searched_in_short_time(piece: str) -> None:
    began = time.process_time()
    Tokens(SECRET, GRANT).scrub(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 2


RETRY_AFTER: list[tuple[str | None, float | None]] = [
    *((header, None) for header in (None, "soon", "-5", "1e2", ".5", "inf", "1_0", "", "９")),
    *(("2", 2.0), ("0", 0.0), (" 7 ", 7.0), ("1.5", 1.5), ("1.", 1.0), ("9" * 400, 999999999.0)),
    (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
    (format_datetime(NOW - timedelta(hours=1), usegmt=True), None),
    ("Sat, 31 Jan 2026 12:00:99 GMT", None),
]


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER, ids=lambda value: str(value)[:30])
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    ("cost", "rate", "expected"),
    [
        ("1", "token-limit-10000-per-60-seconds: 147/10000", Budget(1, 147, 10_000, 60)),
        ("12", "something-new-per-10-seconds:8001 / 10000", Budget(12, 8001, 10_000, 10)),
        ("L", "", Budget(0, 0, 0, 0)),
        (None, None, Budget(0, 0, 0, 0)),
        ("-1", "per-60-seconds: many/10000", Budget(0, 0, 0, 0)),
        ("9" * 5000, "per-60-seconds: " + "9" * 5000 + "/1", Budget(0, 0, 0, 0)),
        ("\u0661", "per-60-seconds: \u0661/\u0661", Budget(0, 0, 0, 0)),
    ],
)
def test_budget_is_read_leniently(cost: str | None, rate: str | None, expected: Budget) -> None:
    headers = {"X-CallCost": cost, "X-RateLimiting": rate}
    assert read_budget({name: value for name, value in headers.items() if value is not None}) == expected


@pytest.mark.parametrize(
    ("used", "limit", "spent"), [(8000, 10_000, False), (8001, 10_000, True), (5, 0, False)]
)
def test_four_fifths_of_a_window_are_nearly_all(used: int, limit: int, spent: bool) -> None:
    assert Budget(1, used, limit, 60).nearly_spent is spent
