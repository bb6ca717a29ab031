"""The oracle notices what it is there to notice: each invariant is broken once by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.conftest import Case
from tests.support import invariants as oracle
from tests.support.secret_scan import APP_SECRET

INVOICES = 12
EXPIRES = "update economic.sync_lease set holder = (select max(sync_id) from economic.sync_run), expires_at = now() + interval"


def tamper(case: Case, statement: str) -> None:
    with case.witness.connect() as connection:
        connection.execute(statement.encode())


def look(case: Case) -> None:
    case.witness.look()


def table(case: Case) -> None:
    oracle.the_table_equals_the_books(case.witness)


def syncs(case: Case) -> None:
    oracle.every_sync_ended_and_adds_up(case.witness, case.last_sync()["statistics"])


def anywhere(case: Case) -> None:
    oracle.no_token_is_anywhere(case.witness)


OFF = {
    "net_amount": "net_amount + 0.000001",
    "due_date": "due_date + 1",
    "currency": "'XXX'",
    "recipient_zip": "null",
    "employee_name": "'Somebody Else'",
    "raw_data": "raw_data || '{\"netAmount\": 1}'",
    "agreement_number": "8",
    "missing_since": "now()",
}

BROKEN: list[tuple[str, Callable[[Case], None], str]] = [
    *((f"update economic.invoice set {column} = {value}", table, "I1") for column, value in OFF.items()),  # noqa: S608  # names and values from this file
    ("update economic.invoice set invoice_number = 77 where invoice_number = 10001", table, r"not stored: \[10001\]"),
    ("create table more as select * from economic.invoice limit 1; update more set invoice_number = 77;"
     " insert into economic.invoice select * from more", table, r"never booked: \[77\]"),
    ("alter table economic.invoice add column forgotten text", table, "forgotten"),
    ("insert into economic.invoice select * from economic.invoice limit 1", look, "I2"),
    ("update economic.invoice set remainder = 0.5", look, r"I3.*never"),
    ("update economic.invoice set missing_since = now() + interval '1 hour'", look, "I4"),
    ("update economic.sync_run set status = 'running', finished_at = null", syncs, "I5"),
    ("update economic.sync_run set statistics = statistics || '{\"created\": 249}'", syncs, "I5"),
    ("delete from economic.invoice where invoice_number = 10001", syncs, "I5"),
    ("insert into economic.invoice_history (agreement_number, invoice_number, sync_id, old_values, new_values)"
     " values (1, 1, 1, '{}', '{}')", syncs, "I5"),
    (f"{EXPIRES} '6 minutes'", lambda case: oracle.the_lease_frees_itself(case.witness), "I6"),
    (f"{EXPIRES} '4 minutes'", lambda case: oracle.the_lease_is_free(case.witness), "I6"),
    (f"update economic.sync_run set message = 'It said {APP_SECRET}!'", anywhere, r"I7.*table economic\.sync_run"),  # noqa: S608  # the test's own text
]  # fmt: skip


@pytest.mark.parametrize(("statement", "check", "noticed"), BROKEN)
def test_what_was_done_by_hand_is_noticed(
    case: Case, statement: str, check: Callable[[Case], None], noticed: str
) -> None:
    case.synced()
    for constraint in ("agreement_number_fkey", "pkey"):
        tamper(case, f"alter table economic.invoice drop constraint invoice_{constraint}")
    check(case)
    tamper(case, statement)
    with pytest.raises(AssertionError, match=noticed):
        check(case)


def test_a_row_that_goes_back_is_noticed(case: Case) -> None:
    case.synced()
    tamper(case, "create table old as select * from economic.invoice")
    case.books.pay(next(n for n, item in case.books.ledger.items().items() if item["remainder"] > 0))
    case.synced()
    back = "update economic.invoice set (remainder, remainder_base) = (old.remainder, old.remainder_base) from old"
    tamper(case, f"{back} where old.invoice_number = invoice.invoice_number")
    with pytest.raises(AssertionError, match=r"I3.*older"):
        case.witness.look()


@pytest.mark.shows_canaries
def test_a_token_in_log_or_error_is_noticed(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    logging.getLogger("economic").debug("Sending %s", {"X-AppSecretToken": APP_SECRET})
    with pytest.raises(AssertionError, match=r"I7.*the log"):
        anywhere(case)
    caplog.clear()
    try:
        raise ValueError(f"Invalid header {APP_SECRET!r}")
    except ValueError as error:
        case.witness.heard(error)
    with pytest.raises(AssertionError, match=r"I7.*what was said"):
        anywhere(case)
