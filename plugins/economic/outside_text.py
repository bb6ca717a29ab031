"""Makes text from outside harmless before it is shown in a log, on a terminal or in a message.

It comes from e-conomic, a proxy, a conf or another database user. Shown raw, it could forge lines,
change a terminal's colours, reverse a line, hide characters or fill a log. Values of invoices are
stored as they came.
"""

from __future__ import annotations

import re

LONGEST = 500
_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links, device strings
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U00013430-\U0001345f\U000e0000-\U000e0fff]"
)
"""Characters without width, and those that reverse a line's direction."""


def harmless(text: str) -> str:
    """Return text as one line of visible characters, of any length."""
    if text.isascii() and text.isprintable():
        visible = text
    else:
        visible = _INVISIBLE.sub("", _ESCAPE_SEQUENCE.sub("", text))
        visible = "".join(c if c.isprintable() else " " for c in visible)
    return " ".join(visible.split())


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return text as one harmless line of at most ``longest`` characters."""
    # Cut first, so that many megabytes are not searched; most may be blanks and escapes.
    line = harmless(text[: 8 * longest])
    if len(line) <= longest and len(text) <= 8 * longest:
        return line
    return line[: longest - 1] + "\u2026"


def quoted(value: object, longest: int = 60) -> str:
    """Return a value from outside for an error: harmless, bounded, and text in quotation marks.

    Nested values are named by their type, because they may be deep and long.
    """
    if isinstance(value, str):
        return f"'{bounded(value, longest)}'"
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 10**18):
        return repr(value)
    return f"a {type(value).__name__}"


def listed(names: list[str], most: int = 20, longest: int = 60) -> str:
    """Return at most ``most`` names from outside in one line, each harmless and bounded."""
    shown = ", ".join(bounded(name, longest) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
