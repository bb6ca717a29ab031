"""The hook over real HTTP: its requests, its connection, and what it never sends or shows.

Errors, retries, waits and limits are rows H of the fault catalogue; secrets are rows S.
"""

from __future__ import annotations

import doctest
import itertools
import re
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
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
from economic.errors import ConfigurationError, ConnectionLost, RateLimited, RequestRefused
from simulator import InProcess
from tests.integration.conftest import Company
from tests.support.faults import hosts
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

ROOT = Path(__file__).resolve().parents[2]
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


def test_the_agreement_is_read(hook: EconomicHook) -> None:
    assert hook.agreement() == (1234567, COMPANY, "DKK")


def test_pages_go_by_number_and_filter_by_date(hook: EconomicHook, simulated: InProcess) -> None:
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
    assert hook.totals() == (250, net, unpaid, len(simulated.ledger.unpaid()))
    assert hook.count_invoices() == 250
    assert hook.count_invoices(date_from=date(2100, 1, 1)) == 0
    assert isinstance(hook.totals().net_amount_base, Decimal)


def test_exactly_these_headers_are_sent(
    simulated: InProcess, define_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes no header of what stands in the extras, in login and password."""
    extra = TOKENS | {"page_size": "5", "X-Evil": "1", "timeout": 1}
    define_connection(
        conn_type="http", host=simulated.base_url, login="me", password="secret-password", extra=extra
    )
    with EconomicHook(limits=QUICK) as hook:
        hook.agreement()
    headers = "Accept Accept-Encoding Connection Content-Type Host User-Agent X-AgreementGrantToken X-AppSecretToken"
    assert sorted(simulated.requests()[-1]["headers"]) == headers.split()
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


def test_requests_start_a_tenth_second_apart(
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


def test_run_of_the_provider_raises_typed_errors(hook: EconomicHook) -> None:
    assert hook.run("/self").json()["agreementNumber"] == 1234567
    with pytest.raises(RequestRefused, match="404"):
        hook.run("/nothing")


def test_a_request_to_another_host_is_not_sent(hook: EconomicHook) -> None:
    session = hook.get_conn()
    with hosts.foreign_host() as foreign:
        for target in (
            foreign.url,
            foreign.url.replace("http://", "http://127.0.0.1@"),
            hook.base_url.replace("127.0.0.1", "127.0.0.1.evil.example"),
        ):
            with pytest.raises(RequestRefused, match="another host"):
                session.get(target)
    assert foreign.connections == 0


@pytest.mark.parametrize("key", ["app_secret_token", "agreement_grant_token"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((value, "is empty") for value in ("", None, 5)),
        *((value, "blanks") for value in (" CANARY0123456789abcdef", "CANARY0123456789abcdef\n")),
        *((value, "does not look") for value in ("CANARY short", "CANARY", "CANARYæ0123456789abcdef")),
    ],
)
def test_an_unusable_token_is_named_and_never_shown(
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
    extra = dict.fromkeys(TOKENS, "demo")
    define_connection(conn_type="economic", host=simulated.base_url, extra=extra)
    with EconomicHook(limits=QUICK) as hook:
        assert hook.agreement().agreement_number == 1234567


BAD_HOSTS = ("https://restapi.example/v1", "https://user@restapi.example", "ftp://restapi.example")
NOT_JSON = "extra of connection economic_default is not a JSON object"
PROXIES = "`proxies` in the extra of connection economic_default"
UNPROTECTED = "would get the tokens unprotected"
UNUSABLE = [
    ({"conn_type": "postgres"}, "of type postgres"),
    *(
        ({"host": host}, "not a base URL")
        for host in (*BAD_HOSTS, "https://restapi.example:99999", "https://[x")
    ),
    ({"host": "https://restapi.example", "port": 70_000}, "not a base URL"),
    ({"host": "https://" + "x" * 70 + ".example"}, "Nothing can be sent to"),
    *(({"extra": extra}, NOT_JSON) for extra in ([TOKENS], '{"app_secret_token": "CANARY', '"CANARY"')),
]
UNUSABLE_EXTRAS = [
    ({"verify": "/nowhere/CANARY"}, "`verify` .* is not a readable file"),
    ({"verify": "/etc/hostname"}, "`verify` .* is not a readable file"),
    ({"proxies": "http://CANARY"}, PROXIES),
    *(({"proxies": {"https": proxy}}, PROXIES) for proxy in ("CANARY:3128", "http://CANARY:99999", 3128)),
    ({"proxies": {"http": "http://CANARY.example"}}, UNPROTECTED),
    ({"proxies": {"all": "socks5h://CANARY.example"}}, UNPROTECTED),
    ({"proxies": {"http://127.0.0.1": "http://CANARY.example"}}, UNPROTECTED),
]


@pytest.mark.parametrize(
    ("fields", "text"),
    [*UNUSABLE, *(({"extra": TOKENS | extra}, text) for extra, text in UNUSABLE_EXTRAS)],
    ids=lambda value: str(value)[:60],
)
def test_an_unusable_connection_is_rejected_before_sending(
    simulated: InProcess,
    define_connection: Any,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, Any],
    text: str,
) -> None:
    define_connection(**({"conn_type": "economic", "host": simulated.base_url, "extra": TOKENS} | fields))
    limits = replace(QUICK, interval=0.1)
    with EconomicHook(limits=limits) as hook, pytest.raises(ConfigurationError, match=text) as caught:
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


@pytest.mark.parametrize(
    ("host", "extra", "proxies"),
    [
        ("", {}, None),
        ("", {}, {"https": "http://proxy.example:3128"}),
        ("http://127.0.0.1:1", {}, {"http": "http://localhost:3128"}),
        ("http://restapi.example", {"allow_http": True}, {"http": "http://proxy.example"}),
    ],
)
def test_a_usable_proxy_is_taken(define_connection: Any, host: str, extra: Any, proxies: Any) -> None:
    define_connection(conn_type="economic", host=host, extra=TOKENS | extra | {"proxies": proxies})
    assert EconomicHook().get_conn().proxies == (proxies or {})


MISBEHAVE: dict[str, bytes] = {
    "hangs up": b"",
    "sends an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "speaks plain HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


def breaking_handshakes(answer: bytes) -> AbstractContextManager[int]:
    """A port that takes a connection, or a CONNECT first, reads the client's hello, and misbehaves."""

    def misbehave(connection: socket.socket) -> None:
        if connection.recv(4096).startswith(b"CONNECT"):
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            connection.recv(4096)
        connection.sendall(answer)

    return hosts.attended(misbehave)


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "through a proxy"])
@pytest.mark.parametrize("answer", MISBEHAVE.values(), ids=MISBEHAVE)
def test_a_broken_handshake_is_an_outage(define_connection: Any, answer: bytes, proxied: bool) -> None:
    with breaking_handshakes(answer) as port:
        host = "https://restapi.example" if proxied else f"https://127.0.0.1:{port}"
        proxies = {"proxies": {"https": f"http://127.0.0.1:{port}"}} if proxied else {}
        define_connection(conn_type="economic", host=host, extra=TOKENS | proxies)
        limits = replace(QUICK, interval=0.1, attempts=2, read=0.3, connect=0.3)
        with EconomicHook(limits=limits) as hook, pytest.raises(ConnectionLost):
            hook.agreement()
        assert hook.traffic.retries == 1


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZip", " x-gzip ", "identity, gzip", "gzip, identity", "X-GZIP,Identity", ", gzip"]
)
def test_an_equal_spelling_of_the_encoding_is_read(
    hook: EconomicHook, simulated: InProcess, encoding: str
) -> None:
    simulated.faults(ALWAYS | {"kind": "layers", "layers": 1, "headers": {"Content-Encoding": encoding}})
    assert len(hook.invoices_above(None, page_size=1000).items) == 250
    assert hook.traffic.retries == 0


def test_attempts_outlast_the_rate_limit_window(
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
def test_the_base_url_comes_from_the_connection(
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


def test_the_test_button_names_agreement_or_reason(
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


def test_window_that_is_nearly_spent_is_waited_for(hook: EconomicHook, simulated: InProcess) -> None:
    """Others use the same tokens: what they use counts, and a 429 would hit them too."""
    simulated.budget(limit=100, window=2, used=85)
    hook.agreement()
    before = time.monotonic()
    at = time.time()
    hook.agreement()
    assert time.monotonic() - before >= 2 - at % 2 - 0.1
    assert (hook.traffic.cost, hook.traffic.limit) == (2, 100)
    assert hook.traffic.used >= 86
    assert hook.traffic.retries == 0


def test_budget_is_in_the_statistics(company: Company) -> None:
    company.books.budget(limit=5000, used=40)
    statistics = company.sync()
    assert statistics["call_cost"] == statistics["requests"]
    assert (statistics["rate_limit_used"], statistics["rate_limit"]) == (40 + statistics["requests"], 5000)


@pytest.mark.usefixtures("economic_default")
def test_examples_in_the_hooks_docstring_work() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    (examples,) = finder.find(EconomicHook, globs={"EconomicHook": EconomicHook})
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0


@pytest.mark.usefixtures("economic_default")
def test_the_documents_example_of_the_hook_works(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.S)
    exec(compile(example, "docs/api.md", "exec"), {})  # noqa: S102  # our own document
    assert len(capsys.readouterr().out.splitlines()) == 250
