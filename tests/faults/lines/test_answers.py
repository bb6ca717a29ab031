"""L04 to L06, L17, L21: the second host answers badly, late, something else, or not at all."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from simulator.spoiling import Literal
from tests.faults.conftest import Case
from tests.faults.lines.conftest import (
    COUNT,
    LINES,
    checks,
    forget,
    heals,
    let_a_day_pass,
    no_false_proof,
    proves,
    reading_row,
    unproven,
    wrong,
)
from tests.support.faults import hosts
from tests.support.faults.proxy import Proxy
from tests.support.faults.tls import tls_front

INVOICES = 60
Document = dict[str, Any]


@pytest.fixture
def way(copied: Case) -> Iterator[Proxy]:
    """The way to the second host, which is the first one behind another port."""
    with Proxy(int(copied.books.base_url.rpartition(":")[2])) as proxy:
        copied.reach_books_at(copied.books.base_url, openapi_host=f"http://127.0.0.1:{proxy.port}")
        yield proxy


# -- the network --------------------------------------------------------------------------------------------------------


PASSING: dict[str, dict[str, Any]] = {
    "slow": {"kind": "slow", "seconds": 0.3},
    "reset": {"kind": "reset"},
    "silence": {"kind": "silence", "seconds": 9},
    "408": {"kind": "status", "status": 408},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "429 with a wait": {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    "gateway's page": {"kind": "html"},
    "login page": {"kind": "html", "status": 200},
    "half a body": {"kind": "half_body"},
    "half, then reset": {"kind": "half_reset"},
    "half in chunks": {"kind": "half_chunked"},
    "half of a packed one": {"kind": "half_gzip"},
    "badly packed": {"kind": "bad_gzip"},
    "endless body": {"kind": "flood"},
    "drop by drop": {"kind": "drip", "seconds": 9},
    "headers drop by drop": {"kind": "drip_head", "seconds": 9},
    "another shape": {"kind": "body", "body": '{"collection": [], "pagination": {}}'},
    "items not a list": {"kind": "body", "body": '{"items": {}}'},
    "a list": {"kind": "body", "body": "[]"},
    "UTF-16": {"kind": "recoded", "charset": "utf-16"},
    "no HTTP": {"kind": "wire", "body": "hello\r\n"},
}
"""Each is met once by a page of lines, and once by a count."""
HALF_JSON: dict[str, Any] = {"kind": "half_json"}
"""Of a page only: half a count is a count too."""


@pytest.mark.fault("L04")
def test_passing_fault_costs_a_retry_only(copied: Case) -> None:
    """All of them one after the other, in whole loads of their own."""
    copied.runs.limit(read=0.4, page=0.8)
    for name, fault in {**PASSING, "half of the JSON": HALF_JSON}.items():
        forget(copied)
        copied.books.reset()
        met: list[dict[str, Any]] = [{"match": LINES, "at": 2}]
        if fault is not HALF_JSON:
            met.append({"match": COUNT})
        copied.books.faults(*(fault | where for where in met))
        outcome = copied.run(lines=True)
        assert (outcome.state, len(outcome.tries)) == ("success", 1), (name, outcome.errors)
        retries = 0 if name == "slow" else len(met)
        assert len(copied.paths()) == 8 + retries, name
        assert wrong(copied) == [], name
        row = reading_row(copied)
        assert row["counted"] == row["held"], name
    heals(copied)


@pytest.mark.parametrize("trouble", ["down", "reset", "blackhole", "cut short"])
@pytest.mark.fault("L04")
def test_unreachable_second_host_stops_no_sync(copied: Case, way: Proxy, trouble: str) -> None:
    """Nothing that was stored goes; a sync beside it does not notice."""
    copied.runs.limit(connect=0.3, read=0.3, page=0.6, attempts=2)
    act: dict[str, Callable[[], object]] = {
        "down": way.down,
        "reset": lambda: copied.books.when(1, way.down, match=LINES),
        "blackhole": way.blackhole,
        "cut short": lambda: way.limit(300),
    }
    copied.books.when(4, act[trouble], match=LINES)
    outcome = copied.run(lines=True)
    assert outcome.state == "failed", outcome
    assert 0 < checks(copied)["proven"] < INVOICES
    assert reading_row(copied)["status"] == "failed"
    no_false_proof(copied)
    assert copied.run().state == "success"
    way.heal()
    heals(copied)


@pytest.mark.fault("L04")
def test_redirect_of_lines_is_not_followed(copied: Case) -> None:
    with hosts.foreign_host() as foreign:
        copied.books.fault(LINES, "redirect", at="all", location=foreign.url + LINES)
        outcome = copied.run(lines=True)
        assert (outcome.state, len(outcome.tries)) == ("failed", 1)
        assert foreign.connections == 0
    assert checks(copied) == {}
    heals(copied)


@pytest.mark.parametrize("certificate", [{"name": "elsewhere.example"}, {"days": 0}], ids=str)
@pytest.mark.fault("L04")
def test_wrong_certificate_of_second_host_sends_nothing(
    copied: Case, tmp_path: Path, certificate: dict[str, Any]
) -> None:
    before = copied.books.requests()
    with tls_front(tmp_path, port_of_books(copied), **certificate) as front:
        copied.runs.limit(interval=0.1)
        copied.reach_books_at(copied.books.base_url, openapi_host=front.url, verify=str(front.authority))
        outcome = copied.run(lines=True)
        assert (outcome.state, "certificate" in str(outcome.error)) == ("failed", True)
    assert [entry["path"] for entry in copied.books.requests()[len(before) :]] == ["/self"]
    copied.reach_books_at(copied.books.base_url)
    heals(copied)


def port_of_books(case: Case) -> int:
    return int(case.books.base_url.rpartition(":")[2])


@pytest.mark.fault("L04")
def test_long_wait_is_left_to_the_retry(copied: Case) -> None:
    """The wait that the second host asks for reaches Airflow; the next try reads the rest only."""
    copied.books.fault(LINES, "status", at=3, status=429, headers={"Retry-After": "900"})
    outcome = copied.run(lines=True)
    first, second = outcome.tries
    assert (first.state, second.state) == ("again", "success")
    assert first.delay is not None
    assert first.delay.total_seconds() == 900
    assert second.result["invoices"] < INVOICES
    heals(copied)


# -- cursors and counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cursor", ["repeats", "endless"])
@pytest.mark.fault("L05")
def test_cursor_without_an_end_stores_no_half(copied: Case, cursor: str) -> None:
    copied.books.lines(cursor=cursor)
    copied.books.reset()
    outcome = copied.run(lines=True, retries=1)
    assert outcome.state == "failed"
    assert len(copied.paths()) < 40
    assert checks(copied) == {}
    copied.books.lines(cursor="ends")
    heals(copied)


@pytest.mark.parametrize("status", [400, 410])
@pytest.mark.fault("L05")
def test_expired_cursor_is_read_again(copied: Case, status: int) -> None:
    """The next try begins the chunk again, and reads nothing that is stored."""
    copied.books.fault(LINES, "status", query_contains="cursor", at=2, status=status)
    outcome = copied.run(lines=True)
    first, second = outcome.tries
    assert (first.state, "cursor is not accepted" in str(first.error)) == ("again", True)
    assert second.state == "success"
    assert wrong(copied) == []
    heals(copied)


@pytest.mark.fault("L05")
def test_refused_first_page_is_not_repeated(copied: Case) -> None:
    copied.books.fault(LINES, "status", at="all", status=400)
    outcome = copied.run(lines=True)
    assert (outcome.state, len(outcome.tries)) == ("failed", 1)
    heals(copied)


@pytest.mark.fault("L05")
def test_ignored_filter_is_not_read_to_its_end(copied: Case) -> None:
    copied.books.reset()
    copied.books.fault(LINES, "otherwise", at="all", parameters={"filter": None})
    outcome = copied.run(lines=True, retries=0)
    assert "not asked for" in str(outcome.error)
    assert len(copied.paths()) == 2
    assert checks(copied) == {}
    heals(copied)


@pytest.mark.fault("L05")
def test_lines_without_an_end_are_rejected(read: Case) -> None:
    """Of one invoice; the others are read."""
    (number, *_) = read.books.book(3)
    assert read.run().state == "success"
    fresh = count(1000)

    def edit(page: Document) -> None:
        mine = next((item for item in page["items"] if item["documentId"] == str(number)), None)
        if mine is not None:
            page["items"] += [mine | {"number": Literal(str(next(fresh)))} for _ in range(100)]
            # Another spelling of the first page.
            page["cursor"] = b64encode(b"lines:" + b"0" * (next(fresh) // 100)).decode()

    read.books.fault(LINES, "edit", at="all", edit=edit)
    outcome = read.run(lines=True)
    assert outcome.state == "success", outcome.errors
    assert unproven(read) == {number: ("rejected", "too_many_lines")}
    heals(read)


@pytest.mark.parametrize("body", ['"180"', "180.5", "-3", "null", "{}", "[180]", "", "NaN"])
@pytest.mark.fault("L06")
def test_unusable_count_fails_after_the_lines(copied: Case, body: str) -> None:
    """All lines are there; only the count is open, and asked for again."""
    copied.books.fault(COUNT, "body", at="all", body=body)
    outcome = copied.run(lines=True, retries=0)
    assert outcome.state == "again" or outcome.state == "failed"
    assert wrong(copied) == []
    assert reading_row(copied)["counted"] is None
    copied.books.faults()
    assert copied.run(lines=True).statistics["count_agrees"] is True
    heals(copied)


@pytest.mark.parametrize("by", [-1, 7])
@pytest.mark.fault("L06")
def test_wrong_count_ends_and_is_told(copied: Case, by: int) -> None:
    """It never agrees: the search ends, and nothing is harmed."""
    copied.books.fault(COUNT, "body", at="all", body=str(3 * INVOICES + by))
    copied.books.reset()
    statistics = proves(copied)
    assert statistics["count_agrees"] is False
    assert len(copied.paths()) < 150
    heals(copied)


# -- rights -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "between two chunks", "at the count"])
@pytest.mark.fault("L17")
def test_missing_right_skips_until_it_is_granted(copied: Case, when: str) -> None:
    if when == "before":
        copied.books.lines(forbidden=True)
    else:
        match = LINES if when == "between two chunks" else COUNT
        copied.books.fault(match, "status", at=4 if match == LINES else 1, times=99, status=403)
    outcome = copied.run(lines=True)
    assert (outcome.state, "403" in str(outcome.error)) == ("skipped", True)
    row = reading_row(copied)
    assert (row["status"], row["attempt"]) == ("skipped", None)
    assert "role" in row["message"]
    assert copied.run().state == "success"
    no_false_proof(copied)
    copied.books.lines(forbidden=False)
    copied.books.faults()
    assert proves(copied)["count_agrees"] is True
    heals(copied)


@pytest.mark.fault("L17")
def test_ended_version_fails_once_and_says_so(copied: Case) -> None:
    copied.books.lines(version="6.0.0")
    outcome = copied.run(lines=True)
    assert (outcome.state, len(outcome.tries)) == ("failed", 1)
    assert "newer version of this package" in str(outcome.error)
    assert "newer version of this package" in reading_row(copied)["message"]
    assert copied.run().state == "success"
    copied.books.lines(version="5.3.0")
    heals(copied)


# -- a change of meaning ------------------------------------------------------------------------------------------------


@pytest.mark.fault("L21")
def test_changed_meaning_of_amounts_stores_nothing(read: Case) -> None:
    """Also with one among them that was read before and is due."""
    old = read.books.ledger.numbers[0]
    with read.witness.connect() as connection:
        connection.execute(
            "update economic.line_check set status = 'differing' where invoice_number = %s", [old]
        )
    let_a_day_pass(read)
    for number in read.books.book(12):
        read.books.differ(number, "1")
    assert read.run().state == "success"
    outcome = read.run(lines=True)
    assert (outcome.state, "not one has lines that add up" in str(outcome.error)) == ("failed", True)
    assert checks(read) == {"proven": INVOICES - 1, "differing": 1}
    for number in read.books.ledger.numbers:
        read.books.heal(number)
    heals(read)
