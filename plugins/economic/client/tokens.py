"""e-conomic's two tokens: added to requests, and removed from every text that repeats them."""

from __future__ import annotations

import base64
import html
import re
from functools import cached_property

import requests
from requests.auth import AuthBase

PUBLIC = "demo"
"""e-conomic's documented public demo token, which is not a secret."""

_ESCAPE = re.compile(
    r"%(?:25)*(?P<url>[0-9a-f]{2})"
    r"|&(?:amp;)*\#(?P<decimal>[0-9]{1,7});?|&(?:amp;)*\#x(?P<hex>[0-9a-f]{1,6});?|&(?:amp;)*(?P<name>[a-z]{2,24});"
    r"|\\{1,8}(?:u(?P<json>[0-9a-f]{4})|x(?P<python>[0-9a-f]{2})|(?P<slash>/)|(?P<control>[nrt]))"
    r"|(?P<gap><w?br\ ?/?>|\ )",
    re.IGNORECASE | re.VERBOSE,
)
"""An escaped character, or a gap between two characters of a wrapped token."""
_URL_SAFE = str.maketrans("-_", "+/")
_BASE64 = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=")


class Tokens(AuthBase):
    """Adds the two token headers to a request.

    As the session's ``auth`` it also keeps ``requests`` from using credentials of ``.netrc``.
    """

    def __init__(self, app_secret: str, agreement_grant: str) -> None:
        self._headers = {"X-AppSecretToken": app_secret, "X-AgreementGrantToken": agreement_grant}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request

    def __repr__(self) -> str:
        return "Tokens(***)"

    def scrub(self, line: str) -> str:
        """Return a line with the tokens hidden: plain, wrapped, escaped, in base64 or hexadecimal.

        :param line: made by :func:`economic.outside_text.harmless`, so nothing invisible splits a
            token.
        """
        text, places = _unescaped(line)
        spans = [match.span() for spelling in self._plain for match in spelling.finditer(text)]
        encoded = text.translate(_URL_SAFE)
        spans += [
            _widened(match.span(), encoded, places)
            for spelling in self._encoded
            for match in spelling.finditer(encoded)
        ]
        shown, at = "", 0
        for first, last in sorted(spans):
            begin, end = places[first][0], places[last - 1][1]
            if end > at:
                shown += line[at : max(at, begin)] + "***"
                at = end
        return shown + line[at:]

    @cached_property
    def _plain(self) -> list[re.Pattern[str]]:
        return [_pattern(text) for token in self._secrets for text in (token, token.encode().hex())]

    @cached_property
    def _encoded(self) -> list[re.Pattern[str]]:
        return [_pattern(core) for token in self._secrets for core in _cores(token)]

    @property
    def _secrets(self) -> list[str]:
        return [token for token in self._headers.values() if token != PUBLIC]


def _pattern(spelling: str) -> re.Pattern[str]:
    return re.compile(re.escape(spelling), re.IGNORECASE)


def _widened(span: tuple[int, int], text: str, places: list[tuple[int, int]]) -> tuple[int, int]:
    """Widen a span by the base64 characters on both sides that hold bits of the token."""
    first, last = span
    for _ in range(3):
        if first and text[first - 1] in _BASE64 and places[first][0] == places[first - 1][1]:
            first -= 1
        if last < len(text) and text[last] in _BASE64 and places[last][0] == places[last - 1][1]:
            last += 1
    return first, last


def _unescaped(line: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the line with escapes decoded and gaps removed, and each character's place in it."""
    text: list[str] = []
    places: list[tuple[int, int]] = []
    at = 0
    for match in _ESCAPE.finditer(line):
        text.append(line[at : match.start()])
        places.extend((here, here + 1) for here in range(at, match.start()))
        character = _decoded(match)
        if character.isprintable() and not character.isspace():
            text.append(character)
            places.extend([match.span()] * len(character))
        at = match.end()
    text.append(line[at:])
    places.extend((here, here + 1) for here in range(at, len(line)))
    return "".join(text), places


def _decoded(match: re.Match[str]) -> str:
    kind, digits = match.lastgroup, match[match.lastgroup or 0]
    if kind in {"gap", "control"}:
        return ""
    if kind == "slash":
        return digits
    if kind == "name":
        return html.unescape(f"&{digits};")
    code = int(digits, 10 if kind == "decimal" else 16)
    return chr(code) if code < 0x110000 else ""


def _cores(token: str) -> list[str]:
    """Return the base64 that every longer text holding the token has in common.

    There is one for each of the token's three places within a group of three bytes.
    """
    cores = []
    for before in range(3):
        size = before + len(token)
        encoded = base64.b64encode(b"\0" * before + token.encode()).decode()
        cores.append(encoded[(0, 2, 3)[before] : size // 3 * 4 + size % 3])
    return cores
