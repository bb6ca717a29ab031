"""Any JSON in any field is stored in PostgreSQL exactly or rejected with a reason."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from psycopg.types.string import TextLoader

from economic.db import agreements, invoices, staging
from economic.db.invoices import Rejection
from economic.db.sql import transaction
from economic.errors import RecordError
from economic.records.agreement import Agreement
from economic.records.decoder import RawItem
from economic.records.invoice import Invoice, invoice_number
from tests.conftest import open_sync
from tests.support import payloads
from tests.support.payloads import WHOLE, item, parse

AGREEMENT = 42


@pytest.fixture
def copy(connection: psycopg.Connection) -> psycopg.Connection:
    """A copy with one agreement and the row of its first sync, number 1."""
    connection.adapters.register_loader("jsonb", TextLoader)
    with transaction(connection):
        agreements.bind_agreement(connection, "x", Agreement(AGREEMENT, "x", "DKK"))
    open_sync(connection)
    return connection


def plain(text: str) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(text=payloads.invoices)
@example(text=WHOLE)
def test_any_json_is_stored_exactly_or_rejected(copy: psycopg.Connection, text: str) -> None:
    candidate = item(text)
    with copy.transaction(force_rollback=True):
        try:
            invoice, _ = parse(candidate)
        except RecordError as error:
            _is_set_aside(copy, candidate, error)
            return
        staging.write(copy, 1, 1, 1, [invoice])
        try:
            with copy.transaction():
                done = invoices.upsert(copy, AGREEMENT, 1, 1, 1, 1)
        except psycopg.DataError as error:
            # typed columns never are to blame, only what nobody has looked at
            with pytest.raises(psycopg.DataError), copy.transaction():
                copy.execute("select %s::text::jsonb", [invoice.raw_data])
            number, raw = staging.invoice(copy, 1, 1, 1)
            assert (number, raw) == (invoice.invoice_number, invoice.raw_data)
            _is_set_aside(copy, candidate, RecordError(str(error), field="(item)", reason="sqlstate"))
            return
        assert done.created == 1
        _is_stored(copy, invoice)
        again = invoices.upsert(copy, AGREEMENT, 1, 1, 1, 1)
        assert (again.created, again.updated, again.raw_changed) == (0, 0, 0)


def _is_stored(copy: psycopg.Connection, invoice: Invoice) -> None:
    columns = ", ".join(invoice._fields)
    found = copy.execute(f"select {columns} from economic.invoice".encode()).fetchone()  # noqa: S608  # names of the fields
    assert found is not None
    stored = Invoice._make(found)
    assert stored._replace(raw_data="") == invoice._replace(raw_data="")
    assert plain(stored.raw_data) == plain(invoice.raw_data)


def _is_set_aside(copy: psycopg.Connection, candidate: RawItem, error: RecordError) -> None:
    rejection = Rejection(invoice_number(candidate), candidate.raw, error)
    invoices.reject(copy, AGREEMENT, 1, [rejection, rejection])
    found = copy.execute("select item_key, field, message from economic.rejected_invoice").fetchall()
    assert found == [(rejection.key, error.field, error.message)]
