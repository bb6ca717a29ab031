"""Runs `python -m economic`."""

from __future__ import annotations

import sys

from economic.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
