"""The page in a real Chromium, inside a real Airflow."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import ConsoleMessage, FrameLocator, Locator, Page, Request, ViewportSize, expect

from tests.dags.scheduler import live as harness
from tests.dags.scheduler.live import Live
from tests.web.browser.chromium import FLAGS, NoChromium, chromium
from tests.web.page import history

MENU = "e-conomic sync"
SIZE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 400, "height": 860}
USERS = "admin:admin,vera:viewer"
FORGOTTEN_AFTER = 1.1
"""Seconds after which the page's cached answers have expired."""


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Chromium's path and flags. Skip the tests where there is none, unless CI forbids that."""
    try:
        return {"executable_path": chromium(), "args": list(FLAGS)}
    except NoChromium as error:
        if os.environ.get("CI_NO_SKIP"):
            pytest.fail(f"{error} CI must not skip these tests.", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": SIZE, "locale": "en-GB", "timezone_id": "Europe/Copenhagen"}


@pytest.fixture(scope="session")
def airflow(
    request: pytest.FixtureRequest, browser_type_launch_args: dict[str, Any], fab_process: object
) -> Iterator[Live]:
    """The running Airflow, with an administrator and a viewer."""
    home = Path(tempfile.mkdtemp(prefix="economic-browser-"))
    with harness.running(home, {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": USERS}) as started:
        expect.set_options(timeout=20_000)
        yield started
        harness.look_for_secrets(request.config, started)
    shutil.rmtree(home)


@pytest.fixture
def live(airflow: Live) -> Iterator[Live]:
    """The running Airflow, with a simulator without faults."""
    airflow.books.faults()
    airflow.books.reset()
    yield airflow
    airflow.books.faults()


@dataclass
class Browser:
    """A browser that is logged in to Airflow.

    :param url: of Airflow, without a slash at the end.
    :param requests: in order.
    :param complaints: unexpected errors on its console.
    """

    page: Page
    url: str
    requests: list[Request]
    complaints: list[str]

    @property
    def frame(self) -> FrameLocator:
        """The page inside Airflow."""
        return self.page.frame_locator("iframe")

    def through_the_menu(self) -> FrameLocator:
        """Open the page as users do."""
        if self.page.url == "about:blank":
            self.page.goto(self.url)
        self.page.get_by_role("button", name="Browse").click()
        self.page.get_by_role("menuitem", name=MENU).click()
        self.page.wait_for_url("**/plugin/economic-sync/**")
        return self.frame

    def directly(self, anchor: str = "") -> Page:
        """Open the page without Airflow around it."""
        self.page.goto(f"{self.url}/economic/{anchor}")
        return self.page

    def look_again(self) -> None:
        """Return to the tab once cached answers have expired: the page then refreshes at once."""
        self.page.wait_for_timeout(FORGOTTEN_AFTER * 1000)
        self.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")

    def asked(self, part: str) -> list[Request]:
        return [request for request in self.requests if part in request.url]


def log_in(page: Page, url: str, user: str, password: str) -> None:
    page.goto(url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Browse")).to_be_visible(timeout=60_000)


def watched(page: Page, url: str) -> Browser:
    """Return a browser whose requests and complaints are recorded."""
    requests: list[Request] = []
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # Airflow's own page warns about its sandbox, and refused requests are said by the tests themselves.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("request", lambda request: requests.append(request))
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return Browser(page, url, requests, complaints)


def passwords(airflow: Live) -> dict[str, str]:
    file = airflow.airflow.environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
    found: dict[str, str] = json.loads(Path(file).read_text())
    return found


@pytest.fixture(scope="session")
def sessions(airflow: Live) -> dict[str, Any]:
    """Cookies of logged-in users, so that each logs in once."""
    return {}


@pytest.fixture
def admin(live: Live, page: Page, sessions: dict[str, Any]) -> Iterator[Browser]:
    """The administrator's browser."""
    yield from _of(live, page, sessions, "admin")


@pytest.fixture
def viewer(live: Live, page: Page, sessions: dict[str, Any]) -> Iterator[Browser]:
    """The browser of a user who can only read."""
    yield from _of(live, page, sessions, "vera")


def _of(live: Live, page: Page, sessions: dict[str, Any], user: str) -> Iterator[Browser]:
    browser = watched(page, live.api.url)
    if user not in sessions:
        log_in(page, live.api.url, user, passwords(live)[user])
        sessions[user] = page.context.cookies()
    page.context.add_cookies(sessions[user])
    yield browser
    assert browser.complaints == []


def invoice_dsn(live: Live) -> str:
    """Connection string of the database with the invoices."""
    return live.invoices


@contextmanager
def another_company(live: Live, number: int) -> Iterator[psycopg.Connection]:
    """Yield a connection to the database in which the page's connection is free for another agreement.

    The caller inserts that agreement; its rows are deleted at the end.
    """
    with psycopg.connect(invoice_dsn(live), autocommit=True) as connection:
        history.make_schema(connection)
        move = "update economic.agreement set conn_id = %s where conn_id = %s"
        connection.execute(move, ("economic_aside", "economic_default"))
        time.sleep(FORGOTTEN_AFTER)
        yield connection
        for table in (
            *("sync_lease", "sync_run", "rejected_invoice", "degraded_field"),
            *("line_reading", "line_check", "agreement"),
        ):
            delete = psycopg.sql.SQL("delete from economic.{} where agreement_number = %s")
            connection.execute(delete.format(psycopg.sql.Identifier(table)), (number,))
        connection.execute(move, ("economic_default", "economic_aside"))
        time.sleep(FORGOTTEN_AFTER)


def cell(frame: FrameLocator | Page, table: str, row: int, column: int) -> Locator:
    """Return a cell of one of the page's tables, counted from 0."""
    return (
        frame.get_by_role("table", name=table)
        .locator("tbody tr:not(.explanation)")
        .nth(row)
        .locator("td")
        .nth(column)
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What an empty database shows can be seen only once.
    items.sort(key=lambda item: "tests/web/browser" in str(item.path) and "first_sync" not in item.name)
    # Airflow and its libraries warn about each other here; what our own modules cause still fails.
    for item in items:
        if "tests/web/browser" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.filterwarnings("error:::economic"))
