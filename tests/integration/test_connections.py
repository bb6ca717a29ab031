"""Connections to PostgreSQL: what cannot work is refused at once, by name, and what may pass is tried again."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from economic.db import connection
from economic.errors import ConfigurationError, DatabaseUnavailable
from tests.conftest import postgres_connection
from tests.support.faults import hosts

CONN_ID = "economic_postgres"
SECRET = "nobody_may_see_this_value"


@pytest.fixture
def define(database: str, define_connection: Callable[..., None]) -> Callable[..., None]:
    """Defines the connection to PostgreSQL as it should be, but for the fields given."""

    def changed(**fields: Any) -> None:
        define_connection(CONN_ID, **postgres_connection(database) | fields)

    return changed


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"extra": {"sslmod": "require"}}, "sslmod"),
        ({"extra": {"x" * 5000: 1}}, "x" * 59),
        ({"extra": {"sslmode": SECRET}}, "sslmode"),
        ({"extra": {"sslmode": "verify-full", "sslrootcert": f"/{SECRET}"}}, "sslrootcert"),
        ({"extra": {"sslmode": ["require"]}}, "sslmode"),
        ({"extra": {"target_session_attrs": SECRET}}, "target_session_attrs"),
        ({"extra": {"channel_binding": SECRET}}, "channel_binding"),
        ({"extra": {"ssl_min_protocol_version": SECRET}}, "ssl_min_protocol_version"),
        ({"extra": {"service": SECRET}}, "service"),
        ({"extra": {"connect_timeout": SECRET}}, "connect_timeout"),
        ({"extra": {"connect_timeout": {"s": 5}}}, "connect_timeout"),
        ({"extra": {"keepalives_idle": "soon"}}, "keepalives_idle"),
        ({"extra": {"port": SECRET}}, "port"),
        ({"extra": {"application_name": "a\0b"}}, "application_name"),
        ({"extra": {"options": f"-c {SECRET}=1"}}, "connection economic_postgres"),
        ({"extra": {"client_encoding": SECRET}}, "connection economic_postgres"),
        ({"extra": [1, 2]}, "extra of connection economic_postgres is not a JSON object"),
        ({"extra": f"{{{SECRET}"}, "extra of connection economic_postgres is not a JSON object"),
        ({"extra": "[" * 100_000}, "definition cannot be read"),
        ({"port": 70_000}, "port"),
        ({"port": SECRET}, "definition cannot be read"),
        ({"host": ""}, "names no host"),
        ({"password": SECRET}, "28P01"),
        ({"login": "no_such_role", "password": SECRET}, "connection economic_postgres"),
        ({"schema": "no_such_database"}, "3D000"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_a_mistake_is_refused_at_once_by_name(
    define: Callable[..., None], caplog: pytest.LogCaptureFixture, fields: dict[str, Any], named: str
) -> None:
    define(**fields)
    began = time.monotonic()
    with pytest.raises(ConfigurationError) as caught:
        connection.connect_patiently(CONN_ID)
    assert time.monotonic() - began < 5
    assert named in str(caught.value)
    assert CONN_ID in str(caught.value)
    assert len(str(caught.value)) < 700
    assert "Trying again" not in caplog.text
    if not {"options", "client_encoding"} & set(fields.get("extra") or ()):
        # of those the server says what it does not know
        assert SECRET not in str(caught.value) + caplog.text


def error_response(code: str, text: str) -> bytes:
    fields = {"S": "FATALT", "V": "FATAL", "C": code, "M": text}
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


def refusing(answer: bytes) -> AbstractContextManager[int]:
    """A server that answers each login with the same bytes, on a port of this machine."""

    def refuse(accepted: socket.socket) -> None:
        while piece := accepted.recv(4096):
            if piece[4:8] not in {b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"}:
                accepted.sendall(answer)
                return
            accepted.sendall(b"N")  # neither TLS nor GSS

    return hosts.attended(refuse)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, ConfigurationError) for code in ("28P01", "28000", "3D000", "42501")),
        *((code, DatabaseUnavailable) for code in ("53300", "57P03", "57P01", "XX000")),
    ],
)
def test_a_refused_login_is_judged_by_its_code(
    define: Callable[..., None], monkeypatch: pytest.MonkeyPatch, code: str, kind: type[Exception]
) -> None:
    """The words are Danish and mean nothing; one of them is English and means something else."""
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.0)
    with refusing(
        error_response(code, 'adgangskoden passer ikke: C "28P01" database does not exist')
    ) as port:
        define(port=port)
        with pytest.raises(kind):
            connection.connect_patiently(CONN_ID)


def test_a_rejected_login_is_retried_when_untraceable(
    define: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Happens outside Linux: without a trace, nothing tells a rejected login from a server that is down."""
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.0)
    monkeypatch.delattr(os, "memfd_create")
    define(password=SECRET)
    with pytest.raises(DatabaseUnavailable, match="password authentication failed"):
        connection.connect_patiently(CONN_ID)


@pytest.mark.parametrize("answer", [b"", b"H", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_server_that_is_none_is_tried_again(
    define: Callable[..., None], monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.0)
    with refusing(answer) as port:
        define(port=port)
        with pytest.raises(DatabaseUnavailable):
            connection.connect_patiently(CONN_ID)


def test_a_connection_in_order_logs_nothing(
    define: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    define(extra={"sslmode": "prefer", "cursor": "dictcursor", "sqlalchemy_query": {"a": "b"}, "port": None})
    with connection.connect(CONN_ID, within=5) as opened:
        assert opened.info.parameter_status("client_encoding") == "UTF8"
        assert opened.info.get_parameters()["tcp_user_timeout"] == "5000"
    assert caplog.records == []
