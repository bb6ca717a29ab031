"""What the commands say to the person who called them."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(text: str = "") -> None:
    """One line, at once; to a terminal that has been closed, nothing."""
    with suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
