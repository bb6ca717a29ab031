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
def test_connection_refused_is_tried_again_then_fails(case: Case) -> None:
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
def test_a_name_nobody_knows_is_tried_again_then_fails(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_host_that_comes_back_in_time_costs_nothing_but_time(case: Case) -> None:
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
def test_connecting_that_hangs_is_given_up(case: Case) -> None:
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
def test_silence_is_given_up_and_tried_again(case: Case) -> None:
    case.runs.limit(read=0.4)
    passes_after_retries(case, 1, kind="silence", seconds=60)
    case.heals(bounds=Bounds(seconds=8))


@pytest.mark.fault("H04")
def test_a_dripping_body_ends_at_the_deadline(case: Case) -> None:
    case.runs.limit(page=0.6)
    passes_after_retries(case, 1, kind="drip", seconds=6)
    assert "took longer than 0.6 seconds" in case.witness.log()
    case.heals(bounds=Bounds(seconds=8))


@pytest.mark.fault("H05")
def test_dripping_headers_end_at_the_deadline(case: Case) -> None:
    case.runs.limit(page=0.6)
    passes_after_retries(case, 1, kind="drip_head", seconds=60)
    assert "took longer than 0.6 seconds" in case.witness.log()
    case.heals(bounds=Bounds(seconds=8))


# -- half an answer -----------------------------------------------------------------------------------------------------


@pytest.mark.fault("H06")
def test_a_reset_in_mid_body(case: Case) -> None:
    passes_after_retries(case, 2, kind="half_reset")
    fails_for_ever(case, ConnectionLost, kind="half_reset")
    case.heals()


@pytest.mark.fault("H07")
def test_an_end_in_mid_body(case: Case) -> None:
    passes_after_retries(case, 2, kind="half_body")
    fails_for_ever(case, ConnectionLost, kind="half_body")
    case.heals()


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "identity"}], ids=["packed", "plain"])
@pytest.mark.fault("H08")
def test_an_end_in_mid_body_that_no_length_tells(case: Case, headers: dict[str, str]) -> None:
    passes_after_retries(case, 2, kind="half_open_ended", headers=headers)
    fails_for_ever(case, BrokenResponse, kind="half_open_ended", headers=headers)
    case.heals()


@pytest.mark.fault("H09")
def test_chunks_without_the_last_one(case: Case) -> None:
    passes_after_retries(case, 2, kind="half_chunked")
    fails_for_ever(case, ConnectionLost, kind="half_chunked")
    case.heals()


@pytest.mark.fault("H10")
def test_gzip_cut_short_under_its_true_length(case: Case) -> None:
    passes_after_retries(case, 2, kind="half_gzip")
    fails_for_ever(case, BrokenResponse, kind="half_gzip")
    case.heals()


@pytest.mark.parametrize("kind", ["bad_checksum", "bad_gzip"])
@pytest.mark.fault("H11")
def test_gzip_that_is_wrong(case: Case, kind: str) -> None:
    passes_after_retries(case, 2, kind=kind)
    fails_for_ever(case, ConnectionLost, kind=kind)
    case.heals()


EMPTY = '{"collection": [], "pagination": {"results": 0}}'


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "half_json"},
        {"kind": "body", "body": EMPTY + "\n<!-- rendered in 12 ms -->"},
        {"kind": "body", "body": EMPTY + EMPTY},
        {"kind": "body", "body": EMPTY[:-1]},
        {"kind": "body", "body": EMPTY.replace("[]", "[,]")},
        {"kind": "body", "body": ""},
        {"kind": "wire", "body": "SSH-2.0-OpenSSH_9.2\r\n"},
    ],
    ids=["half", "garbage behind", "two documents", "no end", "stray comma", "nothing", "no http"],
)
@pytest.mark.fault("H12")
def test_what_is_json_only_up_to_a_point(case: Case, fault: dict[str, Any]) -> None:
    passes_after_retries(case, 2, **fault)
    fails_for_ever(case, ConnectionLost if fault["kind"] == "wire" else BrokenResponse, **fault)
    case.heals()


# -- an answer without end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1 << 30, 10**10], ids=["1 GB", "10 GB"])
@pytest.mark.fault("H33")
def test_a_body_without_end_is_not_read_to_its_end(case: Case, size: int) -> None:
    case.runs.limit(attempts=2, page=20.0)
    outcome = fails_for_ever(case, BrokenResponse, kind="flood", size=size)
    assert "larger than 67,108,864 bytes" in str(outcome.error)
    case.heals(bounds=Bounds(memory_mb=128))


@pytest.mark.fault("H34")
def test_a_small_body_that_unpacks_to_a_huge_one_is_stopped_on_the_way(case: Case) -> None:
    case.runs.limit(attempts=2, page=20.0)
    outcome = fails_for_ever(case, BrokenResponse, kind="packed_flood", size=300 * 1024 * 1024)
    assert "larger than 67,108,864 bytes" in str(outcome.error)
    case.heals(bounds=Bounds(memory_mb=128))


@pytest.mark.parametrize("kind", ["flood", "packed_flood"])
@pytest.mark.fault("H33")
def test_a_redirect_without_end_is_not_read_to_its_end_either(case: Case, kind: str) -> None:
    where = {"Location": "/login"}
    case.books.fault("/self", kind, status=302, headers=where, size=400 * 1024 * 1024, at="all")
    outcome = case.run(retries=1)
    assert (outcome.state, type(outcome.error), case.paths()) == ("failed", AirflowFailException, ["/self"])
    assert "302" in str(outcome.error)
    case.heals(bounds=Bounds(memory_mb=128))


@pytest.mark.parametrize("layers", [2, 20])
@pytest.mark.fault("H34")
def test_a_body_packed_several_times_is_not_unpacked(case: Case, layers: int) -> None:
    passes_after_retries(case, 2, kind="layers", layers=layers)
    outcome = fails_for_ever(case, BrokenResponse, kind="layers", layers=layers)
    assert "encoding that was not asked for" in str(outcome.error)
    case.heals()
