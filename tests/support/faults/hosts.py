"""Ports of this machine that a sync should not reach, or cannot."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"


@contextmanager
def attended(attend: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port whose connections are each attended to in a thread of their own, until either side ends them."""

    def serve(connection: socket.socket) -> None:
        with closing(connection), suppress(OSError, struct.error):
            attend(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    with closing(socket.create_server((LOOPBACK, 0))) as listening:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@dataclass
class ForeignHost:
    """Another server, and every byte it was sent.

    :param connections: how many connections were opened to it, even without a byte.
    """

    port: int = 0
    connections: int = 0
    received: bytes = b""

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def take(self, connection: socket.socket) -> None:
        """Keep what comes, and answer like a server that has done nothing wrong."""
        self.connections += 1
        connection.settimeout(5)
        while piece := connection.recv(65536):
            self.received += piece
            if b"\r\n\r\n" in self.received:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                return


@contextmanager
def foreign_host() -> Iterator[ForeignHost]:
    """A host that takes whatever it is sent."""
    host = ForeignHost()
    with attended(host.take) as host.port:
        yield host


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else takes meanwhile."""
    with closing(socket.socket()) as bound:
        bound.bind((LOOPBACK, 0))
        yield bound.getsockname()[1]


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of new connections is full: Linux drops further ones without a word, so that connecting hangs."""
    with closing(socket.socket()) as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        try:
            yield listening.getsockname()[1]
        finally:
            for one in waiting:
                one.close()
