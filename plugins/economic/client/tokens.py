"""e-conomic's two tokens: added to requests, and removed from every text that repeats them."""

from __future__ import annotations

import base64
import html
import re

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
        """Return a line with plain tokens hidden, and nothing of one that spells a token otherwise.

        Other spellings are wrapped, escaped, in base64 or hexadecimal.

        :param line: made by :func:`economic.outside_text.harmless`, so nothing invisible splits a
            token.
        """
        secrets = [token for token in self._headers.values() if token != PUBLIC]
        for token in secrets:
            line = re.sub(re.escape(token), "***", line, flags=re.IGNORECASE)
        text = _ESCAPE.sub(_decoded, line).lower()
        encoded = text.translate(_URL_SAFE)
        for token in secrets:
            hexadecimal = token.encode().hex()
            if token.lower() in text or hexadecimal in text or any(core in encoded for core in _cores(token)):
                return "***"
        return line


def _decoded(match: re.Match[str]) -> str:
    kind, digits = match.lastgroup, match[match.lastgroup or 0]
    if kind in {"gap", "control"}:
        return ""
    if kind == "slash":
        return digits
    if kind == "name":
        character = html.unescape(f"&{digits};")
    else:
        code = int(digits, 10 if kind == "decimal" else 16)
        character = chr(code) if code < 0x110000 else ""
    return character if character.isprintable() and not character.isspace() else ""


def _cores(token: str) -> list[str]:
    """Return the base64, in small letters, that every longer text holding the token has in common.

    There is one for each of the token's three places within a group of three bytes.
    """
    cores = []
    for before in range(3):
        size = before + len(token)
        encoded = base64.b64encode(b"\0" * before + token.encode()).decode()
        cores.append(encoded[(0, 2, 3)[before] : size // 3 * 4 + size % 3].lower())
    return cores
