"""What the page shows of invoice lines: a row, the progress of a run, reasons, a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import NARROW, SIZE, Browser, another_company, cell
from tests.web.browser.test_looks import sticking_out, too_faint
from tests.web.browser.test_page import changed
from tests.web.page import history

AGREEMENT = 7654323
LINES_DAG = "economic_invoice_lines"
FORBIDDEN = (
    "e-conomic answered 403 to GET /q2capi/v5.3.0/invoices/booked/lines. Give the app the SuperUser or Sales "
    "role, and check that the company has the module that e-conomic names, if any."
)
TABLE = "Invoices with unproven lines"


@pytest.fixture
def lined(live: Live) -> Iterator[psycopg.Connection]:
    """A company whose lines are read, all but a few proven."""
    with another_company(live, AGREEMENT) as connection:
        history.add_agreement(connection, AGREEMENT)
        history.add_past(connection, AGREEMENT)
        history.add_lines(connection, AGREEMENT, proven=22_497, differing=2, rejected=1)
        history.add_unproven(connection, 20_001, number=AGREEMENT, difference="-0.25")
        history.add_unproven(connection, 20_002, number=AGREEMENT, difference="1250")
        history.add_unproven(connection, 20_003, number=AGREEMENT)
        yield connection


def switched_on(page: Page, message: str = "") -> None:
    """Let the page hear that lines are on, which they are not in this Airflow."""

    def on(told: Any) -> None:
        for one in told.get("agreements") or [told.get("agreement", {})]:
            one["standing"]["lines"] |= {"dag_id": LINES_DAG, "message": message}

    changed(page, re.compile(r"/economic/api/agreements(/\w+)?$"), on)


@pytest.mark.parametrize(("theme", "size"), [("light", SIZE), ("dark", SIZE), ("light", NARROW)])
def test_lines_have_a_row_and_a_list(
    admin: Browser, lined: psycopg.Connection, theme: str, size: Any
) -> None:
    page = admin.page
    page.set_viewport_size(size)
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    switched_on(page)
    admin.directly()
    row = page.locator(".lines")
    expect(row.locator(".value")).to_have_text("Lines of 22,497 of 22,540 invoices proven")
    for fact in (
        "2 differing",
        "1 rejected",
        "40 not read yet",
        "e-conomic counts 67,620 lines too",
        "read 3 h ago",
    ):
        expect(row).to_contain_text(fact)
    expect(row.get_by_role("link")).to_have_attribute("href", re.compile(f"/dags/{LINES_DAG}$"))
    expect(row.get_by_role("progressbar")).to_be_hidden()
    expect(page.locator("header .pill")).to_have_text("Lines rejected")
    findings = page.locator(".finding.warn")
    expect(findings).to_have_count(2)
    expect(findings.nth(1)).to_contain_text("The lines of 2 invoices do not add up to their net amount.")
    for place, (invoice, reason, now) in enumerate(
        (
            ("20003", "totalNetAmount is not an amount, but a text.", "Rejected"),
            ("20002", "The lines do not add up to the invoice's net amount.", "Differs"),
            ("20001", "The lines do not add up to the invoice's net amount.", "Differs"),
        )
    ):
        for column, text in ((0, invoice), (2, reason), (6, now)):
            expect(cell(page, TABLE, place, column)).to_have_text(text)
    assert too_faint(page) == []
    assert sticking_out(page, size["width"]) == []


def test_first_reading_shows_live_progress(admin: Browser, lined: psycopg.Connection) -> None:
    at_work: dict[str, Any] = {"ended": None, "proven": 0, "counted": None, "held": None}
    at_work |= {"total": 22_540, "message": "Reading lines"}
    lined.execute("delete from economic.line_check where agreement_number = %s", [AGREEMENT])
    history.add_lines(lined, AGREEMENT, current=5_635, **at_work)
    switched_on(admin.page, "Reading lines")
    page = admin.directly()
    row = page.locator(".lines")
    bar = row.get_by_role("progressbar", name="Progress of the lines")
    expect(bar).to_have_attribute("value", "25")
    expect(row.locator(".value")).to_have_text("Reading all invoice lines for the first time")
    expect(row).to_contain_text("5,635 / 22,540")
    expect(row).to_contain_text(re.compile(r"\d+ s elapsed · about \d+ min( \d+ s)? left"))
    expect(page.locator("header .pill")).to_have_text("Fresh and complete")
    expect(page.get_by_role("table", name=TABLE)).to_have_count(0)
    # It follows by itself, as it follows a sync.
    history.add_lines(lined, AGREEMENT, current=16_905, **at_work)
    expect(row).to_contain_text("75.0 %")
    history.add_lines(lined, AGREEMENT, ended=timedelta(0))
    expect(row.locator(".value")).to_have_text("Lines of 22,540 of 22,540 invoices proven")
    expect(bar).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("Lines of 22,540 of 22,540 invoices proven")


def test_skipped_and_failed_lines_give_the_reason(admin: Browser, lined: psycopg.Connection) -> None:
    unread: dict[str, Any] = {"proven": 0, "completed_at": None, "counted": None, "held": None}
    history.add_lines(lined, AGREEMENT, status="skipped", **unread)
    switched_on(admin.page, FORBIDDEN)
    page = admin.directly()
    expect(page.locator("header .pill")).to_have_text("Lines not read")
    finding = page.locator(".finding.warn").first
    expect(finding).to_contain_text("The invoice lines were not read. e-conomic answered 403")
    expect(finding).to_contain_text("Give the app the SuperUser or Sales role")
    history.add_lines(lined, AGREEMENT, status="failed", **unread)
    admin.look_again()
    expect(page.locator("header .pill")).to_have_text("Lines failed")
    expect(page.locator(".finding.bad")).to_contain_text("The invoices are not concerned.")


def test_differences_are_words_where_amounts_show(admin: Browser, lined: psycopg.Connection) -> None:
    def with_amounts(told: Any) -> None:
        for one, difference in zip(told["lines"], (None, "1250.00", "-0.25"), strict=True):
            one["difference"] = difference

    switched_on(admin.page)
    changed(admin.page, re.compile(r"/economic/api/agreements/\w+/lines$"), with_amounts)
    page = admin.directly()
    expect(cell(page, TABLE, 1, 2)).to_have_text("The lines exceed the invoice's net amount by 1,250.00.")
    expect(cell(page, TABLE, 2, 2)).to_have_text("The lines are 0.25 short of the invoice's net amount.")


def test_older_grant_is_said_and_breaks_nothing(admin: Browser, lined: psycopg.Connection) -> None:
    def not_granted(told: Any) -> None:
        for one in told.get("agreements") or [told.get("agreement", {})]:
            one["standing"]["lines"] = {"status": "no_right", "dag_id": LINES_DAG}

    changed(admin.page, re.compile(r"/economic/api/agreements(/\w+)?$"), not_granted)
    page = admin.directly()
    expect(page.locator("header .pill")).to_have_text("Fresh and complete")
    expect(page.locator(".finding.quiet")).to_contain_text("run include/sql/grants/grant_page.sql again")
    expect(page.locator(".lines .value")).to_have_text("Invoice lines: not known")
    expect(page.get_by_role("table", name="Latest syncs")).to_be_visible()


def test_lines_that_are_off_leave_no_trace(admin: Browser, lined: psycopg.Connection) -> None:
    lined.execute("delete from economic.line_reading where agreement_number = %s", [AGREEMENT])
    page = admin.directly()
    expect(page.get_by_role("table", name="Latest syncs")).to_be_visible()
    expect(page.locator(".lines")).to_be_hidden()
    expect(page.get_by_role("heading", name=TABLE)).to_be_hidden()
    assert admin.asked("/lines") == [one for one in admin.asked("/lines") if "/static/" in one.url]
