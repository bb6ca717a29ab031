"""Hostile contents and hostile sites against a real browser, and users without a right."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import Browser, another_company, log_in, watched
from tests.web.page import history
from tests.web.page.servers import Site

CORPUS = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "</title><script src=//evil.example/x.js></script>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'>",
    "{{constructor.constructor('alert(1)')()}}",
    "<style>@import '//evil.example'</style>",
    "\u202e<b>gpj.exe",
)


@pytest.mark.parametrize("text", ["\n".join(CORPUS)], ids=["the whole corpus"])
@pytest.mark.fault("W03")
def test_stored_markup_stays_text(admin: Browser, live: Live, text: str) -> None:
    dialogs: list[str] = []

    def opened(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    admin.page.on("dialog", opened)
    with another_company(live, 666) as connection:
        history.add_agreement(connection, 666, company=text, currency=text)
        held = history.HELD | {"months": {"2026-01": 3, text: 5}}
        said: dict[str, Any] = {
            "message": text,
            "warning": text,
            "verdict": text,
            "run_id": text,
            "run_type": text,
        }
        for status in ("completed", "failed", "skipped"):
            history.add_sync(connection, 666, status=status, held=held, **said)
        history.add_sync(connection, 666, ended=None, **said)
        history.add_rejection(connection, 1, number=666, field=text, reason=text, message=text)
        history.add_lines(connection, 666, rejected=1, message=text)
        history.add_unproven(connection, 1, number=666, reason=text, message=text)
        frame = admin.through_the_menu()
        expect(frame.get_by_role("heading", level=1)).to_contain_text(CORPUS[0])
        expect(frame.locator("tr.explanation").first).to_contain_text(CORPUS[0])
        expect(frame.locator("code").first).to_contain_text(CORPUS[0])
        expect(frame.get_by_role("table", name="Invoices with unproven lines")).to_contain_text(CORPUS[0])
        expect(frame.locator("canvas").first).to_be_visible()
        made = "main script, main img, main svg, main iframe, main style, main b"
        assert frame.locator(made).count() == 0
        for link in frame.get_by_role("link").all():
            assert link.evaluate("(one) => one.href").startswith(live.api.url)
        admin.page.wait_for_timeout(500)
    assert dialogs == []
    assert [
        request.url
        for request in admin.requests
        if not request.url.startswith((live.api.url, "data:", "blob:"))
    ] == []


@pytest.fixture
def foreign_site(live: Live) -> Iterator[str]:
    """A foreign site whose form and script try to start a sync.

    For a browser `localhost` is another site than 127.0.0.1.
    """
    target = f"{live.api.url}/api/v2/dags/economic_invoice_sync/dagRuns"
    content = f"""<!doctype html><script>
        const body = JSON.stringify({{ logical_date: null, conf: {{ force: true }} }});
        window.done = Promise.allSettled(["text/plain", "application/json"].flatMap((type) => ["no-cors", "cors"].map((mode) =>
            fetch("{target}", {{ method: "POST", credentials: "include", mode, body, headers: {{ "Content-Type": type }} }}))));
        </script><iframe name="there"></iframe>
        <form method="post" enctype="text/plain" target="there" action="{target}"><input name='{{"logical_date": null, "x": "' value='"}}'></form>
        <script>document.forms[0].submit();</script><iframe src="{live.api.url}/economic/"></iframe>""".encode()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


@pytest.mark.fault("W07")
def test_foreign_site_cannot_start_a_sync_or_frame(admin: Browser, live: Live, foreign_site: str) -> None:
    before = live.api.get("dags/economic_invoice_sync/dagRuns")["total_entries"]
    page = admin.page
    page.goto(foreign_site)
    page.evaluate("() => window.done")
    page.wait_for_timeout(1000)
    assert live.api.get("dags/economic_invoice_sync/dagRuns")["total_entries"] == before
    framed = next(
        frame for frame in page.frames if "/economic/" in frame.url or frame.url.startswith("chrome-error")
    )
    # Refused by the browser: not only empty because no cookie comes along.
    assert framed.url.startswith("chrome-error")
    admin.complaints.clear()  # what the foreign page's console says of its own failures


@pytest.mark.fault("W17")
def test_menu_page_and_links_work_below_prefix(page: Page, fab_server: Site) -> None:
    browser = watched(page, fab_server.url)
    log_in(page, fab_server.url + "/", "admin", fab_server.passwords["admin"])
    frame = browser.through_the_menu()
    expect(frame.get_by_role("row").filter(has_text="Company north")).to_be_visible()
    frame.get_by_role("link", name="Company south").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Company south")
    expect(frame.get_by_role("table", name="Latest syncs")).to_be_visible()
    frame.get_by_role("link", name="All companies").click()
    expect(frame.get_by_role("row").filter(has_text="Company north")).to_be_visible()
    frame.get_by_role("link", name="Company south").click()
    frame.get_by_role("link", name="economic_invoice_sync__south").click()
    page.wait_for_url("**/team-a/dags/economic_invoice_sync__south**")
    strayed = [
        request.url
        for request in browser.requests
        if not request.url.startswith((fab_server.url, "data:", "blob:"))
    ]
    assert strayed == []


def test_logged_out_user_is_informed(page: Page, fab_server: Site) -> None:
    browser = watched(page, fab_server.url)
    page.context.add_cookies([{"name": "_token", "value": fab_server.token("norma"), "url": fab_server.url}])
    browser.directly()
    expect(page.get_by_role("heading", level=1)).to_have_text("Company north")
    expect(page.get_by_role("link", name="All companies")).to_have_count(0)
    page.context.clear_cookies()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("alert").first).to_contain_text("You are not logged in to Airflow any more.")
    assert browser.complaints == []
