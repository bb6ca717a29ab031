"""Text from outside is shown as one line of a bounded length, and nothing in it moves, hides or colours anything."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from economic.client.responses import describe_error_body
from economic.db.runs import Owner
from economic.errors import ConfigurationError, RequestRefused
from economic.outside_text import bounded, harmless, quoted
from economic.records.agreement import parse_agreement
from economic.sync.request import SyncRequest, read_conf

HOSTILE = {
    "a plain name": ("Prøvefirmaet Æble & Ørsted ApS", "Prøvefirmaet Æble & Ørsted ApS"),
    "line breaks": ("a\r\nCRITICAL: b\vc\fd\x85e\u2028f\u2029g", "a CRITICAL: b c d e f g"),
    "colours": ("a\x1b[31;1mred\x1b[0m \x9b2Jb", "ared b"),
    "a title and a link": ("a\x1b]0;title\x07b\x1b]8;;https://x\x1b\\c", "abc"),
    "an escape cut short": ("a\x1b", "a"),
    "backspaces and NUL": ("ab\b\bcd\x00\x7f", "ab cd"),
    "turned round": ("a\u202eb\u2066c\u200fd\u061ce", "abcde"),
    "without width": ("a\u200bb\u200dc\ufeffd\u00ade\u2060f\U000e0041g\u3164h\ufe0fi", "abcdefghi"),
    "half a pair": ("a\ud800b", "a b"),
    "blanks": ("  a \t\u00a0\u3000 b  ", "a b"),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_outside_text_is_shown_as_one_harmless_line(text: str, shown: str) -> None:
    assert harmless(text) == bounded(text) == shown


@pytest.mark.parametrize("text", ["x" * 10_000_000, "\n" * 5000 + "x", "\x1b[0m" * 5000, "æ" * 501])
def test_outside_text_is_bounded_and_says_so(text: str) -> None:
    shown = bounded(text, 500)
    assert len(shown) <= 500
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb", "'a b'"),
        ("x" * 1000, f"'{'x' * 59}…'"),
        (None, "None"),
        (5, "5"),
        pytest.param(10**5000, "a int", id="huge"),
        ([["deep"]], "a list"),
    ],
)
def test_a_quoted_value_is_harmless_and_bounded(value: object, shown: str) -> None:
    assert quoted(value) == shown


def test_every_error_is_one_bounded_line() -> None:
    error = RequestRefused("first\nCRITICAL: second\x1b[2J" + "x" * 100_000)
    for text in (error.message, *error.args):
        assert text.startswith("first CRITICAL: secondx")
        assert len(text) <= 2000


@pytest.mark.parametrize("text", [text for text, _ in HOSTILE.values()], ids=HOSTILE)
def test_texts_of_e_conomic_are_made_harmless(text: str) -> None:
    company = {"name": text.replace("\ud800", "") * 100}
    agreement = parse_agreement(json.dumps({"agreementNumber": 1, "company": company}).encode())
    assert agreement.company_name == bounded(agreement.company_name or "", 200)
    body = json.dumps({"message": text, "errors": [text], "logId": text, "errorCode": text}).encode()
    details = describe_error_body(body, str)
    assert details == bounded(details, 1000)


@pytest.mark.parametrize(
    ("conf", "params"),
    [
        ({"date\x1b[31m\nfrom": 1, **{"x" * 10_000 + str(n): n for n in range(1000)}}, {}),
        ({"date_from": "y" * 100_000}, {"date_from": "y" * 100_000}),
        ({"date_from": [[["z"]]] * 10_000}, {"date_from": [[["z"]]] * 10_000}),
    ],
)
def test_a_conf_is_quoted_harmless_and_bounded(conf: dict[str, object], params: dict[str, object]) -> None:
    bare = SyncRequest(Owner("dag", "run", "key", "economic_default"), "manual", "1")
    with pytest.raises(ConfigurationError) as caught:
        read_conf(bare, datetime.now(UTC), conf, params, schedule=None)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1500
