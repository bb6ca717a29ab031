"""Hosts that a sync should not reach, or cannot."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


@dataclass
class ForeignHost:
    """Another server, and every byte it was sent.

    :param connections: how many connections were opened to it, even without a byte.
    """

    port: int
    connections: int = 0
    received: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _serve(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.connections += 1
                threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            connection.settimeout(5)
            while piece := connection.recv(65536):
                with self._lock:
                    self.received += piece
                if b"\r\n\r\n" in self.received:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                    return


@contextmanager
def foreign_host() -> Iterator[ForeignHost]:
    """A host that takes whatever it is sent and answers like a server that has done nothing wrong."""
    with closing(socket.create_server((LOOPBACK, 0))) as listening:
        host = ForeignHost(listening.getsockname()[1])
        thread = threading.Thread(target=host._serve, args=(listening,), daemon=True)
        thread.start()
        yield host
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


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
        port: int = listening.getsockname()[1]
        waiting: list[socket.socket] = []
        try:
            for _ in range(4):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex((LOOPBACK, port))
            yield port
        finally:
            for one in waiting:
                one.close()
