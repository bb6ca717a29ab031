"""H01 to H12, H33, H34: no connection, no answer, half an answer, one without end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from economic.errors import BrokenResponse, ConnectionLost, EconomicError
from tests.faults.conftest import Case
from tests.support.dag_runs import FETCH, Outcome
from tests.support.faults import hosts
from tests.support.faults.proxy import Proxy
from tests.support.invariants import Bounds

BOOKED = "/invoices/booked"


def passes_after_retries(case: Case, retries: int, **fault: Any) -> Outcome:
    """The second page is broken so often; the same try of the task gets it whole in the end."""
    case.books.fault(BOOKED, at=2, times=retries, **fault)
    outcome = case.run()
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 1), outcome.errors
    assert outcome.statistics["retries"] == retries
    queries = [entry["query"] for entry in case.books.requests() if entry["path"] == BOOKED]
    assert len(set(queries[1 : 2 + retries])) == 1
    assert len(queries) == 4 + retries
    return outcome


def fails_for_ever(case: Case, expected: type[EconomicError], **fault: Any) -> Outcome:
    """The third page is never whole: the run fails, and nothing of the unfinished scan is stored."""
    case.books.reset()
    case.books.pay(min(case.books.ledger.items()), 1)
    before = case.stored()
    case.books.fault(BOOKED, at=3, times=10_000, **fault)
    outcome = case.run(retries=1)
    assert (outcome.state, outcome.tried(FETCH)) == ("failed", 2)
    assert {type(error) for error in outcome.errors} == {expected}
    # Two whole pages, then the third one as often as a try and its task are tried; the second try goes on where the first stopped.
    assert case.paths().count(BOOKED) == 2 + 2 * case.runs.limits.attempts
    assert case.stored() == before
    sync = case.last_sync()
    assert (sync["status"], sync["complete"]) == ("failed", False)
    assert str(outcome.error) in sync["message"]
    return outcome


# -- no connection ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("H01")
def test_a_refused_connection_is_retried_then_fails(case: Case) -> None:
    with hosts.closed_port() as port:
        case.reach_books_at(f"http://127.0.0.1:{port}")
        outcome = case.run(retries=1)
    assert (outcome.state, outcome.tried(FETCH)) == ("failed", 2)
    assert all(isinstance(error, ConnectionLost) for error in outcome.errors)
    assert case.witness.log().count("Trying again") == 2 * (case.runs.limits.attempts - 1)
    assert f"127.0.0.1:{port}" in case.last_sync()["message"]
    case.reach_books_at(case.books.base_url)
    case.heals()


@pytest.mark.fault("H01")
def test_an_unknown_host_is_retried_then_fails(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup: Callable[..., Any] = socket.getaddrinfo

    def unknown(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "restapi.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("ECONOMIC_REQUEST_INTERVAL_MS", "100")
    case.reach_books_at("https://restapi.example")
    outcome = case.run(retries=0)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, ConnectionLost)
    assert case.witness.log().count("Trying again") == case.runs.limits.attempts - 1
    case.reach_books_at(case.books.base_url)
    case.heals()


@pytest.mark.fault("H01")
def test_a_host_that_comes_back_costs_only_time(case: Case) -> None:
    case.runs.limit(attempts=8, first_wait=0.05)
    with Proxy(int(case.books.base_url.rsplit(":", 1)[1])) as proxy:
        case.reach_books_at(f"http://127.0.0.1:{proxy.port}")
        proxy.down()
        threading.Timer(0.3, proxy.heal).start()
        outcome = case.run()
        assert (outcome.state, outcome.tried(FETCH)) == ("success", 1)
        assert outcome.statistics["retries"] > 0
        case.heals()


@pytest.mark.fault("H02")
def test_a_hanging_connect_is_aborted(case: Case) -> None:
    case.runs.limit(connect=0.3, attempts=2)
    with hosts.full_backlog() as port:
        case.reach_books_at(f"http://127.0.0.1:{port}")
        outcome = case.run(retries=1)
    assert (outcome.state, outcome.tried(FETCH)) == ("failed", 2)
    assert all("ConnectTimeout" in str(error) for error in outcome.errors)
    assert case.witness.seconds() >= 4 * 0.3
    case.reach_books_at(case.books.base_url)
    case.heals(bounds=Bounds(seconds=8))


# -- no answer, or a slow one -------------------------------------------------------------------------------------------


@pytest.mark.fault("H03")
def test_silence_is_aborted_and_retried(case: Case) -> None:
    case.runs.limit(read=0.4)
    passes_after_retries(case, 1, kind="silence", seconds=60)
    case.heals(bounds=Bounds(seconds=8))


@pytest.mark.parametrize(("kind", "seconds"), [("drip", 6), ("drip_head", 60)])
@pytest.mark.fault("H04", "H05")
def test_a_dripping_answer_ends_at_the_deadline(case: Case, kind: str, seconds: int) -> None:
    """Body or headers: each byte comes in time, the whole answer does not."""
    case.runs.limit(page=0.6)
    passes_after_retries(case, 1, kind=kind, seconds=seconds)
    assert "took longer than 0.6 seconds" in case.witness.log()
    case.heals(bounds=Bounds(seconds=8))


# -- half an answer -----------------------------------------------------------------------------------------------------


EMPTY = '{"collection": [], "pagination": {"results": 0}}'
HALF_ANSWERS: list[tuple[str, type[EconomicError], dict[str, Any]]] = [
    ("H06", ConnectionLost, {"kind": "half_reset"}),
    ("H07", ConnectionLost, {"kind": "half_body"}),
    ("H08", BrokenResponse, {"kind": "half_open_ended"}),
    ("H08", BrokenResponse, {"kind": "half_open_ended", "headers": {"Content-Encoding": "identity"}}),
    ("H09", ConnectionLost, {"kind": "half_chunked"}),
    ("H10", BrokenResponse, {"kind": "half_gzip"}),
    ("H11", ConnectionLost, {"kind": "bad_checksum"}),
    ("H11", ConnectionLost, {"kind": "bad_gzip"}),
    ("H12", BrokenResponse, {"kind": "half_json"}),
    ("H12", BrokenResponse, {"kind": "body", "body": EMPTY + "\n<!-- rendered in 12 ms -->"}),
    ("H12", BrokenResponse, {"kind": "body", "body": ""}),
    ("H12", ConnectionLost, {"kind": "wire", "body": "SSH-2.0-OpenSSH_9.2\r\n"}),
    ("H34", BrokenResponse, {"kind": "layers", "layers": 2}),
    ("H34", BrokenResponse, {"kind": "layers", "layers": 20}),
]


@pytest.mark.parametrize(("row", "kind", "fault"), HALF_ANSWERS, ids=lambda value: str(value)[:40])
@pytest.mark.fault("H06", "H07", "H08", "H09", "H10", "H11", "H12", "H34")
def test_a_broken_answer_is_retried_then_fails(
    case: Case, row: str, kind: type[EconomicError], fault: dict[str, Any]
) -> None:
    passes_after_retries(case, 2, **fault)
    outcome = fails_for_ever(case, kind, **fault)
    assert row != "H34" or "encoding that was not asked for" in str(outcome.error)
    case.heals()


# -- an answer without end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [{"kind": "flood", "size": 10**10}, {"kind": "packed_flood", "size": 3 * 10**8}], ids=str
)
@pytest.mark.fault("H33", "H34")
def test_a_huge_body_is_not_read_whole(case: Case, fault: dict[str, Any]) -> None:
    case.runs.limit(attempts=2, page=20.0)
    outcome = fails_for_ever(case, BrokenResponse, **fault)
    assert "larger than 67,108,864 bytes" in str(outcome.error)
    case.heals(bounds=Bounds(memory_mb=128))


@pytest.mark.parametrize("kind", ["flood", "packed_flood"])
@pytest.mark.fault("H33")
def test_a_huge_redirect_is_not_read_whole(case: Case, kind: str) -> None:
    where = {"Location": "/login"}
    case.books.fault("/self", kind, status=302, headers=where, size=400 * 1024 * 1024, at="all")
    outcome = case.run(retries=1)
    assert (outcome.state, type(outcome.error), case.paths()) == ("failed", AirflowFailException, ["/self"])
    assert "302" in str(outcome.error)
    case.heals(bounds=Bounds(memory_mb=128))
