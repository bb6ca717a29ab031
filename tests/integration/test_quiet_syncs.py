"""Quick syncs that changed nothing: in no list, and out of the page's way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from economic.db import agreements
from economic.db.sql import statement
from economic.sync import lifecycle
from tests.integration.conftest import Company
from tests.integration.test_quick_sync import sync_quickly

FORTNIGHT_OF_MINUTES = 20_160
REQUESTS_OF_DAY = 2 * 24 * 60
QUIET = """
    insert into economic.sync_run
    (dag_id, run_id, run_type, conn_id, agreement_number, scope, force, phase, status, message, started_at, finished_at,
     complete, reconciled, statistics)
    select 'economic_invoice_quick_sync', 'quick ' || n, 'scheduled', conn_id, agreement_number, 'quick', false, 'ended',
        'completed', 'Nothing has changed', clock_timestamp() - n * interval '1 minute',
        clock_timestamp() - n * interval '1 minute', true, true, '{"requests": 2, "fetched": 0, "created": 0}'
    from economic.sync_run, generate_series(%s, 1, -1) as n where sync_id = 1
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def visited(company: Company, name: str, **parameters: Any) -> float:
    """Return how many rows of sync_run a statement looks at."""
    explain = b"explain (analyze, format json) " + statement(name)
    (found,) = company.connection.execute(explain, parameters).fetchall()
    plan = next(iter(found.values())) if isinstance(found, dict) else found[0]
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan[0]["Plan"])
        if node.get("Relation Name") == "sync_run"
    )


@pytest.fixture
def minutely(company: Company) -> Company:
    """A company without a full sync for a fortnight of quiet quick ones, one a minute."""
    company.sync()
    company.connection.execute(
        "update economic.sync_run set started_at = started_at - interval '14 days',"
        " finished_at = finished_at - interval '14 days'"
    )
    company.connection.execute(QUIET, [FORTNIGHT_OF_MINUTES])
    company.connection.execute("analyze economic.sync_run")
    return company


def test_quiet_syncs_do_not_slow_the_page(minutely: Company) -> None:
    agreement = {"agreement_number": 1_234_567}
    standing = visited(minutely, "select_sync_status", conn_ids=[minutely.conn_id])
    listed = visited(minutely, "select_latest_sync_runs", **agreement, conn_id=minutely.conn_id, most=50)
    announced = visited(minutely, "select_unannounced_syncs", **agreement)
    basis = visited(minutely, "select_quick_basis", **agreement, seconds=3600)
    assert max(standing, listed, announced, basis) < 50
    assert visited(minutely, "select_usage_of_day", **agreement) < 2 * REQUESTS_OF_DAY
    used = agreements.usage_of_day(minutely.connection, 1_234_567)
    assert used.requests == pytest.approx(REQUESTS_OF_DAY, abs=2)
    assert agreements.usage_of_day(minutely.connection, None) == (0, 0, 0)


def test_only_quick_syncs_without_changes_are_quiet(company: Company) -> None:
    company.sync()
    sync_quickly(company)
    assert sync_quickly(company)["requests"] == 2
    company.books.pay(next(n for n, item in company.books.ledger.items().items() if item["remainder"] > 0))
    sync_quickly(company)
    order = company.order(quick=True)
    with company.hook() as hook:
        attempt = lifecycle.begin(hook, company.connection, order)
    lifecycle.close(company.connection, 5, "failed", "refused", attempt.lease)
    skipped = lifecycle.open_row(company.connection, order)
    lifecycle.close(company.connection, skipped, "skipped", "another sync runs")
    listed = agreements.latest_syncs(company.connection, 1_234_567, company.conn_id, 50)
    assert [(row["sync_id"], row["status"]) for row in listed] == [
        (5, "failed"),
        (4, "completed"),
        (1, "completed"),
    ]
