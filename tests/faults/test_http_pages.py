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


@pytest.mark.fault("H26")
def test_a_next_page_at_another_host_is_never_asked_for(case: Case) -> None:
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
def test_a_next_page_that_is_the_page_itself_is_no_loop(case: Case) -> None:
    def itself(page: Document) -> None:
        page["pagination"]["nextPage"] = page["self"]

    edited(case, itself)
    unnoticed(case.run())
    # Three pages, one more because there is said to be one, and the count.
    assert case.paths().count(BOOKED) == 3 + 1 + 1
    case.heals()


@pytest.mark.fault("H27")
def test_the_same_page_again_and_again_is_a_loop(case: Case) -> None:
    case.books.fault(BOOKED, "otherwise", parameters={"filter": None}, at="all")
    stopped(case, case.run(), "the scan would never end")
    assert case.paths().count(BOOKED) == 2
    case.heals()


@pytest.mark.fault("H28")
def test_pages_that_go_round_in_a_circle_are_a_loop(case: Case) -> None:
    """The third page is the first one again, the fourth the second: no two pages in a row are the same."""
    case.books.faults(
        {"match": BOOKED, "kind": "otherwise", "at": 3, "parameters": {"filter": None}},
        {"match": BOOKED, "kind": "otherwise", "at": 4, "parameters": {"filter": None, "skippages": "1"}},
    )
    stopped(case, case.run(), "the scan would never end")
    assert case.paths().count(BOOKED) == 3
    case.heals()


@pytest.mark.fault("H28")
def test_next_pages_that_go_round_in_a_circle_are_not_followed(case: Case) -> None:
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
def test_a_login_page_with_status_200_is_no_answer_and_is_not_kept(
    case: Case, headers: dict[str, str]
) -> None:
    message = is_broken(case, kind="html", status=200, body=PORTAL, headers=headers)
    assert "proxy, a login page" in message
    stored = case.witness.rows("select sync_run::text as text from economic.sync_run")
    assert not any("captive portal" in row["text"] for row in stored)
    assert case.heals()["updated"] == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda page: page.pop("collection"),
        lambda page: page.update(collection=None),
        lambda page: page.update(collection={"0": page["collection"][0]}),
        lambda page: page.update(collection="none"),
        lambda page: page.pop("pagination"),
        lambda page: page.update(pagination=[]),
        lambda page: page["pagination"].pop("results"),
        lambda page: page["pagination"].update(results="two hundred"),
        lambda page: page["pagination"].update(results=Literal("-1")),
        lambda page: page["collection"].clear(),
        lambda page: (page["collection"].__delitem__(slice(50, None)), page["pagination"].pop("nextPage")),
    ],
    ids=[
        "no collection",
        "collection null",
        "collection an object",
        "collection a text",
        "no pagination",
        "pagination a list",
        "no results",
        "results a text",
        "results negative",
        "collection empty",
        "collection cut short",
    ],
)
@pytest.mark.fault("H31")
def test_json_of_the_wrong_shape(case: Case, edit: Callable[[Document], object]) -> None:
    is_broken(case, kind="edit", edit=edit)
    assert case.heals()["updated"] == 1


@pytest.mark.parametrize("body", ["[]", "null", '"busy"', "{}", "17"])
@pytest.mark.fault("H31")
def test_json_that_is_no_page_at_all(case: Case, body: str) -> None:
    is_broken(case, kind="body", body=body)
    assert case.heals()["updated"] == 1


@pytest.mark.fault("H31")
def test_no_collection_is_fine_when_there_are_no_results(case: Case) -> None:
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


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("declared", ["latin-1", "utf-16", "nonsense"])
@pytest.mark.fault("H32")
def test_utf8_is_read_as_such_whatever_it_is_said_to_be(case: Case, charset: str, declared: str) -> None:
    headers = {"Content-Type": f"application/json; charset={declared}"}
    case.books.fault("/", "recoded", charset=charset, headers=headers, at="all")
    unnoticed(case.run())
    no_character_was_replaced(case)
    assert case.heals()["unchanged"] == 250


@pytest.mark.fault("H32")
def test_utf16_is_no_answer(case: Case) -> None:
    is_broken(case, kind="recoded", charset="utf-16")
    no_character_was_replaced(case)
    case.heals()


@pytest.mark.parametrize(
    ("within", "member"),
    [
        ("recipient", "name"),
        ("recipient", "mobilePhone"),
        ("notes", "textLine1"),
        ("delivery", "address"),
        ("", "self"),
    ],
)
@pytest.mark.fault("H32")
def test_bytes_that_are_not_utf8_cost_their_own_items_only(case: Case, within: str, member: str) -> None:
    """In a field that becomes a column, and in those that are only kept."""
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
def test_books_that_are_all_latin1_are_a_changed_contract(case: Case) -> None:
    case.books.fault(BOOKED, "recoded", charset="latin-1", at="all")
    stopped(case, case.run(), "None of the 100 items of page 1 can be read")
    no_character_was_replaced(case)
    case.heals()


# -- pages that are not as asked for, or do not hold still --------------------------------------------------------------


@pytest.mark.parametrize("size", [20, 150])
@pytest.mark.fault("H35")
def test_another_page_size_than_asked_for_is_followed(case: Case, size: int) -> None:
    case.books.fault(BOOKED, "otherwise", parameters={"pagesize": str(size)}, at="all")
    statistics = unnoticed(case.run())
    assert (statistics["created"], statistics["pages"]) == (250, -(-250 // size))
    assert f"holds {size} invoices; 100 were asked for" in case.witness.log()
    case.heals()


@pytest.mark.fault("H36")
def test_an_invoice_twice_on_a_page_is_stored_once(case: Case) -> None:
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
def test_the_last_of_two_that_differ_counts_and_is_told(case: Case) -> None:
    def twice(page: Document) -> None:
        good = page["collection"][7]
        page["collection"].insert(7, good | {"remainder": Literal("1234.5")})

    edited(case, twice, at=1)
    statistics = unnoticed(case.run())
    assert statistics["duplicates"] == 1
    assert "came twice, and not the same" in case.witness.log()
    assert case.heals()["unchanged"] == 250


BELOW = 9000


@pytest.mark.parametrize(
    ("changes", "created", "discarded", "complete"),
    [
        ([(3, {"action": "book", "count": 2})], 252, 0, True),
        ([(2, {"action": "book", "number": BELOW})], 251, 250, True),
        ([(2, {"action": "remove", "number": 10_001})], 249, 250, True),
        ([(1, {"action": "remove", "number": 10_200})], 249, 0, True),
        ([(3, {"action": "remove", "number": 10_001})], 249, 250, True),
        # One goes and one comes below the cursor, between two pages: the counts agree again, what was seen does not.
        (
            [(2, {"action": "remove", "number": 10_001}), (2, {"action": "book", "number": BELOW})],
            250,
            0,
            True,
        ),
        (
            [(2, {"action": "book", "number": BELOW}), (6, {"action": "book", "number": BELOW + 1})],
            251,
            250,
            False,
        ),
    ],
    ids=[
        "appended",
        "below",
        "seen one gone",
        "unseen one gone",
        "seen one gone at last",
        "one gone one come",
        "never still",
    ],
)
@pytest.mark.fault("H37")
def test_books_that_change_while_they_are_read(
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
def test_books_that_are_suddenly_empty_mark_nothing_missing(case: Case, totals: bool) -> None:
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
    assert (statistics["fetched"], statistics["missing"], statistics["reconciled"]) == (0, 0, not totals)
    assert "more than the 10 that are believed" in case.last_sync()["warning"]
    assert case.witness.value("select count(*) from economic.invoice where missing_since is not null") == 0
    assert case.heals()["unchanged"] == 250
