"""L15, L16, L18, L19: lines of other companies, lines beside syncs, and no lines at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import psycopg
import pytest

import simulator
from tests.faults.conftest import CONN_ID, Case, until
from tests.faults.lines.conftest import COUNT, LINES, asleep, checks, heals, reading_row, wrong
from tests.faults.lines.test_processes import CONSTANTS
from tests.integration.conftest import economic
from tests.support.dag_runs import FETCH, FETCH_LINES, NAMES, QUICK_SYNC, UPSERT, Asked
from tests.support.expected_lines import QUERY, wrong_lines
from tests.support.process_runs import ProcessRuns
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET
from tests.support.task_processes import Work, fresh

INVOICES = 60
SELF = "/self"


# -- other companies ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("L15")
def test_other_company_before_a_run_is_not_mixed_in(copied: Case) -> None:
    number = copied.books.ledger.agreement
    copied.books.control("agreement", number=7654321)
    copied.books.reset()
    outcome = copied.run(lines=True)
    assert (outcome.state, "another company" in str(outcome.error)) == ("failed", True)
    assert copied.paths() == [SELF]
    assert (checks(copied), reading_row(copied)["status"]) == ({}, "failed")
    copied.books.control("agreement", number=number)
    heals(copied)


@pytest.mark.parametrize("after", [SELF, LINES, COUNT])
@pytest.mark.fault("L15")
def test_connection_that_moves_within_a_run_is_not_followed(copied: Case, after: str) -> None:
    """A run reads its connection once: the tokens that it has shown to `/self` are those of each request."""
    with simulator.running(invoices=80, seed=7, agreement=7654321) as other:
        extra = {
            "app_secret_token": other.app_secret_token,
            "agreement_grant_token": other.agreement_grant_token,
        }
        move = partial(
            copied.define_connection, CONN_ID, conn_type="economic", host=other.base_url, extra=extra
        )
        copied.books.when(1, move, match=after)
        outcome = copied.run(lines=True)
        assert outcome.state == "success", outcome.errors
        assert other.requests() == []
        assert wrong(copied) == []
        assert outcome.statistics["count_agrees"] is True
        # The next run reaches the other company, and reads nothing of it.
        copied.books.reset()
        copied.books.book()
        copied.reach_books_at(copied.books.base_url)
        assert copied.run().state == "success"
        move()
        assert "another company" in str(copied.run(lines=True).error)
        assert [entry["path"] for entry in other.requests()] == [SELF]
    copied.reach_books_at(copied.books.base_url)
    heals(copied)


@pytest.mark.fault("L15")
def test_unbound_connection_waits_for_the_next_sync(read: Case) -> None:
    assert economic(read.database, "unbind", CONN_ID).returncode == 0
    outcome = read.run(lines=True)
    assert (outcome.state, "No sync has read invoices" in str(outcome.error)) == ("skipped", True)
    assert read.paths() == []
    assert read.run().state == "success"
    heals(read)


@pytest.mark.fault("L16")
def test_two_companies_of_one_database_at_once(copied: Case, runs: ProcessRuns) -> None:
    """Their invoices have the same numbers. Each has a place of its own."""
    runs.how = {"constants": CONSTANTS}
    agreement = copied.books.ledger.agreement
    with (
        simulator.running(
            invoices=50,
            seed=7,
            agreement=7654321,
            app_secret_token=APP_SECRET,
            agreement_grant_token=AGREEMENT_GRANT,
        ) as other,
        psycopg.connect(copied.database, autocommit=True) as admin,
    ):
        copied.books.when(4, lambda: first.freeze(), match=LINES)
        first = runs.start(Asked("lines"), FETCH_LINES)
        until(lambda: asleep(first))
        # The other company has the connection now, as one of another id would have it.
        admin.execute("update economic.agreement set conn_id = 'economic_north'")
        copied.reach_books_at(other.base_url)
        for _ in range(2):
            assert copied.run().state == "success"
            outcome = copied.run(lines=True)
            assert outcome.state == "success", outcome.errors
            other.book(2)
        assert outcome.statistics["invoices"] == 2
        other_lines = other.line_book
        first.wake()
        (one,) = first.wait()
        assert one.state == "success", one
        rows = copied.witness.rows(QUERY)
        assert list(wrong_lines(rows, other_lines, 7654321)) == other.ledger.numbers[-2:]
        assert wrong_lines(rows, copied.books.line_book, agreement) == {}
    rows = copied.witness.rows("select agreement_number, proven from economic.line_reading order by 1")
    assert rows == [
        {"agreement_number": agreement, "proven": INVOICES},
        {"agreement_number": 7654321, "proven": 52},
    ]


# -- beside syncs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [SELF, LINES, COUNT])
@pytest.mark.fault("L18")
def test_syncs_do_not_wait_for_lines(copied: Case, runs: ProcessRuns, where: str) -> None:
    """A full, a quick, a forced one and a backfill's, while a run of lines stands still with its place."""
    runs.how = {"constants": CONSTANTS}
    copied.books.when(1, lambda: frozen.freeze(), match=where)
    frozen = runs.start(Asked("lines"), FETCH_LINES)
    until(lambda: asleep(frozen))
    for options in (
        {},
        {"quick": True},
        {"conf": {"force": True}},
        {"conf": {"date_from": "2026-01-01", "date_to": "2026-12-31"}},
    ):
        copied.books.pay(
            next(n for n, one in copied.books.ledger.invoices.items() if one.remainder > 1), "0.01"
        )
        copied.witness.look()
        outcome = copied.run(**options)
        assert (outcome.state, max(one.number for one in outcome.tries)) == ("success", 1), outcome.errors
    frozen.wake()
    (one,) = frozen.wait()
    assert one.state == "success", one
    assert wrong(copied) == []
    heals(copied)


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.fault("L18")
def test_lines_do_not_wait_for_a_sync(read: Case, runs: ProcessRuns, at: int) -> None:
    """It has the lease, and stands still at one of its requests."""
    read.books.book(2)
    assert read.run().state == "success"
    read.books.reset()
    read.books.when(at, lambda: frozen.freeze(), match="/")
    frozen = runs.start(Asked("full"), FETCH)
    until(lambda: asleep(frozen))
    outcome = read.run(lines=True)
    assert (outcome.state, outcome.statistics["invoices"]) == ("success", 2)
    assert wrong(read) == []
    frozen.wake()
    assert frozen.wait()[0].state == "success"
    read.witness.rows("update economic.sync_lease set expires_at = now() returning 1")
    heals(read)


# -- without lines ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("L19")
def test_sync_neither_loads_nor_touches_lines(case: Case, tmp_path: Path) -> None:
    """Although they are wanted: only the DAG of lines knows them. A full sync, and a quick one in the same process."""
    log = tmp_path / "tasks.log"
    environment = {
        "PYTHONPROFILEIMPORTTIME": "1",
        "ECONOMIC_REQUEST_INTERVAL_MS": "0",
        "ECONOMIC_LINES": "true",
    }
    case.books.when(1, case.books.book, match="/employees")
    tries = fresh(Work(Asked("both"), (FETCH, UPSERT, NAMES, QUICK_SYNC), log), environment)
    assert [one.state for one in tries] == ["success"] * 4
    assert tries[-1].result["created"] == 1
    loaded = log.read_text(errors="replace")
    assert "economic.sync.quick" in loaded
    assert "economic.lines" not in loaded
    assert not any(path.startswith("/q2capi") for path in case.paths())
    assert _touched(case) == 0


def _touched(case: Case) -> int:
    """Return how often the tables of lines were read or written, by PostgreSQL's own count."""
    # What the witness has asked is counted now, not some time later.
    case.witness.rows("select pg_stat_force_next_flush()")
    with psycopg.connect(case.database) as connection:
        connection.execute("select pg_stat_clear_snapshot()")
        row = connection.execute(
            "select coalesce(sum(seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del), 0)"
            " from pg_stat_user_tables where relname in ('invoice_line', 'line_check', 'line_reading')"
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.fault("L19")
def test_lines_switched_off_again_stay_as_they_are(read: Case) -> None:
    """Nothing is asked for, and what was read stays readable."""
    before, touched = reading_row(read), _touched(read)
    read.books.book()
    assert read.run().state == "success"
    assert read.run(quick=True).state == "success"
    assert _touched(read) == touched
    assert not any(path.startswith("/q2capi") for path in read.paths())
    assert reading_row(read) == before
    assert read.witness.value("select bool_and(proven) from economic.invoice_lines") is True
    heals(read)
