"""What the page's routes tell of invoice lines, and what it costs where they are off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from economic.errors import SyncSkipped
from simulator import InProcess
from tests.integration.conftest import Company
from tests.integration.test_lines import read_lines
from tests.web.page import history
from tests.web.page.servers import Site
from tests.web.page.test_states import DAG, PATHS, part, standing


@pytest.fixture
def lined(past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection:
    """A connection to the database of a company whose lines are switched on."""
    monkeypatch.setenv("ECONOMIC_LINES", "true")
    return past


def lines(site: Site) -> Any:
    return standing(site)["lines"]


def test_lines_that_are_off_are_not_mentioned(site: Site, past: psycopg.Connection, database: str) -> None:
    with psycopg.connect(database) as locking:
        locking.execute("lock table economic.invoice_line, economic.line_check in access exclusive mode")
        assert lines(site) is None
        (listed,) = site.told("api/agreements")["agreements"]
    assert listed["standing"]["lines"] is None
    assert site.told(f"{DAG}/lines")["lines"] == []


def test_lines_wait_for_their_first_run(site: Site, lined: psycopg.Connection) -> None:
    assert lines(site) == {"status": "unread", "dag_id": "economic_invoice_lines"}


def test_lines_of_a_company_are_counted(site: Site, lined: psycopg.Connection, database: str) -> None:
    history.add_lines(lined, proven=22_497, differing=2, rejected=1, held=67_619)
    with psycopg.connect(database) as locking:
        for table in ("invoice", "invoice_line", "line_check"):
            locking.execute(f"lock table economic.{table} in access exclusive mode".encode())
        assert {site.page(path).status_code for path in PATHS} == {200}
        found = lines(site)
    expected: dict[str, Any] = {"status": "completed", "invoices": 22_540, "proven": 22_497, "unread": 40}
    expected |= {"differing": 2, "rejected": 1, "counted": 67_620, "held": 67_619, "late": False}
    assert part(found, expected) == expected
    assert 3 * 3600 < found["age_seconds"] < 3 * 3600 + 120
    history.add_lines(lined, proven=22_541, ended=timedelta(hours=49))  # one is missing meanwhile
    found = lines(site)
    assert (found["proven"], found["unread"], found["late"]) == (22_540, 0, True)


def test_running_lines_show_progress_and_stall(site: Site, lined: psycopg.Connection) -> None:
    at_work: dict[str, Any] = {"current": 12_000, "total": 22_540, "message": "Reading lines", "proven": 0}
    history.add_lines(lined, ended=None, **at_work)
    found = lines(site)
    expected = {"status": "running", "current": 12_000, "total": 22_540, "message": "Reading lines"}
    assert part(found, expected) == expected
    assert 39 < found["seconds"] < 90
    lined.execute("update economic.line_reading set expires_at = now() - interval '1 second'")
    assert lines(site)["status"] == "stalled"


def test_missing_right_on_lines_is_named(
    site: Site,
    connection: psycopg.Connection,
    simulated: InProcess,
    economic_default: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ECONOMIC_LINES", "true")
    company = Company(simulated, connection, economic_default)
    company.sync()
    company.books.lines(forbidden=True)
    with pytest.raises(SyncSkipped):
        read_lines(company)
    found = lines(site)
    assert (found["status"], found["proven"], found["age_seconds"]) == ("skipped", 0, None)
    assert "e-conomic answered 403 to GET /q2capi/" in found["message"]
    assert "Give the app the SuperUser or Sales role" in found["message"]
    company.books.lines(forbidden=False)
    read_lines(company)
    found = lines(site)
    assert (found["status"], found["message"], found["proven"]) == ("completed", "", 250)


def test_messages_of_another_airflow_stay_hidden(site: Site, past: psycopg.Connection) -> None:
    """It reads the lines; this one does not."""
    history.add_lines(past, status="failed", message="theirs in words")
    found = lines(site)
    assert (found["dag_id"], found["message"], found["proven"]) == (None, None, 22_540)


def test_unproven_lines_show_amounts_by_setting(
    site: Site, lined: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add_unproven(lined, 20_001, difference="-0.25")
    history.add_unproven(lined, 20_002)
    history.add_unproven(lined, 20_003, difference="17.5")
    silent = site.page(f"{DAG}/lines")
    first, *others = silent.json()["lines"]
    expected = {"invoice": 20_002, "status": "rejected", "field": "totalNetAmount", "reason": "not an amount"}
    expected |= {"message": "totalNetAmount is not an amount, but a text.", "tries": 4, "difference": None}
    assert part(first, expected) == expected
    assert [(each["invoice"], each["difference"]) for each in others] == [(20_003, None), (20_001, None)]
    monkeypatch.setenv("ECONOMIC_PAGE_AMOUNTS", "true")
    open_ = site.page(f"{DAG}/lines")
    assert [each["difference"] for each in open_.json()["lines"]] == [None, "17.50", "-0.25"]
    for answer in (silent, open_):
        assert not [word for word in ("raw line", "48123.75") if word in answer.text]
    assert "0.25" not in silent.text


def test_unproven_lines_are_200_at_most(site: Site, lined: psycopg.Connection) -> None:
    for invoice in range(1, 220):
        history.add_unproven(lined, invoice)
    told = site.told(f"{DAG}/lines")
    assert (len(told["lines"]), told["most"], told["lines"][0]["invoice"]) == (200, 200, 219)
