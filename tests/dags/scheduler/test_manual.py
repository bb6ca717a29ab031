"""Runs that somebody triggers."""

from __future__ import annotations

import pytest

from tests.dags.scheduler.live import PAGE_SIZE, PAGES, TASKS, Live, at

INVOICES = PAGE_SIZE * PAGES


def test_who_waits_for_a_run_gets_statistics(live: Live) -> None:
    run_id = live.trigger()
    answer = live.wait(run_id)
    assert answer["state"] == "success"
    statistics = answer["results"][TASKS[-1]]
    counts = (statistics["status"], statistics["fetched"], statistics["pages"])
    assert counts == ("completed", INVOICES, PAGES)
    assert (statistics["complete"], statistics["reconciled"]) == (True, True)
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    assert live.xcom(run_id) == statistics
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["force"], sync["status"]) == ("manual", False, "completed")
    assert (sync["percentage"], sync["statistics"]) == (100, statistics)

    live.books.reset()
    live.books.pay(min(live.books.ledger.items()), "1.00")
    forced = live.trigger({"force": True})
    answer = live.wait(forced)
    assert answer["state"] == "success"
    statistics = answer["results"][TASKS[-1]]
    assert (statistics["updated"], statistics["unchanged"]) == (1, INVOICES - 1)
    # The names of this hour are not used.
    assert "/employees" in {entry["path"] for entry in live.books.requests()}
    assert live.sync(forced)["force"] is True
    live.holds(forced)


@pytest.mark.fault("R13")
def test_simultaneous_triggers_run_one_by_one(live: Live) -> None:
    first, second = live.trigger(), live.trigger()
    assert [live.ended(first), live.ended(second)] == ["success", "success"]
    assert at(live.run(second)["start_date"]) >= at(live.run(first)["end_date"])
    assert live.sync(second)["started_at"] >= live.sync(first)["finished_at"]
    assert live.xcom(second)["unchanged"] == INVOICES
    live.holds(second)
