"""The HTTP session with e-conomic: one host, GET only, no redirects, connections that can be cut.

The tokens are custom headers, which common HTTP clients repeat on a redirect to another host. So
no redirect is followed, and each request's origin is checked before it is sent. Each of e-conomic's
two hosts has its own session.
"""

from __future__ import annotations

import logging
import socket
import time
import weakref
from typing import Any
from urllib.parse import urlsplit

import requests
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from economic import __version__
from economic.client.tokens import Tokens
from economic.errors import ConfigurationError, RequestRefused

log = logging.getLogger(__name__)


class PinnedSession(requests.Session):
    """A session that sends GET to one origin only, with the tokens, and follows no redirect.

    :param base_url: scheme, host and port of the API.
    """

    def __init__(self, base_url: str, tokens: Tokens) -> None:
        super().__init__()
        self.base_url = base_url
        self._origin = origin(base_url)
        self.auth = self.tokens = tokens
        self.headers.update(
            {
                "User-Agent": f"airflow-provider-economic/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "Content-Type": "application/json",
            }
        )
        # A proxy of the environment would read the tokens in plain http.
        self.trust_env = base_url.startswith("https:")

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if request.method != "GET":
            raise ConfigurationError(f"This package only reads from e-conomic: {request.method} is not sent.")
        if origin(request.url or "") != self._origin:
            raise RequestRefused("A request to another host than the connection's was not sent.")
        kwargs["allow_redirects"] = False
        if isinstance(self.verify, str):
            # requests lets REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE override it.
            kwargs["verify"] = self.verify
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: otherwise ``requests`` reads a redirect's
        whole body without following it.
        """


def origin(url: str) -> tuple[str, str, int | None, bool]:
    """Return a URL's scheme, host and port, and whether it names a user."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port, "@" in parts.netloc


class WatchedAdapter(TCPKeepAliveAdapter):  # type: ignore[misc]  # requests_toolbelt has no types
    """A keep-alive adapter whose connections can be cut from another thread.

    No timeout of ``requests`` or ``urllib3`` ends an answer whose headers arrive one byte at a
    time; closing the socket does. ``sent_at`` is the monotonic time of the newest request.
    """

    def __init__(self) -> None:
        self.sent_at = 0.0
        self._open: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        super().__init__(idle=60, interval=15, count=4)

    def cut(self) -> None:
        """Shut down every open connection. A thread that reads from one gets an error at once."""
        for connection in list(self._open):
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError as error:
                    log.debug("The connection was closed already: %s", error)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, type[HTTPConnectionPool]]:
        adapter = self

        class Watched(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                adapter._open.add(self)

            def request(self, *args: Any, **kwargs: Any) -> None:
                super().request(*args, **kwargs)
                adapter.sent_at = time.monotonic()

        class Secure(Watched, HTTPSConnection):
            pass

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Watched

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}
