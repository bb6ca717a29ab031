"""The page's looks: Airflow's theme, narrow windows, contrasts, keyboard, screen reader, locales."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect
from psycopg.types.json import Jsonb

from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import Browser, another_company, cell
from tests.web.page import history

AGREEMENT = 7654321
AA_TEXT, AA_LARGE_AND_PARTS = 4.5, 3.0

CONTRASTS = """() => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
    };
    const over = (top, below) => top.slice(0, 3).map((value, at) => value * top[3] + below[at] * (1 - top[3]));
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((value) => { const part = value / 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const ratio = (one, other) => {
        const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        const box = element.getBoundingClientRect();
        if (!text || !box.width || ["SCRIPT", "NOSCRIPT", "STYLE"].includes(element.tagName)) continue;
        const style = getComputedStyle(element);
        const background = behind(element);
        found.push({
            text: text.slice(0, 40), ratio: ratio(over(rgba(style.color), background), background),
            disabled: Boolean(element.closest("button[aria-disabled=true]")),
            size: parseFloat(style.fontSize),
        });
    }
    const parts = [...document.querySelectorAll("progress, button, .finding, input")].filter((one) => one.getBoundingClientRect().width);
    const page = behind(document.body);
    const charts = ["chart-1", "chart-2", "chart-3", "chart-4", "bar"].map((name) => ({
        text: name, ratio: ratio(rgba(getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)).slice(0, 3), page),
    }));
    return { found, charts, parts: parts.length };
}"""


@pytest.fixture(scope="module")
def eventful(airflow: Live) -> Iterator[psycopg.Connection]:
    """A company with everything that the page can show. The last tests change it."""
    with another_company(airflow, AGREEMENT) as connection:
        history.add_agreement(connection, AGREEMENT)
        lately = range(1, 4)
        history.add_past(connection, AGREEMENT, refused={*lately, *history.REFUSED})
        history.add_rejection(connection, 20117, number=AGREEMENT, seen=lately)
        history.add_left_out(connection, 20118, number=AGREEMENT)
        history.add_rejection(connection, 19988, number=AGREEMENT, seen=history.REFUSED, healed=True)
        for status, message in (
            ("failed", "22,000 of 22,540 invoices are unusable since 2026-01-31 14:05 UTC."),
            ("skipped", "Skipped: sync 3 runs."),
            ("abandoned", "Abandoned."),
        ):
            history.add_sync(connection, AGREEMENT, status=status, message=message, complete=False, held=None)
        at_work: dict[str, Any] = {"percentage": 44.4, "current": 20_000, "total": 22_540, "seconds": 30}
        at_work["message"] = "Fetched 20,000 of 22,540 invoices (page 20)"
        history.add_lease(
            connection, history.add_sync(connection, AGREEMENT, ended=None, **at_work), AGREEMENT
        )
        days: dict[str, Any] = {"scope": "range", "date_from": "2026-10-01", "date_to": "2026-10-01"}
        waits: dict[str, Any] = {
            "phase": "waiting",
            "run_type": "backfill",
            "message": "Waiting: another sync runs.",
        }
        for number in (AGREEMENT, None):
            history.add_sync(connection, number, ended=None, **days, **waits)
        yield connection
        connection.execute("delete from economic.sync_run where agreement_number is null")


def shown(browser: Browser, theme: str = "light") -> Page:
    page = browser.page
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    browser.directly()
    expect(page.get_by_role("heading", level=1)).to_have_text(history.COMPANY)
    expect(page.get_by_role("table", name="Latest syncs")).to_be_visible()
    return page


def test_theme_and_time_zone_follow_airflow(admin: Browser, eventful: psycopg.Connection) -> None:
    frame = admin.through_the_menu()
    expect(frame.get_by_role("table", name="Latest syncs")).to_be_visible()
    body = frame.locator("body")

    def background() -> str:
        own, around = body.evaluate(
            """(body) => {
                const probe = parent.document.createElement("div");
                probe.style.backgroundColor = "var(--chakra-colors-bg)"; parent.document.body.append(probe);
                const around = parent.getComputedStyle(probe).backgroundColor; probe.remove();
                return [getComputedStyle(body).backgroundColor, around];
            }"""
        )
        assert own == around
        return str(own)

    expect(frame.locator("html")).to_have_class("light")
    light = background()
    admin.page.get_by_role("button", name="User").click()
    admin.page.get_by_role("menuitem", name="Appearance").click()
    admin.page.get_by_role("menuitemradio", name="Dark Mode").click()
    expect(frame.locator("html")).to_have_class("dark")
    assert background() != light
    # What Airflow's own page shows counts, whatever has changed it.
    admin.page.evaluate("() => document.documentElement.classList.replace('dark', 'light')")
    expect(frame.locator("html")).to_have_class("light")
    assert background() == light

    moment = frame.locator(".fact").first.locator(".small")
    expect(moment).to_contain_text(re.compile(r"CES?T|GMT\+[12]"))
    admin.page.evaluate(
        "localStorage.setItem('timezone', JSON.stringify('Asia/Tokyo'));"
        " window.dispatchEvent(new StorageEvent('local-storage', {key: 'timezone'}))"
    )
    expect(moment).to_contain_text(re.compile(r"JST|GMT\+9"))


def too_faint(page: Page) -> list[Any]:
    """Return the texts that have less contrast than WCAG's level AA asks."""
    found = page.evaluate(CONTRASTS)["found"]
    return [one for one in found if one["ratio"] < AA_TEXT and not one["disabled"]]


def sticking_out(page: Page, width: int) -> list[Any]:
    """Return the elements that a screen of this width cuts."""
    found: list[Any] = page.evaluate(
        """(width) => [...document.querySelectorAll("main *")].filter((one) => {
            const box = one.getBoundingClientRect();
            return box.width && box.right > width + 1 && !one.closest(".scroll, .unseen");
        }).map((one) => one.className || one.tagName)""",
        width,
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast(admin: Browser, eventful: psycopg.Connection, theme: str) -> None:
    page = shown(admin, theme)
    expect(page.locator("html")).to_have_class(theme)
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Force sync…").click()
    measured = page.evaluate(CONTRASTS)
    assert len(measured["found"]) > 300
    assert too_faint(page) == []
    assert [one for one in measured["found"] if one["disabled"] and one["ratio"] < AA_LARGE_AND_PARTS] == []
    assert [one for one in measured["charts"] if one["ratio"] < AA_LARGE_AND_PARTS] == []


@pytest.mark.parametrize("width", [1280, 400, 320])
def test_nothing_sticks_out_or_is_cut(admin: Browser, eventful: psycopg.Connection, width: int) -> None:
    """The dialog reads from the left, figures stand below each other, explanations are whole."""
    admin.page.set_viewport_size({"width": width, "height": 860})
    page = shown(admin)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert sticking_out(page, width) == []
    facts, held = page.evaluate(
        """() => [".facts", ".held"].map((grid) =>
            [...new Set([...document.querySelectorAll(`${grid} > div:not([hidden])`)].map((one) => one.getBoundingClientRect().left))])"""
    )
    assert facts == held
    assert len(facts) == (4 if width == 1280 else 2)
    region = page.get_by_role("region", name="Latest syncs")
    if width < 1280:
        region.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => document.querySelector('.scroll:focus')?.scrollLeft > 0")
    region.evaluate("(one) => { one.scrollLeft = 300; }")
    for explanation in page.locator("tr.explanation span").all():
        box = explanation.bounding_box()
        assert box is not None
        assert 0 < box["x"] < box["x"] + box["width"] <= width
    page.get_by_role("button", name="Force sync…").click()
    assert page.get_by_role("dialog").evaluate("(one) => getComputedStyle(one).textAlign") == "start"


def test_keyboard_reaches_everything_with_visible_focus(admin: Browser, eventful: psycopg.Connection) -> None:
    page = shown(admin)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => {
                const now = document.activeElement; const style = getComputedStyle(now);
                return [now.tagName, now.textContent.trim().slice(0, 30) || now.getAttribute("aria-label"), style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if told[0] == "BODY":
            break
        assert told[2] == "solid", told
        assert told[3] >= 2, told
        reached.append(told[1])
    assert {"economic_invoice_sync", "Force sync…", "Show all 46"} <= set(reached)
    assert sum(re.match(r"\d+ \w{3} \d{4}", name) is not None for name in reached) >= 10


def test_screen_reader_finds_names_and_levels(admin: Browser, eventful: psycopg.Connection) -> None:
    page = shown(admin)
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title() == "e-conomic sync"
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2')].filter((one) => one.offsetParent).map((one) => one.tagName)"
    )
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    bar = page.get_by_role("progressbar", name="Progress of the sync")
    expect(bar).to_have_attribute("value", "44.4")
    expect(page.locator("[aria-current=step]")).to_have_text("Fetch")
    expect(page.get_by_role("status")).to_contain_text("44.4 %: Fetched 20,000")
    expect(page.get_by_role("status")).to_have_attribute("aria-live", "polite")
    for name in ("Latest syncs", "Rejected invoices"):
        table = page.get_by_role("table", name=name)
        assert table.get_by_role("columnheader").count() >= 7
    for chart in page.get_by_role("img").all():
        assert len(chart.get_attribute("aria-label") or "") > 20
    for button in page.get_by_role("button").all():
        assert button.inner_text().strip()


@pytest.mark.parametrize(
    ("locale", "numbers", "began", "range_", "sentence"),
    [
        (
            "en-US",
            "22,540",
            r"[A-Z][a-z]{2} \d+, 20\d\d, \d\d:\d\d",
            "Oct 1, 2026",
            "22,000 of 22,540 invoices are unusable since Jan 31, 2026, 15:05 GMT+1.",
        ),
        (
            "da-DK",
            "22.540",
            r"\d+\. [a-z]{3}\.? 20\d\d,? \d\d\.\d\d",
            "1. okt. 2026",
            "22.000 of 22.540 invoices are unusable since 31. jan. 2026, 15.05 CET.",
        ),
    ],
)
def test_numbers_and_times_follow_the_users_locale(
    admin: Browser,
    eventful: psycopg.Connection,
    locale: str,
    numbers: str,
    began: str,
    range_: str,
    sentence: str,
) -> None:
    """Stored sentences too: Danes read "22,000" as 22. Days have 24 hours everywhere."""
    context = admin.page.context.browser.new_context(locale=locale, timezone_id="Europe/Copenhagen")  # type: ignore[union-attr]  # the page has a browser
    context.add_cookies(admin.page.context.cookies())  # type: ignore[arg-type]  # what it gave it takes
    page = context.new_page()
    page.goto(f"{admin.url}/economic/")
    expect(page.get_by_role("table", name="Latest syncs")).to_be_visible()
    expect(page.locator("tr.explanation").filter(has_text="unusable")).to_have_text(sentence)
    expect(page.locator(".held dd").first).to_have_text(numbers)
    expect(page.locator(".progress")).to_contain_text(f"of {numbers} invoices")
    expect(cell(page, "Latest syncs", 0, 1)).to_have_text(re.compile(f"^{began}$"))
    expect(page.locator(".fact").first.locator(".small")).to_have_text(re.compile(f"^read from {began} "))
    expect(cell(page, "Latest syncs", 0, 3)).to_have_text(f"Backfill {range_}")
    assert not re.search(r"\d [AP]M\b", page.locator("main").inner_text())
    context.close()


def test_tables_add_up_and_name_no_tables(admin: Browser, eventful: psycopg.Connection) -> None:
    page = shown(admin)
    page.get_by_role("button", name="Show all").click()
    text = page.locator("body").inner_text()
    assert "1 rejected" in text
    assert not re.search(r"refused|kept aside|set aside|rejected_invoice|sync_run|economic\.", text)
    for chart in ("Working time by phase", "Created and updated"):
        expect(page.get_by_role("img", name=re.compile(chart))).to_be_visible()
    rows = page.get_by_role("table", name="Latest syncs").locator("tbody tr:not(.explanation)").all()
    assert len(rows) == 46
    for row in rows[6:]:
        cells = row.locator("td").all_inner_texts()
        *parts, total = [0.0 if text == "–" else float(text) for text in cells[4:9]]
        if cells[2] != "Failed":
            assert sum(parts) == pytest.approx(total, abs=0.3), cells


def test_charts_have_even_scales_and_every_month(admin: Browser, eventful: psycopg.Connection) -> None:
    eventful.execute(
        "update economic.sync_run set held = jsonb_set(held, '{months}', %s) where held is not null and agreement_number = %s",
        (Jsonb({"2026-01": 3, "2026-04": 7}), AGREEMENT),
    )
    page = shown(admin)
    page.wait_for_function("() => window.Chart && Object.keys(window.Chart.instances).length === 3")
    charts = page.evaluate(
        """() => Object.values(window.Chart.instances).map((chart) => ({
            labels: chart.data.labels, ticks: chart.scales.y.ticks.map((tick) => tick.value) }))"""
    )
    for chart in charts:
        steps = [after - before for before, after in pairwise(chart["ticks"])]
        assert steps == pytest.approx([steps[0]] * len(steps))
    (months,) = [chart["labels"] for chart in charts if not chart["labels"][0].isdigit()]
    assert months[:4] == ["Jan 26", "Feb 26", "Mar 26", "Apr 26"]
    now = datetime.now(UTC)
    assert len(months) == (now.year - 2026) * 12 + now.month
    expect(page.get_by_role("img", name=re.compile("Feb 26: 0, Mar 26: 0, Apr 26: 7"))).to_be_visible()


# This one comes last: it lets the syncs of the company go on and end.
def test_page_follows_running_waiting_and_stalled_syncs(admin: Browser, eventful: psycopg.Connection) -> None:
    page = shown(admin)
    progress, why_not = page.locator(".progress"), page.locator("#why-not")
    for row, status in enumerate(("Waiting", "Waiting", "Running", "Abandoned", "Skipped", "Failed")):
        expect(cell(page, "Latest syncs", row, 2)).to_have_text(status)
    expect(progress.locator(".pill")).to_have_text("Running")
    expect(progress).to_contain_text("2 more syncs wait")
    expect(why_not).to_have_text("A sync is running.")
    left_out = "Stored with a field left out"
    expect(page.locator(".finding.quiet")).to_contain_text("1 invoice is stored with a field left out.")
    for column, text in ((0, "20118"), (1, "recipient.zip"), (5, "Left out")):
        expect(cell(page, left_out, 0, column)).to_have_text(text)
    expect(page.get_by_role("table", name="Rejected invoices").locator("tbody tr")).to_have_count(2)

    # A screen reader hears of each quarter.
    page.evaluate(
        """() => {
            window.spoken = [];
            const status = document.getElementById("spoken");
            new MutationObserver(() => window.spoken.push(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true });
        }"""
    )
    eventful.execute("delete from economic.degraded_field where agreement_number = %s", (AGREEMENT,))
    for percentage in (48, 51, 53):
        eventful.execute(
            "update economic.sync_run set percentage = %s, message = %s where status = 'running' and phase = 'fetch'",
            (percentage, f"Fetched {percentage}"),
        )
        admin.look_again()
        expect(progress).to_contain_text(f"{percentage}.0 %")
    assert page.evaluate("() => window.spoken") == ["51.0 %: Fetched 51"]
    expect(page.get_by_role("table", name=left_out)).to_have_count(0)

    eventful.execute("delete from economic.sync_lease where agreement_number = %s", (AGREEMENT,))
    at_work = eventful.execute(
        "update economic.sync_run set phase = 'waiting' where status = 'running' and phase = 'fetch' returning sync_id"
    ).fetchall()[0][0]
    admin.look_again()
    expect(progress.locator(".pill")).to_have_text("Waiting")
    expect(progress).to_contain_text("3 syncs wait")
    expect(why_not).to_have_text("A sync is waiting.")

    # A waiting sync would be shown before a stalled one: that one takes over.
    eventful.execute("update economic.sync_run set phase = 'fetch' where sync_id = %s", (at_work,))
    eventful.execute("delete from economic.sync_run where phase = 'waiting'")
    history.add_lease(eventful, at_work, AGREEMENT, expires=timedelta(seconds=-1))
    admin.look_again()
    expect(page.locator("header .pill")).to_have_text("Stalled")
    expect(progress.locator(".pill")).to_have_text("Stalled")
    expect(page.locator(".finding").first).to_contain_text("The next sync takes over")
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
