"""Takes the pictures of the documents anew: `./run test --pictures`.

A real Airflow with a real sync of 22,540 invoices from the simulator; the ten days before it, and the other companies, are rows made up for the pictures.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, ViewportSize, expect
from psycopg.types.json import Jsonb

from dev.local.airflow_settings import DAG_ID
from economic.config.dags import QUICK_DAG_ID
from tests.dags.scheduler import live as harness
from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import NARROW, invoice_dsn, log_in, passwords
from tests.web.page import history

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "pictures"
INVOICES = 22_540
COMPANIES = (
    "Vestkystens Bageri ApS",
    "Lindqvist & Søn A/S",
    "Havblik Ejendomme",
    "Ærø Bådeværft",
    "Tømrermester Holm",
    "Klokkegården Optik",
    "Jysk Rørteknik A/S",
)
SETTINGS = {
    "AUTO_SYNC_ENABLED": "true",
    "ECONOMIC_PAGE_SIZE": "1000",
    "ECONOMIC_QUICK_SCHEDULE": "*/15 * * * *",
    "ECONOMIC_LINES": "true",
    "ECONOMIC_AGREEMENTS": json.dumps(
        [
            {"name": f"company_{place}", "quick_schedule": "off", "lines": False}
            for place in range(len(COMPANIES))
        ]
    ),
}
LINES_PROVEN = """select 1 from economic.line_reading
    where status = 'completed' and proven = (select count(*) from economic.invoice where missing_since is null)"""
PROVEN = "select count(*) as proven from economic.sync_run where scope = 'quick' and complete"
WIDE: ViewportSize = {"width": 1280, "height": 1180}
HEIGHTS = {
    "companies": 560,
    "page-light": 1286,
    "page-dark": 1286,
    "narrow-light": 1364,
    "narrow-dark": 1364,
    "running": 548,
    "trigger-form": 960,
    "connection-form": 860,
    "failed": 508,
}
"""Of each picture, so that it ends where a card or a row does."""


def size(name: str) -> ViewportSize:
    """Of a picture, in pixels."""
    window = NARROW if name.startswith("narrow") else WIDE
    return {"width": window["width"], "height": HEIGHTS[name]}


def test_pictures_are_taken(browser: Browser) -> None:
    """Into docs/pictures; run by name only, for its file is not called as tests are."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="economic-pictures-") as home,
        harness.running(Path(home), SETTINGS, INVOICES) as live,
    ):
        expect.set_options(timeout=30_000)
        let_the_first_runs_end(live)
        with psycopg.connect(invoice_dsn(live), autocommit=True) as connection:
            add_other_companies(connection)
            with looking(browser, live) as page:
                take(open_page(page, live), "companies")
            add_ten_days(connection)
        assert live.ended(live.trigger(), 120) == "success"
        look_for_changes(live)
        for theme in ("light", "dark"):
            with looking(browser, live, theme) as page:
                take(open_company(page, live), f"page-{theme}")
            with looking(browser, live, theme, NARROW) as page:
                take(open_company(page, live), f"narrow-{theme}")
        take_running(browser, live)
        take_forms(browser, live)
        take_failed(browser, live)


@contextmanager
def looking(
    browser: Browser, live: Live, theme: str = "light", size: ViewportSize | None = None
) -> Iterator[Page]:
    """A window that is logged in."""
    context = browser.new_context(viewport=size or WIDE, locale="en-GB", timezone_id="Europe/Copenhagen")
    context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page = context.new_page()
    log_in(page, live.api.url, "admin", passwords(live)["admin"])
    yield page
    context.close()


def open_page(page: Page, live: Live) -> Page:
    page.goto(f"{live.api.url}/plugin/economic-sync")
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text(re.compile(r"^in \d")).first).to_be_visible()
    return page


def open_company(page: Page, live: Live) -> Page:
    open_page(page, live)
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Prøvefirmaet Æble & Ørsted ApS").click()
    expect(frame.get_by_role("table", name="Latest syncs")).to_be_visible()
    page.wait_for_timeout(1500)  # the charts' library
    return page


def take(page: Page, name: str) -> None:
    page.set_viewport_size(size(name))
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)
    page.screenshot(path=FOLDER / f"{name}.png")


def let_the_first_runs_end(live: Live) -> None:
    """Each DAG begins with the run that fell due last; those of the other companies fail, for they have no account."""

    def ended() -> bool:
        runs = live.api.get("dags/~/dagRuns", limit=50)["dag_runs"]
        done = {run["dag_id"] for run in runs if run["state"] in {"success", "failed"}}
        return len(done) == len(COMPANIES) + 3

    live.until(ended, "every DAG has run once", 180)


def look_for_changes(live: Live) -> None:
    """Run two quick syncs: one copies a payment and a booking, one finds nothing."""
    live.books.pay(live.books.ledger.open[0])
    live.books.book()
    for _ in range(2):
        before = live.rows(PROVEN)
        live.api.post(f"dags/{QUICK_DAG_ID}/dagRuns", {"logical_date": None})
        live.until(lambda: live.rows(PROVEN) != before, "a quick sync has ended", 60)  # noqa: B023  # called at once
    live.until(lambda: live.rows(LINES_PROVEN), "the lines are proven", 180)


def add_other_companies(connection: psycopg.Connection) -> None:
    for place, company in enumerate(COMPANIES):
        number, conn_id = 2_000_100 + 37 * place, f"economic_company_{place}"
        if place == 3:  # never synced
            connection.execute("delete from economic.sync_run where conn_id = %s", (conn_id,))
            continue
        history.add_agreement(connection, number, conn_id, company)
        count, refused = 1_850 + 2_317 * place, int(place == 5)
        columns: dict[str, Any] = dict(history.WITH_ONE_REFUSED) if refused else {}
        columns |= {"message": f"Synced {count:,} invoices", "totals": Jsonb({"invoice_count": count})}
        columns["statistics"] = history.statistics(fetched=count, unchanged=count - refused, failed=refused)
        counts = {"invoice_count": count, "overdue_count": (place * 29) % 61, "rejected_count": refused}
        ended = timedelta(minutes=9 + 4 * place)
        history.add_sync(
            connection, number, conn_id=conn_id, ended=ended, **(columns | {"held": history.HELD | counts})
        )
        if place == 2:
            failed: dict[str, Any] = {"status": "failed", "complete": False, "held": None}
            failed["message"] = "e-conomic answered 401 to GET /self (E02250)."
            history.add_sync(connection, None, conn_id=conn_id, ended=timedelta(minutes=3), **failed)
        if place == 4:
            at_work: dict[str, Any] = {"percentage": 61.3, "phase": "upsert", "message": "Stored"}
            sync_id = history.add_sync(connection, number, conn_id=conn_id, ended=None, seconds=12, **at_work)
            history.add_lease(connection, sync_id, number)
        if place == 5:
            history.add_rejection(connection, 4711, number=number)


def add_ten_days(connection: psycopg.Connection) -> None:
    connection.execute(
        "update economic.sync_run set started_at = started_at - interval '11 days', updated_at = updated_at - interval '11 days',"
        " finished_at = finished_at - interval '11 days', scan_started_at = scan_started_at - interval '11 days' where conn_id = 'economic_default'"
    )
    history.add_past(connection, refused=history.REFUSED)
    history.add_rejection(connection, 19_988, seen=history.REFUSED, healed=True)


def take_running(browser: Browser, live: Live) -> None:
    live.books.fault("/invoices/booked", "slow", at="all", seconds=1.2)
    run_id = live.trigger()
    with looking(browser, live) as page:
        open_company(page, live)
        frame = page.frame_locator("iframe")
        expect(frame.get_by_text(re.compile(r"elapsed · about"))).to_be_visible()
        live.until(lambda: live.sync(run_id)["percentage"] > 30, "it has come far enough", 60)
        page.wait_for_timeout(2500)
        take(page, "running")
    live.books.faults()
    live.ended(run_id, 120)


def take_forms(browser: Browser, live: Live) -> None:
    with looking(browser, live) as page:
        page.goto(f"{live.api.url}/dags/{DAG_ID}")
        page.get_by_role("button", name="Trigger").first.click()
        expect(page.get_by_role("dialog").get_by_text("Dated to")).to_be_visible()
        take(page, "trigger-form")
        page.goto(f"{live.api.url}/connections")
        page.get_by_role("row").filter(has_text="economic_default").get_by_role(
            "button", name="Edit Connection"
        ).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Extra Fields", exact=True).click()
        expect(dialog.get_by_text("Agreement grant token")).to_be_visible()
        take(page, "connection-form")


def take_failed(browser: Browser, live: Live) -> None:
    live.books.fault("/self", "status", at="all", status=401)
    assert live.ended(live.trigger()) == "failed"
    with looking(browser, live) as page:
        take(open_company(page, live), "failed")
