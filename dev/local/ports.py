"""Ports of this machine's loopback."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server could listen there.

    :raises PermissionError: only root may listen there.
    """
    with socket.socket() as tried:
        # As servers do: a connection that was closed a moment ago is no obstacle.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except PermissionError:
            raise
        except OSError:
            return False
        return True
