"""Runs that somebody triggers."""

from __future__ import annotations

import pytest

from tests.dags.scheduler.live import PAGE_SIZE, PAGES, TASKS, Live, at

INVOICES = PAGE_SIZE * PAGES


def asked_for_employees(live: Live) -> bool:
    return any(entry["path"] == "/employees" for entry in live.books.requests())


def test_a_run_syncs_and_whoever_waits_for_it_gets_the_statistics(live: Live) -> None:
    run_id = live.trigger()
    answer = live.wait(run_id)
    assert answer["state"] == "success"
    statistics = answer["results"][TASKS[-1]]
    assert (statistics["status"], statistics["fetched"], statistics["pages"]) == (
        "completed",
        INVOICES,
        PAGES,
    )
    assert (statistics["complete"], statistics["reconciled"]) == (True, True)
    assert live.states(run_id) == dict.fromkeys(TASKS, "success")
    assert live.xcom(run_id) == statistics
    sync = live.sync(run_id)
    assert (sync["run_type"], sync["force"], sync["status"]) == ("manual", False, "completed")
    assert (sync["percentage"], sync["statistics"]) == (100, statistics)
    live.holds(run_id)


def test_force_asks_for_the_employees_again(live: Live) -> None:
    assert live.wait(live.trigger())["state"] == "success"
    live.books.reset()
    assert live.wait(live.trigger())["state"] == "success"
    assert not asked_for_employees(live)

    live.books.pay(min(live.books.ledger.items()), "1.00")
    forced = live.trigger({"force": True})
    answer = live.wait(forced)
    assert answer["state"] == "success"
    statistics = answer["results"][TASKS[-1]]
    assert (statistics["updated"], statistics["unchanged"]) == (1, INVOICES - 1)
    assert asked_for_employees(live)
    assert live.sync(forced)["force"] is True
    live.holds(forced)


@pytest.mark.fault("R13")
def test_two_triggers_in_the_same_second_run_one_after_the_other(live: Live) -> None:
    first, second = live.trigger(), live.trigger()
    assert [live.ended(first), live.ended(second)] == ["success", "success"]
    assert at(live.run(second)["start_date"]) >= at(live.run(first)["end_date"])
    assert live.sync(second)["started_at"] >= live.sync(first)["finished_at"]
    assert live.xcom(second)["unchanged"] == INVOICES
    live.holds(second)
