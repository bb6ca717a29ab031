"""The commands of a checkout. `run` starts them; nothing here is part of the product."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def inherited(*foreign: str) -> dict[str, str]:
    """Return this process's environment without the variables whose names begin so."""
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
