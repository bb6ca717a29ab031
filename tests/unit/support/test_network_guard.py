"""The tests themselves cannot leave this machine, and neither can the processes they start; the other tests show that they reach it."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "restapi.e-conomic.com"])
def test_this_process_is_kept_inside(host: str) -> None:
    with pytest.raises(OSError, match="only reach this machine"):
        socket.create_connection((host, 80), timeout=1)


def test_a_child_process_is_kept_inside() -> None:
    reach_out = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run([sys.executable, "-c", reach_out], capture_output=True, text=True)
    assert "only reach this machine" in done.stderr
