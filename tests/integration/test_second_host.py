"""The tokens at the host of the newer services: they go there and to the first host, and nowhere else.

Rows S of the fault catalogue prove the same of the first host, through whole syncs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from economic.client.hook import EconomicHook
from economic.client.responses import LINES_PATH
from economic.client.transport import Limits
from economic.errors import ConfigurationError, EconomicError, RequestRefused
from simulator import InProcess
from tests.support.faults import hosts
from tests.support.faults.tls import tls_front
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET, find_canaries, shown

LIMITS = Limits(interval=0.0, connect=1.0, read=0.5, page=1.0, attempts=2, first_wait=0.01)
TLS_LIMITS = Limits(interval=0.1, connect=2.0, read=2.0, page=4.0, attempts=1)
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
Reach = Callable[..., EconomicHook]


@pytest.fixture
def reach(simulated: InProcess, define_connection: Any) -> Iterator[Reach]:
    """Makes the hook of a connection with this second host, and maybe another first one."""
    opened: list[EconomicHook] = []

    def made(
        openapi_host: str | None, *, host: str = simulated.base_url, limits: Limits = LIMITS, **extra: Any
    ) -> EconomicHook:
        tokens = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}
        named = {} if openapi_host is None else {"openapi_host": openapi_host}
        define_connection(conn_type="economic", host=host, extra=tokens | named | extra)
        opened.append(EconomicHook(limits=limits))
        return opened[-1]

    yield made
    for hook in opened:
        hook.close()


@contextmanager
def behind_tls(sim: InProcess, folder: Path, **certificate: Any) -> Iterator[Any]:
    with tls_front(folder, int(sim.base_url.rpartition(":")[2]), **certificate) as front:
        yield front


ECHO = json.dumps(
    {
        "title": f"Token {APP_SECRET} and {AGREEMENT_GRANT} are no pair.",
        "status": 403,
        "errorCode": AGREEMENT_GRANT,
        "traceId": APP_SECRET,
        "errors": [
            {"message": quote(APP_SECRET, safe=""), "property": AGREEMENT_GRANT, "errorCode": APP_SECRET},
            f"X-AppSecretToken: {APP_SECRET}",
        ],
    }
)
FAULTS: list[dict[str, Any]] = [
    *({"kind": "status", "status": status, "body": ECHO} for status in (400, 401, 403, 404, 429, 500)),
    {"kind": "body", "body": f'{{"items": "{APP_SECRET}"'},
    {"kind": "body", "body": f'{{"items": [], "cursor": ["{APP_SECRET}"]}}'},
    {"kind": "html", "body": f"<html>{APP_SECRET}</html>", "status": 200},
    {"kind": "headers", "headers": {"Content-Encoding": f"x-{AGREEMENT_GRANT}"}},
    {"kind": "redirect", "location": f"https://elsewhere.example/?token={quote(APP_SECRET, safe='')}"},
    *({"kind": kind} for kind in ("half_reset", "bad_gzip", "reset")),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}")
@pytest.mark.fault("S02")
def test_no_fault_of_lines_leaves_a_token(
    reach: Reach, second: InProcess, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    second.fault(LINES_PATH, at="all", **fault)
    hook = reach(second.base_url)
    for read in (lambda: hook.lines_page([10001]), lambda: hook.count_lines(range(1, 9))):
        with pytest.raises(EconomicError) as caught:
            read()
        # Without the frame of this test, which knows the fault.
        error = caught.value.with_traceback(caught.tb.tb_next)
        # A body that repeats them is a local variable of its reader.
        assert find_canaries(shown(error, variables="body" not in fault), caplog.text) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.fault("S11", "H25")
def test_a_redirect_of_lines_sends_nothing_elsewhere(
    reach: Reach, simulated: InProcess, second: InProcess, status: int
) -> None:
    """Not even to the connection's own first host."""
    with hosts.foreign_host() as foreign:
        for target in (foreign.url, simulated.base_url):
            location = f"{target}{LINES_PATH}"
            second.fault(LINES_PATH, "redirect", at="all", status=status, location=location)
            with pytest.raises(RequestRefused, match=str(status)):
                reach(second.base_url).lines_page([10001])
        assert (foreign.connections, foreign.received) == (0, b"")
    assert simulated.requests() == []


@pytest.mark.fault("S11")
def test_a_cursor_never_chooses_the_host(reach: Reach, second: InProcess) -> None:
    with hosts.foreign_host() as foreign:
        for cursor in (foreign.url, f"@{foreign.url.removeprefix('http://')}/", f"x#{foreign.url}"):
            second.fault(LINES_PATH, "body", body=json.dumps({"items": [], "cursor": cursor}))
            hook = reach(second.base_url)
            assert hook.lines_page([10001]).cursor == cursor
            with pytest.raises(RequestRefused, match="400"):
                hook.lines_page([10001], cursor)
        assert foreign.connections == 0
    assert {request["path"] for request in second.requests()} == {LINES_PATH}


@pytest.mark.fault("S11")
def test_each_session_refuses_the_other_host(
    reach: Reach, simulated: InProcess, second: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = reach(second.base_url)
    with pytest.raises(RequestRefused, match="another host"):
        hook.get_conn().get(f"{second.base_url}{LINES_PATH}")
    monkeypatch.setattr(
        "economic.client.hook.LINES_PATH", f"@{simulated.base_url.removeprefix('http://')}/self"
    )
    with pytest.raises(RequestRefused, match="another host"):
        hook.lines_page([10001])
    assert simulated.requests() + second.requests() == []


@pytest.mark.fault("S12")
def test_plain_http_for_lines_is_rejected_before_sending(reach: Reach, simulated: InProcess) -> None:
    for host in ("http://apis.e-conomic.com", "http://10.0.0.1:8080", "http://127.0.0.1.example"):
        with pytest.raises(ConfigurationError, match="plain http") as caught:
            reach(host).lines_page([10001])
        assert find_canaries(shown(caught.value, variables=False)) == []
    assert simulated.requests() == []


@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [({}, False), ({"name": "apis.e-conomic.com"}, True), ({"days": 0}, True)],
    ids=["unknown authority", "another host's", "run out"],
)
@pytest.mark.fault("S13")
def test_without_a_trusted_certificate_no_lines_are_asked(
    reach: Reach, second: InProcess, tmp_path: Path, certificate: dict[str, Any], trusted: bool
) -> None:
    with behind_tls(second, tmp_path, **certificate) as front:
        verify = {"verify": str(front.authority)} if trusted else {}
        with pytest.raises(ConfigurationError, match="certificate") as caught:
            reach(front.url, limits=TLS_LIMITS, **verify).lines_page([10001])
        assert front.url in str(caught.value)
    assert second.requests() == []


@pytest.mark.fault("S13")
def test_a_trusted_certificate_serves_the_lines(reach: Reach, second: InProcess, tmp_path: Path) -> None:
    with behind_tls(second, tmp_path) as front:
        hook = reach(front.url, limits=TLS_LIMITS, verify=str(front.authority))
        assert len(hook.lines_page([10001]).items) == 3


@pytest.mark.fault("S14")
def test_an_environments_proxy_sees_no_token_for_lines(
    reach: Reach, simulated: InProcess, second: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of https only the host; of plain http nothing, also when the first host is https."""
    with hosts.foreign_host() as proxy, behind_tls(simulated, tmp_path) as front:
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        verify = str(front.authority)
        hook = reach(second.base_url, host=front.url, limits=TLS_LIMITS, verify=verify)
        assert len(hook.lines_page([10001]).items) == 3
        assert proxy.connections == 0
        with pytest.raises(EconomicError):
            reach(front.url, limits=TLS_LIMITS, verify=verify).lines_page([10001])
        assert proxy.received.startswith(f"CONNECT localhost:{front.port} ".encode())
        assert find_canaries(proxy.received) == []


@pytest.mark.fault("S14")
def test_a_proxy_for_plain_lines_is_rejected(
    reach: Reach, second: InProcess, simulated: InProcess, tmp_path: Path
) -> None:
    """It would read the tokens: the first host is https, so that it alone is fine."""
    with behind_tls(simulated, tmp_path) as front:
        hook = reach(
            second.base_url, host=front.url, limits=TLS_LIMITS, verify=str(front.authority),
            proxies={"http": "http://proxy.example:3128"},
        )  # fmt: skip
        hook.agreement()
        with pytest.raises(ConfigurationError, match="would get the tokens unprotected"):
            hook.lines_page([10001])
    assert second.requests() == []


def test_e_conomics_lines_come_from_its_newer_host(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    with hosts.foreign_host() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(EconomicError):
            reach(None, host="https://restapi.e-conomic.com", limits=TLS_LIMITS).lines_page([10001])
        assert proxy.received.startswith(b"CONNECT apis.e-conomic.com:443 ")
        assert find_canaries(proxy.received) == []
