"""What e-conomic's refusals mean: which error, with what it said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from economic.answers import Said, describe, refusal, retry_after
from economic.errors import CredentialsRefused, RateLimited, RequestRefused, ServerFault

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, RequestRefused),
        (400, RequestRefused),
        (401, CredentialsRefused),
        (403, CredentialsRefused),
        (404, RequestRefused),
        (408, ServerFault),
        (425, ServerFault),
        (429, RateLimited),
        (500, ServerFault),
        (502, ServerFault),
        (503, ServerFault),
        (504, ServerFault),
    ],
)
def test_each_status_is_the_error_that_says_what_to_do(status: int, kind: type[Exception]) -> None:
    said = Said("Could not parse.", "E04810", "0123-CPH")
    error = refusal(status, "/invoices/booked", said, None)
    assert type(error) is kind
    assert vars(error)["status"] == status
    for part in (str(status), "/invoices/booked", "Could not parse.", "E04810", "0123-CPH"):
        assert part in error.message


def test_an_error_body_is_read_as_far_as_it_goes() -> None:
    body = b'{"message": "Could not parse query string filter.", "errors": ["Filtering is not allowed."], "logId": "x-CPH", "errorCode": 5}'
    assert describe(body, str) == Said(
        "Could not parse query string filter. Filtering is not allowed.", None, "x-CPH"
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b"[]", b"null", b"\xff", b'{"message": 5, "errors": {"a": 1}}']
)
def test_a_body_that_says_nothing_is_no_error_of_its_own(body: bytes) -> None:
    assert describe(body, str) == Said()
    assert "502" in str(refusal(502, "/self", Said(), None))


@pytest.mark.parametrize(
    "body",
    [
        rb'{"message": "a\u0000b\ud800c\u202e d\n\te"}',
        rb'{"errors": ["a\u0000b", "\udfffc\u001b d\r\ne"]}',
    ],
)
def test_what_cannot_be_printed_or_stored_is_left_out(body: bytes) -> None:
    message = describe(body, str).message
    assert message.isprintable()
    assert message.replace(";", "").split() == ["a", "b", "c", "d", "e"]


def test_a_long_message_is_cut_and_secrets_are_taken_out() -> None:
    body = b'{"message": "token SECRET is bad ' + b"x" * 5000 + b'"}'
    said = describe(body, lambda text: text.replace("SECRET", "***"))
    assert len(said.message) == 500
    assert "SECRET" not in said.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("2", 2.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("86400", 86400.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("９", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), None),
        ("Sat, 31 Jan 2026 12:00:99 GMT", None),
        ("9" * 400, 999999999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nothing_else(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
