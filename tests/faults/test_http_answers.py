"""H13 to H25: e-conomic asks for patience, fails, refuses, or sends us elsewhere."""

from __future__ import annotations

import itertools
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from economic.client import transport
from economic.client.hook import EconomicHook
from economic.errors import BrokenResponse, ConfigurationError, CredentialsRefused, RateLimited, ServerFault
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


def slowed(case: Case, after: str | None, times: int = 1) -> Outcome:
    headers = {} if after is None else {"Retry-After": after}
    case.books.reset()
    case.books.fault(BOOKED, "status", status=429, headers=headers, times=times)
    return case.run()


# -- patience -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("H13")
def test_too_many_requests_are_answered_by_waiting_longer_each_time(case: Case) -> None:
    case.runs.limit(attempts=5, first_wait=0.1)
    outcome = slowed(case, None, times=3)
    assert (outcome.state, outcome.statistics["retries"]) == ("success", 3)
    for wait, least in zip(gaps(case)[:3], (0.3, 0.6, 1.2), strict=True):
        assert wait >= least
    # Jitter: whoever was slowed down together does not come back together.
    waits = [float(wait) for wait in re.findall(r"Trying again in ([\d.]+) s", case.witness.log())]
    assert waits != [0.3, 0.6, 1.2]
    assert all(least <= wait <= least + 0.3 for wait, least in zip(waits, (0.3, 0.6, 1.2), strict=True))
    case.heals()


@pytest.mark.fault("H14")
def test_a_wait_in_seconds_is_kept(case: Case) -> None:
    outcome = slowed(case, "2")
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 1)
    assert gaps(case)[0] >= 2.0
    case.heals()


@pytest.mark.fault("H15")
def test_a_wait_until_a_time_is_kept(case: Case) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    outcome = slowed(case, format_datetime(until, usegmt=True))
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 1)
    second = [entry["received"] for entry in case.books.requests() if entry["path"] == BOOKED][1]
    assert datetime.now(UTC) - timedelta(seconds=time.monotonic() - second) >= until
    case.heals()


@pytest.mark.fault("H15")
def test_a_time_that_has_passed_is_no_wait(case: Case) -> None:
    outcome = slowed(case, format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True))
    assert outcome.state == "success"
    assert gaps(case)[0] < 1.0
    case.heals()


@pytest.mark.fault("H15")
def test_a_time_by_a_clock_that_is_ahead_is_left_to_the_tasks_retry_and_capped(case: Case) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1, seconds=30)
    outcome = slowed(case, format_datetime(ahead, usegmt=True))
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 2)
    assert outcome.tries[0].delay == timedelta(hours=1)
    case.heals()


@pytest.mark.parametrize("after", ["soon", "-5", "1,5", "", "1e9", "9" * 400 + "x"])
@pytest.mark.fault("H16")
def test_a_wait_that_is_none_counts_as_absent(case: Case, after: str) -> None:
    outcome = slowed(case, after)
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 1)
    assert gaps(case)[0] < 1.0
    case.heals()


@pytest.mark.parametrize("after", ["86400", "9" * 400])
@pytest.mark.fault("H16")
def test_a_wait_of_a_day_is_not_slept_through(case: Case, after: str) -> None:
    outcome = slowed(case, after)
    assert (outcome.state, outcome.tried(FETCH)) == ("success", 2)
    assert outcome.tries[0].delay == timedelta(hours=1)
    case.heals(bounds=Bounds(seconds=10))


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
    slowed(case, "2")
    assert len(beats) >= 5
    case.heals()


@pytest.mark.fault("H17")
def test_too_many_requests_for_ever_end_the_run_and_set_the_pace_of_its_tries(case: Case) -> None:
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
def test_a_try_is_given_up_after_so_many_requests_or_so_long(case: Case, limits: dict[str, float]) -> None:
    case.runs.limit(**limits)
    case.books.fault(BOOKED, "status", status=429, at="all")
    outcome = case.run(retries=0)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, RateLimited)
    assert case.paths().count(BOOKED) == 4 if limits["attempts"] == 4 else case.paths().count(BOOKED) > 2
    case.heals(bounds=Bounds(seconds=5))


# -- faults of the server -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.fault("H18")
def test_a_fault_of_the_server_is_tried_again(case: Case, status: int) -> None:
    case.runs.limit(attempts=4)
    for times in (1, 3):
        case.books.fault(BOOKED, "status", status=status, at=2, times=times)
        outcome = case.run()
        assert (outcome.state, outcome.tried(FETCH)) == ("success", 1)
        assert outcome.statistics["retries"] == times
    case.books.pay(min(case.books.ledger.items()), 1)
    before = case.witness.value("select sum(remainder) from economic.invoice")
    said = '{"message": "It is not you.", "logId": "0123456789abcdef-CPH", "errorCode": "E99999"}'
    case.books.fault(BOOKED, "status", status=status, at=2, times=1000, body=said)
    outcome = case.run(retries=1)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, ServerFault)
    for part in (str(status), "0123456789abcdef-CPH", "E99999", "It is not you."):
        assert part in case.last_sync()["message"]
    assert case.witness.value("select sum(remainder) from economic.invoice") == before
    assert case.heals()["updated"] == 1


@pytest.mark.parametrize("status", [408, 425])
@pytest.mark.fault("H19")
def test_a_timeout_of_the_server_is_tried_again(case: Case, status: int) -> None:
    case.books.fault(BOOKED, "status", status=status, at=2, times=2)
    outcome = case.run()
    assert (outcome.state, outcome.tried(FETCH), outcome.statistics["retries"]) == ("success", 1, 2)
    case.heals()


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
def test_tokens_that_are_no_pair_are_refused_after_one_call(case: Case) -> None:
    other = "CANARYother+grant/4712==0123456789"
    case.reach_books_at(case.books.base_url, agreement_grant_token=other)
    message = refused(case, case.run(), ["/self"])
    for part in ("401", "E02250", "app_secret_token", "agreement_grant_token"):
        assert part in message
    case.reach_books_at(case.books.base_url)
    case.heals()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.fault("H21")
def test_a_grant_revoked_in_mid_scan_stores_and_marks_nothing(case: Case, status: int) -> None:
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
def test_a_collection_that_is_not_there_is_a_wrong_base_url(case: Case) -> None:
    case.books.fault(BOOKED, "status", status=404, at="all")
    message = refused(case, case.run(), ["/self", BOOKED])
    assert "404" in message
    assert "base URL" in message
    case.heals()


@pytest.mark.fault("H22")
def test_employees_that_are_not_there_leave_names_empty(case: Case) -> None:
    case.books.fault("/employees", "status", status=404, at="all")
    outcome = case.run()
    assert (outcome.state, outcome.statistics["status"]) == ("success", "completed_with_errors")
    assert case.witness.value("select count(employee_name) from economic.invoice") == 0
    assert case.stored() == 250
    case.heals()


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("gone"),
        CredentialsRefused("revoked"),
        BrokenResponse("odd"),
        RuntimeError("CANARY odd"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("asked", ["employees_above", "totals"])
@pytest.mark.fault("H22")
def test_nothing_wrong_with_names_or_totals_fails_a_sync(
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
def test_a_refused_filter_is_told_in_e_conomics_words_cut_short(case: Case) -> None:
    said = f'{{"message": "Could not parse query string filter. {"na" * 2000}", "errors": ["Filtering is not allowed."]}}'
    case.books.fault(BOOKED, "status", status=400, at=2, times=1000, body=said)
    message = refused(case, case.run(), ["/self", BOOKED, BOOKED])
    assert "Could not parse query string filter. nana" in message
    assert len(message) < 700
    case.heals()


# -- elsewhere ----------------------------------------------------------------------------------------------------------

REDIRECTS = (301, 302, 303, 307, 308)


@pytest.mark.fault("H24")
def test_a_redirect_within_the_same_host_is_refused_after_one_call(case: Case) -> None:
    location = f"{case.books.base_url}/self?again"
    for status in REDIRECTS:
        case.books.reset()
        case.books.fault("/self", "redirect", status=status, location=location, at="all")
        assert str(status) in refused(case, case.run(), ["/self"])
    case.heals()


@pytest.mark.parametrize("location", ["http://[bad", "http://x:port/", "\xff\xfe", ""])
@pytest.mark.fault("H24")
def test_a_redirect_to_no_address_at_all_is_refused_after_one_call(case: Case, location: str) -> None:
    case.books.fault("/self", "redirect", status=302, location=location, at="all")
    assert "302" in refused(case, case.run(), ["/self"])
    case.heals()


@pytest.mark.parametrize("path", ["/self", BOOKED, "/employees"])
@pytest.mark.fault("H25")
def test_a_redirect_to_another_host_sends_nothing_there(case: Case, path: str) -> None:
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
