"""What Airflow's own pages show of this package: the connection form, the trigger form, the documents, the statistics."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import Browser

DAG = "dags/economic_invoice_sync"


def test_connection_form_hides_tokens_and_tests_them(admin: Browser, live: Live) -> None:
    page = admin.page
    page.goto(f"{live.api.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Connection ID").fill("economic_by_hand")
    dialog.get_by_role("combobox", name="Connection Type").click()
    page.keyboard.type("Visma")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Visma e-conomic").first).to_be_visible()
    for hidden in ("Login", "Password", "Schema"):
        expect(dialog.get_by_label(hidden, exact=True)).to_have_count(0)
    address = urlsplit(live.books.base_url)
    expect(dialog.get_by_label("API base URL")).to_have_attribute(
        "placeholder", "https://restapi.e-conomic.com"
    )
    dialog.get_by_label("API base URL").fill(f"{address.scheme}://{address.hostname}")
    dialog.get_by_label("Port (write 443)").fill(str(address.port))
    dialog.get_by_role("button", name="Extra Fields", exact=True).click()
    secrets = dialog.locator("input[type=password]")
    expect(secrets).to_have_count(2)
    expect(dialog.get_by_text("from e-conomic's developer agreement")).to_be_visible()
    expect(dialog.get_by_text("accepts")).to_be_visible()
    secrets.nth(0).fill(live.books.app_secret_token)
    secrets.nth(1).fill(live.books.agreement_grant_token)
    dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="economic_by_hand")
    expect(row).to_be_visible()
    try:
        with page.expect_response("**/api/v2/connections/test") as tested:
            row.get_by_role("button", name="Test Connection").click()
        assert tested.value.json() == {
            "status": True,
            "message": "Connected to agreement 1234567 (Prøvefirmaet Æble & Ørsted ApS)",
        }
        stored = live.api.get("connections/economic_by_hand")
        assert stored["conn_type"] == "economic"
        assert live.books.app_secret_token not in str(stored)
        assert live.books.agreement_grant_token not in str(stored)
    finally:
        delete = {"action": "delete", "entities": ["economic_by_hand"], "action_on_non_existence": "skip"}
        live.api.patch("connections", {"actions": [delete]})


def test_trigger_form_starts_a_date_range_sync(admin: Browser, live: Live) -> None:
    page = admin.page
    page.goto(f"{live.api.url}/{DAG}")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox", name="Force")).not_to_be_checked()
    expect(dialog.get_by_text("Take over from a running or crashed sync")).to_be_visible()
    for label, field, day in (
        ("Dated from", "date_from", "2026-01-01"),
        ("Dated to", "date_to", "2026-03-31"),
    ):
        expect(dialog.get_by_text(label)).to_be_visible()
        dialog.locator(f"#element_{field}").fill(day)
    dialog.get_by_role("button", name="Trigger").click()
    expect(dialog).to_be_hidden()
    sync = live.until(
        lambda: live.rows(
            "select * from economic.sync_run where scope = 'range' and status = 'completed' and run_type = 'manual'"
        ),
        "the sync has ended",
        60,
    )[-1]
    assert (str(sync["date_from"]), str(sync["date_to"])) == ("2026-01-01", "2026-03-31")


def test_dag_and_tasks_are_documented(admin: Browser, live: Live) -> None:
    page = admin.page
    page.goto(f"{live.api.url}/{DAG}")
    page.get_by_role("button", name="Dag Docs").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="e-conomic invoice sync")).to_be_visible()
    expect(dialog.get_by_role("table")).to_contain_text("populate-employee-names")
    expect(dialog).to_contain_text("When it fails")
    assert "**" not in dialog.inner_text()
    page.goto(f"{live.api.url}/{DAG}/tasks/fetch-pages")
    page.get_by_role("button", name="Documentation").click()
    expect(page.get_by_role("dialog")).to_contain_text("reads all booked invoices into staging")


def test_xcom_tab_shows_the_statistics(admin: Browser, live: Live) -> None:
    (synced,) = live.rows("select run_id from economic.sync_run where status = 'completed' limit 1")
    page = admin.page
    page.goto(f"{live.api.url}/{DAG}/runs/{synced['run_id']}/tasks/populate-employee-names/xcom")
    page.get_by_role("button", name="Expand all extra JSON").click()
    for text in ("return_value", '"fetched"', '"created"', '"status"', '"complete"'):
        expect(page.get_by_text(text).first).to_be_visible()
