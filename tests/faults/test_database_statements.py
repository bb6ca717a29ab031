"""D06 to D09, D11, D14 to D18, D20, D21: others in the way, no room, refused rows, and tables that are not ours any more."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from economic.db import retry, sql
from economic.errors import DatabaseUnavailable
from tests.conftest import expect
from tests.faults.conftest import Case, CaseOn, before_postgres, plain_role, unnoticed
from tests.support.dag_runs import FETCH, NAMES, UPSERT
from tests.support.faults import clusters
from tests.support.faults.clusters import Cluster
from tests.support.invariants import Bounds

BOOKED = "/invoices/booked"


def as_admin(case: Case, *statements: str) -> None:
    with case.witness.connect() as admin:
        for statement in statements:
            admin.execute(statement.encode())


def set_for_all(case: Case, setting: str) -> None:
    """A setting of the database, for every session from now on."""
    name = psycopg.conninfo.conninfo_to_dict(case.database)["dbname"]
    as_admin(case, f"alter database {name} {setting}")


def change_books(case: Case) -> list[int]:
    """Two invoices are paid a little; their numbers."""
    chosen = [number for number, item in sorted(case.books.ledger.items().items()) if item["remainder"] > 1][
        :2
    ]
    for number in chosen:
        case.books.pay(number, "0.01")
    return chosen


@contextmanager
def rival(case: Case, *statements: str) -> Iterator[psycopg.Connection]:
    """Somebody else's transaction, open until the end of the block."""
    with psycopg.connect(case.database, application_name="somebodys report") as other:
        for statement in statements:
            other.execute(statement.encode())
        yield other
        other.rollback()


# -- others in the way --------------------------------------------------------------------------------------------------


@pytest.mark.fault("D06")
def test_a_deadlock_is_done_again(case: Case) -> None:
    case.runs.page_size(250)
    case.synced()
    lower, higher = change_books(case)
    # Ours waits first and looks for a deadlock when the other one has begun to wait too.
    set_for_all(case, "set deadlock_timeout = '700ms'")
    lock = "select 1 from economic.invoice where invoice_number = %s for update"
    met = threading.Event()

    def crosswise() -> None:
        with psycopg.connect(case.database) as other:
            other.execute("set deadlock_timeout = '30s'")
            other.execute(lock, (higher,))
            met.set()
            while not case.witness.value(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            ):
                time.sleep(0.02)
            other.execute(lock, (lower,))
            other.rollback()

    thread = threading.Thread(target=crosswise, daemon=True)
    thread.start()
    met.wait(10)
    statistics = unnoticed(case.run())
    thread.join(10)
    assert statistics["updated"] == 2
    assert "40P01" in case.witness.log()
    case.heals()


@pytest.mark.fault("D07")
def test_a_serialization_failure_is_done_again(case: Case) -> None:
    case.synced()
    change_books(case)
    # a sync chooses its isolation itself, so the failure is a trigger's, the first time only
    as_admin(
        case,
        "create sequence public.times",
        "create function public.fail_once() returns trigger language plpgsql as $$ begin"
        " if nextval('public.times') = 1 then raise exception 'again' using errcode = '40001'; end if; return new; end $$",
        "create trigger fails_once before update on economic.invoice for each row execute function public.fail_once()",
    )
    assert unnoticed(case.run())["updated"] == 2
    assert "40001" in case.witness.log()
    case.heals()


@pytest.mark.fault("D07")
def test_isolation_is_the_syncs_own(case: Case) -> None:
    case.synced()
    number, _ = change_books(case)
    set_for_all(case, "set default_transaction_isolation = 'repeatable read'")
    touch = f"update economic.invoice set last_changed_at = last_changed_at where invoice_number = {number}"  # noqa: S608  # a number of the books
    with before_postgres(case) as proxy:
        proxy.trip(b"insert into economic.invoice", lambda: as_admin(case, touch))
        assert unnoticed(case.run())["updated"] == 2
        assert "40001" not in case.witness.log()
        case.heals()


@pytest.mark.fault("D08")
def test_lock_freed_in_time_is_waited_for(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "200ms")
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.05)
    case.synced()
    change_books(case)
    with rival(case, "lock table economic.invoice in share mode") as other:
        case.when_logged("55P03", other.rollback)
        assert unnoticed(case.run())["updated"] == 2
    case.heals()


@pytest.mark.fault("D08")
def test_who_keeps_a_lock_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.02)
    case.synced()
    change_books(case)
    with rival(case, "lock table economic.invoice in share mode") as other:
        pid = other.info.backend_pid
        outcome = case.run(retries=1)
    assert (outcome.state, outcome.tried(UPSERT)) == ("failed", 2)
    assert isinstance(outcome.error, DatabaseUnavailable)
    assert f"pid {pid} (somebodys report, idle in transaction for " in case.witness.log()
    assert "100ms, 4 times" in case.last_sync()["message"]
    assert case.heals()["updated"] == 2


SLOW = """
create function public.slow() returns trigger language plpgsql as
$$ begin perform pg_sleep({seconds}); return new; end $$;
create trigger slow before insert on economic.invoice for each row execute function public.slow();
"""


@pytest.mark.fault("D09")
def test_slow_page_is_stored_in_halves(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in sorted(case.books.ledger.items())[40:]:
        case.books.control("remove", number=number)
    monkeypatch.setattr(sql, "STATEMENT_TIMEOUT", "650ms")
    as_admin(case, SLOW.format(seconds=0.020))
    assert unnoticed(case.run())["created"] == 40
    assert "storing it in two halves" in case.witness.log()
    as_admin(case, "drop trigger slow on economic.invoice")
    case.heals(bounds=Bounds(seconds=30))


@pytest.mark.fault("D09")
def test_halves_that_take_too_long_fail_the_run(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "STATEMENT_TIMEOUT", "250ms")
    as_admin(case, SLOW.format(seconds=0.05))
    outcome = case.run(retries=1)
    assert (outcome.state, outcome.tried(FETCH), outcome.tried(UPSERT)) == ("failed", 1, 2)
    assert "57014" in case.last_sync()["message"]
    assert case.stored() == 0
    as_admin(case, "drop trigger slow on economic.invoice")
    case.heals()


@pytest.mark.fault("D21")
def test_long_report_on_the_table_blocks_nothing(case: Case) -> None:
    case.synced()
    change_books(case)
    case.books.book(count=150)
    read = "select count(*) from economic.invoice_overview, economic.staged_invoice"
    with rival(case, "set transaction isolation level repeatable read", read) as other:
        statistics = unnoticed(case.run())
        assert (statistics["created"], statistics["updated"]) == (150, 2)
        # It still sees what it saw at its beginning.
        assert other.execute("select count(*) from economic.invoice").fetchone() == (250,)
    assert "broke a transaction off" not in case.witness.log()
    case.heals()


# -- no room ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("D11")
def test_full_disk_fails_the_run_at_once(own: Cluster, case_on: CaseOn) -> None:
    try:
        disk = clusters.small_disk(16, own.server.identity.get("user"))
        with disk as folder:
            own.execute(f"create tablespace small location '{folder}'")
            own.execute("alter table economic.invoice set tablespace small")
            case = case_on(own.dsn)
            case.synced()
            case.books.book(count=300)
            before = case.stored()
            filler = folder / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65536)
            outcome = case.run()
            assert (outcome.state, outcome.tried(FETCH), outcome.tried(UPSERT)) == ("failed", 1, 1)
            assert isinstance(outcome.error, AirflowFailException)
            sync = case.last_sync()
            assert sync["status"] == "failed"
            assert "The database's disk is full." in sync["message"]
            # Whole pages or nothing: what went through before the disk was full stays, the page that did not is rolled back.
            assert case.stored() == before + sync["statistics"]["created"]
            filler.unlink()
            case.heals(bounds=Bounds(seconds=30))
            own.execute("alter table economic.invoice set tablespace pg_default")
            own.execute("drop tablespace small")
    except PermissionError as error:
        pytest.skip(str(error))


# -- refused rows -------------------------------------------------------------------------------------------------------

MEDDLE = """
create function public.meddle() returns trigger language plpgsql as
$$ declare short varchar(3); small integer; begin if {when} then {what}; end if; return new; end $$;
create trigger meddle before insert or update on economic.invoice for each row execute function public.meddle();
"""
REFUSALS = {
    "23514": "new.gross_amount := 'NaN'",
    "23502": "new.net_amount := null",
    "22001": "short := 'too long'",
    "22003": "small := 99999999999",
    "22P02": "new.net_amount := 'no number'",
}


@pytest.mark.fault("D14")
def test_row_that_postgresql_rejects_is_kept_aside(case: Case) -> None:
    numbers = dict(zip(REFUSALS, sorted(case.books.ledger.items())[123:], strict=False))
    chosen = [
        f"if new.invoice_number = {number} then {REFUSALS[state]}; end if"
        for state, number in numbers.items()
    ]
    as_admin(case, MEDDLE.format(when="true", what="; ".join(chosen)))
    expect(unnoticed(case.run()), status="completed_with_errors", created=245, failed=5)
    for sqlstate, refused in zip(REFUSALS, case.rejected(), strict=True):
        assert (refused["invoice_number"], refused["reason"]) == (numbers[sqlstate], f"sqlstate_{sqlstate}")
        assert json.loads(refused["raw_data"], parse_float=Decimal) == case.books.ledger.item(
            numbers[sqlstate]
        )
    as_admin(case, "drop trigger meddle on economic.invoice")
    assert case.heals()["created"] == 5
    assert case.rejected() == []


@pytest.mark.parametrize(
    ("page_size", "when"), [(250, "new.invoice_number % 2 = 0"), (100, "new.invoice_number % 4 = 0")]
)
@pytest.mark.fault("D15")
def test_many_refused_rows_do_not_cost_the_others(case: Case, page_size: int, when: str) -> None:
    case.runs.page_size(page_size)
    as_admin(case, MEDDLE.format(when=when, what=REFUSALS["23514"]))
    statistics = unnoticed(case.run())
    refused = sum(number % int(when[-5]) == 0 for number in case.books.ledger.items())
    assert (statistics["status"], statistics["reconciled"]) == ("completed_with_errors", False)
    assert (case.stored(), len(case.rejected())) == (250 - refused, refused)
    assert f"{refused} of 250 invoices could not be stored" in case.last_sync()["message"]
    as_admin(case, "drop trigger meddle on economic.invoice")
    assert case.heals()["created"] == refused


@pytest.mark.parametrize("page_size", [250, 20])
@pytest.mark.fault("D15")
def test_table_that_rejects_all_rows_stops_the_sync(case: Case, page_size: int) -> None:
    case.runs.page_size(page_size)
    as_admin(case, MEDDLE.format(when="true", what=REFUSALS["23514"]))
    outcome = case.run()
    assert (outcome.state, outcome.tried(UPSERT)) == ("failed", 1)
    assert "constraint or trigger on economic.invoice" in case.last_sync()["message"]
    assert (case.stored(), case.rejected()) == (0, [])
    as_admin(case, "drop trigger meddle on economic.invoice")
    case.heals()


@pytest.mark.fault("D15")
def test_values_of_a_rejected_row_are_not_shown(
    case: Case,
) -> None:
    as_admin(case, "alter table economic.invoice add constraint odd check (employee_name is null)")
    # The list cannot be had before the invoices are stored, so the last task writes the names.
    case.books.fault("/employees", "status", status=503, at=1)
    outcome = case.run()
    assert (outcome.state, outcome.tried(NAMES)) == ("failed", 1)
    message = case.last_sync()["message"]
    assert "odd" in message
    customers = {item["recipient"]["name"] for item in case.books.ledger.items().values()}
    for told in (message, str(outcome.error), case.witness.log()):
        assert "Failing row" not in told
        assert not [name for name in customers if name in told]
    as_admin(case, "alter table economic.invoice drop constraint odd")
    case.heals()


# -- tables that are not ours any more ----------------------------------------------------------------------------------

CHANGES: dict[str, tuple[str, str, str]] = {
    "column gone": (
        "alter table economic.invoice rename column vat_zone_number to zone",
        "alter table economic.invoice rename column zone to vat_zone_number",
        "column held.vat_zone_number does not exist",
    ),
    "type changed": (
        "alter table economic.staged_invoice alter column layout_number type text",
        "alter table economic.staged_invoice alter column layout_number type bigint using layout_number::bigint",
        "operator does not exist: bigint = text",
    ),
    "table gone": (
        "alter table economic.employee rename to staff",
        "alter table economic.staff rename to employee",
        'relation "economic.employee" does not exist',
    ),
    "a later task's table gone": (
        "alter table economic.invoice_history rename to history",
        "alter table economic.history rename to invoice_history",
        'relation "economic.invoice_history" does not exist',
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.fault("D16")
def test_changed_tables_stop_a_sync_by_name(case: Case, change: str) -> None:
    do, undo, said = CHANGES[change]
    case.synced()
    change_books(case)
    as_admin(case, do)
    outcome = case.run()
    assert outcome.state == "failed"
    assert isinstance(outcome.error, AirflowFailException)
    assert "not the ones this version works with" in str(outcome.error)
    assert said in str(outcome.error)
    as_admin(case, undo)
    case.heals()


@pytest.mark.fault("D16")
def test_a_column_that_somebody_added_does_no_harm(case: Case) -> None:
    as_admin(case, "alter table economic.rejected_invoice add column seen_by text")
    unnoticed(case.run())
    case.heals()


@pytest.mark.fault("D17")
def test_column_added_during_a_run_is_ignored(case: Case) -> None:
    """A prepared statement would fail here: "cached plan must not change result type"."""
    case.books.when(2, lambda: as_admin(case, "alter table economic.sync_run add column remark text"))
    unnoticed(case.run())
    case.heals()


@pytest.mark.fault("D18")
def test_missing_right_stops_a_sync_by_name(own: Cluster, case_on: CaseOn) -> None:
    case = case_on(own.dsn)
    case.reach_database_at(plain_role(own))
    for right, on in (
        ("insert", "invoice"),
        ("update", "sync_lease"),
        ("select", "employee"),
        ("delete", "staged_invoice"),
    ):
        own.execute(f"revoke {right} on economic.{on} from economic_writer")
        outcome = case.run()
        assert (outcome.state, type(outcome.error)) == ("failed", AirflowFailException)
        assert f"may not do what the sync needs: permission denied for table {on}" in str(outcome.error)
        own.execute(f"grant {right} on economic.{on} to economic_writer")
    case.heals()


@pytest.mark.fault("D20")
def test_client_encoding_of_the_role_is_overridden(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    set_for_all(case, "set client_encoding = 'LATIN1'")
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    unnoticed(case.run())
    set_for_all(case, "reset client_encoding")
    monkeypatch.delenv("PGCLIENTENCODING")
    assert case.heals()["unchanged"] == 250


@pytest.mark.fault("D20")
def test_database_without_utf8_is_refused_before_any_request(case: Case) -> None:
    with case.witness.connect() as admin:
        admin.execute("create database ascii_only encoding 'SQL_ASCII' locale 'C' template template0")
        try:
            case.reach_database_at(psycopg.conninfo.make_conninfo(case.database, dbname="ascii_only"))
            outcome = case.run()
        finally:
            admin.execute("drop database ascii_only with (force)")
    assert (outcome.state, len(outcome.tries)) == ("failed", 1)
    assert "The database's encoding is SQL_ASCII." in str(outcome.error)
    assert case.paths() == []
    case.reach_database_at(case.database)
    case.heals()
