"""The lines of invoices over real HTTP: pages and counts, the second host, and errors of the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest

import simulator
from economic.client.hook import EconomicHook
from economic.client.responses import LINES_PATH
from economic.client.transport import Limits
from economic.errors import LinesForbidden, LinesNotFound
from simulator import InProcess
from tests.support.faults import hosts
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET

QUICK = Limits(interval=0.0, connect=2.0, read=2.0, page=3.0, attempts=3, first_wait=0.01)
TOKENS = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT}


@pytest.fixture
def hook(economic_default: str) -> Iterator[EconomicHook]:
    with EconomicHook(economic_default, limits=QUICK) as opened:
        yield opened


@pytest.fixture
def second() -> Iterator[InProcess]:
    """A simulator on another port, as the newer services are on another host."""
    with simulator.running(
        invoices=20, app_secret_token=APP_SECRET, agreement_grant_token=AGREEMENT_GRANT
    ) as running:
        yield running


def everything(hook: EconomicHook, invoices: Sequence[int]) -> list[dict[str, Any]]:
    """Read all pages."""
    page = hook.lines_page(invoices)
    items = page.items
    while page.cursor is not None:
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


def test_amounts_are_exact_and_add_up(hook: EconomicHook, simulated: InProcess) -> None:
    for number, invoice in simulated.ledger.items().items():
        amounts = [line.get("totalNetAmount", 0) for line in simulated.line_book.items(number)]
        assert sum(amounts) == invoice["netAmount"]
    assert all(type(line.get("totalNetAmount", Decimal())) is Decimal for line in everything(hook, [10001]))


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
