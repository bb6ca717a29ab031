"""The documentation site in a real browser, from its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dev import docs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert docs.main(folder) == 0
    return folder


@pytest.fixture
def opened(page: Page, site: Path) -> Iterator[Page]:
    """The first page. Nothing may be loaded from anywhere else."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{site.as_uri()}/index.html")
    yield page
    assert [url for url in requests if not url.startswith((site.as_uri(), "data:"))] == []


def test_navigation_shows_five_sections(opened: Page) -> None:
    captions = opened.locator(".bd-sidebar-primary .caption")
    expect(captions).to_have_text(["Start here", "Use it", "Run it", "Understand it", "Reference"])
    opened.locator(".bd-sidebar-primary").get_by_role("link", name="Architecture").click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Architecture")


def test_search_finds_a_setting(opened: Page, site: Path) -> None:
    opened.goto(f"{site.as_uri()}/search.html?q=ECONOMIC_PAGE_SIZE")
    expect(opened.locator("#search-results li").first).to_contain_text("e-conomic invoice sync")


def test_no_page_is_wider_than_a_phone(opened: Page, site: Path) -> None:
    opened.set_viewport_size({"width": 390, "height": 844})
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for path in pages:
        opened.goto(path.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390, path
