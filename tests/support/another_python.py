"""Programs in another Python, for what a process loads at its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def told(code: str, **environment: str) -> Any:
    """Run a program, and return what it prints between @@, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )
    assert "@@" in done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout.split("@@")[1])
