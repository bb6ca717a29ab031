"""Reads an Airflow connection to e-conomic, and rejects what is unusable or unsafe."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from requests.utils import select_proxy

from economic.client.tokens import PUBLIC
from economic.config.settings import SMALLEST_INTERVAL_MS
from economic.errors import ConfigurationError
from economic.outside_text import bounded

DEFAULT_BASE_URL = "https://restapi.e-conomic.com"
DEFAULT_OPENAPI_URL = "https://apis.e-conomic.com"
"""Of the newer services, such as that of invoice lines."""

_TYPES = frozenset({"economic", "http", "generic", ""})
"""``http`` and ``generic`` serve installs without the provider, where ``economic`` is unknown."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}", re.ASCII)
_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_ALLOW_HTTP_HINT = 'Use https, or set "allow_http": true in its extra if that is meant.'


def check_type(conn_type: str | None, where: str) -> None:
    """Check the type of a connection.

    :raises ConfigurationError: it is one of another system.
    """
    if (conn_type or "") not in _TYPES:
        raise ConfigurationError(
            f"{where.capitalize()} is of type {bounded(str(conn_type), 60)}.",
            hint="e-conomic needs one of type economic (or http, generic).",
        )


def read_token(where: str, extra: dict[str, Any], key: str) -> str:
    """Return one of the two tokens.

    :raises ConfigurationError: it is missing, or was pasted with something around it. The message
        names the key and never shows the token.
    """
    value = extra.get(key)
    where = f"{key} in the extra of {where}"
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{where} is empty.", hint="Paste the token there; both tokens are needed.")
    if value != value.strip():
        raise ConfigurationError(
            f"{where} has blanks or line breaks around it.", hint="Paste the token without them."
        )
    if value != PUBLIC and not _TOKEN.fullmatch(value):
        raise ConfigurationError(
            f"{where} does not look like a token.",
            hint="It has at least 16 letters and digits, and no blanks.",
        )
    return value


def read_verify(value: Any, trusts_environment: bool) -> bool | str:
    """Return the path of a CA bundle, or True for the usual certificate authorities.

    :param trusts_environment: whether ``requests`` takes a bundle from the environment.
    :raises ConfigurationError: verification is switched off, or the bundle cannot be read.
    """
    if isinstance(value, str) and value and value.lower() not in {"false", "0", "no"}:
        _check_bundle(value, "`verify` in the connection's extra")
        return value
    if value not in (True, None, ""):
        raise ConfigurationError(
            "The connection's extra asks for TLS without verification.",
            hint="Remove `verify`, or give the path of a CA bundle.",
        )
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if trusts_environment and os.environ.get(name):
            _check_bundle(os.environ[name], f"The environment variable {name}")
            break
    return True


def _check_bundle(path: str, name: str) -> None:
    try:
        if not Path(path).is_dir():
            ssl.create_default_context(cafile=path)
    except (OSError, ValueError):
        raise ConfigurationError(
            f"{name} is not a readable file of certificates.",
            hint="Give the path of a CA bundle in PEM format that every worker can read.",
        ) from None


def read_proxies(extra: dict[str, Any], url: str, where: str) -> dict[str, str]:
    """Return the proxies of the extra.

    The environment's proxy is used for https only, through a tunnel in which it sees no token.

    :param url: the base URL.
    :raises ConfigurationError: a proxy is unusable, or one for plain http would read the tokens.
    """
    proxies = extra.get("proxies") or {}
    if not isinstance(proxies, dict) or not all(map(_is_proxy, proxies.values())):
        raise ConfigurationError(
            f"`proxies` in the extra of {where} cannot be used.",
            hint='Write it as {"https": "http://HOST:PORT"}.',
        )
    proxy = select_proxy(url, proxies)
    if url.startswith("http:") and proxy and not (_allows_http(extra) or is_loopback(proxy)):
        raise ConfigurationError(
            f"The proxy for plain http in the extra of {where} would get the tokens unprotected.",
            hint=_ALLOW_HTTP_HINT,
        )
    return proxies


def _is_proxy(proxy: Any) -> bool:
    if not isinstance(proxy, str):
        return False
    try:
        parts = urlsplit(proxy)
        return parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _allows_http(extra: dict[str, Any]) -> bool:
    return extra.get("allow_http") in (True, "true", "True")


def read_base_url(connection: Any, extra: dict[str, Any]) -> str:
    """Return scheme, host and port of the API.

    :raises ConfigurationError: the host is not a base URL, or is plain http to another machine
        without ``"allow_http": true``.
    """
    host = (connection.host or "").strip() or DEFAULT_BASE_URL
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    return _read_url(host, connection.port, extra, "The connection's host", DEFAULT_BASE_URL)


def read_openapi_url(extra: dict[str, Any], base_url: str) -> str:
    """Return scheme, host and port of the newer services, which have another host.

    :param base_url: the API's; it serves both when it is not e-conomic's own, but a simulator or a
        proxy.
    :raises ConfigurationError: as :func:`read_base_url`, for ``openapi_host`` of the extra.
    """
    host = extra.get("openapi_host") or ""
    if host == "":
        name = urlsplit(base_url).hostname or ""
        return DEFAULT_OPENAPI_URL if f".{name}".endswith(".e-conomic.com") else base_url
    host = host.strip() if isinstance(host, str) else "://"
    if "://" not in host:
        host = f"https://{host}"
    return _read_url(host, None, extra, "`openapi_host` in the connection's extra", DEFAULT_OPENAPI_URL)


def _read_url(host: str, default_port: int | None, extra: dict[str, Any], where: str, example: str) -> str:
    try:
        parts = urlsplit(host)
        port = parts.port or default_port or None
    except ValueError:
        parts, port = urlsplit(""), None
    usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not usable or parts.path.strip("/") or parts.query or parts.fragment or not 0 < (port or 1) < 65536:
        raise ConfigurationError(
            f"{where} is not a base URL.", hint=f"Write it like {example}, without a path."
        )
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_default = port in (None, {"http": 80, "https": 443}[parts.scheme])
    url = f"{parts.scheme}://{name}" + ("" if is_default else f":{port}")
    if parts.scheme == "http" and not (_allows_http(extra) or is_loopback(url)):
        raise ConfigurationError(
            f"{where} is plain http, which would send the tokens unprotected.", hint=_ALLOW_HTTP_HINT
        )
    return url


def check_interval(seconds: float, url: str) -> None:
    """Check the time between two requests.

    :raises ConfigurationError: it is shorter than allowed, and the server is on another machine.
    """
    if seconds * 1000 < SMALLEST_INTERVAL_MS and not is_loopback(url):
        raise ConfigurationError(
            f"Less than {SMALLEST_INTERVAL_MS} ms between requests is allowed for this machine only.",
            hint=f"Set ECONOMIC_REQUEST_INTERVAL_MS to {SMALLEST_INTERVAL_MS} or more.",
        )


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
