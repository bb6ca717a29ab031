"""The host of the newer services follows from the connection's own, unless the extra names one."""

from __future__ import annotations

import pytest

from economic.client.connection import read_openapi_url

DEFAULT = "https://apis.e-conomic.com"


@pytest.mark.parametrize(
    ("base_url", "host", "url"),
    [
        ("https://restapi.e-conomic.com", None, DEFAULT),
        ("https://restapi.e-conomic.com:8443", "", DEFAULT),
        ("https://e-conomic.com", None, DEFAULT),
        ("http://127.0.0.1:8000", None, "http://127.0.0.1:8000"),
        ("https://e-conomic.com.proxy.example", None, "https://e-conomic.com.proxy.example"),
        ("https://not-e-conomic.com", "", "https://not-e-conomic.com"),
        ("https://restapi.e-conomic.com", " https://apis.proxy.example/ ", "https://apis.proxy.example"),
        ("https://restapi.e-conomic.com", "APIS.proxy.example:8443", "https://apis.proxy.example:8443"),
        ("https://restapi.e-conomic.com", "http://localhost:81", "http://localhost:81"),
    ],
)
def test_the_second_host_follows_from_the_first(base_url: str, host: str | None, url: str) -> None:
    assert read_openapi_url({} if host is None else {"openapi_host": host}, base_url) == url
