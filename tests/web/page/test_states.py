"""What the page is told: how each agreement stands, and in words why nothing can be shown."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from economic.db import schema
from economic.web.queries import MOST_ROWS, MOST_SYNCS
from tests.conftest import DefineConnection, postgres_connection
from tests.web.page import history
from tests.web.page.servers import Site, free_port

DAG = "api/agreements/economic_invoice_sync"


def test_the_copy_of_a_company_is_told_in_full(site: Site, past: psycopg.Connection) -> None:
    (told,) = site.told("api/agreements")["agreements"]
    assert (told["dag_id"], told["scheduled"], told["may_trigger"]) == ("economic_invoice_sync", True, False)
    standing = told["standing"]
    assert (standing["agreement"], standing["company"], standing["currency"]) == (
        history.AGREEMENT,
        history.COMPANY,
        "DKK",
    )
    assert 11 * 60 < standing["age_seconds"] < 14 * 60
    assert (standing["complete"], standing["reconciled"], standing["booked"]) == (True, True, 22_540)
    assert (standing["rejected"], standing["warning"], standing["missed_due"]) == (0, None, None)
    held = standing["held"]
    assert (held["invoices"], held["not_due"], held["overdue"], held["credit"]) == (22_540, 412, 87, 19)
    assert held["months"][: len(history.MONTHS)] == sorted(map(list, history.MONTHS.items()))
    assert standing["sync"]["running"] is False
    alone = site.told(DAG)["agreement"]
    for one in (told, alone):
        # what moves with the clock
        del one["standing"]["age_seconds"], one["standing"]["sync"]["seconds"]
    assert alone == told


def test_the_latest_fifty_syncs_are_told_with_their_order_and_counts(
    site: Site, past: psycopg.Connection
) -> None:
    for _ in range(20):
        history.add_sync(past)
    syncs = site.told(f"{DAG}/syncs")["syncs"]
    assert len(syncs) == MOST_SYNCS == 50
    assert [sync["sync_id"] for sync in syncs] == sorted((sync["sync_id"] for sync in syncs), reverse=True)
    ranged = next(sync for sync in syncs if sync["range"])
    assert (ranged["trigger"], ranged["range"]) == ("backfill", ["2026-10-01", "2026-10-31"])
    forced = next(sync for sync in syncs if sync["forced"])
    assert (forced["trigger"], forced["counts"]["fetched"]) == ("manual", 22_540)
    assert set(forced["phases"]) == {"fetch", "upsert", "names"}
    failed = next((sync for sync in syncs if sync["status"] == "failed"), None)
    assert failed is None or "503" in failed["message"]


def test_the_past_that_the_pictures_show_does_not_contradict_itself(
    site: Site, connection: psycopg.Connection
) -> None:
    history.add_agreement(connection)
    history.add_past(connection, refused=history.REFUSED)
    history.add_rejection(connection, 19_988, seen=history.REFUSED, healed=True)
    syncs = site.told(f"{DAG}/syncs")["syncs"]
    refusing = [sync for sync in syncs if sync["counts"]["rejected"]]
    assert {sync["status"] for sync in refusing} == {"completed_with_errors"}
    (item,) = site.told(f"{DAG}/rejections")["rejections"]
    assert item["seen"] == sum(sync["counts"]["rejected"] for sync in refusing) == len(refusing)
    for seen, sync in ((item["first_seen"], refusing[-1]), (item["last_seen"], refusing[0])):
        apart = datetime.fromisoformat(seen) - datetime.fromisoformat(sync["finished"])
        assert abs(apart) < timedelta(minutes=1)
    months = dict(site.told(DAG)["agreement"]["standing"]["held"]["months"])
    (ranged,) = [sync for sync in syncs if sync["range"]]
    assert ranged["counts"]["fetched"] == months["2026-10"]
    for sync in syncs:
        counts = sync["counts"]
        if sync["status"] != "failed":
            parts = ("created", "updated", "unchanged", "rejected")
            assert counts["fetched"] == sum(counts[part] for part in parts)


@pytest.mark.parametrize("whose", [{"dag_id": "theirs_of_a_dag"}, {"conn_id": "theirs_by_id"}])
@pytest.mark.parametrize("status", ["completed_with_errors", "failed", "abandoned", "running", "waiting"])
def test_run_of_another_airflow_shows_no_text(
    site: Site, past: psycopg.Connection, whose: dict[str, Any], status: str
) -> None:
    """It writes to the same company's copy; its run ids, connections and messages stay its own."""
    running = status in {"running", "waiting"}
    sync_id = history.add_sync(
        past,
        ended=None if running else timedelta(0),
        run_id="theirs_as_a_run",
        message="theirs in words",
        warning="theirs as a warning",
        status="running" if running else status,
        phase="waiting" if status == "waiting" else "fetch" if running else "ended",
        complete=False,
        **whose,
    )
    if status == "running":
        history.add_lease(past, sync_id)
    first, second = site.told(f"{DAG}/syncs")["syncs"][:2]
    assert (first["sync_id"], first["run_id"], first["message"]) == (sync_id, None, None)
    assert second["run_id"].startswith("scheduled__")
    standing = site.told(DAG)["agreement"]["standing"]
    if status == "running":
        assert (standing["sync"]["sync_id"], standing["sync"]["running"]) == (sync_id, True)
    for path in ("api/agreements", DAG, f"{DAG}/syncs"):
        # The warning belongs to the copy, which is this company's, whichever Airflow synced it last.
        assert "theirs" not in site.page(path).text.replace("theirs as a warning", "")


def test_another_companys_sync_is_not_shown_for_an_equal_connection_id(
    site: Site, past: psycopg.Connection
) -> None:
    """Two Airflows on one database may give two companies the same connection id."""
    history.add_agreement(past, 99, conn_id="economic_aside", company="Somebody else")
    theirs = history.add_sync(past, 99, ended=None, percentage=70, message="Fetched 7 of 10 invoices")
    history.add_lease(past, theirs, 99)
    history.add_sync(past, 99, ended=None, phase="waiting", message="Waiting")
    sync = site.told(DAG)["agreement"]["standing"]["sync"]
    assert (sync["running"], sync["waiting"]) == (False, 0)
    assert theirs not in {sync["sync_id"] for sync in site.told(f"{DAG}/syncs")["syncs"]}


def test_waiting_syncs_are_counted_beside_the_one_at_work(site: Site, past: psycopg.Connection) -> None:
    at_work = history.add_sync(past, ended=None, percentage=44.4)
    history.add_lease(past, at_work)
    for number in (history.AGREEMENT, None, None):
        history.add_sync(past, number, ended=None, phase="waiting", run_type="backfill")
    sync = site.told(DAG)["agreement"]["standing"]["sync"]
    assert (sync["sync_id"], sync["phase"], sync["waiting"]) == (at_work, "fetch", 3)
    listed = site.told(f"{DAG}/syncs")["syncs"][:4]
    assert [sync["phase"] for sync in listed] == ["waiting"] * 3 + ["fetch"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("e-conomic answered 401 to GET /self (E02250).", "economic_default"),
        ("e-conomic answered 403 to GET /self.", "economic_default"),
        ("The connection economic_default has no host.", "economic_default"),
        ("e-conomic answered 503 to GET /invoices/booked (logId 4f1c401a9e).", None),
    ],
)
def test_failure_of_the_connection_names_the_one_to_open(
    site: Site, past: psycopg.Connection, message: str, expected: str | None
) -> None:
    history.add_sync(past, ended=timedelta(0), status="failed", complete=False, held=None, message=message)
    assert site.told(DAG)["agreement"]["standing"]["outcome"]["connection"] == expected


def test_refused_invoices_are_told_without_their_raw_text_the_open_ones_first(
    site: Site, past: psycopg.Connection
) -> None:
    history.add_rejection(past, 7, healed=True)
    history.add_rejection(past, None, field="bookedInvoiceNumber", reason="missing")
    history.add_rejection(past, 9, reason="sqlstate_23514", field="(item)")
    answer = site.page(f"{DAG}/rejections")
    told = answer.json()["rejections"]
    assert [item["resolved"] is None for item in told] == [True, True, False]
    assert {item["reason"] for item in told} == {"not a date", "missing", "rejected by the database (23514)"}
    assert "raw item" not in answer.text
    assert site.told(DAG)["agreement"]["standing"]["rejected"] == 2


def test_left_out_fields_are_listed_after_rejected_items(site: Site, past: psycopg.Connection) -> None:
    history.add_left_out(past, 5)
    history.add_left_out(past, 6)
    history.add_rejection(past, 7)
    told = site.told(f"{DAG}/rejections")["rejections"]
    assert [(item["invoice"], item["degraded"], item["seen"]) for item in told] == [
        (7, False, 1),
        (6, True, None),
        (5, True, None),
    ]
    assert told[1]["message"] == "recipient.zip is not a text: 8000."
    standing = site.told(DAG)["agreement"]["standing"]
    assert (standing["rejected"], standing["degraded"]) == (1, 2)


def test_the_invoices_themselves_are_never_read(site: Site, past: psycopg.Connection, database: str) -> None:
    with psycopg.connect(database) as locking:
        for table in ("invoice", "invoice_history", "staged_invoice"):
            locking.execute(f"lock table economic.{table} in access exclusive mode".encode())
        for path in ("api/agreements", DAG, f"{DAG}/syncs", f"{DAG}/rejections"):
            assert site.page(path).status_code == 200, path


def test_no_answer_has_more_than_200_rows(site: Site, past: psycopg.Connection) -> None:
    for invoice in range(1, MOST_ROWS + 20):
        history.add_rejection(past, invoice)
    assert len(site.told(f"{DAG}/rejections")["rejections"]) == MOST_ROWS == 200


def test_amounts_are_told_only_when_the_setting_says_so(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add_rejection(past, 7, reason="sqlstate_23514", message="new row has 1830422.75")
    paths = ("api/agreements", DAG, f"{DAG}/syncs", f"{DAG}/rejections")
    silent = "".join(site.page(path).text for path in paths)
    amounts = ("204949866.44", "204,949,866.44", "1830422.75", "301944.50")
    assert not [amount for amount in amounts if amount in silent]

    monkeypatch.setenv("ECONOMIC_PAGE_AMOUNTS", "true")
    held = site.told(DAG)["agreement"]["standing"]["held"]
    assert (held["net"], held["unpaid"], held["overdue_unpaid"]) == (
        "204949866.44",
        "1830422.75",
        "301944.50",
    )
    assert site.told(DAG)["agreement"]["standing"]["booked_net"] == "204949866.44"
    assert "1830422.75" in site.told(f"{DAG}/rejections")["rejections"][0]["message"]


def test_a_running_sync_is_told_as_it_goes_and_stalls_when_its_lease_has_run_out(
    site: Site, past: psycopg.Connection
) -> None:
    sync_id = history.add_sync(
        past, ended=None, seconds=30, percentage=44.4, current=20_000, total=22_540, message="Fetched 20,000"
    )
    history.add_lease(past, sync_id)
    sync = site.told(DAG)["agreement"]["standing"]["sync"]
    assert (sync["running"], sync["stalled"], sync["phase"]) == (True, False, "fetch")
    assert (sync["percentage"], sync["current"], sync["total"]) == (44.4, 20_000, 22_540)
    assert 29 < sync["seconds"] < 60
    history.add_lease(past, sync_id, expires=timedelta(seconds=-1))
    assert site.told(DAG)["agreement"]["standing"]["sync"]["stalled"] is True


def test_the_sync_at_work_is_shown_not_the_one_that_was_skipped_or_waits_because_of_it(
    site: Site, past: psycopg.Connection
) -> None:
    at_work = history.add_sync(past, ended=None, seconds=30, percentage=44.4)
    history.add_lease(past, at_work)
    history.add_sync(past, ended=timedelta(0), status="skipped", complete=False, held=None, statistics={})
    history.add_sync(past, ended=None, phase="waiting", statistics={})
    history.add_sync(past, None, ended=None, phase="waiting", statistics={})
    standing = site.told(DAG)["agreement"]["standing"]
    assert (standing["sync"]["sync_id"], standing["sync"]["running"]) == (at_work, True)
    assert standing["outcome"]["status"] == "completed"


def test_a_sync_whose_process_died_long_ago_does_not_hide_the_ones_after_it(
    site: Site, past: psycopg.Connection
) -> None:
    dead = history.add_sync(past, ended=None, seconds=4000)
    past.execute(
        "update economic.sync_run set updated_at = now() - interval '1 hour' where sync_id = %s", (dead,)
    )
    assert site.told(DAG)["agreement"]["standing"]["sync"]["stalled"] is True
    newer = history.add_sync(past)
    sync = site.told(DAG)["agreement"]["standing"]["sync"]
    assert (sync["sync_id"], sync["running"], sync["stalled"]) == (newer, False, False)


def test_refused_tokens_are_told_although_that_sync_never_knew_its_agreement(
    site: Site, past: psycopg.Connection
) -> None:
    history.add_sync(
        past,
        None,
        ended=timedelta(minutes=1),
        status="failed",
        held=None,
        complete=False,
        message="e-conomic answered 401",
    )
    history.add_sync(past, ended=timedelta(0), status="skipped", complete=False, held=None, statistics={})
    standing = site.told(DAG)["agreement"]["standing"]
    assert (standing["outcome"]["status"], standing["outcome"]["message"]) == (
        "failed",
        "e-conomic answered 401",
    )
    assert site.told(f"{DAG}/syncs")["syncs"][1]["message"] == "e-conomic answered 401"


def test_a_first_sync_that_failed_is_told_before_any_agreement_is_known(
    site: Site, connection: psycopg.Connection
) -> None:
    history.add_sync(
        connection,
        None,
        status="failed",
        held=None,
        complete=False,
        message="e-conomic answered 401",
        statistics={},
    )
    standing = site.told(DAG)["agreement"]["standing"]
    assert (standing["agreement"], standing["last_synced"], standing["held"]) == (None, None, None)
    assert standing["outcome"]["message"] == "e-conomic answered 401"
    assert len(site.told(f"{DAG}/syncs")["syncs"]) == 1
    assert site.told(f"{DAG}/rejections")["rejections"] == []


def test_a_due_sync_that_did_not_come_is_told(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_SYNC_SCHEDULE", "*/10 * * * *")
    assert site.told(DAG)["agreement"]["standing"]["missed_due"] is None
    past.execute("update economic.sync_run set started_at = started_at - interval '3 hours'")
    assert site.told(DAG)["agreement"]["standing"]["missed_due"] is not None
    running = history.add_sync(past, ended=None, seconds=60)
    history.add_lease(past, running)
    assert site.told(DAG)["agreement"]["standing"]["missed_due"] is None
    monkeypatch.setenv("AUTO_SYNC_ENABLED", "false")
    past.execute("delete from economic.sync_lease")
    past.execute("delete from economic.sync_run where status = 'running'")
    told = site.told(DAG)["agreement"]
    assert (told["scheduled"], told["standing"]["missed_due"]) == (False, None)


def test_a_company_never_synced_is_told_so(site: Site, connection: psycopg.Connection) -> None:
    standing = site.told(DAG)["agreement"]["standing"]
    assert (standing["agreement"], standing["last_synced"], standing["sync"], standing["outcome"]) == (
        None,
    ) * 4
    assert site.told(f"{DAG}/syncs") == {"syncs": []}


def test_two_hundred_and_more_companies_come_in_answers_of_200(
    site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_AGREEMENTS", json.dumps([{"name": f"c{place}"} for place in range(250)]))
    first = site.told("api/agreements")
    assert len(first["agreements"]) == 200
    second = site.told(f"api/agreements?after={first['next']}")
    assert (len(second["agreements"]), second["next"]) == (51, None)
    assert len({told["dag_id"] for told in first["agreements"] + second["agreements"]}) == 251
    assert site.page("api/agreements?after=nothing").status_code == 404


# -- why nothing can be shown -----------------------------------------------------------------------------------------


def problem(site: Site, status: int) -> str:
    """The code of the problem that every route tells, without a word that is not the page's own."""
    codes = set()
    for path in ("api/agreements", DAG, f"{DAG}/syncs", f"{DAG}/rejections"):
        answer = site.page(path)
        assert answer.status_code == status, answer.text
        told = answer.json()["problem"]
        assert told["text"]
        assert told["todo"]
        for word in ("127.0.0.1", "password", "psycopg", "Traceback", "select", "relation", "postgres."):
            assert word not in answer.text.replace("login and password", "")
        codes.add(told["code"])
    assert site.page().status_code == 200
    (agreement,) = site.page("api/agreements").json()["agreements"]
    assert "standing" not in agreement
    (code,) = codes
    return str(code)


@pytest.fixture
def on(define_connection: DefineConnection) -> Callable[..., None]:
    """Puts the page on another database."""

    def put(dsn: str, **fields: object) -> None:
        define_connection("economic_postgres", **(postgres_connection(dsn) | fields))

    return put


def test_an_empty_database_is_told_to_wait_for_the_first_sync(
    site: Site, empty_database: str, on: Callable[..., None]
) -> None:
    on(empty_database)
    assert problem(site, 200) == "no_tables"


def test_tables_of_another_version_are_told_with_the_side_to_upgrade(
    site: Site, connection: psycopg.Connection
) -> None:
    newest = schema.newest()
    connection.execute("update economic.schema_version set version = 0 where version = %s", (newest,))
    assert problem(site, 503) == "old_tables"
    connection.execute(
        "insert into economic.schema_version (version, name) values (%s, 'later')", (newest + 1,)
    )
    assert problem(site, 503) == "new_tables"


def test_a_missing_table_is_told(
    site: Site, connection: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute("alter table economic.sync_run rename to gone")
    connection.execute("drop view economic.sync_status cascade")
    connection.execute("alter table economic.rejected_invoice rename to gone_too")
    connection.execute("alter table economic.agreement rename to gone_as_well")
    assert problem(site, 503) == "other_tables"
    assert "cannot read the invoice database: other_tables (UndefinedTable, 42P01)." in caplog.text


def test_a_missing_right_is_told(
    site: Site, database: str, connection: psycopg.Connection, on: Callable[..., None]
) -> None:
    connection.execute("create role stranger login password 'of-a-stranger'")
    try:
        on(database, login="stranger", password="of-a-stranger")
        assert problem(site, 503) == "no_right"
    finally:
        connection.execute("drop role stranger")


def test_a_refused_login_is_told(site: Site, database: str, on: Callable[..., None]) -> None:
    on(database, schema="no_such_database")
    assert problem(site, 503) == "no_connection"


def test_an_undefined_connection_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_ECONOMIC_POSTGRES")
    assert problem(site, 503) == "no_connection"


@pytest.mark.fault("W15")
def test_a_database_that_is_down_is_told_and_nothing_of_how_it_is_reached(
    site: Site, database: str, on: Callable[..., None]
) -> None:
    on(database, port=free_port())
    assert problem(site, 503) == "unreachable"


def test_an_unusable_setting_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECONOMIC_PAGE_SIZE", "<many>")
    answer = site.page("api/agreements")
    assert (answer.status_code, answer.json()["problem"]["code"]) == (503, "bad_setting")
    assert "many" not in answer.text


def test_a_statement_that_waits_too_long_is_ended_by_the_database_and_told(
    site: Site, past: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from economic.db import sql

    monkeypatch.setattr(sql, "READING_TIMEOUT", "300ms")
    with psycopg.connect(database) as locking:
        locking.execute("lock table economic.sync_run in access exclusive mode")
        answer = site.page(DAG)
    assert (answer.status_code, answer.json()["problem"]["code"]) == (503, "too_slow")
    assert answer.elapsed < timedelta(seconds=3)


@pytest.fixture
def frozen(database: str) -> Iterator[int]:
    """The port of a database that takes the connection, answers the first words, and then is silent for ever."""
    target = psycopg.conninfo.conninfo_to_dict(database)
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def pass_on(source: socket.socket, to: socket.socket) -> None:
        while not ended.is_set() and (data := source.recv(65_536)):
            if b"set_config" in data:
                ended.wait()
                return
            to.sendall(data)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", int(str(target["port"]))))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    ended.set()
    listener.close()


def test_a_database_that_has_frozen_is_cut_off_and_told(
    site: Site, database: str, frozen: int, on: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from economic.web import queries

    monkeypatch.setattr(queries, "READ_SECONDS", 1)
    on(database, port=frozen)
    answer = site.page(DAG)
    assert (answer.status_code, answer.json()["problem"]["code"]) == (503, "unreachable")
    assert answer.elapsed < timedelta(seconds=6)


def test_people_are_told_of_an_unusable_setting_in_words_and_programs_in_json(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECONOMIC_PAGE_SIZE", "<many>")
    page = site.page(headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "<p>A setting of the sync is not usable where Airflow&#x27;s API server runs.</p>" in page.text
    assert "<p>Airflow&#x27;s list of import errors names it; correct it" in page.text
    assert "many" not in page.text
    assert site.page().json()["problem"]["code"] == "bad_setting"
