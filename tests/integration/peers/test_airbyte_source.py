"""Airbyte's connector for e-conomic, written by others against the real API, reads the simulator's books.

It judges the simulator: if a program that works with e-conomic finds every invoice here, by its own paging and in the
shape of its own schemas, then what our client is tested against is no invention. It needs a Python 3.9 or 3.10, from
PEER_PYTHON or found on the path, and installs itself into `.peers/` first.
"""

from __future__ import annotations

import json
import subprocess
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
        done = subprocess.run([python, script, *words], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        self.records: dict[str, list[dict[str, Any]]] = {stream: [] for stream in streams}
        for line in done.stdout.splitlines():
            message = json.loads(line, parse_float=Decimal)
            if message["type"] == "RECORD":
                self.records[message["record"]["stream"]].append(message["record"]["data"])
            elif message["type"] == "SCHEMA":
                self.complaints: list[str] = message["complaints"]


def test_it_reads_every_booked_invoice_and_the_totals(connector: Path) -> None:
    """By its own paging, over three pages as large as it asks for them; its schemas have nothing against what it reads."""
    with simulator.running(invoices=2300, seed=3) as sim:
        sim.book(number=9_999_999, date="2026-01-31")
        reading = Reading(connector, sim, "invoices_booked", "invoices_total")
        truth = sim.ledger.items()
        asked = [one["query"] for one in sim.requests() if one["path"] == "/invoices/booked"]
    records = reading.records["invoices_booked"]
    assert [record["bookedInvoiceNumber"] for record in records] == sorted(truth)
    assert {record["bookedInvoiceNumber"]: record for record in records} == truth
    assert asked == ["pagesize=1000", "skippages=1&pagesize=1000", "skippages=2&pagesize=1000"]
    (total,) = reading.records["invoices_total"]
    booked, unpaid = total["booked"], total["booked"]["unpaid"]
    assert booked["invoiceCount"] == len(truth) == 2301
    assert booked["netAmountInBaseCurrency"] == sum(one["netAmountInBaseCurrency"] for one in records)
    assert unpaid["grossRemainderInBaseCurrency"] == sum(one["remainderInBaseCurrency"] for one in records)
    assert reading.complaints == []


def test_its_schemas_notice_a_wrong_type(connector: Path) -> None:
    with simulator.running(invoices=5) as sim:
        sim.spoil(sim.ledger.numbers[0], "bookedInvoiceNumber", value="ten")
        reading = Reading(connector, sim, "invoices_booked")
    assert reading.complaints == ["invoices_booked: bookedInvoiceNumber: 'ten' is not of type 'integer'"]
