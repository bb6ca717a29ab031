"""How fast the page is over a large copy, and what a crowd of viewers costs: measured in a real Airflow, printed, and held against what it must reach.

`pytest -s tests/web/browser/figures.py`, by name only, for its file is not called as tests are: it takes minutes and wants a machine that does nothing else.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from playwright.sync_api import Browser

from dev.local.airflow_settings import DAG_ID
from tests.dags.scheduler import live as harness
from tests.dags.scheduler.live import Live
from tests.web.browser.conftest import SIZE, invoice_dsn, log_in, passwords
from tests.web.page import history
from tests.web.page.servers import Site
from tests.web.page.test_safety import connections_of_the_page

INVOICES = 1_000_000
SYNCS = 5_000
"""More than three years of a sync every six hours."""
REFUSED = 250
VIEWERS = 50
ONE = f"/economic/api/agreements/{DAG_ID}"
PATHS = ("/economic/api/agreements", ONE, f"{ONE}/syncs", f"{ONE}/rejections")
AIRFLOWS_OWN = f"/api/v2/dags/{DAG_ID}"
MOST_OF_AN_ANSWER = 0.2
MOST_UNTIL_USEFUL = 1.0
A_LITTLE_OVER_A_SECOND = 1.1
"""For which an answer is kept: each is read anew."""

INSERT = """
insert into economic.invoice (
    agreement_number, invoice_number, invoice_date, due_date, currency, net_amount, gross_amount, remainder, net_amount_base, remainder_base,
    customer_number, customer_name, raw_data
)
select
    %(number)s, 10000000 + n, date '2016-01-01' + n %% 3900, date '2016-01-15' + n %% 3900, 'DKK', n %% 9000, n %% 11250, 0, n %% 9000, 0,
    n %% 5000, 'Customer ' || n %% 5000, jsonb_build_object('bookedInvoiceNumber', n, 'text', repeat(md5(n::text), 6))
from generate_series(1, %(invoices)s) as n
"""

WHEN_USEFUL = """
window.useful = 0;
new MutationObserver(() => {
    const told = ["h1", "header .pill", ".held dd"].every((one) => document.querySelector(one)?.textContent);
    if (told && !window.useful) requestAnimationFrame(() => requestAnimationFrame(() => { window.useful ||= performance.now(); }));
}).observe(document, { childList: true, subtree: true, characterData: true });
"""


def test_the_figures(browser: Browser) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="economic-figures-") as home,
        harness.running(Path(home), {"ECONOMIC_PAGE_SIZE": "1000"}, 22_540) as live,
        psycopg.connect(invoice_dsn(live), autocommit=True) as connection,
    ):
        assert live.ended(live.trigger(), 120) == "success"
        fill(connection)
        site = Site(live.api.url, passwords(live))
        site.token("admin")
        for path in (*PATHS, AIRFLOWS_OWN):
            times = [timed(asking(site, path)) for _ in range(20)]
            tell(f"GET {path}", times)
            assert path == AIRFLOWS_OWN or max(times) < MOST_OF_AN_ANSWER
        look(browser, live)
        watch(live, site, connection)


def fill(connection: psycopg.Connection) -> None:
    found = connection.execute("select agreement_number from economic.agreement").fetchone()
    assert found is not None
    connection.execute(INSERT, {"number": found[0], "invoices": INVOICES})
    history.add_past(connection, found[0], syncs=SYNCS)
    for invoice in range(1, REFUSED + 1):
        history.add_rejection(connection, invoice, number=found[0])
    connection.execute("vacuum analyze")
    print(f"\n{INVOICES:,} invoices, {SYNCS:,} syncs, {REFUSED} refused")


def asking(site: Site, path: str) -> Callable[[], None]:
    return lambda: site.ask(path, "admin").raise_for_status()


def timed(what: Callable[[], object], pause: float = A_LITTLE_OVER_A_SECOND) -> float:
    time.sleep(pause)
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def tell(what: str, times: Sequence[float]) -> None:
    ordered = sorted(times)
    median, most = statistics.median(ordered), ordered[-1]
    high = ordered[int(len(ordered) * 0.95)]
    print(
        f"{what}: median {median * 1000:.0f} ms, 95 % {high * 1000:.0f} ms, most {most * 1000:.0f} ms ({len(times)})"
    )


def look(browser: Browser, live: Live) -> None:
    """Each time with an empty cache."""
    painted, useful = [], []
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    log_in(page, live.api.url, "admin", passwords(live)["admin"])
    cookies = context.cookies()
    context.close()
    for _ in range(7):
        context = browser.new_context(viewport=SIZE)
        context.add_cookies(cookies)  # type: ignore[arg-type]  # what it gave it takes
        context.add_init_script(WHEN_USEFUL)
        page = context.new_page()
        page.goto(f"{live.api.url}/economic/")
        page.wait_for_function("() => window.useful > 0")
        painted.append(
            page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
        )
        useful.append(page.evaluate("() => window.useful") / 1000)
        context.close()
    tell("first paint", painted)
    tell("the company's state is painted", useful)
    assert statistics.median(useful) < MOST_UNTIL_USEFUL


def watch(live: Live, site: Site, connection: psycopg.Connection) -> None:
    """Fifty who watch a sync, each every two seconds as the page does, while somebody uses Airflow."""
    live.books.reset()
    live.books.fault("/invoices/booked", "slow", at="all", seconds=1.5)
    run_id = live.trigger()
    live.until(lambda: live.asked_for_pages() > 0, "the sync has begun")
    ended = threading.Event()
    theirs: list[float] = []

    def viewer(place: int) -> None:
        time.sleep(2.0 * place / VIEWERS)
        while not ended.is_set():
            theirs.append(timed(asking(site, ONE), pause=2.0))

    most = 0
    alone = [timed(asking(site, AIRFLOWS_OWN), pause=0.1) for _ in range(50)]
    with ThreadPoolExecutor(VIEWERS) as viewers:
        for place in range(VIEWERS):
            viewers.submit(viewer, place)
        time.sleep(4)
        among = []
        for _ in range(100):
            among.append(timed(asking(site, AIRFLOWS_OWN), pause=0.1))
            most = max(most, connections_of_the_page(connection))
        assert live.run(run_id)["state"] == "running"
        ended.set()
    tell("Airflow's own answer while a sync runs", alone)
    tell(f"the same among {VIEWERS} viewers", among)
    tell("an answer to one of them", theirs)
    print(f"connections, the sync's own among them: {most}")
    live.books.faults()
    assert live.ended(run_id, 180) == "success"
    assert most <= 5
    assert statistics.median(theirs) < MOST_OF_AN_ANSWER
