"""A TCP proxy that breaks what it carries, switched by the test while it runs. It stands in front of HTTP or PostgreSQL."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

from tests.support.faults.hosts import LOOPBACK

_PIECE = 16 * 1024
_BUFFERED = 4096  # of the client's while stalled; small, so that a stalled client notices soon


class Link:
    """One connection through the proxy: the client's side and the server's."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.delivered = 0

    def reset(self) -> None:
        """Cut both sides with a reset."""
        for side in (self.client, self.server):
            with suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # The other thread sits in recv(), which keeps a closed socket alive: wake it first.
                side.shutdown(socket.SHUT_RD)
            side.close()

    def close(self) -> None:
        for side in (self.client, self.server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


class Proxy:
    """Forwards a port of its own to another one of this machine.

    :param target: the port it stands in front of.
    """

    def __init__(self, target: int) -> None:
        self.latency = 0.0
        """Seconds that each piece is held back, in either direction."""
        self._target = target
        self._links: set[Link] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._swallows = False
        self._limit: int | None = None
        self._listening: socket.socket | None = None
        self.port = 0
        self.heal()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def heal(self) -> None:
        """Forward everything again; connections that were cut stay cut."""
        self.latency, self._limit, self._swallows = 0.0, None, False
        self._flows.set()
        if self._listening is None:
            self._listen()

    def down(self) -> None:
        """Cut all connections and refuse new ones."""
        listening, self._listening = self._listening, None
        if listening is not None:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        self.reset()
        self._flows.set()

    def reset(self) -> None:
        """Cut all connections with a reset; new ones are welcome."""
        for link in self._open():
            self._cut(link)

    def blackhole(self) -> None:
        """Take every byte and pass none on, in either direction: the peer's kernel acknowledges, nobody answers."""
        self._swallows = True

    def stall(self) -> None:
        """Take no more bytes: what is sent piles up until the sender's own timeout ends the connection."""
        self._flows.clear()

    def limit(self, size: int) -> None:
        """Reset each connection after so many bytes from the server, counted from its beginning."""
        self._limit = size

    # -- for proxies that know what they carry -----------------------------------------------------------------

    def _from_client(self, link: Link, piece: bytes) -> bytes:
        """Return what is to be passed on of what the client sent."""
        return piece

    def _from_server(self, link: Link, piece: bytes) -> bytes:
        """Return what is to be passed on of what the server sent."""
        return piece

    # -- at work -----------------------------------------------------------------------------------------------

    def _open(self) -> list[Link]:
        with self._lock:
            return list(self._links)

    def _listen(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFERED)
        listening.bind((LOOPBACK, self.port))
        listening.listen(64)
        self.port = listening.getsockname()[1]
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                try:
                    server = socket.create_connection((LOOPBACK, self._target), timeout=10)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link = Link(client, server)
                with self._lock:
                    self._links.add(link)
                for pump in (self._to_server, self._to_client):
                    threading.Thread(target=pump, args=(link,), daemon=True).start()

    def _to_server(self, link: Link) -> None:
        with suppress(OSError):
            while piece := link.client.recv(_PIECE):
                self._hold()
                if not self._swallows:
                    link.server.sendall(self._from_client(link, piece))
        self._ended(link)

    def _to_client(self, link: Link) -> None:
        with suppress(OSError):
            while piece := link.server.recv(_PIECE):
                self._hold()
                if self._swallows:
                    continue
                piece = self._from_server(link, piece)
                if self._limit is not None and link.delivered + len(piece) >= self._limit:
                    link.client.sendall(piece[: max(0, self._limit - link.delivered)])
                    self._cut(link)
                    break
                link.delivered += len(piece)
                link.client.sendall(piece)
        self._ended(link)

    def _hold(self) -> None:
        self._flows.wait()
        if self.latency:
            time.sleep(self.latency)

    def _cut(self, link: Link) -> None:
        # Out of the list first: the pumps wake up by this and would end the connection politely.
        if self._forget(link):
            link.reset()

    def _ended(self, link: Link) -> None:
        if self._forget(link):
            link.close()

    def _forget(self, link: Link) -> bool:
        with self._lock:
            known = link in self._links
            self._links.discard(link)
        return known
