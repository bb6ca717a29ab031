"""H13 to H25: e-conomic asks for a wait, fails, rejects, or redirects."""

from __future__ import annotations

import itertools
import re
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from economic.client import transport
from economic.client.hook import EconomicHook
from economic.errors import BrokenResponse, ConfigurationError, RateLimited, ServerFault
from economic.sync import attempt
from tests.faults.conftest import Case
from tests.support.dag_runs import FETCH, Outcome
from tests.support.faults import hosts
from tests.support.invariants import Bounds

BOOKED = "/invoices/booked"


def gaps(case: Case) -> list[float]:
    """Seconds between the starts of the requests for the first page, which is asked for again and again."""
    starts = [entry["received"] for entry in case.books.requests() if entry["path"] == BOOKED]
    return [later - earlier for earlier, later in itertools.pairwise(starts)]


# -- patience -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("H13")
def test_repeated_429_waits_longer_each_time(case: Case) -> None:
    case.runs.limit(attempts=5, first_wait=0.1)
    case.books.fault(BOOKED, "status", status=429, times=3)
    outcome = case.run()
    assert (outcome.state, outcome.statistics["retries"]) == ("success", 3)
    for wait, least in zip(gaps(case)[:3], (0.3, 0.6, 1.2), strict=True):
        assert wait >= least
    # Jitter: whoever was slowed down together does not come back together.
    waits = [float(wait) for wait in re.findall(r"Trying again in ([\d.]+) s", case.witness.log())]
    assert waits != [0.3, 0.6, 1.2]
    assert all(least <= wait <= least + 0.3 for wait, least in zip(waits, (0.3, 0.6, 1.2), strict=True))
    case.heals()


HOUR = timedelta(hours=1)
ANSWERS: list[tuple[str, int, str | timedelta | None, float, timedelta | None]] = [
    ("H14", 429, "1", 1.0, None),
    ("H15", 429, timedelta(seconds=3), 1.0, None),
    ("H15", 429, -HOUR, 0.0, None),
    ("H15", 429, HOUR + timedelta(seconds=30), 0.0, HOUR),
    ("H16", 429, "soon", 0.0, None),
    ("H16", 429, "86400", 0.0, HOUR),
    ("H16", 429, "9" * 400, 0.0, HOUR),
    *(("H18", status, None, 0.0, None) for status in (500, 502, 503, 504)),
    ("H18", 503, "1", 1.0, None),
    ("H19", 408, None, 0.0, None),
    ("H19", 425, None, 0.0, None),
]
"""Row, status, Retry-After (a time from now), the least wait, and the delay of the task's retry."""


@pytest.mark.parametrize(("row", "status", "after", "least", "delay"), ANSWERS, ids=lambda v: str(v)[:12])
@pytest.mark.fault("H14", "H15", "H16", "H18", "H19")
def test_a_temporary_answer_is_retried_when_asked(
    case: Case,
    row: str,
    status: int,
    after: str | timedelta | None,
    least: float,
    delay: timedelta | None,
) -> None:
    if isinstance(after, timedelta):
        after = format_datetime(datetime.now(UTC) + after, usegmt=True)
    headers = {} if after is None else {"Retry-After": after}
    case.books.fault(BOOKED, "status", status=status, headers=headers)
    outcome = case.run()
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 1 if delay is None else 2)
    assert outcome.tries[0].delay == delay or delay is None
    # A date has whole seconds, and the sync begins after it was made: three seconds are one to three.
    assert least <= gaps(case)[0] < least + 2.5
    # A wait of a day is not slept through.
    case.heals(bounds=Bounds(seconds=15))


@pytest.mark.fault("H16")
def test_the_lease_is_kept_alive_while_waiting(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(attempt, "_HEARTBEAT_SECONDS", 0.2)
    beats: set[Any] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            beats.update(
                row["heartbeat_at"] for row in case.witness.rows("select * from economic.sync_lease")
            )

    case.books.when(1, threading.Thread(target=watch, daemon=True).start, match=BOOKED)
    case.books.when(2, over.set, match=BOOKED)
    case.books.fault(BOOKED, "status", status=429, headers={"Retry-After": "2"})
    case.run()
    assert len(beats) >= 5
    case.heals()


@pytest.mark.fault("H17")
def test_lasting_429_fails_and_paces_the_retries(case: Case) -> None:
    case.synced()
    case.books.fault(BOOKED, "status", status=429, at="all", headers={"Retry-After": "180"})
    outcome = case.run()
    assert outcome.state == "failed"
    assert all(isinstance(error, RateLimited) for error in outcome.errors)
    # Longer than is waited in the task: one request a try, and Airflow waits as asked.
    assert case.paths().count(BOOKED) == outcome.tried(FETCH) == 4
    assert {one.delay for one in outcome.tries} == {timedelta(seconds=180)}
    case.heals()


@pytest.mark.parametrize(
    "limits", [{"attempts": 4}, {"attempts": 1000, "budget": 0.5}], ids=["tries", "seconds"]
)
@pytest.mark.fault("H17")
def test_attempts_and_budget_bound_a_request(case: Case, limits: dict[str, float]) -> None:
    case.runs.limit(**limits)
    case.books.fault(BOOKED, "status", status=429, at="all")
    outcome = case.run(retries=0)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, RateLimited)
    assert case.paths().count(BOOKED) == 4 if limits["attempts"] == 4 else case.paths().count(BOOKED) > 2
    case.heals(bounds=Bounds(seconds=5))


# -- faults of the server -----------------------------------------------------------------------------------------------


@pytest.mark.fault("H18")
def test_a_lasting_server_fault_keeps_the_copy(case: Case) -> None:
    case.synced()
    case.books.pay(min(case.books.ledger.items()), 1)
    before = case.witness.value("select sum(remainder) from economic.invoice")
    body = '{"message": "It is not you.", "logId": "0123456789abcdef-CPH", "errorCode": "E99999"}'
    case.books.fault(BOOKED, "status", status=500, at=2, times=1000, body=body)
    outcome = case.run(retries=1)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, ServerFault)
    for part in ("500", "0123456789abcdef-CPH", "E99999", "It is not you."):
        assert part in case.last_sync()["message"]
    assert case.witness.value("select sum(remainder) from economic.invoice") == before
    assert case.heals()["updated"] == 1


# -- refusals -----------------------------------------------------------------------------------------------------------


def refused(case: Case, outcome: Outcome, calls: list[str]) -> str:
    """The run failed at its first try, after these calls; the message its row keeps. The lease is free at once."""
    assert (outcome.state, len(outcome.tries)) == ("failed", 1), outcome.errors
    assert isinstance(outcome.error, AirflowFailException)
    assert case.paths() == calls
    sync = case.last_sync()
    assert sync["status"] == "failed"
    assert sync["message"] == str(outcome.error)
    assert case.witness.value("select count(*) from economic.sync_lease where holder is not null") == 0
    return str(sync["message"])


@pytest.mark.fault("H20")
def test_unpaired_tokens_are_rejected_after_one_call(case: Case) -> None:
    other = "CANARYother+grant/4712==0123456789"
    case.reach_books_at(case.books.base_url, agreement_grant_token=other)
    message = refused(case, case.run(), ["/self"])
    for part in ("401", "E02250", "app_secret_token", "agreement_grant_token"):
        assert part in message
    case.reach_books_at(case.books.base_url)
    case.heals()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.fault("H21")
def test_a_grant_revoked_in_mid_scan_changes_nothing(case: Case, status: int) -> None:
    case.runs.page_size(30)
    case.synced()
    numbers = sorted(case.books.ledger.items())
    case.books.pay(numbers[0], 1)
    case.books.control("remove", number=numbers[-1])
    case.books.fault(BOOKED, "status", status=status, at=7, times=1000)
    message = refused(case, case.run(), ["/self", *[BOOKED] * 7])
    assert str(status) in message
    statistics = case.heals()
    assert (statistics["updated"], statistics["missing"]) == (1, 1)


@pytest.mark.fault("H22")
def test_a_404_collection_names_the_base_url(case: Case) -> None:
    case.books.fault(BOOKED, "status", status=404, at="all")
    message = refused(case, case.run(), ["/self", BOOKED])
    assert "404" in message
    assert "base URL" in message
    case.heals()


@pytest.mark.fault("H22")
def test_a_404_of_employees_leaves_names_empty(case: Case) -> None:
    case.books.fault("/employees", "status", status=404, at="all")
    outcome = case.run()
    assert (outcome.state, outcome.statistics["status"]) == ("success", "completed_with_errors")
    assert case.witness.value("select count(employee_name) from economic.invoice") == 0
    assert case.stored() == 250
    case.heals()


@pytest.mark.parametrize(
    "error",
    [ConfigurationError("gone"), BrokenResponse("odd"), RuntimeError("CANARY odd")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("asked", ["employees_above", "totals"])
@pytest.mark.fault("H22")
def test_no_error_of_names_or_totals_fails(
    case: Case, monkeypatch: pytest.MonkeyPatch, asked: str, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(EconomicHook, asked, fail)
        outcome = case.run()
    assert (outcome.state, outcome.statistics["complete"], case.stored()) == ("success", True, 250)
    if asked == "employees_above":
        assert outcome.statistics["status"] == "completed_with_errors"
        assert "names could not be refreshed" in case.last_sync()["message"]
        assert "CANARY" not in case.last_sync()["message"]
    else:
        assert outcome.statistics["reconciled"] is None
        assert "totals could not be read" in case.last_sync()["verdict"]
    case.heals()


@pytest.mark.fault("H23")
def test_a_rejected_filter_quotes_e_conomic_cut_short(case: Case) -> None:
    said = f'{{"message": "Could not parse query string filter. {"na" * 2000}", "errors": ["Filtering is not allowed."]}}'
    case.books.fault(BOOKED, "status", status=400, at=2, times=1000, body=said)
    message = refused(case, case.run(), ["/self", BOOKED, BOOKED])
    assert "Could not parse query string filter. nana" in message
    assert len(message) < 700
    case.heals()


# -- elsewhere ----------------------------------------------------------------------------------------------------------

REDIRECTS = (301, 302, 303, 307, 308)


@pytest.mark.fault("H24")
def test_a_redirect_is_rejected_after_one_call(case: Case) -> None:
    """Rejects those within the same host, and to no address at all."""
    for status, location in (
        *((status, f"{case.books.base_url}/self?again") for status in REDIRECTS),
        *((302, location) for location in ("http://[bad", "http://x:port/", "\xff\xfe", "")),
    ):
        case.books.reset()
        case.books.fault("/self", "redirect", status=status, location=location, at="all")
        assert str(status) in refused(case, case.run(), ["/self"])
    case.heals()


@pytest.mark.parametrize("path", ["/self", BOOKED, "/employees"])
@pytest.mark.fault("H25", "S11")
def test_a_redirect_elsewhere_sends_nothing_there(case: Case, path: str) -> None:
    with hosts.foreign_host() as foreign:
        for status in REDIRECTS:
            case.books.fault(path, "redirect", status=status, location=f"{foreign.url}{path}", at="all")
            outcome = case.run()
            # Without the names a sync is whole all the same.
            assert outcome.state == ("success" if path == "/employees" else "failed")
            assert str(status) in case.last_sync()["message"]
        case.heals()
        case.witness.heard(foreign.received)
        assert (foreign.connections, foreign.received) == (0, b"")
