"""What the commands print for the person who called them, and the options they take."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress


def say(text: str = "") -> None:
    """Print one line at once; print nothing to a terminal that has been closed."""
    with suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def positive(text: str) -> int:
    """Read a number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def add_invoices(parser: argparse.ArgumentParser) -> None:
    """Add the option of the simulator's size."""
    parser.add_argument(
        "--invoices", type=positive, help="size of the simulator; default: as before, at first 22,500"
    )


def tcp_port(text: str) -> int:
    """Read a TCP port."""
    number = positive(text)
    if number > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: they end at 65535")
    return number
