"""The environment of a command that a test starts as its user would: a data folder of its own, and nothing else said."""

from __future__ import annotations

import os
from pathlib import Path

from dev import inherited

SERVER = "ECONOMIC_PG_BIN"
"""Which PostgreSQL the tests run on: the commands' servers and the tests' own share their data."""


def demo_environment(home: Path) -> dict[str, str]:
    """Return the variables of a command whose data lies in that folder."""
    server = {SERVER: os.environ[SERVER]} if SERVER in os.environ else {}
    return inherited("AIRFLOW", "ECONOMIC_") | server | {"ECONOMIC_DEMO_DATA": str(home)}
