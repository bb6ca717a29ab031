"""A transaction-pooling pooler at its worst: each transaction of a client is served by another session than the one before.

What pgbouncer does under load happens here every time, and without the program. The role must be let in without a password, because a
login cannot be repeated for the second session.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.faults.hosts import LOOPBACK, attended
from tests.support.faults.postgres import NO_TLS

_READY, _IDLE = b"Z", b"I"


class _Session:
    """One session of the server."""

    def __init__(self, port: int, startup: bytes) -> None:
        self.socket = socket.create_connection((LOOPBACK, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(startup)
        self.greeting, _ = self.answer()

    def answer(self) -> tuple[bytes, bool]:
        """The next message of the server's, and whether the session is idle after it."""
        taken = b""
        while True:
            message = self._exactly(5)
            message += self._exactly(struct.unpack_from("!I", message, 1)[0] - 4)
            taken += message
            idle = message[:1] == _READY and message[5:6] == _IDLE
            # A login is several messages, which are wanted together; else each goes on as it comes.
            if idle or hasattr(self, "greeting"):
                return taken, idle

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self.socket.recv(size - len(found))
            if not piece:
                raise ConnectionError("the server has gone")
            found += piece
        return found


def _startup(client: socket.socket) -> bytes:
    while True:
        head = client.recv(8, socket.MSG_WAITALL)
        size, code = struct.unpack("!II", head)
        rest = client.recv(size - 8, socket.MSG_WAITALL) if size > 8 else b""
        if code not in NO_TLS:
            return head + rest
        client.sendall(b"N")


def _serve(client: socket.socket, port: int) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    startup = _startup(client)
    sessions = [_Session(port, startup) for _ in range(2)]
    try:
        client.sendall(sessions[0].greeting)
        served, current = 0, None
        while True:
            waiting = [client] if current is None else [client, current.socket]
            readable, _, _ = select.select(waiting, [], [])
            if current is not None and current.socket in readable:
                message, idle = current.answer()
                client.sendall(message)
                current = None if idle else current
            elif client in readable:
                piece = client.recv(65536)
                if not piece:
                    return
                if current is None:
                    current = sessions[served % len(sessions)]
                    served += 1
                current.socket.sendall(piece)
    finally:
        for session in sessions:
            session.socket.close()


@contextmanager
def pooler(port: int) -> Iterator[int]:
    """Run it in front of a server's port; its own port."""
    with attended(lambda client: _serve(client, port)) as own:
        yield own
