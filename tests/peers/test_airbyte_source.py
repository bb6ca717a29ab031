"""Airbyte's connector for e-conomic, written by others against the real API, reads the simulator's books.

It judges the simulator: if a program that works with e-conomic finds every invoice here, by its own paging and in the
shape of its own schemas, then what our client is tested against is no invention. It needs a Python 3.9 or 3.10, from
PEER_PYTHON or found on the path, and installs itself into `.peers/` first.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import simulator
from dev.bench.environments import environment_for, python_for_airbyte

pytestmark = pytest.mark.peers

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements-airbyte.txt"


@pytest.fixture(scope="module")
def connector() -> Path:
    """The Python of an environment with the connector in it, made if there is none."""
    python = python_for_airbyte()
    if python is None:
        pytest.skip("Airbyte's connector needs Python 3.9 or 3.10: set PEER_PYTHON")
    return environment_for("airbyte", REQUIREMENTS, python)


class Reading:
    """What the connector delivered, by stream, and what it has against it."""

    def __init__(self, python: Path, sim: simulator.Simulator, *streams: str) -> None:
        script = str(HERE / "airbyte_source.py")
        words = [f"{sim.base_url}/", sim.app_secret_token, sim.agreement_grant_token, *streams]
        done = subprocess.run(
            [python, script, *words], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
        self.records: dict[str, list[dict[str, Any]]] = {stream: [] for stream in streams}
        for line in done.stdout.splitlines():
            message = json.loads(line, parse_float=Decimal)
            if message["type"] == "RECORD":
                self.records[message["record"]["stream"]].append(message["record"]["data"])
            elif message["type"] == "SCHEMA":
                self.complaints: list[str] = message["complaints"]

    def numbers(self, stream: str) -> list[int]:
        return [record["bookedInvoiceNumber"] for record in self.records[stream]]


@pytest.fixture(scope="module")
def sim() -> Iterator[simulator.InProcess]:
    """Books of three pages, as large as the connector asks for them."""
    with simulator.running(invoices=2300, seed=3) as books:
        books.book(number=9_999_999, date="2026-01-31")
        yield books


@pytest.fixture(scope="module")
def reading(connector: Path, sim: simulator.InProcess) -> Reading:
    return Reading(connector, sim, "invoices_booked", "invoices_paid", "invoices_total")


def test_it_reads_every_booked_invoice_as_it_is(reading: Reading, sim: simulator.InProcess) -> None:
    truth = sim.ledger.items()
    assert reading.numbers("invoices_booked") == sorted(truth)
    assert {record["bookedInvoiceNumber"]: record for record in reading.records["invoices_booked"]} == truth


def test_it_reads_every_paid_invoice(reading: Reading, sim: simulator.InProcess) -> None:
    paid = [number for number, item in sim.ledger.items().items() if item["remainder"] == 0]
    assert reading.numbers("invoices_paid") == paid


def test_it_reads_the_totals(reading: Reading, sim: simulator.InProcess) -> None:
    (total,) = reading.records["invoices_total"]
    state = sim.ledger.state()
    assert total["booked"]["invoiceCount"] == state["count"] == 2301
    assert total["booked"]["netAmountInBaseCurrency"] == Decimal(state["sum_net_base"])
    assert total["booked"]["unpaid"]["grossRemainderInBaseCurrency"] == Decimal(state["sum_remainder_base"])


def test_it_follows_the_links_to_the_next_page(reading: Reading, sim: simulator.InProcess) -> None:
    asked = [one["query"] for one in sim.requests() if one["path"] == "/invoices/booked"]
    assert asked == ["pagesize=1000", "skippages=1&pagesize=1000", "skippages=2&pagesize=1000"]


def test_its_schemas_have_nothing_against_the_records(reading: Reading) -> None:
    assert reading.complaints == []


def test_it_reads_single_invoices_with_their_lines(connector: Path) -> None:
    with simulator.running(invoices=25, seed=4) as sim:
        reading = Reading(connector, sim, "invoices_booked_document")
        truth = sim.ledger.items()
    assert reading.complaints == []
    assert reading.numbers("invoices_booked_document") == sorted(truth)
    for record in reading.records["invoices_booked_document"]:
        item = truth[record["bookedInvoiceNumber"]]
        lines = record.pop("lines")
        assert record == item
        assert sum(line.get("totalNetAmount", 0) for line in lines) == item["netAmount"]


def test_its_schemas_would_notice_a_wrong_type(connector: Path) -> None:
    with simulator.running(invoices=5) as sim:
        number = sim.ledger.numbers[0]
        sim.spoil(number, "bookedInvoiceNumber", value="ten")
        reading = Reading(connector, sim, "invoices_booked")
    assert reading.complaints == ["invoices_booked: bookedInvoiceNumber: 'ten' is not of type 'integer'"]
