"""Whole syncs: every invoice exactly once, exactly right, and counted truthfully."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

import simulator
from economic.db import invoices
from economic.db.sql import run, statement
from economic.errors import (
    AgreementMismatch,
    FatalError,
    LeaseBusy,
    LeaseLost,
    ServerFault,
)
from economic.records import invoice
from economic.sync import employee_names, fetch, lifecycle
from tests.conftest import DefineConnection, expect
from tests.integration.conftest import Company
from tests.support.expected_rows import expected_row

API = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def agrees_with_the_books(company: Company) -> None:
    """Every column of every row, compared with the simulator's own ledger."""
    books = company.books.ledger
    columns = list(expected_row(next(iter(books.items().values())), {}))
    held = company.rows("select * from economic.invoice order by invoice_number")
    rows = [{column: row[column] for column in columns} for row in held]
    employees = books.employees()
    assert rows == [expected_row(item, employees) for _, item in sorted(books.items().items())]


def counts(statistics: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(statistics[name] for name in names)


def test_a_first_sync_stores_every_invoice_exactly(company: Company) -> None:
    statistics = company.sync()
    agrees_with_the_books(company)
    expect(statistics, status="completed", complete=True, reconciled=True, scope="full")
    assert counts(statistics, "fetched", "created", "updated", "unchanged", "failed") == (250, 250, 0, 0, 0)
    assert counts(statistics, "pages", "employees", "retries") == (3, 6, 0)
    raw = company.value("select raw_data from economic.invoice order by invoice_number limit 1")
    first = min(company.books.ledger.items())
    assert raw == json.loads(company.books.ledger.healthy(first))


def test_statistics_are_documented_and_flat(company: Company) -> None:
    """docs/api.md names every key, and XCom and JSON take every value as it is."""
    statistics = company.sync()
    section = API.read_text().split("\n## Statistics\n")[1].split("\n## ")[0]
    named = {key for row in re.findall(r"(?m)^\| (`.*?) \|", section) for key in re.findall("`(.+?)`", row)}
    assert named == set(statistics)
    assert all(type(value) in {int, float, bool, str, list} for value in statistics.values())
    seconds = [value for name, value in statistics.items() if name.endswith("_seconds")]
    assert seconds == [round(value, 3) for value in seconds]


def test_only_what_changed_is_written_and_counted(company: Company) -> None:
    company.sync()
    before = company.xmins()
    paid = next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 0)
    company.books.pay(paid)
    (booked,) = company.books.book()
    statistics = company.sync()
    assert counts(statistics, "created", "updated", "unchanged") == (1, 1, 249)
    after = company.xmins()
    assert {n for n in after if after[n] != before.get(n)} == {paid, booked}
    agrees_with_the_books(company)


def test_raw_item_or_name_alone_makes_no_history(company: Company) -> None:
    company.sync()
    number = min(company.books.ledger.items())
    changed_at = company.value(
        "select last_changed_at from economic.invoice where invoice_number = %s", number
    )
    company.books.spoil(number, "brandNewField", value="x")
    statistics = company.sync()
    assert counts(statistics, "updated", "unchanged", "raw_changed") == (0, 250, 1)
    row = company.rows(
        "select raw_data, last_changed_at from economic.invoice where invoice_number = %s", number
    )[0]
    assert row["raw_data"]["brandNewField"] == "x"
    assert row["last_changed_at"] == changed_at
    company.books.control("rename_employee", number=1, name="Ny Navnesen")
    company.sync(force=True)
    assert company.value("select count(*) from economic.invoice_history") == 0


def tamper(company: Company, number: int, *, quietly: bool) -> None:
    """Change an invoice by hand; quietly: in a way that no trigger sees."""
    if quietly:
        company.connection.execute("set session_replication_role = replica")
    company.connection.execute(
        "update economic.invoice set subject = 'by hand', gross_amount = 1 where invoice_number = %s",
        (number,),
    )
    company.connection.execute("reset session_replication_role")


def test_amounts_show_cents_and_lose_nothing(company: Company) -> None:
    """However e-conomic spells them; a sum of them shows cents too."""
    first, second, third = sorted(company.books.ledger.items())[:3]
    for number, spelled in ((first, "70"), (second, "25.00000000"), (third, "12.345600")):
        company.books.spoil(number, "vatAmount", raw=spelled)
    company.sync()
    shown = company.rows(
        "select vat_amount::text as vat, net_amount::text as net from economic.invoice_overview "
        "order by invoice_number limit 3"
    )
    assert [row["vat"] for row in shown] == ["70.00", "25.00", "12.3456"]
    amounts = company.value(
        "select string_agg(t, ' ') from (select unnest(array[remainder, not_due, credit])::text as t from economic.receivables_aging) as shown"
    )
    assert all(re.fullmatch(r"-?\d+\.\d\d", amount) for amount in amounts.split())


def test_change_by_hand_is_undone_by_a_sync(company: Company) -> None:
    company.sync()
    number = sorted(company.books.ledger.items())[40]
    tamper(company, number, quietly=False)
    assert counts(company.sync(), "updated", "unchanged") == (1, 249)
    agrees_with_the_books(company)
    before = company.xmins()
    assert company.sync()["unchanged"] == 250
    assert company.xmins() == before


def test_unchanged_item_is_recognised_and_not_parsed(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.sync()
    number = sorted(company.books.ledger.items())[40]
    tamper(company, number, quietly=True)
    assert counts(company.sync(), "updated", "unchanged") == (0, 250)
    assert (
        company.value("select subject from economic.invoice where invoice_number = %s", number) == "by hand"
    )
    # force reads everything,
    assert counts(company.sync(force=True), "updated", "unchanged") == (1, 249)
    agrees_with_the_books(company)
    # and so does another version of the package, which might read the same text otherwise.
    tamper(company, number, quietly=True)
    monkeypatch.setattr(invoice, "READING", b"next")
    assert counts(company.sync(), "updated", "unchanged") == (1, 249)
    agrees_with_the_books(company)
    # It does so once: only an invoice that is known again, and so not read, hides this.
    tamper(company, number, quietly=True)
    assert counts(company.sync(), "updated", "unchanged") == (0, 250)


def test_invoice_that_turns_bad_keeps_its_row(company: Company) -> None:
    """Ends its rejection when the item is the old one again."""
    company.sync()
    number = sorted(company.books.ledger.items())[40]
    company.books.spoil(number, "date", value="2026-02-30")
    assert company.sync()["failed"] == 1
    agrees_with_the_books(company)
    company.books.heal(number)
    before = company.xmins()
    assert counts(company.sync(), "failed", "unchanged", "reconciled") == (0, 250, True)
    assert company.value("select count(*) from economic.rejected_invoice where resolved_at is null") == 0
    assert company.xmins() == before


def test_requests_are_few_and_of_the_kind_promised(company: Company) -> None:
    company.sync()
    paths = [entry["path"] for entry in company.books.requests()]
    assert paths == ["/self", *["/invoices/booked"] * 4, "/invoices/totals", "/employees"]


# -- one bad invoice never stops the others -----------------------------------------------------------------------------


def test_many_open_rejections_resolve_within_seconds(company: Company) -> None:
    company.sync()
    company.connection.execute(
        """
        insert into economic.rejected_invoice (
            agreement_number, item_key, invoice_number, field, reason, message, raw_data, last_sync_id
        )
        select 1234567, 'invoice:' || n, n, 'date', 'not_a_date', 'x', '{}', 1 from generate_series(1, 2000) as n
        """
    )
    company.connection.execute(
        """
        insert into economic.staged_invoice (sync_id, page, position, invoice_number)
        select 2, 1, n, 1001 + n from generate_series(0, 99999) as n
        """
    )
    with company.connection.transaction():
        company.connection.execute("set local statement_timeout = '4s'")
        assert invoices.resolve_stored(company.connection, 1234567, 2, 1, 1, rejected=[1500]) == 999
    still_open = company.rows(
        "select invoice_number from economic.rejected_invoice where resolved_at is null"
    )
    assert {row["invoice_number"] for row in still_open} == {*range(1, 1001), 1500}


def test_many_bad_invoices_mark_nothing_missing(company: Company) -> None:
    company.sync()
    numbers = sorted(company.books.ledger.items())
    for number in numbers[::4]:
        company.books.spoil(number, "date", value=5)
    company.books.ledger.book()
    gone = numbers[1]
    company.books.control("remove", number=gone)
    statistics = company.sync()
    expect(
        statistics,
        status="completed_with_errors",
        created=1,
        unchanged=250 - 63 - 1,
        failed=63,
        missing=0,
        reconciled=False,
    )
    assert company.value("select count(*) from economic.invoice") == 251
    warning = "63 of 250 invoices could not be stored: none was marked missing"
    assert company.value("select warning from economic.sync_run order by sync_id desc limit 1") == warning
    for number in numbers[::4]:
        company.books.heal(number)
    assert counts(company.sync(), "unchanged", "failed", "missing", "reconciled") == (250, 0, 1, True)


# -- a field that does not fit never costs its invoice ------------------------------------------------------------------


def test_degraded_invoice_keeps_its_report_when_rejected(company: Company) -> None:
    number = min(company.books.ledger.items())
    company.books.spoil(number, "recipient.zip", raw="8000")
    assert counts(company.sync(), "failed", "degraded") == (0, 1)
    company.books.spoil(number, "date", raw='"today"')
    assert counts(company.sync(), "failed", "degraded", "missing") == (1, 0, 0)
    reports = "select field from economic.degraded_field where resolved_at is null"
    assert [row["field"] for row in company.rows(reports)] == ["recipient.zip"]
    assert company.value("select recipient_zip is null from economic.invoice order by invoice_number limit 1")


def test_degraded_invoices_are_counted_once_after_a_rescan(company: Company) -> None:
    company.books.spoil(min(company.books.ledger.items()), "recipient.zip", raw="8000")
    company.books.when(2, {"action": "book", "number": 9000})
    assert counts(company.sync(), "discarded", "degraded") == (250, 1)


# -- completeness -------------------------------------------------------------------------------------------------------


def test_a_range_reads_only_its_days(company: Company) -> None:
    items = company.books.ledger.items().values()
    days = sorted(item["date"] for item in items)
    first, last = days[100], days[149]
    inside = sum(first <= item["date"] <= last for item in items)
    statistics = company.sync(date_from=date.fromisoformat(first), date_to=date.fromisoformat(last))
    assert counts(statistics, "scope", "created", "complete", "reconciled") == ("range", inside, True, None)


# -- names --------------------------------------------------------------------------------------------------------------


def test_invoices_are_stored_with_their_names(company: Company) -> None:
    """Writes no row a second time for its name, whether the list is new, or an hour old."""
    attempt = company.fetch(company.order())
    company.store(attempt.run.sync_id)
    stored = company.xmins()
    agrees_with_the_books(company)
    statistics = company.name(attempt.run.sync_id)
    assert company.xmins() == stored
    assert statistics["invoices_named"] == company.value("select count(employee_name) from economic.invoice")
    assert statistics["invoices_named"] > 60

    company.books.control("add_employee", number=50, name="Ny Sælger")
    company.books.book(3, sales_person=50)
    company.connection.execute("update economic.employee set fetched_at = fetched_at - interval '61 minutes'")
    attempt = company.fetch(company.order())
    company.store(attempt.run.sync_id)
    agrees_with_the_books(company)
    stored = company.xmins()
    assert company.name(attempt.run.sync_id)["invoices_named"] == 3
    assert company.xmins() == stored


def test_names_that_came_late_are_written_in_stretches(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Avoids a transaction over all invoices, which could outlast the statement limit."""
    monkeypatch.setattr(employee_names, "STRETCH", 20)
    company.books.fault("/employees", "status", status=503, at=1)
    attempt = company.fetch(company.order())
    company.store(attempt.run.sync_id)
    assert company.value("select count(employee_name) from economic.invoice") == 0
    statistics = company.name(attempt.run.sync_id)
    assert statistics["status"] == "completed"
    assert [entry["path"] for entry in company.books.requests()].count("/employees") == 2
    agrees_with_the_books(company)
    stretches = company.rows(
        "select count(*) as rows from economic.invoice where employee_name is not null"
        " group by xmin::text order by min(invoice_number)"
    )
    assert statistics["invoices_named"] == sum(stretch["rows"] for stretch in stretches)
    assert {stretch["rows"] for stretch in stretches[:-1]} == {20}
    assert len(stretches) > 3


def test_payment_keeps_the_name_of_a_removed_employee(company: Company) -> None:
    company.sync()
    (invoice,) = company.rows(
        "select invoice_number, employee_number, employee_name from economic.invoice"
        " where employee_name is not null order by invoice_number limit 1"
    )
    company.books.control("remove_employee", number=invoice["employee_number"])
    company.books.unpay(invoice["invoice_number"], "1.00")
    company.books.reset()
    assert counts(company.sync(force=True), "updated", "invoices_named") == (1, 0)
    assert [entry["path"] for entry in company.books.requests()].count("/employees") == 1  # by force
    name = company.value(
        "select employee_name from economic.invoice where invoice_number = %s", invoice["invoice_number"]
    )
    assert name == invoice["employee_name"]


# -- attempts, rivals, ends ---------------------------------------------------------------------------------------------


def test_scan_restarts_when_staging_was_lost(company: Company) -> None:
    order = company.order()
    company.books.fault("/invoices/booked", "status", at=3, times=2, status=500)
    with pytest.raises(ServerFault):
        company.fetch(order)
    company.connection.execute("truncate economic.staged_invoice")
    attempt = company.fetch(order)
    company.store(attempt.run.sync_id)
    statistics = company.name(attempt.run.sync_id)
    assert counts(statistics, "created", "discarded", "fetched") == (250, 200, 450)
    agrees_with_the_books(company)


def test_orphaned_staging_is_deleted_by_key(company: Company) -> None:
    ended = """insert into economic.sync_run (dag_id, run_id, run_type, conn_id, scope, force, status, finished_at)
        select 'd', 'r', 'manual', 'c', 'full', false, 'failed', now() from generate_series(1, %s) returning sync_id"""
    orphans = [row["sync_id"] for row in company.rows(ended, 2)]
    at_work = company.fetch(company.order()).run.sync_id
    orphans += [row["sync_id"] for row in company.rows(ended, 1)]
    company.rows(ended, 20_000)
    left = """insert into economic.staged_invoice (sync_id, page, position, invoice_number, raw_data)
        select sync_id, page, 1, 1, '{}' from unnest(%s::bigint[]) as sync_id, generate_series(1, 3) as page"""
    company.connection.execute(left, (orphans,))
    company.connection.execute("analyze economic.sync_run")
    plan = company.connection.execute(b"explain " + statement("delete_orphaned_staged_invoices")).fetchall()
    assert "using sync_run_pkey on sync_run" in str(plan)
    assert "Scan on sync_run" not in str(plan)
    run(company.connection, "delete_orphaned_staged_invoices")
    assert company.rows("select distinct sync_id from economic.staged_invoice") == [{"sync_id": at_work}]
    company.store(at_work)
    run(company.connection, "delete_orphaned_staged_invoices")
    assert company.name(at_work)["created"] > 0


def test_staging_lost_before_it_was_stored_is_noticed(company: Company) -> None:
    attempt = company.fetch(company.order())
    company.connection.execute("delete from economic.staged_invoice where page = 2")
    with pytest.raises(FatalError, match="not whole"):
        company.store(attempt.run.sync_id)
    assert company.value("select count(*) from economic.invoice") == 0


def test_aborted_transaction_is_logged_without_its_rows(
    company: Company, database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL adds the context of what it broke off, which may quote the row."""
    monkeypatch.setattr("economic.db.sql.LOCK_TIMEOUT", "200ms")

    def messages() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "economic.db.retry"]

    def release(other: psycopg.Connection) -> None:
        deadline = time.monotonic() + 20
        while not messages() and time.monotonic() < deadline:
            time.sleep(0.02)
        other.rollback()

    with psycopg.connect(database) as other:
        other.execute(
            "insert into economic.staged_invoice (sync_id, page, position, invoice_number, same) values (1, 2, 5, 1, true)"
        )
        releasing = threading.Thread(target=release, args=(other,))
        releasing.start()
        attempt = company.fetch(company.order())
        releasing.join()
    assert attempt.run.sync_id == 1
    assert company.fetched["fetched"] == 250
    assert messages()[0] == (
        "PostgreSQL broke a transaction off (55P03: canceling statement due to lock timeout). Doing it again (1 of 3)."
    )


def test_a_second_sync_is_busy_while_one_runs(company: Company) -> None:
    running = company.fetch(company.order())
    company.books.reset()
    with pytest.raises(LeaseBusy, match=f"Sync {running.run.sync_id} "):
        company.fetch(company.order())
    assert company.books.requests() == []


def test_a_connection_that_reaches_another_company_writes_nothing(company: Company) -> None:
    company.sync()
    before = company.xmins()
    company.books.control("agreement", number=7654321, company="En Anden A/S")
    with pytest.raises(AgreementMismatch, match="reaches another company") as caught:
        company.sync()
    assert "7654321 (En Anden A/S)" in caught.value.log_text
    assert "7654321" not in str(caught.value)
    assert "En Anden" not in str(caught.value)
    assert company.xmins() == before
    assert company.value("select count(*) from economic.agreement") == 1


def test_second_connection_to_one_agreement_is_refused(
    company: Company, define_connection: DefineConnection
) -> None:
    """A token that was copied into the wrong connection must not take the company away from the right one."""
    company.sync()
    tokens = {
        "app_secret_token": company.books.app_secret_token,
        "agreement_grant_token": company.books.agreement_grant_token,
    }
    define_connection("economic_south", conn_type="economic", host=company.books.base_url, extra=tokens)
    with pytest.raises(AgreementMismatch, match="belong to another connection") as caught:
        replace(company, conn_id="economic_south").sync(dag_id="south")
    assert "belongs to the connection economic_default" in caught.value.log_text
    assert "economic_default" not in str(caught.value)
    assert company.rows("select conn_id from economic.agreement") == [{"conn_id": "economic_default"}]
    assert company.sync()["unchanged"] == 250


def test_displaced_forced_sync_does_not_force_again(company: Company) -> None:
    """Airflow tries it again, with the same conf."""
    first, second = company.order(force=True), company.order(force=True)
    company.fetch(first)
    newer = company.fetch(second)
    with pytest.raises(LeaseBusy):
        company.fetch(first)
    company.store(newer.run.sync_id)
    with pytest.raises(LeaseBusy):
        company.fetch(first)


def test_forced_run_forces_again_when_cleared(company: Company) -> None:
    first, second = company.order(force=True), company.order(force=True)
    company.fetch(first)
    newer = company.fetch(second)
    cleared = company.fetch(replace(first, clear_number=1))
    company.store(cleared.run.sync_id)
    with pytest.raises(LeaseLost, match="superseded"):
        company.store(newer.run.sync_id)


def test_progress_is_there_with_each_page(company: Company) -> None:
    """Shows each committed step to another connection, as the page and the terminal do."""
    seen = []
    with psycopg.connect(company.connection.info.dsn, password=company.connection.info.password) as watcher:
        watcher.autocommit = True

        def look() -> None:
            row = watcher.execute(
                "select phase, current, total, percentage::float8, message from economic.sync_run"
            ).fetchone()
            seen.append(row)

        order = company.order()
        with company.hook() as hook:
            attempt = lifecycle.begin(hook, company.connection, order)
            asked = hook.invoices_above

            def watched(*arguments: Any, **options: Any) -> Any:
                look()
                return asked(*arguments, **options)

            hook.invoices_above = watched  # type: ignore[method-assign]
            fetch.fetch_pages(attempt, 100, 3600)
        company.store(attempt.run.sync_id)
        look()
        company.name(attempt.run.sync_id)
        look()
    assert seen == [
        ("fetch", 0, None, 0.0, "Starting"),
        ("fetch", 100, 250, 20.0, "Fetched 100 of 250 invoices (page 1)"),
        ("fetch", 200, 250, 40.0, "Fetched 200 of 250 invoices (page 2)"),
        ("upsert", 250, 250, 99.9, "Stored 250 of 250 invoices (page 3 of 3)"),
        ("ended", 250, 250, 100.0, "Synced 250 invoices"),
    ]


def test_two_agreements_share_the_tables_and_nothing_else(
    company: Company, define_connection: Any, connection: psycopg.Connection
) -> None:
    company.sync()
    with simulator.running(invoices=40, seed=9, agreement=42, company="Nr. 2") as second:
        extra = {
            "app_secret_token": second.app_secret_token,
            "agreement_grant_token": second.agreement_grant_token,
        }
        define_connection("economic_second", conn_type="economic", host=second.base_url, extra=extra)
        other = Company(second, connection, "economic_second", runs=100)
        assert other.sync()["created"] == 40
    assert company.sync()["unchanged"] == 250
    held = company.rows("select agreement_number, count(*) as n from economic.invoice group by 1 order by 1")
    assert held == [{"agreement_number": 42, "n": 40}, {"agreement_number": 1234567, "n": 250}]
