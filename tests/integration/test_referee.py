"""The referee notices every way in which two could write at once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from economic.db import lease as leases
from economic.db.lease import Lease
from economic.db.sql import prepare, transaction
from tests.integration.conftest import Company
from tests.support import write_auditor as referee


@pytest.fixture
def watched(company: Company, database: str) -> Company:
    """A company whose copy is watched from its first sync on."""
    company.sync()
    referee.watch(database)
    return company


def begun(company: Company) -> Lease:
    return company.fetch(company.order()).lease


def without_the_fence(rival: psycopg.Connection, lease: Lease) -> None:
    with transaction(rival):
        rival.execute("update economic.invoice set subject = 'x'")


def with_the_token_of_another(rival: psycopg.Connection, lease: Lease) -> None:
    with leases.fenced(rival, lease):
        rival.execute("update economic.employee set name = 'x'")


def for_another_sync(rival: psycopg.Connection, lease: Lease) -> None:
    staged = (
        "insert into economic.staged_invoice (sync_id, page, position, invoice_number, raw_data, same)"
        " values (%s, 9, 1, 1, '', true)"
    )
    with leases.fenced(rival, leases.enter(rival, lease.agreement_number, lease.sync_id, "rival")):
        rival.execute(staged, [lease.sync_id - 1])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (without_the_fence, "rival wrote invoice without having passed the fence"),
        (with_the_token_of_another, "rival wrote lease: passed the fence with the token of"),
        (with_the_token_of_another, "rival wrote employee while"),
        (for_another_sync, "rival wrote staged_invoice while sync {sync} had the lease"),
    ],
)
def test_a_write_beside_the_lease_is_an_offence(
    watched: Company, database: str, write: Callable[[psycopg.Connection, Lease], None], said: str
) -> None:
    lease = begun(watched)
    with prepare(psycopg.connect(database, application_name="rival")) as rival:
        write(rival, lease)
    assert said.format(sync=lease.sync_id) in "\n".join(referee.verdict(database).offences)


@pytest.mark.parametrize(
    ("change", "said"),
    [("token = token - 1", "the token shrank"), ("holder = null, expires_at = null", "changed hands")],
)
def test_lease_changed_by_its_owner_is_an_offence(
    watched: Company, database: str, connection: psycopg.Connection, change: str, said: str
) -> None:
    begun(watched)
    connection.execute(f"update economic.sync_lease set {change}".encode())  # noqa: S608  # the test's own text
    assert said in "\n".join(referee.verdict(database).offences)
