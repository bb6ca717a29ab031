"""What the page shows of quick syncs, and the button that starts one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, Route, expect

from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import NARROW, SIZE, Browser, another_company, cell
from tests.web.browser.test_looks import sticking_out, too_faint
from tests.web.browser.test_page import changed
from tests.web.page import history

AGREEMENT = 7654322
QUICK_DAG = "economic_invoice_quick_sync"
QUICK: dict[str, Any] = {"scope": "quick", "dag_id": QUICK_DAG}
UNPROVEN: dict[str, Any] = {
    "status": "completed_with_errors",
    "complete": False,
    "message": "Synced 1 invoice; not proven: invoices became open while the list was read",
    "warning": "not proven: invoices became open while the list was read",
}


@pytest.fixture
def quickly(live: Live) -> Iterator[psycopg.Connection]:
    """A company with a quick sync every minute: one that changed something, and many that did not."""
    with another_company(live, AGREEMENT) as connection:
        history.add_agreement(connection, AGREEMENT)
        history.add_past(connection, AGREEMENT)
        connection.execute(
            "update economic.sync_run set started_at = started_at - interval '2 hours',"
            " finished_at = finished_at - interval '2 hours' where agreement_number = %s",
            [AGREEMENT],
        )
        quiet = history.statistics(fetched=0, unchanged=0, requests=2)
        paid = history.statistics(fetched=3, updated=3, unchanged=0, requests=6, fetch_seconds=0.2)
        paid |= {"rate_limit_used": 147, "rate_limit": 10_000}
        for minutes in range(30, 1, -1):
            columns = {"ended": timedelta(minutes=minutes), "seconds": 0.6, "number": AGREEMENT, **QUICK}
            counted = paid if minutes == 20 else quiet
            history.add_sync(connection, statistics=counted, message="", **columns)
        yield connection


def with_quick_dag(page: Page, *, may_trigger: bool = True) -> list[Any]:
    """Let the page find a DAG of quick syncs, which this Airflow has not; return the runs it asks for."""
    asked: list[Any] = []

    def scheduled(told: Any) -> None:
        for one in told.get("agreements") or [told["agreement"]]:
            one |= {"quick_dag_id": QUICK_DAG, "may_trigger_quick": may_trigger}

    def run(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json={"dag_id": QUICK_DAG, "dag_run_id": "manual__quick", "state": "queued"})

    soon = (datetime.now(UTC) + timedelta(seconds=50)).isoformat()
    dag = {"dag_id": QUICK_DAG, "is_paused": False, "next_dagrun_run_after": soon}
    page.route(f"**/api/v2/dags/{QUICK_DAG}", lambda route: route.fulfill(json=dag))
    page.route(f"**/api/v2/dags/{QUICK_DAG}/dagRuns", run)
    page.route(f"**/api/v2/dags/{QUICK_DAG}/dagRuns/*", lambda route: route.fulfill(json={"state": "queued"}))
    changed(page, re.compile(r"/economic/api/agreements(/\w+)?$"), scheduled)
    return asked


@pytest.mark.parametrize(("theme", "size"), [("light", SIZE), ("dark", SIZE), ("light", NARROW)])
def test_quick_syncs_are_shown_and_drown_nothing(
    admin: Browser, quickly: psycopg.Connection, theme: str, size: Any
) -> None:
    page = admin.page
    page.set_viewport_size(size)
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    asked = with_quick_dag(page)
    admin.directly()
    expect(page.locator("header .pill")).to_have_text("Fresh and complete")
    facts = page.locator(".fact")
    expect(facts.filter(has_text="Last synced").locator(".value")).to_have_text(re.compile("^[23] min ago$"))
    expect(facts.filter(has_text="Last full sync").locator(".value")).to_have_text(
        re.compile("^2 h 1[23] min ago$")
    )
    expect(facts.filter(has_text="Next sync")).to_contain_text(re.compile(r"quick: (in \d+ s|due now)"))
    expect(facts.filter(has_text="Requests")).to_contain_text("62of 50,000 a day; at most 147 of 10,000")
    expect(page.get_by_text(re.compile(r"^Looked [23] min ago: nothing had changed\."))).to_be_visible()
    expect(cell(page, "Latest syncs", 0, 3)).to_have_text("Scheduled, quick")
    expect(cell(page, "Latest syncs", 1, 3)).to_have_text("Scheduled")
    # Others of the connection never reached a company: other tests may have left such.
    listed = quickly.execute(
        "select count(*) from economic.sync_run where coalesce(agreement_number, %s) = %s and not quiet",
        [AGREEMENT, AGREEMENT],
    ).fetchone()
    assert listed is not None
    expect(page.get_by_role("button", name=f"Show all {listed[0]}")).to_be_visible()
    link = cell(page, "Latest syncs", 0, 1).get_by_role("link")
    assert f"/dags/{QUICK_DAG}/runs/" in (link.get_attribute("href") or "")
    assert too_faint(page) == []
    assert sticking_out(page, size["width"]) == []
    button = page.get_by_role("button", name="Quick sync")
    button.click()
    expect(page.get_by_text("Waiting to start")).to_be_visible()
    expect(button).to_be_disabled()
    assert asked == [{"logical_date": None, "conf": {}}]


def test_unproven_quick_sync_is_named_first(admin: Browser, quickly: psycopg.Connection) -> None:
    read = history.statistics(fetched=1, updated=1, unchanged=0)
    history.add_sync(quickly, AGREEMENT, ended=timedelta(0), statistics=read, **QUICK, **UNPROVEN)
    page = admin.directly()
    expect(page.locator("header .pill")).to_have_text("Not proven")
    finding = page.locator(".finding.warn")
    expect(finding).to_contain_text("The last quick sync is not proven: invoices became open while")
    expect(page.get_by_text("nothing had changed")).to_be_hidden()
    expect(cell(page, "Latest syncs", 0, 2)).to_have_text("Not proven")
    expect(page.locator("tr.explanation").first).to_contain_text("not proven: invoices became open")
    expect(page.get_by_role("button", name="Quick sync")).to_be_hidden()


def test_quick_sync_wants_its_own_right(admin: Browser, quickly: psycopg.Connection) -> None:
    asked = with_quick_dag(admin.page, may_trigger=False)
    page = admin.directly()
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
    button = page.get_by_role("button", name="Quick sync")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description("Quick sync: Your Airflow role may not trigger syncs.")
    button.click(force=True)
    assert asked == []


def test_full_syncs_that_stopped_are_a_finding(admin: Browser, quickly: psycopg.Connection) -> None:
    def late(told: Any) -> None:
        told.get("agreement", {}).get("standing", {}).update(missed_full="2026-11-29T12:00:00+00:00")

    changed(admin.page, re.compile(r"/economic/api/agreements/\w+$"), late)
    page = admin.directly()
    expect(page.locator("header .pill")).to_have_text("Full sync late")
    expect(page.locator(".finding.warn")).to_contain_text("Quick syncs still prove the copy")
