"""The oracle notices what it is there to notice: each invariant is broken once by hand."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests import oracle
from tests.canaries import APP_SECRET
from tests.catalogue.conftest import Case
from tests.oracle import Bounds


def open_invoice(case: Case) -> int:
    return next(n for n, item in case.books.ledger.items().items() if item["remainder"] > 0)


def tamper(case: Case, statement: str, *parameters: Any) -> None:
    with case.witness.connect() as connection:
        connection.execute(statement.encode(), parameters)


def test_a_healthy_copy_passes(case: Case) -> None:
    case.synced()
    case.books.pay(open_invoice(case))
    case.books.control("remove", number=max(case.books.ledger.items()))
    statistics = case.heals()
    assert (statistics["updated"], statistics["missing"]) == (1, 1)


COLUMNS = {
    "net_amount": "net_amount + 0.000001",
    "remainder": "-remainder - 1",
    "due_date": "due_date + 1",
    "currency": "'XXX'",
    "recipient_zip": "null",
    "employee_name": "'Somebody Else'",
    "project_number": "17",
    "raw_data": "raw_data || '{\"netAmount\": 1}'",
    "agreement_number": "8",
    "missing_since": "now()",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_one_value_that_is_off(case: Case, column: str) -> None:
    case.synced()
    tamper(case, "alter table economic.invoice drop constraint invoice_agreement_number_fkey")
    number = next(n for n, item in case.books.ledger.items().items() if "zip" in item["recipient"])
    off = f"update economic.invoice set {column} = {COLUMNS[column]} where invoice_number = %s"  # noqa: S608  # names and values from this file
    tamper(case, off, number)
    with pytest.raises(AssertionError):
        oracle.the_table_equals_the_books(case.witness)


def test_a_row_too_few_or_too_many(case: Case) -> None:
    case.synced()
    number = open_invoice(case)
    tamper(case, "update economic.invoice set invoice_number = 77 where invoice_number = %s", number)
    with pytest.raises(AssertionError, match=f"not stored: \\[{number}\\]"):
        oracle.the_table_equals_the_books(case.witness)
    case.books.control("remove", number=number)
    with pytest.raises(AssertionError, match=r"never booked: \[77\]"):
        oracle.the_table_equals_the_books(case.witness)


def test_a_column_nobody_has_thought_of(case: Case) -> None:
    case.synced()
    tamper(case, "alter table economic.invoice add column forgotten text")
    with pytest.raises(AssertionError, match="forgotten"):
        oracle.the_table_equals_the_books(case.witness)


def test_a_row_that_is_there_twice(case: Case) -> None:
    case.synced()
    tamper(case, "alter table economic.invoice drop constraint invoice_pkey")
    tamper(case, "insert into economic.invoice select * from economic.invoice limit 1")
    with pytest.raises(AssertionError, match="I2"):
        case.witness.look()


def test_a_row_that_goes_back(case: Case) -> None:
    case.synced()
    number = open_invoice(case)
    tamper(case, "create table old as select * from economic.invoice where invoice_number = %s", number)
    case.books.pay(number, 1)
    case.synced()
    back = "update economic.invoice set (remainder, remainder_base) = (old.remainder, old.remainder_base) from old"
    tamper(case, f"{back} where old.invoice_number = invoice.invoice_number")
    with pytest.raises(AssertionError, match=r"I3.*older"):
        case.witness.look()


def test_a_row_as_it_never_was(case: Case) -> None:
    case.synced()
    tamper(case, "update economic.invoice set remainder = 0.5 where invoice_number = %s", open_invoice(case))
    with pytest.raises(AssertionError, match=r"I3.*never"):
        case.witness.look()


def test_a_row_marked_missing_without_proof(case: Case) -> None:
    case.synced()
    tamper(case, "update economic.invoice set missing_since = now() + interval '1 hour'")
    with pytest.raises(AssertionError, match="I4"):
        case.witness.look()


@pytest.mark.parametrize(
    "statement",
    [
        "update economic.sync_run set status = 'running', finished_at = null",
        "update economic.sync_run set statistics = statistics || '{\"created\": 249}'",
        "insert into economic.invoice_history (agreement_number, invoice_number, sync_id, old_values, new_values)"
        " values (1, 1, 1, '{}', '{}')",
        "delete from economic.invoice where invoice_number = 10001",
    ],
)
def test_counts_that_are_not_what_is_there(case: Case, statement: str) -> None:
    statistics = case.synced()
    oracle.every_sync_ended_and_adds_up(case.witness, statistics)
    tamper(case, statement)
    with pytest.raises(AssertionError, match="I5"):
        oracle.every_sync_ended_and_adds_up(case.witness, statistics)


def test_a_lease_that_stays(case: Case) -> None:
    case.synced()
    take = "update economic.sync_lease set holder = (select max(sync_id) from economic.sync_run), expires_at = now() + interval "
    tamper(case, take + "'4 minutes'")
    oracle.the_lease_frees_itself(case.witness)
    with pytest.raises(AssertionError, match="I6"):
        oracle.the_lease_is_free(case.witness)
    tamper(case, take + "'6 minutes'")
    with pytest.raises(AssertionError, match="I6"):
        oracle.the_lease_frees_itself(case.witness)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda token: token,
        lambda token: quote(token, safe=""),
        lambda token: base64.b64encode(token.encode()).decode(),
        lambda token: base64.b64encode(f'{{"token": "{token}"}}'.encode()).decode(),
        lambda token: base64.urlsafe_b64encode(f"x{token}".encode()).decode(),
        lambda token: token.replace("/", "\\/"),
        lambda token: token.encode().hex(),
        lambda token: repr({"X-AppSecretToken": token}),
    ],
)
def test_a_token_in_whatever_spelling_and_place(case: Case, spelled: Callable[[str], str]) -> None:
    case.synced()
    oracle.no_token_is_anywhere(case.witness)
    text = spelled(APP_SECRET)
    tamper(case, "update economic.sync_run set message = %s", f"It said {text}!")
    with pytest.raises(AssertionError, match=r"I7.*table economic\.sync_run"):
        oracle.no_token_is_anywhere(case.witness)
    tamper(case, "update economic.sync_run set message = ''")
    case.witness.heard({"return_value": [text]})
    with pytest.raises(AssertionError, match=r"I7.*what was said"):
        oracle.no_token_is_anywhere(case.witness)


@pytest.mark.shows_canaries
def test_a_token_in_the_log_or_in_an_error(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    logging.getLogger("economic").debug("Sending %s", {"X-AppSecretToken": APP_SECRET})
    with pytest.raises(AssertionError, match=r"I7.*the log"):
        oracle.no_token_is_anywhere(case.witness)
    caplog.clear()
    try:
        raise ValueError(f"Invalid header {APP_SECRET!r}")
    except ValueError as error:
        case.witness.heard(error)
    with pytest.raises(AssertionError, match=r"I7.*what was said"):
        oracle.no_token_is_anywhere(case.witness)


def test_what_takes_too_long_or_too_much(case: Case) -> None:
    with pytest.raises(AssertionError, match="I8: it took"):
        case.heals(bounds=Bounds(seconds=0))
    hoard = bytearray(64 * 1024 * 1024)
    hoard[::4096] = b"x" * (len(hoard) // 4096)
    grown = oracle.Memory()
    try:
        more = bytearray(64 * 1024 * 1024)
        more[::4096] = b"x" * (len(more) // 4096)
        import time

        time.sleep(0.1)
        assert 50 < grown.grown_mb < 100
    finally:
        grown.close()


def test_what_does_not_heal(case: Case) -> None:
    case.synced()
    case.books.control("remove", number=max(case.books.ledger.items()))
    tamper(case, "alter table economic.invoice add constraint odd check (missing_since is null)")
    with pytest.raises(AssertionError, match="I9"):
        case.heals()
