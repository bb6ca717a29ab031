"""The values of the commands' options."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def invoices(parser: argparse.ArgumentParser) -> None:
    """Add the option of the simulator's size."""
    parser.add_argument(
        "--invoices", type=positive, help="size of the simulator; default: as before, at first 22,500"
    )


def port(text: str) -> int:
    """A TCP port."""
    number = positive(text)
    if number > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: they end at 65535")
    return number
