"""Q02 to Q19: quick syncs whose answers, books, processes, database or lease change while they work.

Whatever a quick sync says to be complete is compared with the books at once. The next sync heals: a quick one, or a full one where only that can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest

from economic.db import retry
from simulator import InProcess
from simulator.spoiling import Literal
from tests.faults.conftest import Case, CaseOn, commits_of, syncs, until
from tests.integration.test_quick_sync import open_numbers, settled_numbers
from tests.support import invariants as oracle
from tests.support.dag_runs import QUICK_SYNC, Asked, Outcome, Try, tasks_of
from tests.support.faults.clusters import Cluster
from tests.support.faults.postgres import Fate, PostgresProxy
from tests.support.invariants import Bounds
from tests.support.process_runs import ProcessRuns
from tests.support.task_processes import TaskProcess

INVOICES = 90
SELF, TOTALS, BOOKED, UNPAID = "/self", "/invoices/totals", "/invoices/booked", "/invoices/unpaid"
PATIENT = Bounds(seconds=120)
STAGED, STORED = "copy economic.staged_invoice", "insert into economic.invoice"
RECONCILED, ENDED = "verdict = ", "closes the row of a running sync"
REMAINDERS = ("remainder", "remainderInBaseCurrency")
Document = dict[str, Any]
Change = Callable[[InProcess], object]


def long_ago(case: Case) -> None:
    """Make it two hours later for full syncs and their marks: a quick one may become one again."""
    with case.witness.connect() as connection:
        connection.execute(
            "update economic.sync_run set started_at = started_at - interval '2 hours',"
            " finished_at = finished_at - interval '2 hours' where scope = 'full'"
        )
        if case.witness.value("select count(*) from economic.invoice where missing_since is not null"):
            connection.execute(
                "update economic.invoice set missing_since = missing_since - interval '2 hours'"
            )


def prove(case: Case) -> Case:
    """The copy is proven by a full and by a quick sync; thirty invoices are open."""
    for number in settled_numbers(case.books)[:30]:
        case.books.unpay(number)
    case.synced()
    statistics = case.run(quick=True).statistics
    assert (statistics["scope"], statistics["complete"]) == ("quick", True)
    case.books.reset()
    return case


@pytest.fixture
def proven(case: Case) -> Case:
    return prove(case)


def pay_one(case: Case) -> int:
    """Somebody pays an invoice: there is something to read."""
    number = open_numbers(case.books)[-1]
    case.books.pay(number, "0.01")
    case.witness.look()
    return number


def outcome_of(case: Case, **options: Any) -> tuple[str, str, bool]:
    """Let a quick sync run; its state, and scope and completeness of its row. What it proves, is so."""
    synced = "select last_synced_at from economic.sync_status"
    before = case.witness.value(synced)
    state = case.run(quick=True, **options).state
    case.witness.look()
    row = case.last_sync()
    if row["complete"] and row["status"] in oracle.DONE:
        oracle.the_table_equals_the_books(case.witness)
        assert case.witness.value(synced) > before
    else:
        assert case.witness.value(synced) == before or row["scope"] == "full"
        assert row["status"] not in {"completed", "running"}
    return state, row["scope"], row["complete"]


# -- books that change --------------------------------------------------------------------------------------------------


def match_a_credit_note(books: InProcess) -> None:
    number = next(
        n for n in open_numbers(books) if books.ledger.invoices[n].gross == books.ledger.invoices[n].remainder
    )
    books.match(number, books.credit(number))


def book_low(books: InProcess, *, paid: bool) -> None:
    number = min(books.ledger.invoices) - 3
    books.book(number=number)
    if paid:
        books.pay(number)


CHANGES: dict[str, Change] = {
    "payment": lambda books: books.pay(open_numbers(books)[0]),
    "remainder that goes up again": lambda books: books.unpay(settled_numbers(books)[0], "10.50"),
    "credit note matched": match_a_credit_note,
    "credit note matched, not listed": match_a_credit_note,
    "booking that is paid at once": lambda books: books.pay(books.book()[0]),
    "low number, settled": lambda books: book_low(books, paid=True),
    "invoice gone": lambda books: books.control("remove", number=open_numbers(books)[0]),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.fault("Q03")
def test_change_between_any_two_calls(case: Case, what: str) -> None:
    case.books.unpaid(negative="not listed" not in what)
    prove(case)
    for call in count(1):
        long_ago(case)
        pay_one(case)
        case.books.reset()
        before = case.books.ledger.version
        case.books.when(call, partial(CHANGES[what], case.books), match="/")
        statistics = case.run(quick=True).statistics
        case.witness.look()
        if statistics["complete"] and statistics["scope"] == "quick" and call < len(case.paths()):
            oracle.the_table_equals_the_books(case.witness)
        if case.books.ledger.version == before:
            break
        long_ago(case)
        assert outcome_of(case)[::2] == ("success", True)
    assert call > 6
    case.books.control("when", clear=True)
    case.heals(quick=True, bounds=PATIENT)


@pytest.mark.fault("Q04")
def test_open_low_number_is_found_by_the_list(proven: Case) -> None:
    book_low(proven.books, paid=False)
    assert outcome_of(proven) == ("success", "quick", True)
    proven.heals(quick=True)


# -- answers that cannot be used ----------------------------------------------------------------------------------------


def emptied(page: Document) -> None:
    page["collection"] = []
    page["pagination"] |= {"results": Literal("0"), "resultsWithoutFilter": Literal("0")}


def shortened(page: Document) -> None:
    page["collection"] = page["collection"][:2]
    page["pagination"] |= {"results": Literal(str(len(page["collection"])))}


def endless() -> Callable[[Document], None]:
    numbers = count(50_001)

    def edit(page: Document) -> None:
        for item in page["collection"]:
            item["bookedInvoiceNumber"] = Literal(str(next(numbers)))

    return edit


def with_a_stranger(page: Document) -> None:
    for item in page["collection"][-1:]:
        item["bookedInvoiceNumber"] = Literal("99999")


def in_each(**changed: Any) -> Callable[[Document], None]:
    """Change a field of each item; None takes it away."""

    def edit(page: Document) -> None:
        for item in page["collection"]:
            for field, value in changed.items():
                item.pop(field) if value is None else item.update({field: value})

    return edit


def and_more(page: Document) -> None:
    page["pagination"] |= {"results": Literal("500")}


def without_unpaid(totals: Document) -> None:
    del totals["booked"]["unpaid"]


def with_other_unpaid(totals: Document) -> None:
    totals["booked"]["unpaid"]["grossRemainderInBaseCurrency"] = Literal("1.00")


def off_by(count: int = 0, net: int = 0) -> Callable[[Document], None]:
    def edit(totals: Document) -> None:
        booked = totals["booked"]
        booked["invoiceCount"] = int(booked["invoiceCount"]) + count
        booked["netAmountInBaseCurrency"] = (
            Literal(f"{booked['netAmountInBaseCurrency']}") if not net else Literal("1.00")
        )

    return edit


UNPROVEN = ("success", "quick", False)
WIDENED = ("success", "full", True)
FAILED = ("failed", "quick", False)
IN = {"match": BOOKED, "query_contains": "$in:"}
ANSWERS: dict[str, tuple[dict[str, Any], tuple[str, str, bool], tuple[str, str, bool]]] = {
    # what is wrong; a full sync has just ended; it was long ago
    "list empty": ({"match": UNPAID, "kind": "edit", "edit": emptied}, UNPROVEN, UNPROVEN),
    "list cut short": ({"match": UNPAID, "kind": "edit", "edit": shortened}, UNPROVEN, UNPROVEN),
    "list without its filter": (
        {"match": UNPAID, "kind": "otherwise", "parameters": {"filter": None}},
        UNPROVEN,
        WIDENED,
    ),
    "list without end": (
        {"match": UNPAID, "kind": "edit", "edit": endless(), "parameters": {"filter": None}},
        UNPROVEN,
        WIDENED,
    ),
    "list refused": ({"match": UNPAID, "kind": "status", "status": 400}, UNPROVEN, WIDENED),
    "list forbidden": ({"match": UNPAID, "kind": "status", "status": 403}, FAILED, FAILED),
    "list down": ({"match": UNPAID, "kind": "status", "status": 500}, FAILED, FAILED),
    "list a page of a website": ({"match": UNPAID, "kind": "html", "status": 200}, UNPROVEN, WIDENED),
    "list without remainders": (
        {"match": UNPAID, "kind": "edit", "edit": in_each(remainder=None)},
        UNPROVEN,
        UNPROVEN,
    ),
    "list without base amounts": (
        {"match": UNPAID, "kind": "edit", "edit": in_each(remainderInBaseCurrency=None)},
        UNPROVEN,
        UNPROVEN,
    ),
    "list with an unknown number": (
        {"match": UNPAID, "kind": "edit", "edit": with_a_stranger},
        UNPROVEN,
        WIDENED,
    ),
    "invoices by number refused": ({**IN, "kind": "status", "status": 400}, UNPROVEN, WIDENED),
    "invoices by number: all others": (
        {**IN, "kind": "otherwise", "parameters": {"filter": None}},
        UNPROVEN,
        WIDENED,
    ),
    "invoices by number: none": ({**IN, "kind": "edit", "edit": emptied}, UNPROVEN, WIDENED),
    "invoices by number: more to come": ({**IN, "kind": "edit", "edit": and_more}, UNPROVEN, WIDENED),
    "totals unreadable": ({"match": TOTALS, "kind": "body", "body": "[1"}, FAILED, FAILED),
    "second totals unreadable": (
        {"match": TOTALS, "kind": "body", "body": "[1", "at": 2, "times": 50},
        FAILED,
        FAILED,
    ),
    "totals without the unpaid": (
        {"match": TOTALS, "kind": "edit", "edit": without_unpaid},
        UNPROVEN,
        UNPROVEN,
    ),
    "totals with another unpaid sum": (
        {"match": TOTALS, "kind": "edit", "edit": with_other_unpaid},
        UNPROVEN,
        UNPROVEN,
    ),
    "totals that count one more": (
        {"match": TOTALS, "kind": "edit", "edit": off_by(count=1)},
        UNPROVEN,
        WIDENED,
    ),
    "totals with another sum": ({"match": TOTALS, "kind": "edit", "edit": off_by(net=1)}, UNPROVEN, WIDENED),
}


@pytest.mark.parametrize(("fault", "lately", "later"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.fault("Q05")
def test_unusable_answer_proves_nothing(
    proven: Case, fault: dict[str, Any], lately: tuple[str, str, bool], later: tuple[str, str, bool]
) -> None:
    proven.runs.page_size(20)
    pay_one(proven)
    proven.books.faults({"at": "all"} | fault)
    assert outcome_of(proven, retries=0) == lately
    long_ago(proven)
    pay_one(proven)
    proven.books.faults({"at": "all"} | fault)
    assert outcome_of(proven, retries=0) == later
    proven.heals(quick=True)


@pytest.mark.fault("Q04")
def test_list_may_show_what_is_settled(proven: Case) -> None:
    """Nothing is left of it in its currency; the copy is proven all the same."""
    settled = settled_numbers(proven.books)[-1]

    def edit_list(page: Document) -> None:
        nothing = {"bookedInvoiceNumber": Literal(str(settled))} | dict.fromkeys(REMAINDERS, Literal("0.00"))
        page["collection"] = sorted(
            [*page["collection"], page["collection"][-1] | nothing],
            key=lambda item: int(str(item["bookedInvoiceNumber"])),
        )

    def edit_totals(totals: Document) -> None:
        unpaid = totals["booked"]["unpaid"]
        unpaid["invoiceCount"] = int(str(unpaid["invoiceCount"])) + 1

    pay_one(proven)
    proven.books.faults(
        {"match": UNPAID, "kind": "edit", "edit": edit_list, "at": "all"},
        {"match": TOTALS, "kind": "edit", "edit": edit_totals, "at": "all"},
    )
    assert outcome_of(proven) == ("success", "quick", True)
    proven.heals(quick=True)


@pytest.mark.fault("Q06")
def test_older_state_than_the_list_proves_nothing(proven: Case) -> None:
    """The invoice came as it was before the payment that the list shows."""
    number = open_numbers(proven.books)[-1]
    before = {key: Literal(str(proven.books.ledger.item(number)[key])) for key in REMAINDERS}
    proven.books.pay(number, "1.25")
    proven.books.faults({**IN, "at": "all", "kind": "edit", "edit": in_each(**before)})
    assert outcome_of(proven) == UNPROVEN
    proven.books.faults()
    assert outcome_of(proven) == ("success", "quick", True)
    proven.heals(quick=True)


@pytest.mark.parametrize("what", ["payment", "booking"])
@pytest.mark.fault("Q07")
def test_rejected_invoice_is_read_again(proven: Case, what: str) -> None:
    """Nothing else moves: the totals alone would say that there is nothing to do."""
    number = pay_one(proven) if what == "payment" else proven.books.book(2)[0]
    if what == "booking":
        proven.books.pay(number)
    proven.books.spoil(number, "date", value="soon")
    proven.witness.look()
    for _ in range(2):
        statistics = proven.run(quick=True).statistics
        assert (statistics["status"], statistics["failed"], statistics["complete"]) == (
            "completed_with_errors",
            1,
            True,
        )
    proven.books.heal(number)
    assert outcome_of(proven) == ("success", "quick", True)
    assert proven.rejected() == []
    proven.heals(quick=True)


@pytest.mark.fault("Q08")
def test_page_that_breaks_after_others_were_staged(proven: Case) -> None:
    proven.runs.page_size(20)
    for expected in (UNPROVEN, WIDENED):
        proven.books.book(30)
        proven.witness.look()
        proven.books.faults({"match": BOOKED, "kind": "body", "body": "[1", "at": 2, "times": 3})
        assert outcome_of(proven, retries=0) == expected
        long_ago(proven)
    proven.heals(quick=True)


# -- processes, connections, PostgreSQL ---------------------------------------------------------------------------------


def something_of_each_kind(case: Case, number: int = 0) -> None:
    """A payment, a booking that is paid and one that is not."""
    case.books.pay(open_numbers(case.books)[number], "0.01")
    case.books.pay(case.books.book(2)[0])
    case.witness.look()


def rows_of(case: Case, run_id: str) -> list[tuple[str, str]]:
    """Scope and status of each sync of a run."""
    found = case.witness.rows(
        "select scope, status from economic.sync_run where run_id = %s order by sync_id", run_id
    )
    return [(row["scope"], row["status"]) for row in found]


@pytest.mark.parametrize(
    "fate", [None, "held back", "unanswered"], ids=["request", "commit", "commit unheard"]
)
@pytest.mark.fault("Q10")
def test_process_killed_at_each_request_and_commit(
    proven: Case, runs: ProcessRuns, proxy: PostgresProxy, fate: Fate | None
) -> None:
    """The retry never resumes: it begins a quick sync of its own."""
    something_of_each_kind(proven)
    moments: Iterable[int] = count(1)
    if fate:
        moments = commits_of(proxy, lambda: runs.run(Asked("quick__0"), quick=True))
    for at in moments:
        something_of_each_kind(proven)
        killed: list[int] = []

        def kill(killed: list[int] = killed) -> None:
            killed.append(1)
            runs.kill()

        if fate:
            proxy.trip(b"commit\0", kill, at=at, fate=fate)
        else:
            proven.books.when(at, kill, match="/")
        outcome = runs.run(Asked(f"quick__{at}"), quick=True)
        proven.witness.look()
        assert (outcome.state, outcome.tried(QUICK_SYNC)) == ("success", 1 + len(killed)), (
            at,
            outcome.errors,
        )
        *before, last = rows_of(proven, f"quick__{at}")
        assert last == ("quick", "completed"), at
        # Killed at its first commits it has no row yet; at its last one, its sync has ended.
        assert (
            before in ([("quick", "abandoned")], [("quick", "completed")]) or not killed or (fate and at < 4)
        ), at
        oracle.the_table_equals_the_books(proven.witness)
        assert killed or not fate, at
        if not killed:
            break
    assert at > 6
    proxy.heal()
    proven.heals(quick=True, bounds=PATIENT)


WIDE: dict[str, tuple[str, int]] = {
    "first page of the scan": (BOOKED, 3),
    "its end": (TOTALS, 3),
    "staged": (STAGED, 3),
    "stored": (STORED, 3),
    "compared": (RECONCILED, 1),
    "ended": (ENDED, 1),
}


@pytest.mark.parametrize("fate", ["held back", "unanswered"])
@pytest.mark.parametrize(("where", "at"), WIDE.values(), ids=WIDE)
@pytest.mark.fault("Q11")
def test_widened_sync_killed_is_a_quick_one_again(
    proven: Case, runs: ProcessRuns, proxy: PostgresProxy, where: str, at: int, fate: Fate
) -> None:
    book_low(proven.books, paid=True)
    something_of_each_kind(proven)
    long_ago(proven)
    if where.startswith("/"):
        proven.books.when(at, runs.kill, match=where)
    else:
        proxy.trip(where.encode(), lambda: proxy.trip(b"commit\0", runs.kill, fate=fate), at=at)
    outcome = runs.run(Asked("quick"), quick=True)
    assert (outcome.state, outcome.tried(QUICK_SYNC)) == ("success", 2), outcome.errors
    first, second = rows_of(proven, "quick")
    assert first == ("full", "completed" if (where, fate) == (ENDED, "unanswered") else "abandoned")
    # Once the low number is stored, a quick sync can prove the copy.
    stored = where in {RECONCILED, ENDED} or (where, fate) == (STORED, "unanswered")
    assert second == ("quick" if stored else "full", "completed")
    assert outcome.statistics["complete"] is True
    oracle.the_table_equals_the_books(proven.witness)
    proven.heals(quick=True, bounds=PATIENT)


@pytest.mark.parametrize("fate", ["held back", "unanswered"])
@pytest.mark.fault("Q12")
def test_connection_lost_at_each_commit(
    proven: Case, proxy: PostgresProxy, fate: Fate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.02)
    something_of_each_kind(proven)
    for at in commits_of(proxy, lambda: proven.run(quick=True)):
        something_of_each_kind(proven)
        broken: list[int] = []

        def cut(broken: list[int] = broken) -> None:
            broken.append(1)
            proxy.reset()

        proxy.heal()
        proxy.trip(b"commit\0", cut, at=at, fate=fate)
        outcome = proven.run(quick=True, retries=1)
        assert outcome.state == "success", (at, outcome.errors)
        proven.witness.look()
        assert broken, at
    proxy.heal()
    proven.heals(quick=True, bounds=PATIENT)


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.fault("Q13")
def test_crash_that_empties_staging(own: Cluster, case_on: CaseOn, at: int) -> None:
    """Before the staged invoices are stored, new ones and those by number; and in the scan that follows."""
    case = prove(case_on(own.dsn))
    something_of_each_kind(case)
    book_low(case.books, paid=True)
    case.witness.look()
    long_ago(case)
    with PostgresProxy(own.server.port) as proxy:
        case.reach_database_at(psycopg.conninfo.make_conninfo(own.dsn, port=proxy.port))

        def crash() -> None:
            own.crash()
            own.start()

        proxy.trip(STORED.encode(), crash, at=at)
        state = case.run(quick=True).state
        case.witness.look()
        assert state == "success" or "not whole" in case.last_sync()["message"]
        case.reach_database_at(own.dsn)
        case.heals(quick=True, bounds=PATIENT)


# -- other syncs --------------------------------------------------------------------------------------------------------


def held_by(case: Case, runs: ProcessRuns, asked: Asked, *, at: int = 2, quick: bool = False) -> TaskProcess:
    """The first task of a run, frozen at a request with the lease in its hands."""
    case.books.reset()
    case.books.when(at, lambda: process.freeze(), match="/")
    process = runs.start(asked, tasks_of(quick=quick)[0])
    until(lambda: len(case.paths()) >= at)
    return process


def woken(process: TaskProcess) -> Try:
    process.wake()
    (one,) = process.wait()
    return one


@pytest.mark.fault("Q14")
def test_force_takes_the_lease_at_each_request(proven: Case, runs: ProcessRuns) -> None:
    for at in range(2, 7):
        something_of_each_kind(proven)
        quick = held_by(proven, runs, Asked(f"quick__{at}"), at=at, quick=True)
        forced = runs.run(Asked(f"forced__{at}", conf={"force": True}))
        assert forced.state == "success", forced.errors
        one = woken(quick)
        proven.witness.look()
        assert (one.state, "superseded" in str(one.error)) == ("failed", True), one
        assert rows_of(proven, f"quick__{at}") == [("quick", "superseded")]
    proven.heals(quick=True, bounds=PATIENT)


@pytest.mark.parametrize("kind", ["scheduled", "manual", "backfill"])
@pytest.mark.fault("Q15")
def test_other_syncs_wait_for_a_quick_one(proven: Case, runs: ProcessRuns, kind: str) -> None:
    something_of_each_kind(proven)
    quick = held_by(proven, runs, Asked("quick"), quick=True)
    second = runs.run(Asked("quick__2"), quick=True)
    assert (second.state, rows_of(proven, "quick__2")) == ("skipped", [("quick", "skipped")])
    assert "(quick) has been running since" in proven.last_sync()["message"]
    asked = Asked(f"other {kind}", kind)
    waiting = runs.run(asked)
    assert (waiting.state, proven.last_sync()["phase"]) == ("waiting", "waiting")
    assert woken(quick).state == "success"
    assert runs.run(asked).state == "success"
    scope = "range" if kind == "backfill" else "full"
    assert rows_of(proven, asked.run_id) == [(scope, "completed")]
    proven.heals(quick=True, bounds=PATIENT)


@pytest.mark.parametrize("kind", ["scheduled", "manual", "backfill"])
@pytest.mark.fault("Q15")
def test_quick_sync_is_skipped_beside_others(proven: Case, runs: ProcessRuns, kind: str) -> None:
    something_of_each_kind(proven)
    asked = Asked(f"other {kind}", kind)
    other = held_by(proven, runs, asked)
    quick = runs.run(Asked("quick", "scheduled"), quick=True)
    assert (quick.state, rows_of(proven, "quick")) == ("skipped", [("quick", "skipped")])
    assert "has been running since" in proven.last_sync()["message"]
    outcome = Outcome(asked.run_id)
    outcome.add(woken(other))
    assert runs.run(asked, after=outcome).state == "success"
    proven.heals(quick=True, bounds=PATIENT)


@pytest.mark.fault("Q16")
def test_full_sync_waits_out_a_killed_quick_one(proven: Case, runs: ProcessRuns) -> None:
    held_by(proven, runs, Asked("quick"), quick=True).kill()
    asked = Asked("scheduled__1", "scheduled")
    assert runs.run(asked).state == "waiting"
    oracle.let_time_pass(proven.witness)
    assert runs.run(asked).state == "success"
    assert syncs(proven)[-2:] == [("quick", "abandoned"), ("scheduled__1", "completed")]
    proven.heals(quick=True, bounds=PATIENT)


@pytest.mark.fault("Q17")
def test_other_company_is_not_mixed_in(proven: Case) -> None:
    """The connection has another company's tokens between two quick syncs."""
    number = proven.books.ledger.agreement
    pay_one(proven)
    proven.books.control("agreement", number=7654321)
    outcome = proven.run(quick=True)
    assert (outcome.state, proven.last_sync()["status"]) == ("failed", "failed")
    assert proven.paths() == [SELF]
    proven.books.control("agreement", number=number)
    assert outcome_of(proven) == ("success", "quick", True)
    proven.heals(quick=True)


@pytest.mark.fault("Q18")
def test_failing_full_scans_are_not_repeated_each_time(proven: Case) -> None:
    """Two an hour: the list of booked invoices is not sorted any more."""
    proven.runs.page_size(20)
    long_ago(proven)
    proven.books.control("remove", number=min(proven.books.ledger.invoices))
    proven.witness.look()
    backwards = {"sort": "-bookedInvoiceNumber"}
    scopes = []
    for _ in range(4):
        proven.books.fault(BOOKED, "otherwise", at="all", parameters=backwards)
        proven.run(quick=True)
        scopes.append(proven.last_sync()["scope"])
    assert scopes == ["full", "full", "quick", "quick"]
    proven.books.faults()
    long_ago(proven)
    assert outcome_of(proven) == WIDENED
    proven.heals(quick=True)
