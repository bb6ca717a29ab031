"""The referee notices every way in which two could write at once, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from economic import lease as leases
from economic.database import prepare, transaction
from economic.lease import Lease
from tests import referee
from tests.integration.conftest import Company


@pytest.fixture
def watched(company: Company, database: str) -> Company:
    """A company whose copy is watched from its first sync on."""
    company.sync()
    referee.watch(database)
    return company


@pytest.fixture
def rival(database: str) -> Iterator[psycopg.Connection]:
    """Somebody else's connection."""
    with prepare(psycopg.connect(database, application_name="rival")) as opened:
        yield opened


def begun(company: Company) -> Lease:
    return company.fetch(company.order()).lease


def offences(database: str) -> str:
    return "\n".join(referee.verdict(database).offences)


def test_syncs_one_after_the_other_give_no_offence(watched: Company, database: str) -> None:
    watched.books.pay(min(watched.books.ledger.items()), "1.00")
    ids = [watched.sync()["sync_id"] for _ in range(2)]
    found = referee.verdict(database)
    assert found.offences == ()
    assert [hold.sync_id for hold in found.holds] == ids
    assert all(hold.until is not None and hold.until > hold.since for hold in found.holds)
    # three pages staged and at least one stored, the end of the scan, naming and the end: twice
    assert found.writes >= 14


def test_a_sync_that_is_overtaken_gives_no_offence(watched: Company, database: str) -> None:
    first, second = begun(watched).sync_id, watched.order(force=True)
    newer = watched.fetch(second).lease.sync_id
    found = referee.verdict(database)
    assert (found.offences, [hold.sync_id for hold in found.holds]) == ((), [first, newer])
    assert found.holds[0].until == found.holds[1].since
    assert found.holds[1].until is None


def test_a_write_without_the_fence(watched: Company, database: str, rival: psycopg.Connection) -> None:
    begun(watched)
    with transaction(rival):
        rival.execute("update economic.invoice set subject = 'x'")
    assert "rival wrote invoice without having passed the fence" in offences(database)


def test_a_write_with_the_token_of_somebody_else(
    watched: Company, database: str, rival: psycopg.Connection
) -> None:
    with leases.fenced(rival, begun(watched)):
        rival.execute("update economic.employee set name = 'x'")
    said = offences(database)
    assert "rival wrote lease: passed the fence with the token of" in said
    assert "rival wrote employee while" in said


def test_a_write_for_another_sync(watched: Company, database: str, rival: psycopg.Connection) -> None:
    stale = begun(watched)
    with leases.fenced(rival, leases.enter(rival, stale.agreement_number, stale.sync_id, "rival")):
        rival.execute(
            "insert into economic.staged_invoice (sync_id, page, position, invoice_number, raw_data, same) values (%s, 9, 1, 1, '', true)",
            [stale.sync_id - 1],
        )
    assert f"rival wrote staged_invoice while sync {stale.sync_id} had the lease" in offences(database)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b"update economic.sync_lease set token = token - 1", "the token shrank"),
        (
            b"update economic.sync_lease set holder = null, expires_at = null",
            "changed hands, and its token did not grow",
        ),
    ],
    ids=["shrinks", "stays"],
)
def test_a_lease_that_is_changed_by_hand(
    watched: Company, database: str, connection: psycopg.Connection, change: bytes, said: str
) -> None:
    begun(watched)
    connection.execute(change)
    assert said in offences(database)
