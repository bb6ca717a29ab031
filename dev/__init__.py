"""The commands of a checkout. `run` starts them; nothing here is part of the product."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
