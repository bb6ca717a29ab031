"""The simulator breaks its answers exactly as a fault says, where no row of the fault catalogue would notice a difference."""

from __future__ import annotations

import gzip
import itertools
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import requests

import simulator
from simulator.spoiling import Literal

BOOKED, UNPAID, TOTALS = "/invoices/booked", "/invoices/unpaid", "/invoices/totals"
COST, RATE = "X-CallCost", "X-RateLimiting"


@pytest.fixture(scope="module")
def sim() -> Iterator[simulator.InProcess]:
    with simulator.running(invoices=60, employees=5) as own:
        for number in own.ledger.numbers[:10]:
            own.unpay(number)
        yield own


@pytest.fixture(autouse=True)
def healthy(sim: simulator.InProcess) -> None:
    sim.faults()
    sim.reset()


def answer(sim: simulator.InProcess, target: str = BOOKED, **options: Any) -> requests.Response:
    return requests.get(sim.base_url + target, headers=sim.headers, timeout=10, **options)


def raw(sim: simulator.InProcess, target: str = BOOKED) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer to the end of the connection; a reset is told by a word."""
    host, port = sim.base_url.removeprefix("http://").split(":")
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sim.headers.items())]
    received = b""
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall("\r\n".join([*lines, "Host: x", "Connection: close", "", ""]).encode())
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            received += b"[reset]"
    head, _, body = received.partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line), body


def _unpacks_short(headers: dict[str, str], body: bytes, whole: bytes) -> bool:
    opened = zlib.decompressobj(31)
    return bool(opened.decompress(body)) and not opened.eof and int(headers["Content-Length"]) == len(body)


def _fails_its_checksum(headers: dict[str, str], body: bytes, whole: bytes) -> bool:
    with suppress(gzip.BadGzipFile):
        return gzip.decompress(body) is None
    return zlib.decompressobj(31).decompress(body[:-8]) == whole


Seen = Callable[[dict[str, str], bytes, bytes], bool]
BROKEN: dict[str, tuple[dict[str, Any], Seen]] = {
    "half_body": ({}, lambda h, b, whole: (int(h["Content-Length"]), b) == (len(whole), whole[: len(b)])),
    "half_reset": ({}, lambda h, b, whole: int(h["Content-Length"]) == len(whole) and b.endswith(b"[reset]")),
    "half_open_ended": ({}, lambda h, b, whole: "Content-Length" not in h and b == whole[: len(b)]),
    "half_chunked": (
        {},
        lambda h, b, whole: h["Transfer-Encoding"] == "chunked" and b[:-2].endswith(whole[: len(whole) // 2]),
    ),
    "half_gzip": ({}, _unpacks_short),
    "bad_checksum": ({}, _fails_its_checksum),
    "layers": ({"layers": 2}, lambda h, b, whole: gzip.decompress(gzip.decompress(b)) == whole),
    "recoded": ({"charset": "utf-16"}, lambda h, b, whole: b.decode("utf-16") == whole.decode()),
    "edit": ({"edit": lambda page: None}, lambda h, b, whole: b == whole),
    "headers": ({"headers": {"X-CallCost": None}}, lambda h, b, whole: "X-CallCost" not in h and b == whole),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_is_broken_as_described(sim: simulator.InProcess, kind: str) -> None:
    _, whole = raw(sim)
    details, seen = BROKEN[kind]
    sim.fault("/", kind, **details)
    headers, body = raw(sim)
    assert seen(headers, body, whole)
    assert len(body.removesuffix(b"[reset]")) == len(whole) // 2 or kind not in {"half_body", "half_reset"}
    assert raw(sim)[1] == whole


def test_an_answer_takes_its_time(sim: simulator.InProcess) -> None:
    sim.fault("/self", "slow", seconds=0.3)
    began = time.monotonic()
    assert answer(sim, "/self").json()["agreementNumber"] == 1234567
    assert 0.25 < time.monotonic() - began < 5


def test_edit_can_put_in_bytes_not_utf8(sim: simulator.InProcess) -> None:
    sim.fault("/self", "edit", edit=lambda document: document.update(userName="Bj\udcf8rn"))
    assert b'"Bj\xf8rn"' in answer(sim, "/self").content
    with pytest.raises(ValueError, match="needs a function"):
        sim.fault("/", "edit", edit="page.clear()")


def test_fault_strikes_the_request_meant(sim: simulator.InProcess) -> None:
    sim.fault(BOOKED, "status", at="all", status=500, query_contains="skippages=1")
    targets = [BOOKED, f"{BOOKED}?skippages=1", f"{BOOKED}?skippages=1"]
    assert [answer(sim, target).status_code for target in targets] == [200, 500, 500]
    sim.faults(
        {"match": "/", "kind": "status", "status": 429, "headers": {"Retry-After": "3"}},
        {"match": "/", "kind": "html", "at": 2, "times": 2},
    )
    found = [answer(sim, "/self") for _ in range(4)]
    assert [one.status_code for one in found] == [429, 502, 502, 200]
    assert (found[0].headers["Retry-After"], found[1].headers["Content-Type"]) == ("3", "text/html")


def test_budget_is_counted_and_runs_dry() -> None:
    with simulator.running(invoices=5, limit=3) as sim:
        found = [answer(sim, target) for target in ("/self", "/nowhere", BOOKED, BOOKED)]
        assert [one.status_code for one in found] == [200, 404, 200, 429]
        used = [one.headers[RATE].removeprefix("token-limit-3-per-60-seconds: ") for one in found]
        assert used == ["1/3", "2/3", "3/3", "3/3"]
        assert [one.headers[COST] for one in found] == ["1"] * 4
        *answered, refused = [one.headers.get("Retry-After") for one in found]
        assert answered == [None] * 3
        assert 50 < int(refused or 0) <= 60
        assert found[-1].json()["httpStatusCode"] == 429
        sim.budget(window=0.05)
        time.sleep(0.1)
        assert answer(sim).headers[RATE] == "token-limit-3-per-0.05-seconds: 1/3"
        sim.budget(limit=200, window=60, used=199)
        assert [answer(sim).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("unreadable", [{COST: "L"}, {RATE: "plenty"}, {COST: None, RATE: None}])
def test_budget_headers_can_be_unreadable(
    sim: simulator.InProcess, unreadable: dict[str, str | None]
) -> None:
    sim.fault("/", "headers", at="all", headers=unreadable)
    found = answer(sim)
    assert {name: found.headers.get(name) for name in unreadable} == unreadable
    assert len(found.json()["collection"]) == 20


def test_each_company_has_its_own_budget() -> None:
    with simulator.process(invoices=5, companies=2) as sim:
        sim.budget(limit=1)
        other = sim.headers | {"X-AgreementGrantToken": f"{sim.agreement_grant_token}-2"}
        asked = [sim.headers, sim.headers, other]
        found = [requests.get(f"{sim.base_url}/self", headers=one, timeout=10) for one in asked]
        assert [one.status_code for one in found] == [200, 429, 200]
        assert found[-1].headers[RATE].endswith(" 1/10000")


# -- what a quick sync may meet, told with the faults there are

NUMBER = "bookedInvoiceNumber"


def _numbers(sim: simulator.InProcess, above: int | None = None) -> list[int]:
    """Ask for a page of five open invoices above a number."""
    clause = "" if above is None else f"&filter={NUMBER}$gt:{above}"
    found = answer(sim, f"{UNPAID}?sort={NUMBER}&pagesize=5{clause}")
    return [item[NUMBER] for item in found.json()["collection"]]


def _emptied(page: dict[str, Any]) -> None:
    page["collection"] = []
    page["pagination"] |= {"results": Literal("0"), "resultsWithoutFilter": Literal("0")}


def _cut(page: dict[str, Any]) -> None:
    del page["collection"][2:]


def test_unpaid_can_be_empty_against_the_totals(sim: simulator.InProcess) -> None:
    there = answer(sim, TOTALS).json()["booked"]["unpaid"]["invoiceCount"]
    assert there > 5
    for details in ({"kind": "edit", "edit": _emptied}, {"kind": "body", "body": '{"collection": []}'}):
        sim.faults({"match": UNPAID, "at": "all", **details})
        assert _numbers(sim) == []
        assert answer(sim, TOTALS).json()["booked"]["unpaid"]["invoiceCount"] == there


def test_unpaid_can_be_cut_short(sim: simulator.InProcess) -> None:
    whole = _numbers(sim)
    sim.fault(UNPAID, "edit", edit=_cut)
    assert _numbers(sim) == whole[:2]
    assert _numbers(sim) == whole


def test_unpaid_can_be_the_same_page_for_ever(sim: simulator.InProcess) -> None:
    first = _numbers(sim)
    assert not set(first) & set(_numbers(sim, above=first[-1]))
    sim.fault(UNPAID, "otherwise", at="all", parameters={"filter": None})
    assert [_numbers(sim, above=first[-1]) for _ in range(3)] == [first] * 3


def test_unpaid_can_have_pages_without_end(sim: simulator.InProcess) -> None:
    fresh = itertools.count(50_001)

    def endless(page: dict[str, Any]) -> None:
        for item in page["collection"]:
            item[NUMBER] = Literal(str(next(fresh)))

    sim.fault(UNPAID, "edit", at="all", parameters={"filter": None}, edit=endless)
    found = _numbers(sim)
    for _ in range(10):
        found += _numbers(sim, above=found[-1])
    assert found == [*range(50_001, 50_056)]


def test_totals_and_lists_can_be_refused_alone(sim: simulator.InProcess) -> None:
    sim.faults(
        {"match": TOTALS, "kind": "body", "at": "all", "body": '{"booked": {"invoiceCount": "many"}}'},
        {"match": BOOKED, "kind": "status", "at": "all", "status": 400, "query_contains": "$in:"},
    )
    assert answer(sim, TOTALS).json() == {"booked": {"invoiceCount": "many"}}
    chosen = f"{BOOKED}?filter={NUMBER}$in:[10001]"
    assert [answer(sim, one).status_code for one in (BOOKED, chosen, UNPAID)] == [200, 400, 200]


@pytest.mark.parametrize("change", ["pay", "book", "remove", "move"])
def test_books_change_between_any_two_calls(change: str) -> None:
    """A change after the k-th call shows from the next one on, and never in the answer to the k-th."""
    for k in range(1, 4):
        with simulator.running(invoices=60, seed=2) as sim:
            number = sim.ledger.open[-1]
            details = {"number": number} if change in ("pay", "remove") else {}
            sim.when(k, {"action": change, **details}, match="/")
            seen = [answer(sim, TOTALS).json() for _ in range(4)]
            assert [one == seen[0] for one in seen] == [True] * k + [False] * (4 - k)
