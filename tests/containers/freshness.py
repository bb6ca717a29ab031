"""Quick syncs and lines on the containers: what moves in e-conomic shows soon, proven, to every role that may see it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from containers.conftest import say
from containers.engine import EngineFailed
from containers.stand import Stack

GRANTS = Path(__file__).resolve().parents[2] / "include" / "sql" / "grants"
PSQL = ("psql", "-U", "economic", "-d", "economic", "-v", "ON_ERROR_STOP=1", "-Atq")
SHOWN_SECONDS = 90
"""A quick sync begins each minute, and takes seconds."""
ALL_PROVEN = """select proven = (select count(*) from economic.invoice where missing_since is null)
    and proven > 0 and counted = held and status = 'completed' from economic.line_reading"""
CHECKER = "host=invoice-db dbname=economic user=checker password=checks"


def assert_all_lines_are_proven(stack: Stack, seconds: float = 240) -> None:
    """The lines of every invoice are held and add up, and e-conomic counts as many."""
    stack.wait("all lines to be proven", lambda: stack.query(ALL_PROVEN) == "t", seconds)


def assert_quick_sync_proves(stack: Stack, after: str = "0", seconds: float = 120) -> None:
    """A quick sync younger than that one has proven the copy."""
    proven = """select count(*) > 0 from economic.sync_run
        where scope = 'quick' and sync_id > :'after' and status = 'completed' and complete and reconciled"""
    stack.wait("a quick sync", lambda: stack.query(proven, after=after) == "t", seconds)


def assert_moves_show(stack: Stack) -> None:
    """A booking and a payment are in the copy after the next quick sync, the booking's lines soon after."""
    paid = stack.query("select min(invoice_number) from economic.receivables where remainder > 0")
    began = time.monotonic()
    (booked,) = stack.simulator("book")["numbers"]
    stack.simulator("pay", number=int(paid))
    both = """select count(*) from economic.invoice
        where invoice_number = :'booked' or (invoice_number = :'paid' and remainder = 0)"""
    stack.wait("both to show", lambda: stack.query(both, booked=str(booked), paid=paid) == "2", SHOWN_SECONDS)
    shown = time.monotonic() - began
    proven = "select bool_and(proven) from economic.invoice_lines where invoice_number = :'booked'"
    stack.wait(
        "its lines to be proven", lambda: stack.query(proven, booked=str(booked)) == "t", SHOWN_SECONDS
    )
    say(f"booking and payment shown after {shown:.0f} s, lines proven after {time.monotonic() - began:.0f} s")
    stored = """select scope || ' ' || complete || ' ' || reconciled from economic.sync_run
        where statistics->>'created' = '1' order by sync_id desc limit 1"""
    assert stack.query(stored) == "quick true true"
    assert_all_lines_are_proven(stack)


def assert_roles_see_their_share(stack: Stack) -> None:
    """Reader, monitor and page read lines through the rights that docs/install.md gives them, and no more."""
    for role in ("reader", "monitor"):
        stack.execute("invoice-db", *PSQL, stdin=(GRANTS / f"grant_{role}.sql").read_text())
    login = "create role checker login password 'checks' in role economic_monitor"
    stack.execute("invoice-db", *PSQL, stdin=login)
    read = "set role economic_reader; select count(*) > 0 from economic.invoice_lines where proven"
    assert stack.execute("invoice-db", *PSQL, stdin=read).strip() == "t"
    for role in ("reader", "monitor", "page"):
        with pytest.raises(EngineFailed, match="permission denied for table invoice_line"):
            stack.execute(
                "invoice-db", *PSQL, "-c", f"set role economic_{role}", "-c", "table economic.invoice_line"
            )
    checked = stack.execute(
        *("api-server", "sh", "-c", "ECONOMIC_DSN=$(cat) python -m economic check --max-age 5m --lines"),
        stdin=CHECKER,
    )
    assert checked.startswith("OK"), checked
    page = stack.rest("GET", "/economic/api/agreements/economic_invoice_sync")
    lines = page["agreement"]["standing"]["lines"]
    assert page["problem"] is None
    assert lines["status"] == "completed"
    assert lines["proven"] == lines["invoices"] > 0
    assert stack.rest("GET", "/economic/api/agreements/economic_invoice_sync/lines")["lines"] == []
