"""Python processes of the tests reach this machine only: anything else is refused before a packet is sent.

On the path of every process that the tests start; imported by Python itself at start-up.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

_NAMES = {"localhost", "", None, b"localhost", b""}


class OutsideRefused(OSError):
    """A test tried to leave this machine."""


def _is_local(host: Any) -> bool:
    if host in _NAMES:
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        # A name: this machine's own, or one that must not be asked of anybody.
        return text == socket.gethostname()
    return address.is_loopback or address.is_unspecified


def _check(host: Any) -> None:
    if not _is_local(host):
        raise OutsideRefused(f"Tests may only reach this machine, not {host!r}.")


def install() -> None:
    """Refuse every address but loopback in this process; installing twice does no harm."""
    if getattr(socket.socket, "_network_guard", False):
        return
    original = socket.socket
    lookup = socket.getaddrinfo

    class LoopbackOnly(original):  # type: ignore[misc,valid-type]  # the class as it is at this moment
        _network_guard = True

        def connect(self, address: Any) -> None:
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                _check(address[0])
            return super().connect(address)

        def connect_ex(self, address: Any) -> int:
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                _check(address[0])
            return int(super().connect_ex(address))

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        _check(host)
        return lookup(host, *arguments, **options)

    socket.socket = LoopbackOnly  # type: ignore[misc]  # takes the place of a class
    socket.getaddrinfo = getaddrinfo


install()
