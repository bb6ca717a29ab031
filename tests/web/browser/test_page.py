"""The page in use: starting and watching syncs, failures, refreshing, the list of companies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import dropwhile
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.dags.scheduler.live import PAGE_SIZE, PAGES, Live
from tests.web.browser.conftest import Browser, cell
from tests.web.page.servers import Site

INVOICES = PAGE_SIZE * PAGES
COMPANY = "Prøvefirmaet Æble & Ørsted ApS"


# This one comes first: what it begins with is there only once.
def test_first_sync_is_started_watched_and_listed(admin: Browser, live: Live) -> None:
    frame = admin.through_the_menu()
    expect(frame.locator("header .pill")).to_have_text("Not synced yet")
    expect(frame.get_by_text("None yet. The first one reads every booked invoice.")).to_be_visible()
    expect(frame.get_by_role("heading", level=1)).to_have_text("e-conomic")
    live.books.fault("/invoices/booked", "slow", at="all", seconds=1.0)
    frame.get_by_role("button", name="Sync now").click()
    expect(frame.get_by_text("Waiting to start")).to_be_visible()
    bar = frame.get_by_role("progressbar", name="Progress of the sync")
    seen: list[float] = []
    until = time.monotonic() + 90
    while time.monotonic() < until:
        # One question: the bar may be gone before a second one is asked.
        shown = bar.evaluate_all("bars => bars.map(bar => Number(bar.getAttribute('value') || 0))")
        seen += shown or [100.0]
        if len(set(seen)) > 2 and not shown:
            break
        time.sleep(0.3)
    moved = sorted(set(seen))
    assert len(moved) > 4, moved
    assert [value for value in seen if value] == sorted(value for value in seen if value)
    expect(frame.get_by_role("heading", level=1)).to_have_text(COMPANY)
    expect(frame.locator("header .pill")).to_have_text("Fresh and complete")
    expect(frame.get_by_role("status")).to_contain_text(f"Completed. Synced {INVOICES} invoices")
    expect(frame.locator("#problem")).to_be_empty()
    expect(cell(frame, "Latest syncs", 0, 2)).to_have_text("Completed")
    expect(cell(frame, "Latest syncs", 0, 3)).to_have_text("Manual")
    for column, count in ((9, INVOICES), (10, INVOICES), (11, 0), (12, 0), (13, 0), (14, 0)):
        expect(cell(frame, "Latest syncs", 0, column)).to_have_text(str(count))
    expect(frame.locator(".held dd").first).to_have_text(str(INVOICES))
    expect(frame.get_by_text("Proven", exact=True)).to_be_visible()
    expect(frame.get_by_text("count and net sum are equal")).to_be_visible()
    expect(frame.get_by_role("img", name=re.compile("Working time by phase"))).to_be_visible()
    assert live.rows("select run_type, force from economic.sync_run") == [
        {"run_type": "manual", "force": False}
    ]


def test_page_polls_and_keeps_focus_while_syncing(admin: Browser, live: Live) -> None:
    """The run is made at once; the answers that show it are long in coming."""
    live.books.fault("/invoices/booked", "slow", at="all", seconds=2.0)
    admin.page.add_init_script(
        "const ask = window.fetch; window.fetch = async (what, how) => {"
        " if (window.slow && how?.method !== 'POST') await new Promise((done) => window.setTimeout(done, 1500));"
        " return ask(what, how); };"
    )
    frame = admin.directly()
    button = frame.get_by_role("button", name="Sync now")
    expect(button).to_be_enabled()
    button.focus()
    frame.evaluate("window.slow = true")
    for _ in range(4):
        admin.page.keyboard.press("Enter")
        admin.page.wait_for_timeout(300)
    frame.evaluate("window.slow = false")
    expect(frame.get_by_role("progressbar")).to_be_visible()
    expect(button).to_be_disabled()
    expect(button).to_be_focused()
    expect(button).to_have_accessible_description("A sync is running.", timeout=60_000)
    expect(frame.get_by_text(re.compile(r"elapsed · about .* left"))).to_be_visible(timeout=30_000)
    admin.page.keyboard.press("Enter")
    before = len(admin.asked("api/agreements/economic_invoice_sync"))
    admin.page.wait_for_timeout(4500)
    assert 1 <= len(admin.asked("api/agreements/economic_invoice_sync")) - before <= 3
    live.books.faults()
    expect(button).to_be_enabled(timeout=60_000)
    expect(button).to_be_focused()
    expect(frame.get_by_role("progressbar")).to_be_hidden()
    before = len(admin.asked("/economic/api/"))
    admin.page.wait_for_timeout(3000)
    assert len(admin.asked("/economic/api/")) == before
    assert len([request for request in admin.requests if request.method == "POST"]) == 1


def test_force_explains_itself_and_wants_confirmation(admin: Browser, live: Live) -> None:
    frame = admin.directly()
    opener = frame.get_by_role("button", name="Force sync…")
    expect(opener).to_be_enabled()
    opener.press("Enter")
    dialog = frame.get_by_role("dialog", name="Force a sync?")
    expect(dialog).to_contain_text("takes over at once")
    expect(dialog).to_contain_text("employees' names")
    expect(frame.get_by_role("button", name="Cancel")).to_be_focused()
    admin.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    assert not [request for request in admin.requests if request.method == "POST"]

    opener.press("Enter")
    admin.page.keyboard.press("Tab")
    admin.page.keyboard.press("Enter")
    expect(cell(frame, "Latest syncs", 0, 3)).to_have_text("Manual, forced", timeout=60_000)
    expect(cell(frame, "Latest syncs", 0, 2)).to_have_text("Completed", timeout=60_000)
    (asked,) = [request for request in admin.requests if request.method == "POST"]
    assert asked.post_data_json == {"logical_date": None, "conf": {"force": True}}
    assert live.rows("select force from economic.sync_run order by sync_id desc limit 1") == [{"force": True}]


def test_sync_links_to_its_run_outside_the_frame(admin: Browser) -> None:
    frame = admin.through_the_menu()
    expect(frame.get_by_role("heading", level=1)).to_have_text(COMPANY)
    admin.page.reload()
    cell(frame, "Latest syncs", 0, 1).get_by_role("link").click()
    admin.page.wait_for_url(re.compile(r"/dags/economic_invoice_sync/runs/manual__"))
    expect(admin.page.get_by_text("fetch-pages").first).to_be_visible()
    assert admin.page.locator("iframe").count() == 0


def test_failure_and_rejection_show_until_resolved(admin: Browser, live: Live) -> None:
    live.books.fault("/self", "status", at="all", status=401)
    run_id = live.trigger()
    assert live.ended(run_id) == "failed"
    frame = admin.directly()
    expect(frame.locator("header .pill")).to_have_text("Last sync failed")
    expect(frame.locator(".finding.bad")).to_contain_text("e-conomic answered 401")
    expect(cell(frame, "Latest syncs", 0, 2)).to_have_text("Failed")
    expect(frame.locator("tr.explanation").first).to_contain_text("app_secret_token")
    link = frame.locator(".finding.bad").get_by_role("link", name="Open the connection economic_default")
    admin.page.goto(link.evaluate("(one) => one.href"))
    expect(admin.page.get_by_role("cell", name="economic_default", exact=True)).to_be_visible()
    expect(admin.page.get_by_role("cell", name="economic_postgres", exact=True)).to_have_count(0)

    live.books.faults()
    number = min(live.books.ledger.items())
    live.books.spoil(number, "dueDate", value="2026-02-30")
    assert live.ended(live.trigger()) == "success"
    frame = admin.directly()
    expect(frame.locator("header .pill")).to_have_text("1 rejected")
    reason = "dueDate is not a date: '2026-02-30'."
    for column, text in ((0, str(number)), (1, "dueDate"), (2, reason), (6, "Open")):
        expect(cell(frame, "Rejected invoices", 0, column)).to_have_text(text)
    live.books.heal(number)
    assert live.ended(live.trigger()) == "success"
    admin.look_again()
    expect(cell(frame, "Rejected invoices", 0, 6)).to_have_text("Resolved")
    expect(frame.locator("header .pill")).to_have_text("Fresh and complete")


def test_last_status_stays_visible_when_database_is_down(admin: Browser, live: Live) -> None:
    frame = admin.directly()
    expect(cell(frame, "Latest syncs", 0, 2)).to_be_visible()
    stored = live.api.get("connections/economic_postgres_page")

    def on_port(port: int) -> None:
        live.api.patch("connections/economic_postgres_page?update_mask=port", stored | {"port": port})

    on_port(1)
    try:
        admin.look_again()
        expect(frame.get_by_role("alert").first).to_contain_text("cannot be reached")
        expect(cell(frame, "Latest syncs", 0, 2)).to_be_visible()
        expect(frame.get_by_text("Proven", exact=True)).to_be_visible()
    finally:
        on_port(stored["port"])
    admin.look_again()
    expect(frame.locator("#problem")).to_be_empty()


def test_viewer_sees_everything_and_starts_nothing(viewer: Browser, live: Live) -> None:
    frame = viewer.directly()
    expect(frame.get_by_role("heading", level=1)).to_have_text(COMPANY)
    for name in ("Sync now", "Force sync…"):
        expect(frame.get_by_role("button", name=name)).to_be_disabled()
        expect(frame.get_by_role("button", name=name)).to_have_accessible_description(
            "Your Airflow role may not trigger syncs."
        )


def test_paused_dag_is_shown_and_not_triggered(admin: Browser, live: Live) -> None:
    live.api.patch("dags/economic_invoice_sync", {"is_paused": True})
    try:
        frame = admin.directly()
        expect(frame.get_by_role("button", name="Sync now")).to_be_disabled()
        expect(frame.locator("#why-not")).to_contain_text("switched off in Airflow")
        expect(frame.get_by_text("Paused")).to_be_visible()
    finally:
        live.api.patch("dags/economic_invoice_sync", {"is_paused": False})


CALM = 20_000
RECORD_DELAYS = (
    "window.delays = []; const plan = window.setTimeout;"
    "window.setTimeout = (what, delay) => { window.delays.push(delay); return plan(what, delay); };"
)


def planned(page: Page, least: int, *, after_calm: bool = False) -> list[int]:
    """Return the milliseconds until the page's next refreshes, once it has planned that many.

    :param after_calm: begin with the first that is not the usual pause.
    """
    until = time.monotonic() + 20
    while time.monotonic() < until:
        delays: list[int] = page.evaluate("() => window.delays")
        if after_calm:
            delays = list(dropwhile(lambda delay: delay == CALM, delays))
        if len(delays) >= least:
            return delays
        time.sleep(0.1)
    raise AssertionError(f"The page planned nothing more than {delays}.")


def test_retries_become_rarer_when_airflow_is_down(admin: Browser) -> None:
    admin.page.add_init_script(
        "window.delays = []; const plan = window.setTimeout;"
        "window.setTimeout = (what, delay) => { window.delays.push(delay); return plan(what, Math.min(delay, 50)); };"
    )
    page = admin.directly()
    expect(cell(page, "Latest syncs", 0, 2)).to_be_visible()
    page.route("**/economic/api/**", lambda route: route.abort())
    assert planned(page, 7, after_calm=True)[:7] == [4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]
    expect(page.get_by_role("alert").first).to_contain_text("Airflow cannot be reached.")
    page.unroute("**/economic/api/**")
    expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize(
    ("hidden", "phase", "shown", "expected"),
    [
        (False, None, "", 30_000),
        (True, None, "", 60_000),
        (False, "fetch", "Syncing 12.5 %", 5_000),
        (False, "waiting", "Waiting", 5_000),
    ],
)
def test_list_is_refreshed_rarely_unless_a_sync_runs(
    page: Page, fab_server: Site, hidden: bool, phase: str | None, shown: str, expected: int
) -> None:
    page.add_init_script(
        f"Object.defineProperty(document, 'hidden', {{get: () => {str(hidden).lower()}}});{RECORD_DELAYS}"
    )

    def at_work(answer: Any) -> None:
        sync = {"running": phase is not None, "stalled": False, "phase": phase, "percentage": 12.5}
        answer["agreements"][0]["standing"]["sync"] |= sync

    changed(page, "**/economic/api/agreements", at_work)
    row = companies(page, fab_server).filter(has_text="Company default")
    expect(row.locator("td").nth(1)).to_have_text(f"1 rejected {shown}".strip())
    assert max(planned(page, 1)) == expected


def companies(page: Page, fab_server: Site) -> Locator:
    """Open the list of the companies and return its rows."""
    page.context.add_cookies([{"name": "_token", "value": fab_server.token("vera"), "url": fab_server.url}])
    page.goto(f"{fab_server.url}/economic/")
    return page.get_by_role("table", name="Companies").locator("tbody tr")


def asked_again(page: Page) -> None:
    """Return to the tab and wait until the list has been read again."""
    with page.expect_response("**/economic/api/agreements"):
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(300)


def changed(page: Page, what: str | re.Pattern[str], change: Callable[[Any], None]) -> None:
    """Change an answer of the server on its way."""

    def answer(route: Route) -> None:
        real = route.fetch()
        told = real.json()
        change(told)
        route.fulfill(response=real, json=told)

    page.route(what, answer)


def test_list_keeps_the_focus_when_refreshed(page: Page, fab_server: Site) -> None:
    rows = companies(page, fab_server)
    south = page.get_by_role("link", name="Company south")
    south.focus()
    page.evaluate("() => { window.before = document.activeElement; }")
    page.wait_for_timeout(1100)  # an answer is good for a second
    asked_again(page)
    expect(south).to_be_focused()
    assert page.evaluate("() => document.activeElement === window.before")

    def failed(told: Any) -> None:
        (one,) = [one for one in told["agreements"] if one["name"] == "south"]
        one["standing"]["outcome"] = {"sync_id": 1, "status": "failed", "message": ""}

    expect(rows.first).not_to_contain_text("Company south")
    changed(page, "**/economic/api/agreements", failed)
    asked_again(page)
    expect(rows.first).to_contain_text("Last sync failed")
    expect(rows.first).to_contain_text("Company south")
    expect(south).to_be_focused()


def test_age_ignores_the_users_clock(page: Page, fab_server: Site) -> None:
    page.add_init_script("const real = Date.now; Date.now = () => real() + 5 * 3600_000;")
    row = companies(page, fab_server).filter(has_text="Company north")
    (age,) = [
        one["standing"]["age_seconds"]
        for one in fab_server.told("api/agreements")["agreements"]
        if one["name"] == "north"
    ]
    minutes = int(age // 60)
    ago = re.compile(f"^({minutes}|{minutes + 1}) min ago$")
    expect(row.locator("td").nth(2)).to_have_text(ago)
    row.get_by_role("link").click()
    expect(page.locator(".fact").first.locator(".value")).to_have_text(ago)


def test_schedule_is_shown_whatever_airflow_has_planned(page: Page, fab_server: Site) -> None:
    words = {"timetable_description": "Every quarter of an hour", "timetable_summary": "*/15 * * * *"}
    soon = (datetime.now(UTC) + timedelta(hours=1, minutes=1)).isoformat()
    planned: dict[str, dict[str, Any]] = {
        "economic_invoice_sync": {"is_paused": True, "next_dagrun_run_after": soon},
        "economic_invoice_sync__north": {"is_paused": False, "next_dagrun_run_after": None},
        "economic_invoice_sync__south": {"is_paused": False, "next_dagrun_run_after": soon},
        "economic_invoice_sync__branch_0": {"is_paused": False, "next_dagrun_run_after": None},
        "economic_invoice_quick_sync__north": {"is_paused": False, "next_dagrun_run_after": soon},
    }
    by_id = {dag_id: {"dag_id": dag_id, **words, **one} for dag_id, one in planned.items()}

    def unscheduled(told: Any) -> None:
        for one in told.get("agreements") or [told["agreement"]]:
            one["scheduled"] = one["name"] != "branch_0"
            if one["name"] == "north":
                one["standing"] |= {"last_full": soon, "full_age_seconds": 7300}

    # This Airflow has not read the DAGs.
    page.route(
        "**/api/v2/dags?**",
        lambda route: route.fulfill(json={"dags": [*by_id.values()], "total_entries": len(by_id)}),
    )
    one_dag = re.compile(r"/api/v2/dags/(economic_invoice_\w+)$")
    page.route(one_dag, lambda route: route.fulfill(json=by_id[one_dag.findall(route.request.url)[0]]))
    changed(page, re.compile(r"/economic/api/agreements(/\w+)?$"), unscheduled)
    rows = companies(page, fab_server)
    for name, said in (
        ("Company default", "Paused" + words["timetable_description"]),
        ("Company north", "Not planned" + words["timetable_description"] + "quick: in 1 h"),
        ("Company south", "in 1 h"),
        ("branch_0", "Off"),
    ):
        expect(rows.filter(has_text=name).locator("td").nth(3)).to_have_text(said)
    north = rows.filter(has_text="Company north").locator("td").nth(2)
    expect(north).to_have_text(re.compile(r"agofull: 2 h 1 min ago$"))
    fact = page.locator(".fact").nth(1)
    planned_none = "Airflow has planned no run yet · Every quarter of an hour · quick: in 1 h"
    for name, value, more in (
        ("Company default", "Paused", "the DAG is switched off in Airflow · Every quarter of an hour"),
        ("Company north", "Not planned", planned_none),
        ("Company south", "in 1 h", re.compile(" · Every quarter of an hour$")),
        ("branch_0", "Off", "no schedule: manual syncs only"),
    ):
        page.get_by_role("link", name=name, exact=True).click()
        expect(fact.locator(".value")).to_have_text(value)
        expect(fact.locator(".small")).to_have_text(more)
        page.go_back()
        expect(rows).to_have_count(11)


def test_companies_are_listed_worst_first_and_searched(page: Page, fab_server: Site) -> None:
    rows = companies(page, fab_server)
    expect(rows).to_have_count(11)
    expect(page).to_have_title("e-conomic sync")
    assert page.evaluate("document.activeElement === document.body")
    expect(page.get_by_text("11 companies · 3 need attention")).to_be_visible()
    states = rows.locator(".pill").all_inner_texts()
    assert states == ["1 rejected"] * 3 + ["Not synced yet"] * 8
    page.get_by_role("searchbox", name="Find a company").fill("SOUTH")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Company south")
    page.get_by_role("searchbox").fill("nobody of that name")
    expect(page.get_by_text("No company matches.")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("link", name="branch_4").press("Enter")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("e-conomic: branch_4")
    expect(heading).to_be_focused()
    expect(page).to_have_title("e-conomic: branch_4 – e-conomic sync")
    expect(page.get_by_text("Not synced yet")).to_be_visible()
    expect(page.locator("canvas")).to_have_count(3)
    expect(page.locator("canvas").first).to_be_hidden()
    page.go_back()
    expect(rows).to_have_count(11)
    expect(heading).to_have_text("e-conomic sync")
    expect(heading).to_be_focused()
    expect(page).to_have_title("e-conomic sync")
    page.goto(f"{fab_server.url}/economic/#%E0%A4%A")
    page.reload()
    expect(rows).to_have_count(11)
