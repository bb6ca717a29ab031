"""H26 to H32, H35 to H38: answers that lead astray, never end, have the wrong shape, or do not hold still."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from economic.errors import BrokenResponse
from simulator.spoiling import Literal
from tests.faults.conftest import Case, unnoticed
from tests.support.dag_runs import FETCH, UPSERT, Outcome
from tests.support.faults import hosts

BOOKED = "/invoices/booked"
Document = dict[str, Any]


def edited(
    case: Case, edit: Callable[[Document], object], *, at: int | str = "all", path: str = BOOKED
) -> None:
    case.books.fault(path, "edit", edit=edit, at=at)


def stopped(case: Case, outcome: Outcome, words: str) -> None:
    """The run failed for good, told why, and stored nothing of its scan."""
    assert (outcome.state, outcome.tried(FETCH), outcome.tried(UPSERT)) == ("failed", 1, 0)
    assert isinstance(outcome.error, AirflowFailException)
    assert words in case.last_sync()["message"]
    assert case.stored() == 0


# -- links that lead astray ---------------------------------------------------------------------------------------------


@pytest.mark.fault("H26", "S11")
def test_a_next_page_elsewhere_is_never_requested(case: Case) -> None:
    case.runs.page_size(25)
    with hosts.foreign_host() as foreign:
        own = case.books.base_url.removeprefix("http://")
        there = f"127.0.0.1:{foreign.port}"
        astray = itertools.cycle(
            [
                f"http://{there}{BOOKED}",
                f"https://{there}{BOOKED}",
                f"http://{own}.evil.example:{foreign.port}{BOOKED}",
                f"http://{own}@{there}{BOOKED}",
                f"http://localhost:{foreign.port}{BOOKED}",
                f"//{there}{BOOKED}",
                f"file:///{there}/etc/passwd",
                "javascript:alert(1)",
            ]
        )

        def lead_astray(page: Document) -> None:
            page["pagination"]["nextPage"] = next(astray)
            page["self"] = page["pagination"]["lastPage"] = next(astray)

        edited(case, lead_astray)
        unnoticed(case.run())
        case.heals()
        case.witness.heard(foreign.received)
        assert (foreign.connections, foreign.received) == (0, b"")


@pytest.mark.fault("H27")
def test_a_next_page_to_itself_does_not_loop(case: Case) -> None:
    def itself(page: Document) -> None:
        page["pagination"]["nextPage"] = page["self"]

    edited(case, itself)
    unnoticed(case.run())
    # Three pages, one more because there is said to be one, and the count.
    assert case.paths().count(BOOKED) == 3 + 1 + 1
    case.heals()


@pytest.mark.fault("H27")
def test_a_repeated_page_is_a_loop(case: Case) -> None:
    case.books.fault(BOOKED, "otherwise", parameters={"filter": None}, at="all")
    stopped(case, case.run(), "the scan would never end")
    assert case.paths().count(BOOKED) == 2
    case.heals()


@pytest.mark.fault("H28")
def test_pages_in_a_circle_are_a_loop(case: Case) -> None:
    """The third page is the first one again, the fourth the second: no two pages in a row are the same."""
    case.books.faults(
        {"match": BOOKED, "kind": "otherwise", "at": 3, "parameters": {"filter": None}},
        {"match": BOOKED, "kind": "otherwise", "at": 4, "parameters": {"filter": None, "skippages": "1"}},
    )
    stopped(case, case.run(), "the scan would never end")
    assert case.paths().count(BOOKED) == 3
    case.heals()


@pytest.mark.fault("H28")
def test_next_links_in_a_circle_are_not_followed(case: Case) -> None:
    links = itertools.cycle([f"{case.books.base_url}{BOOKED}?skippages={n}&pagesize=100" for n in (0, 1)])
    edited(case, lambda page: page["pagination"].update(nextPage=next(links)))
    unnoticed(case.run())
    assert case.paths().count(BOOKED) == 3 + 1 + 1
    case.heals()


@pytest.mark.fault("H29")
def test_pages_without_end_are_stopped(case: Case) -> None:
    """Each page holds a hundred new numbers, each says that 250 are left."""
    fresh = itertools.count(50_001)
    known: list[Document] = []

    def endless(page: Document) -> None:
        known.extend(page["collection"][: 1 - len(known)])
        page["collection"] = [
            known[0] | {"bookedInvoiceNumber": Literal(str(next(fresh)))} for _ in range(100)
        ]
        page["pagination"] |= {"results": 250, "resultsWithoutFilter": 250, "nextPage": page["self"]}

    edited(case, endless)
    stopped(case, case.run(), "far more than were announced")
    assert case.paths().count(BOOKED) == (2 * 250 + 1000) // 100 + 1
    case.heals()


# -- wrong shapes -------------------------------------------------------------------------------------------------------

PORTAL = "<!doctype html><html><title>Please log in</title><p>captive portal</p></html>"


def is_broken(case: Case, **fault: Any) -> str:
    """Once it is tried again, for ever it fails; the message of the failure."""
    case.books.fault(BOOKED, at=2, times=2, **fault)
    assert unnoticed(case.run())["retries"] == 2
    case.books.pay(min(case.books.ledger.items()), 1)
    before = case.witness.value("select sum(remainder) from economic.invoice")
    case.books.fault(BOOKED, at=2, times=1000, **fault)
    outcome = case.run(retries=1)
    assert (outcome.state, outcome.tried(FETCH)) == ("failed", 2)
    assert isinstance(outcome.error, BrokenResponse)
    assert case.witness.value("select sum(remainder) from economic.invoice") == before
    return str(case.last_sync()["message"])


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "application/json"}], ids=["html", "said to be json"]
)
@pytest.mark.fault("H30")
def test_a_login_page_is_not_an_answer(case: Case, headers: dict[str, str]) -> None:
    message = is_broken(case, kind="html", status=200, body=PORTAL, headers=headers)
    assert "proxy, a login page" in message
    stored = case.witness.rows("select sync_run::text as text from economic.sync_run")
    assert not any("captive portal" in row["text"] for row in stored)
    assert case.heals()["updated"] == 1


def cut_short(page: Document) -> None:
    del page["collection"][50:]
    page["pagination"].pop("nextPage")


WRONG_SHAPES: dict[str, dict[str, Any]] = {
    "no collection": {"edit": lambda page: page.pop("collection")},
    "collection empty": {"edit": lambda page: page["collection"].clear()},
    "collection cut short": {"edit": cut_short},
    "no pagination": {"edit": lambda page: page.pop("pagination")},
    "results a text": {"edit": lambda page: page["pagination"].update(results="two hundred")},
    "a list": {"kind": "body", "body": "[]"},
    "null": {"kind": "body", "body": "null"},
}
"""Others are in unit/records/test_decoder.py."""


@pytest.mark.parametrize("fault", WRONG_SHAPES.values(), ids=WRONG_SHAPES)
@pytest.mark.fault("H31")
def test_json_of_the_wrong_shape_is_broken(case: Case, fault: dict[str, Any]) -> None:
    is_broken(case, **({"kind": "edit"} | fault))
    assert case.heals()["updated"] == 1


@pytest.mark.fault("H31")
def test_no_collection_is_accepted_without_results(case: Case) -> None:
    for number in list(case.books.ledger.items()):
        case.books.control("remove", number=number)
    edited(case, lambda page: page.pop("collection"))
    assert unnoticed(case.run())["fetched"] == 0
    case.heals()


# -- charsets -----------------------------------------------------------------------------------------------------------


def no_character_was_replaced(case: Case) -> None:
    for table in ("invoice", "rejected_invoice", "staged_invoice", "sync_run"):
        found = case.witness.rows(f"select t::text as text from economic.{table} as t")  # noqa: S608  # a name from this file
        assert not any("\ufffd" in row["text"] for row in found)


@pytest.mark.parametrize(
    ("charset", "declared"), [("utf-8", "latin-1"), ("utf-8-sig", "utf-16"), ("utf-8", "nonsense")]
)
@pytest.mark.fault("H32")
def test_utf8_is_read_under_any_declared_charset(case: Case, charset: str, declared: str) -> None:
    headers = {"Content-Type": f"application/json; charset={declared}"}
    case.books.fault("/", "recoded", charset=charset, headers=headers, at="all")
    unnoticed(case.run())
    no_character_was_replaced(case)
    assert case.heals()["unchanged"] == 250


@pytest.mark.fault("H32")
def test_utf16_is_not_an_answer(case: Case) -> None:
    is_broken(case, kind="recoded", charset="utf-16")
    no_character_was_replaced(case)
    case.heals()


@pytest.mark.parametrize(("within", "member"), [("recipient", "name"), ("notes", "textLine1"), ("", "self")])
@pytest.mark.fault("H32")
def test_bytes_not_utf8_reject_their_items_only(case: Case, within: str, member: str) -> None:
    """Rejects them in a field that becomes a column, and in those that are only kept."""
    spoiled = sorted(case.books.ledger.items())[110:112]

    def latin1(page: Document) -> None:
        for item in page["collection"]:
            if int(item["bookedInvoiceNumber"]) in spoiled:
                # goes out as the single byte F8
                (item.setdefault(within, {}) if within else item)[member] = "Bj\udcf8rn"

    edited(case, latin1)
    statistics = unnoticed(case.run())
    assert (statistics["status"], statistics["failed"]) == ("completed_with_errors", 2)
    assert [(row["invoice_number"], row["reason"]) for row in case.rejected()] == [
        (number, "broken_text") for number in spoiled
    ]
    no_character_was_replaced(case)
    assert case.heals()["created"] == 2
    assert case.rejected() == []


@pytest.mark.fault("H32")
def test_books_all_in_latin1_change_the_contract(case: Case) -> None:
    case.books.fault(BOOKED, "recoded", charset="latin-1", at="all")
    stopped(case, case.run(), "None of the 100 items of page 1 can be read")
    assert len(case.rejected()) == 100
    no_character_was_replaced(case)
    case.heals()


# -- pages that are not as asked for, or do not hold still --------------------------------------------------------------


@pytest.mark.parametrize("size", [20, 150])
@pytest.mark.fault("H35")
def test_another_page_size_is_followed(case: Case, size: int) -> None:
    case.books.fault(BOOKED, "otherwise", parameters={"pagesize": str(size)}, at="all")
    statistics = unnoticed(case.run())
    assert (statistics["created"], statistics["pages"]) == (250, -(-250 // size))
    assert f"holds {size} invoices; 100 were asked for" in case.witness.log()
    case.heals()


@pytest.mark.fault("H36")
def test_an_invoice_twice_on_a_page_counts_once(case: Case) -> None:
    def repeat(page: Document) -> None:
        if len(page["collection"]) > 1:
            page["collection"].insert(8, page["collection"][7])

    edited(case, repeat)
    statistics = unnoticed(case.run())
    assert (statistics["fetched"], statistics["created"], statistics["duplicates"]) == (253, 250, 3)
    assert "came twice" not in case.witness.log()
    case.heals()


@pytest.mark.fault("H36")
def test_an_invoice_on_two_pages_is_stored_once(case: Case) -> None:
    first: list[Document] = []

    def repeat(page: Document) -> None:
        page["collection"][:0] = first[:2]
        first.extend(page["collection"])

    edited(case, repeat)
    statistics = unnoticed(case.run())
    assert (statistics["created"], statistics["duplicates"]) == (250, 4)
    case.heals()


@pytest.mark.fault("H36")
def test_the_last_of_two_differing_items_counts(case: Case) -> None:
    def twice(page: Document) -> None:
        good = page["collection"][7]
        page["collection"].insert(7, good | {"remainder": Literal("1234.5")})

    edited(case, twice, at=1)
    statistics = unnoticed(case.run())
    assert statistics["duplicates"] == 1
    assert "came twice, and not the same" in case.witness.log()
    assert case.heals()["unchanged"] == 250


BELOW = 9000


def book(number: int) -> Document:
    return {"action": "book", "number": number}


def remove(number: int) -> Document:
    return {"action": "remove", "number": number}


CHANGES: dict[str, tuple[list[tuple[int, Document]], int, int, bool]] = {
    "appended": ([(3, {"action": "book", "count": 2})], 252, 0, True),
    "below": ([(2, book(BELOW))], 251, 250, True),
    "seen one gone": ([(2, remove(10_001))], 249, 250, True),
    "unseen one gone": ([(1, remove(10_200))], 249, 0, True),
    "seen one gone at last": ([(3, remove(10_001))], 249, 250, True),
    # Below the cursor, between two pages: the counts agree again, what was seen does not.
    "one gone one come": ([(2, remove(10_001)), (2, book(BELOW))], 250, 0, True),
    "never still": ([(2, book(BELOW)), (6, book(BELOW + 1))], 251, 250, False),
}


@pytest.mark.parametrize(("changes", "created", "discarded", "complete"), CHANGES.values(), ids=CHANGES)
@pytest.mark.fault("H37")
def test_books_may_change_while_read(
    case: Case, changes: list[tuple[int, Document]], created: int, discarded: int, complete: bool
) -> None:
    always = set(case.books.ledger.items())
    for request, change in changes:
        case.books.when(request, change)
    outcome = case.run()
    assert outcome.state == "success"
    statistics = outcome.statistics
    held = {row["invoice_number"] for row in case.witness.rows("select invoice_number from economic.invoice")}
    # Whatever was booked throughout is there.
    assert always & set(case.books.ledger.items()) <= held
    assert (statistics["discarded"], statistics["complete"]) == (discarded, complete)
    assert statistics["created"] == created
    case.heals()


@pytest.mark.parametrize("totals", [True, False], ids=["totals empty too", "totals as ever"])
@pytest.mark.fault("H38")
def test_suddenly_empty_books_mark_nothing_missing(case: Case, totals: bool) -> None:
    case.synced()

    def nothing(page: Document) -> None:
        page["collection"] = []
        page["pagination"] = {"results": 0, "resultsWithoutFilter": 0}

    empty = '{"booked": {"invoiceCount": 0, "netAmountInBaseCurrency": 0.00}}'
    case.books.faults(
        {"match": BOOKED, "kind": "edit", "edit": nothing, "at": "all"},
        *([{"match": "/invoices/totals", "kind": "body", "body": empty}] if totals else []),
    )
    statistics = unnoticed(case.run())
    # Where the listing contradicts the copy, the copy is not called reconciled, whatever the totals count.
    assert (statistics["fetched"], statistics["missing"], statistics["reconciled"]) == (0, 0, False)
    assert "no longer returns 250 of 250 invoices" in case.last_sync()["warning"]
    assert case.witness.value("select count(*) from economic.invoice where missing_since is not null") == 0
    assert case.heals()["unchanged"] == 250
