"""The hook over real HTTP: what it asks, what it refuses to do, how it survives, and what it never says."""

from __future__ import annotations

import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from economic.client.hook import EconomicHook
from economic.client.session import PinnedSession
from economic.client.transport import Limits, Transport
from economic.errors import (
    AnswerError,
    BrokenResponse,
    ConfigurationError,
    ConnectionLost,
    CredentialsRefused,
    EconomicError,
    RateLimited,
    RequestRefused,
    ServerFault,
)
from simulator import InProcess
from tests.support.faults.tls import tls_front
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

QUICK = Limits(interval=0.0, connect=2.0, read=2.0, page=3.0, attempts=3, first_wait=0.01)
COMPANY = "Prøvefirmaet Æble & Ørsted ApS"
TOKENS = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}


@pytest.fixture
def hook(economic_default: str) -> Iterator[EconomicHook]:
    with EconomicHook(economic_default, limits=QUICK) as opened:
        yield opened


ALWAYS = {"match": "/", "at": "all"}


def asked(simulated: InProcess) -> list[str]:
    return [f"{entry['path']}?{unquote(entry['query'])}" for entry in simulated.requests()]


def test_it_says_whose_accounts_it_reads(hook: EconomicHook) -> None:
    assert hook.agreement() == (1234567, COMPANY, "DKK")


def test_it_pages_by_number_and_filters_by_date(hook: EconomicHook, simulated: InProcess) -> None:
    first = hook.invoices_above(None, page_size=100)
    last = first.items[-1].decode()["bookedInvoiceNumber"]
    hook.invoices_above(last, page_size=100, date_from=date(2020, 1, 1), date_to=date(2026, 12, 31))
    assert asked(simulated) == [
        "/invoices/booked?pagesize=100&sort=bookedInvoiceNumber",
        "/invoices/booked?pagesize=100&sort=bookedInvoiceNumber"
        f"&filter=bookedInvoiceNumber$gt:{last}$and:date$gte:2020-01-01$and:date$lte:2026-12-31",
    ]
    assert (len(first.items), first.results, first.results_without_filter, first.has_next) == (
        100,
        250,
        250,
        True,
    )


def test_totals_and_counts_are_e_conomics_own(hook: EconomicHook, simulated: InProcess) -> None:
    net = sum(item["netAmountInBaseCurrency"] for item in simulated.ledger.items().values())
    unpaid = sum(item["remainderInBaseCurrency"] for item in simulated.ledger.items().values())
    assert hook.totals() == (250, net, unpaid)
    assert hook.count_invoices() == 250
    assert hook.count_invoices(date_from=date(2100, 1, 1)) == 0
    assert isinstance(hook.totals().net_amount_base, Decimal)


def test_exactly_these_headers_are_sent(
    simulated: InProcess, define_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in the extras, in .netrc or in login and password: nothing of it becomes a header."""
    extra = TOKENS | {"page_size": "5", "X-Evil": "1", "timeout": 1}
    define_connection(
        conn_type="http", host=simulated.base_url, login="me", password="secret-password", extra=extra
    )
    with EconomicHook(limits=QUICK) as hook:
        hook.agreement()
    assert sorted(simulated.requests()[-1]["headers"]) == [
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Content-Type",
        "Host",
        "User-Agent",
        "X-AgreementGrantToken",
        "X-AppSecretToken",
    ]
    assert simulated.requests()[-1]["accept_encoding"] == "gzip"


def test_one_connection_serves_all_requests(hook: EconomicHook, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    create = socket.create_connection
    monkeypatch.setattr(
        "urllib3.util.connection.create_connection",
        lambda *args, **kwargs: opened.append(args) or create(*args[:2]),  # type: ignore[func-returns-value]
    )
    for _ in range(5):
        hook.agreement()
    assert len(opened) == 1


def test_requests_start_at_least_a_tenth_of_a_second_apart(
    economic_default: str, simulated: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the clock of who sends: when the simulator's threads hear of it depends on what else this machine does.
    starts: list[float] = []
    send = PinnedSession.send

    def noted(self: PinnedSession, *args: Any, **kwargs: Any) -> Any:
        starts.append(time.monotonic())
        return send(self, *args, **kwargs)

    monkeypatch.setattr(PinnedSession, "send", noted)
    with EconomicHook(economic_default) as hook:
        for _ in range(4):
            hook.invoices_above(None, page_size=10)
        hook.agreement()
    assert len(starts) == len(simulated.requests()) == 5
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(starts))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_but_get_can_be_sent(hook: EconomicHook, simulated: InProcess, method: str) -> None:
    with pytest.raises(ConfigurationError, match="only reads"):
        hook.get_conn().request(method, f"{simulated.base_url}/invoices/drafts")
    hook.method = method
    with pytest.raises(ConfigurationError, match="only reads"):
        hook.run("/invoices/drafts")
    assert simulated.requests() == []


def test_the_http_providers_own_call_works_and_raises_typed_errors(hook: EconomicHook) -> None:
    assert hook.run("/self").json()["agreementNumber"] == 1234567
    with pytest.raises(RequestRefused, match="404"):
        hook.run("/nothing")


@contextmanager
def foreign_host() -> Iterator[tuple[str, list[bytes]]]:
    """Another server; what it is sent."""
    received: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(0.2)

        def accept() -> None:
            try:
                while True:
                    connection, _ = listening.accept()
                    received.append(connection.recv(65536))
                    connection.close()
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", received
        thread.join(1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_sends_nothing_there(
    hook: EconomicHook, simulated: InProcess, status: int
) -> None:
    with foreign_host() as (url, received):
        simulated.faults(ALWAYS | {"kind": "redirect", "status": status, "location": f"{url}/self"})
        with pytest.raises(RequestRefused, match=str(status)):
            hook.agreement()
        with pytest.raises(RequestRefused):
            hook.run("/self")
    assert received == []
    assert len(simulated.requests()) == 2


def test_a_request_to_another_host_is_not_sent(hook: EconomicHook) -> None:
    session = hook.get_conn()
    with foreign_host() as (url, received):
        for target in (
            url,
            url.replace("http://", "http://127.0.0.1@"),
            hook.base_url.replace("127.0.0.1", "127.0.0.1.evil.example"),
        ):
            with pytest.raises(RequestRefused, match="another host"):
                session.get(target)
    assert received == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 408},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "soon"}},
        {"kind": "html", "status": 502},
        {"kind": "html", "status": 200},
        {"kind": "body", "body": '{"collection": [{"bookedInvoiceNumber": 1'},
        {"kind": "body", "body": "[]"},
        {"kind": "reset"},
        {"kind": "half_body"},
        {"kind": "half_json"},
        {"kind": "bad_gzip"},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
def test_what_may_pass_is_tried_again(
    hook: EconomicHook, simulated: InProcess, fault: dict[str, Any]
) -> None:
    simulated.faults(fault | {"match": "/invoices/booked", "times": 2})
    assert hook.invoices_above(None, page_size=1000).results == 250
    assert (hook.traffic.requests, hook.traffic.retries) == (3, 2)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 500}, ServerFault),
        ({"kind": "status", "status": 429}, RateLimited),
        ({"kind": "reset"}, ConnectionLost),
        ({"kind": "half_body"}, ConnectionLost),
        ({"kind": "html", "status": 200}, BrokenResponse),
    ],
    ids=["500", "429", "reset", "half", "html"],
)
def test_what_does_not_pass_ends_as_retriable(
    hook: EconomicHook, simulated: InProcess, fault: dict[str, Any], kind: type[EconomicError]
) -> None:
    simulated.faults(fault | ALWAYS)
    with pytest.raises(kind):
        hook.invoices_above(None, page_size=1000)
    assert hook.traffic.requests == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, RequestRefused), (401, CredentialsRefused), (403, CredentialsRefused), (404, RequestRefused)],
)
def test_what_is_refused_is_asked_once(
    hook: EconomicHook, simulated: InProcess, status: int, kind: type[EconomicError]
) -> None:
    simulated.faults(ALWAYS | {"kind": "status", "status": status})
    with pytest.raises(kind, match=r"logId \w+-CPH") as caught:
        hook.agreement()
    assert vars(caught.value)["status"] == status
    assert len(simulated.requests()) == 1


def test_a_wait_that_is_asked_for_is_kept(hook: EconomicHook, simulated: InProcess) -> None:
    simulated.faults({"match": "/", "kind": "status", "status": 429, "headers": {"Retry-After": "1"}})
    hook.agreement()
    assert simulated.requests()[1]["received"] - simulated.requests()[0]["received"] >= 1.0


def test_a_long_wait_is_left_to_the_tasks_retry(hook: EconomicHook, simulated: InProcess) -> None:
    simulated.faults(ALWAYS | {"kind": "status", "status": 429, "headers": {"Retry-After": "86400"}})
    with pytest.raises(RateLimited) as caught:
        hook.agreement()
    assert caught.value.retry_after == 86400
    assert len(simulated.requests()) == 1


def test_a_lease_is_kept_alive_before_each_try(hook: EconomicHook, simulated: InProcess) -> None:
    calls = []
    hook.while_waiting = lambda: calls.append(1)
    simulated.faults({"match": "/", "kind": "status", "status": 500, "times": 2})
    hook.agreement()
    assert len(calls) >= 3


def test_a_silent_server_is_given_up(economic_default: str, simulated: InProcess) -> None:
    limits = Limits(interval=0.0, read=0.3, page=5.0, attempts=1)
    simulated.faults(ALWAYS | {"kind": "slow", "seconds": 2.0})
    with EconomicHook(economic_default, limits=limits) as hook, pytest.raises(ConnectionLost):
        hook.agreement()


def test_a_dripping_body_ends_at_the_deadline(economic_default: str, simulated: InProcess) -> None:
    limits = Limits(interval=0.0, read=2.0, page=0.6, attempts=1)
    simulated.faults(ALWAYS | {"kind": "drip", "seconds": 4.0})
    began = time.monotonic()
    with (
        EconomicHook(economic_default, limits=limits) as hook,
        pytest.raises(ConnectionLost, match=r"0\.6 seconds"),
    ):
        hook.agreement()
    assert time.monotonic() - began < 3


def test_dripping_headers_end_at_the_deadline(define_connection: Any) -> None:
    """No timeout of the HTTP client ends these: each byte comes in time, the answer never does."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            connection.recv(65536)
            try:
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                return
            finally:
                connection.close()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        define_connection(
            conn_type="economic", host=f"http://127.0.0.1:{listening.getsockname()[1]}", extra=TOKENS
        )
        began = time.monotonic()
        limits = Limits(interval=0.0, read=2.0, page=0.6, attempts=1)
        with EconomicHook(limits=limits) as hook, pytest.raises(ConnectionLost, match=r"0\.6 seconds"):
            hook.agreement()
        assert time.monotonic() - began < 3
        thread.join(5)


def test_a_body_beyond_the_limit_is_not_read_on(economic_default: str) -> None:
    limits = Limits(interval=0.0, body=10_000, attempts=1)
    with (
        EconomicHook(economic_default, limits=limits) as hook,
        pytest.raises(BrokenResponse, match="10,000 bytes"),
    ):
        hook.invoices_above(None, page_size=1000)


@pytest.mark.parametrize("key", ["app_secret_token", "agreement_grant_token"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is empty"),
        (None, "is empty"),
        (5, "is empty"),
        (" CANARY0123456789abcdef", "blanks"),
        ("CANARY0123456789abcdef\n", "blanks"),
        ("CANARY short", "does not look like a token"),
        ("CANARY", "does not look like a token"),
        ("CANARYæ0123456789abcdef", "does not look like a token"),
    ],
)
def test_an_unusable_token_is_refused_by_name_and_never_shown(
    simulated: InProcess, define_connection: Any, key: str, value: Any, said: str
) -> None:
    define_connection(conn_type="economic", host=simulated.base_url, extra=TOKENS | {key: value})
    with (
        EconomicHook(limits=QUICK) as hook,
        pytest.raises(ConfigurationError, match=f"{key}.*{said}") as caught,
    ):
        hook.agreement()
    assert "CANARY" not in str(caught.value)
    assert simulated.requests() == []


def test_the_public_demo_tokens_are_tokens(simulated: InProcess, define_connection: Any) -> None:
    extra = {"app_secret_token": "demo", "agreement_grant_token": "demo"}
    define_connection(conn_type="economic", host=simulated.base_url, extra=extra)
    with EconomicHook(limits=QUICK) as hook:
        assert hook.agreement().agreement_number == 1234567


def test_a_missing_connection_is_named() -> None:
    with (
        EconomicHook("no_such_connection", limits=QUICK) as hook,
        pytest.raises(ConfigurationError, match="no_such_connection"),
    ):
        hook.agreement()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"conn_type": "postgres"}, "of type postgres"),
        ({"host": "http://restapi.example"}, "plain http"),
        ({"host": "https://restapi.example/v1"}, "not a base URL"),
        ({"host": "https://user@restapi.example"}, "not a base URL"),
        ({"host": "ftp://restapi.example"}, "not a base URL"),
        ({"host": "https://restapi.example:99999"}, "not a base URL"),
        ({"host": "https://[restapi"}, "not a base URL"),
        ({"host": "https://restapi.example", "port": 70_000}, "not a base URL"),
        ({"host": "https://" + "x" * 70 + ".example"}, "Nothing can be sent to"),
        ({"host": "https://rest api.example"}, "Nothing can be sent to"),
        ({"extra": TOKENS | {"verify": False}}, "without verification"),
        ({"extra": TOKENS | {"verify": "/nowhere/CANARY"}}, "`verify` .* is not a readable file"),
        ({"extra": TOKENS | {"verify": "/etc/hostname"}}, "`verify` .* is not a readable file"),
        ({"extra": [TOKENS]}, "extra of connection economic_default is not a JSON object"),
        (
            {"extra": '{"app_secret_token": "CANARY'},
            "extra of connection economic_default is not a JSON object",
        ),
        ({"extra": '"CANARY"'}, "extra of connection economic_default is not a JSON object"),
        (
            {"extra": TOKENS | {"proxies": "http://CANARY"}},
            "`proxies` in the extra of connection economic_default",
        ),
        ({"extra": TOKENS | {"proxies": {"https": "CANARY:3128"}}}, "`proxies` in the extra"),
        ({"extra": TOKENS | {"proxies": {"https": "http://CANARY:99999"}}}, "`proxies` in the extra"),
        ({"extra": TOKENS | {"proxies": {"https": 3128}}}, "`proxies` in the extra"),
        (
            {"extra": TOKENS | {"proxies": {"http": "http://CANARY.example"}}},
            "would get the tokens unprotected",
        ),
        (
            {"extra": TOKENS | {"proxies": {"all": "socks5h://CANARY.example"}}},
            "would get the tokens unprotected",
        ),
        (
            {"extra": TOKENS | {"proxies": {"http://127.0.0.1": "http://CANARY.example"}}},
            "tokens unprotected",
        ),
    ],
)
def test_an_unusable_connection_is_refused_before_anything_is_sent(
    simulated: InProcess,
    define_connection: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, Any],
    said: str,
) -> None:
    define_connection(**({"conn_type": "economic", "host": simulated.base_url, "extra": TOKENS} | fields))
    limits = replace(QUICK, interval=0.1)
    with EconomicHook(limits=limits) as hook, pytest.raises(ConfigurationError, match=said) as caught:
        hook.agreement()
    assert simulated.requests() == []
    assert "CANARY" not in str(caught.value) + caplog.text
    assert hook.traffic.retries == 0


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_unusable_bundle_of_the_environment_is_named(
    define_connection: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, "/nowhere")
    define_connection(conn_type="economic", extra=TOKENS)
    with pytest.raises(ConfigurationError, match=variable):
        EconomicHook().get_conn()


@pytest.mark.parametrize("proxies", [None, {}, {"https": "http://proxy.example:3128"}])
def test_a_usable_proxy_is_taken(define_connection: Any, proxies: Any) -> None:
    define_connection(conn_type="economic", extra=TOKENS | {"proxies": proxies})
    assert EconomicHook().get_conn().proxies == (proxies or {})


def test_a_proxy_for_plain_http_is_taken_when_allowed(define_connection: Any) -> None:
    """On this machine, or with the same word that allows plain http at all."""
    for host, extra, proxy in (
        ("http://127.0.0.1:1", {}, "http://localhost:3128"),
        ("http://restapi.example", {"allow_http": True}, "http://proxy.example"),
    ):
        define_connection(
            conn_type="economic", host=host, extra=TOKENS | extra | {"proxies": {"http": proxy}}
        )
        assert EconomicHook().get_conn().proxies == {"http": proxy}


def hang_up(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def alert(connection: socket.socket) -> None:
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


def speak_plain_http(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def speak_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x03\x00\x04\xff\xff\xff\xff")


def be_silent(connection: socket.socket) -> None:
    time.sleep(1.0)


@contextmanager
def breaking_handshakes(misbehave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port that takes a connection, or a CONNECT first, reads the client's hello, and misbehaves."""

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if connection.recv(4096).startswith(b"CONNECT"):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                connection.recv(4096)
            misbehave(connection)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=handle, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "through a proxy"])
@pytest.mark.parametrize(
    "misbehave",
    [hang_up, reset, alert, speak_plain_http, speak_nonsense, be_silent],
    ids=lambda f: f.__name__,
)
def test_a_broken_handshake_is_an_outage(
    define_connection: Any, misbehave: Callable[[socket.socket], None], proxied: bool
) -> None:
    with breaking_handshakes(misbehave) as port:
        host = "https://restapi.example" if proxied else f"https://127.0.0.1:{port}"
        proxies = {"proxies": {"https": f"http://127.0.0.1:{port}"}} if proxied else {}
        define_connection(conn_type="economic", host=host, extra=TOKENS | proxies)
        limits = replace(QUICK, interval=0.1, attempts=2, read=0.3, connect=0.3)
        with EconomicHook(limits=limits) as hook, pytest.raises(ConnectionLost):
            hook.agreement()
        assert hook.traffic.retries == 1


def test_a_certificate_that_cannot_be_verified_is_refused_at_once(
    simulated: InProcess, define_connection: Any, tmp_path: Path
) -> None:
    with tls_front(tmp_path, int(simulated.base_url.rpartition(":")[2])) as front:
        define_connection(conn_type="economic", host=front.url, extra=TOKENS)
        limits = replace(QUICK, interval=0.1)
        with EconomicHook(limits=limits) as hook, pytest.raises(ConfigurationError, match="certificate"):
            hook.agreement()
        assert hook.traffic.requests == 1


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZip", " x-gzip ", "identity, gzip", "gzip, identity", "X-GZIP,Identity", ", gzip"]
)
def test_an_equal_spelling_of_the_encoding_is_read(
    hook: EconomicHook, simulated: InProcess, encoding: str
) -> None:
    simulated.faults(ALWAYS | {"kind": "layers", "layers": 1, "headers": {"Content-Encoding": encoding}})
    assert len(hook.invoices_above(None, page_size=1000).items) == 250
    assert hook.traffic.retries == 0


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "gzip, deflate", "x-gzip, gzip", "zipped"])
def test_an_encoding_that_was_not_asked_for_is_no_answer(
    hook: EconomicHook, simulated: InProcess, encoding: str
) -> None:
    simulated.faults(ALWAYS | {"kind": "headers", "headers": {"Content-Encoding": encoding}})
    with pytest.raises(BrokenResponse, match="encoding"):
        hook.agreement()


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_long_error_body_is_not_read_to_its_end(
    hook: EconomicHook, simulated: InProcess, status: int
) -> None:
    body = '{"message": "' + "x" * 2_000_000 + '"}'
    simulated.faults(ALWAYS | {"kind": "status", "status": status, "body": body})
    with pytest.raises(AnswerError, match=str(status)) as caught:
        hook.agreement()
    assert "xxx" not in str(caught.value)
    assert hook.traffic.bytes == 0


def test_tries_outlast_the_window_of_too_many_requests(
    economic_default: str, simulated: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(Transport, "_sleep", lambda _, seconds: waits.append(seconds))
    simulated.faults(ALWAYS | {"kind": "status", "status": 429})
    with EconomicHook() as hook, pytest.raises(RateLimited):
        hook.agreement()
    assert 60 < sum(waits) < 150
    assert waits == sorted(waits)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://restapi.e-conomic.com"),
        ({"host": "restapi.e-conomic.com"}, "https://restapi.e-conomic.com"),
        ({"host": "https://restapi.e-conomic.com/"}, "https://restapi.e-conomic.com"),
        ({"host": "restapi.e-conomic.com", "port": 443, "schema": "https"}, "https://restapi.e-conomic.com"),
        ({"host": "localhost", "port": 8080, "schema": "http"}, "http://localhost:8080"),
        ({"host": "http://proxy.example", "extra": TOKENS | {"allow_http": True}}, "http://proxy.example"),
    ],
)
def test_the_base_url_is_put_together_from_the_connection(
    define_connection: Any, fields: dict[str, Any], url: str
) -> None:
    define_connection(**({"conn_type": "economic", "extra": TOKENS} | fields))
    hook = EconomicHook()
    hook.get_conn()
    assert hook.base_url == url


def test_a_shorter_pause_is_for_this_machine_only(define_connection: Any) -> None:
    define_connection(conn_type="economic", extra=TOKENS)
    with pytest.raises(ConfigurationError, match="100 ms"):
        EconomicHook(limits=QUICK).get_conn()


def test_building_a_hook_touches_nothing() -> None:
    assert EconomicHook("no_such_connection").economic_conn_id == "no_such_connection"


def test_the_test_button_says_which_agreement_it_reached_or_why_not(
    economic_default: str, simulated: InProcess, define_connection: Any
) -> None:
    assert EconomicHook().test_connection() == (True, f"Connected to agreement 1234567 ({COMPANY})")
    wrong = TOKENS | {"agreement_grant_token": "CANARY0123456789abcdef"}
    define_connection(conn_type="economic", host=simulated.base_url, extra=wrong)
    worked, said = EconomicHook().test_connection()
    assert not worked
    assert "E02250" in said
    assert "CANARY" not in said
    # Airflow tests under an id of its own making, which tells nobody anything.
    for extra in ({}, {"proxies": 5} | TOKENS, [], TOKENS | {"unknown": 1}):
        define_connection("x7k2m9", conn_type="economic", host=simulated.base_url, extra=extra)
        assert "x7k2m9" not in EconomicHook("x7k2m9").test_connection()[1]
    assert EconomicHook("no_such_connection").test_connection()[0] is False


@pytest.mark.parametrize(
    ("conn_id", "setting", "advice"),
    [
        ("economic_default", "", "set ECONOMIC_CONN_ID"),
        ("mine", "mine", "set ECONOMIC_CONN_ID"),
        ("economic_north", "", "`conn_id` of its company in ECONOMIC_AGREEMENTS"),
        ("economic_default", "mine", "`conn_id` of its company in ECONOMIC_AGREEMENTS"),
    ],
)
def test_advice_fits_the_agreement_without_a_connection(
    monkeypatch: pytest.MonkeyPatch, conn_id: str, setting: str, advice: str
) -> None:
    monkeypatch.setenv("ECONOMIC_CONN_ID", setting)
    with pytest.raises(ConfigurationError, match=f"{conn_id}.*{advice}"):
        EconomicHook(conn_id).agreement()


def test_tokens_stay_out_of_logs_and_errors(
    simulated: InProcess, define_connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "CANARY0123456789abcdef"
    define_connection(
        conn_type="economic", host=simulated.base_url, extra=TOKENS | {"app_secret_token": canary}
    )
    echo = '{"message": "The token ' + canary + ' is unknown", "errorCode": "' + canary + '"}'
    simulated.faults(ALWAYS | {"kind": "status", "status": 400, "body": echo})
    with EconomicHook(limits=QUICK) as hook:
        with pytest.raises(RequestRefused) as caught:
            hook.agreement()
        assert canary not in repr(vars(hook))
    assert canary not in str(caught.value)
    assert canary not in caplog.text
