"""The lines of invoices over real HTTP: pages and counts, the second host, and errors of the service."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest

from economic.client.hook import EconomicHook
from economic.client.responses import LINES_PATH
from economic.client.session import PinnedSession
from economic.client.transport import Limits, Transport
from economic.errors import (
    BrokenResponse,
    ConfigurationError,
    ContractChanged,
    CredentialsRefused,
    LinesForbidden,
    LinesNotFound,
    RateLimited,
    RequestRefused,
    RetriableError,
)
from simulator import InProcess
from tests.support.faults import hosts
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

QUICK = Limits(interval=0.0, connect=2.0, read=2.0, page=3.0, attempts=3, first_wait=0.01)
TOKENS = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}


@pytest.fixture
def hook(economic_default: str) -> Iterator[EconomicHook]:
    with EconomicHook(economic_default, limits=QUICK) as opened:
        yield opened


def everything(hook: EconomicHook, invoices: Sequence[int]) -> list[dict[str, Any]]:
    """Read all pages; a test has no more than a hundred."""
    page = hook.lines_page(invoices)
    items = page.items
    for _ in range(100):
        if page.cursor is None:
            break
        page = hook.lines_page(invoices, page.cursor)
        items += page.items
    return [item.decode_object() for item in items]


def by_key(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(lines, key=lambda line: (line["documentId"], line["number"]))


@pytest.mark.parametrize("scattered", [False, True])
def test_pages_hold_each_line_of_a_range(hook: EconomicHook, simulated: InProcess, scattered: bool) -> None:
    simulated.lines(page=100, least=1, most=7, scattered=scattered)
    numbers = simulated.ledger.numbers
    lines = everything(hook, range(numbers[10], numbers[-10]))
    true = [line for number in numbers[10:-10] for line in simulated.line_book.items(number)]
    assert by_key(lines) == by_key(true)
    assert lines != by_key(true)
    assert hook.count_lines(range(numbers[10], numbers[-10])) == len(true)
    left_out = sum(len(simulated.line_book.items(number)) for number in numbers[20:22])
    assert hook.count_lines(range(numbers[10], numbers[-10]), numbers[20:22]) == len(true) - left_out


def test_chosen_invoices_lines_are_read_in_one_request(hook: EconomicHook, simulated: InProcess) -> None:
    numbers = simulated.ledger.numbers[3:203]
    assert by_key(everything(hook, numbers)) == by_key(
        [line for number in numbers for line in simulated.line_book.items(number)]
    )
    (request,) = simulated.requests()
    assert request["path"] == LINES_PATH == "/q2capi/v5.3.0/invoices/booked/lines"
    assert unquote(request["query"]) == f"filter=documentId$in:[{','.join(map(str, numbers))}]"


def test_amounts_are_exact(hook: EconomicHook, simulated: InProcess) -> None:
    simulated.spoil_line(10001, 0, "totalNetAmount", raw="12345678901234567.8901")
    (line,) = [line for line in everything(hook, [10001]) if line["userInterfaceNumber"] == 1]
    assert line["totalNetAmount"] == Decimal("12345678901234567.8901")


def test_lines_come_from_the_second_host(
    simulated: InProcess, second: InProcess, define_connection: Any
) -> None:
    extra = TOKENS | {"openapi_host": second.base_url}
    define_connection(conn_type="economic", host=simulated.base_url, extra=extra)
    with EconomicHook(limits=QUICK) as hook:
        hook.agreement()
        assert len(everything(hook, range(1, 99_999))) == 60
        assert hook.count_lines(range(1, 99_999)) == 60
        assert hook.traffic.requests == hook.traffic.cost == 3
    assert [entry["path"] for entry in simulated.requests()] == ["/self"]
    assert [entry["path"] for entry in second.requests()] == [LINES_PATH, f"{LINES_PATH}/count"]
    assert simulated.requests()[0]["headers"] == second.requests()[0]["headers"]


@pytest.fixture
def both(simulated: InProcess, second: InProcess, define_connection: Any) -> str:
    """The connection to both simulators."""
    extra = TOKENS | {"openapi_host": second.base_url}
    define_connection(conn_type="economic", host=simulated.base_url, extra=extra)
    return "economic_default"


def test_requests_to_both_hosts_keep_one_pace(both: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # By the clock of the sender: the simulators' threads learn of a request later.
    starts: list[float] = []
    send = PinnedSession.send

    def noted(self: PinnedSession, *args: Any, **kwargs: Any) -> Any:
        starts.append(time.monotonic())
        return send(self, *args, **kwargs)

    monkeypatch.setattr(PinnedSession, "send", noted)
    with EconomicHook(both) as hook:
        for _ in range(3):
            hook.lines_page([10001])
            hook.agreement()
    assert len(starts) == 6
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(starts))


@pytest.mark.parametrize("lines_first", [True, False])
def test_a_window_spent_on_one_host_holds_for_both(
    both: str, simulated: InProcess, second: InProcess, lines_first: bool
) -> None:
    (second if lines_first else simulated).budget(limit=100, window=2, used=85)
    with EconomicHook(both, limits=QUICK) as hook:
        calls = [lambda: hook.lines_page([10001]), hook.agreement]
        first, other = calls if lines_first else reversed(calls)
        first()
        before, at = time.monotonic(), time.time()
        other()
        assert time.monotonic() - before >= 2 - at % 2 - 0.1
        assert hook.traffic.used >= 86


def test_wait_asked_by_the_second_host_is_kept(
    both: str, second: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(Transport, "_sleep", lambda _, seconds: waits.append(seconds))
    second.fault(LINES_PATH, "status", at="all", status=429, headers={"Retry-After": "7"})
    with EconomicHook(both, limits=QUICK) as hook, pytest.raises(RateLimited) as caught:
        hook.lines_page([10001])
    assert waits == [7.0, 7.0]
    assert caught.value.retry_after == 7.0


def test_pages_in_a_circle_are_rejected(hook: EconomicHook, simulated: InProcess) -> None:
    simulated.lines(page=100, cursor="repeats")
    with pytest.raises(ContractChanged, match="names itself as the next one"):
        everything(hook, range(1, 99_999))
    assert len(simulated.requests()) == 2


@pytest.mark.parametrize("cursor", ["5", "[1]", r'"\ud800"', r'"a\nb"', f'"{"x" * 2001}"'])
def test_an_unusable_cursor_is_never_sent(hook: EconomicHook, simulated: InProcess, cursor: str) -> None:
    simulated.fault(LINES_PATH, "body", at="all", body=f'{{"items": [], "cursor": {cursor}}}')
    with pytest.raises(BrokenResponse, match="cursor is not a usable text"):
        hook.lines_page([10001])
    assert len(simulated.requests()) == QUICK.attempts


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_problem_document_is_quoted(hook: EconomicHook, simulated: InProcess, status: int) -> None:
    body = (
        '{"title": "Bad\\u0007 filter", "status": 400, "errorCode": "E1", "traceId": "00-abc-01", '
        '"errors": [{"message": "is too long", "errorCode": "Length", "property": "filter"}, 5, "also this"]}'
    )
    simulated.fault(LINES_PATH, "status", at="all", status=status, body=body)
    with pytest.raises((RequestRefused, CredentialsRefused, RetriableError)) as caught:
        hook.lines_page([10001])
    assert (
        f'answered {status} to GET {LINES_PATH}: "Bad filter filter is too long Length; also this" '
        "(errorCode E1, traceId 00-abc-01)." in str(caught.value)
    )


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        *(
            ({"openapi_host": host}, "`openapi_host` in the connection's extra is not a base URL")
            for host in ("https://apis.example/v1", "https://me@apis.example", "ftp://apis.example", 5, "::x")
        ),
        ({"openapi_host": "http://apis.example"}, "`openapi_host` .* is plain http"),
        ({"openapi_host": "https://apis.example"}, "100 ms"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_unusable_second_host_is_rejected_before_sending(
    simulated: InProcess, define_connection: Any, extra: dict[str, Any], text: str
) -> None:
    """Of requests for lines alone."""
    define_connection(conn_type="economic", host=simulated.base_url, extra=TOKENS | extra)
    with EconomicHook(limits=QUICK) as hook:
        for read in (lambda: hook.lines_page([10001]), lambda: hook.count_lines(range(1, 9))):
            with pytest.raises(ConfigurationError, match=text):
                read()
        assert simulated.requests() == []
        hook.agreement()


def test_without_lines_nothing_is_sent_there(simulated: InProcess, define_connection: Any) -> None:
    """Neither read nor checked: a mistake in it never stops the invoices."""
    with hosts.foreign_host() as foreign:
        for host in (foreign.url, "no host at all/"):
            define_connection(
                conn_type="economic", host=simulated.base_url, extra=TOKENS | {"openapi_host": host}
            )
            with EconomicHook(limits=QUICK) as hook:
                hook.agreement()
                hook.count_invoices()
        assert foreign.connections == 0


@pytest.mark.parametrize("scenario", ["role", "version"])
def test_refused_lines_are_typed_errors(hook: EconomicHook, simulated: InProcess, scenario: str) -> None:
    """And leave the invoices readable."""
    simulated.lines(**({"forbidden": True} if scenario == "role" else {"version": "6.0.0"}))
    expected = LinesForbidden if scenario == "role" else LinesNotFound
    for read in (lambda: hook.lines_page([10001]), lambda: hook.count_lines(range(1, 9))):
        with pytest.raises(expected) as caught:
            read()
        assert type(caught.value) is expected
        assert "/q2capi/v5.3.0/" in str(caught.value)
    if scenario == "role":
        assert "AccessDeniedMissingRole" in str(caught.value)
        assert "SuperUser or Sales" in str(caught.value)
    assert hook.traffic.retries == 0
    assert hook.count_invoices() == 250
