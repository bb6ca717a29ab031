"""The JSON that rows become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from economic.config.dags import SyncDag
from economic.web import serializers

NOW = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
SIX_HOURLY = "0 */6 * * *"


def standing(**changed: Any) -> dict[str, Any]:
    return {
        "last_synced_at": NOW - timedelta(hours=2),
        "running": False,
        "stalled": False,
        "last_started_at": NOW - timedelta(hours=2),
    } | changed


@pytest.mark.parametrize(
    ("synced_hours_ago", "expected"),
    [
        (0.5, None),
        (1.99, None),  # by the tick of 12:00
        (2.01, datetime(2026, 3, 10, 12, 0, tzinfo=UTC)),
        (30, datetime(2026, 3, 10, 12, 0, tzinfo=UTC)),
    ],
)
def test_copy_is_late_without_the_last_due_sync(synced_hours_ago: float, expected: datetime | None) -> None:
    found = standing(last_synced_at=NOW - timedelta(hours=synced_hours_ago))
    assert serializers.missed_due(found, SIX_HOURLY, NOW) == expected


def test_copy_is_late_an_hour_after_due_time() -> None:
    found = standing(last_synced_at=datetime(2026, 3, 10, 6, 1, tzinfo=UTC))
    assert serializers.missed_due(found, SIX_HOURLY, datetime(2026, 3, 10, 12, 59, tzinfo=UTC)) is None
    assert serializers.missed_due(found, SIX_HOURLY, datetime(2026, 3, 10, 13, 1, tzinfo=UTC)) is not None


def test_copy_is_not_late_without_schedule_or_sync() -> None:
    old = NOW - timedelta(days=3)
    assert serializers.missed_due(standing(last_synced_at=old), None, NOW) is None
    assert serializers.missed_due(standing(last_synced_at=None), SIX_HOURLY, NOW) is None
    at_work = standing(last_synced_at=old, running=True, last_started_at=NOW - timedelta(minutes=90))
    assert serializers.missed_due(at_work, SIX_HOURLY, NOW) is None
    assert serializers.missed_due(at_work | {"stalled": True}, SIX_HOURLY, NOW) is not None
    # what has been running since before the due time is not the sync that fell due
    assert (
        serializers.missed_due(at_work | {"last_started_at": NOW - timedelta(hours=9)}, SIX_HOURLY, NOW)
        is not None
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("not_a_date", "not a date"),
        ("amount_out_of_range", "amount out of range"),
        ("sqlstate_23514", "rejected by the database (23514)"),
    ],
)
def test_reason_codes_become_text(reason: str, words: str) -> None:
    assert serializers.reason_text(reason) == words


def test_dag_is_named_after_its_agreement() -> None:
    north = SyncDag("economic_invoice_sync__north", "economic_north", None, "@hourly")
    assert serializers.dag_to_json(north, {"economic_invoice_sync__north"}) == {
        "dag_id": "economic_invoice_sync__north",
        "name": "north",
        "scheduled": False,
        "may_trigger": True,
        "quick_dag_id": "economic_invoice_quick_sync__north",
        "may_trigger_quick": False,
    }
    default = SyncDag("economic_invoice_sync", "economic_default", "@daily")
    assert serializers.dag_to_json(default, ())["name"] == ""


@pytest.mark.parametrize(
    ("on", "granted", "expected"),
    [(False, True, None), (False, False, None), (True, True, "unread"), (True, False, "no_right")],
)
def test_lines_never_read_are_shown_where_on(on: bool, granted: bool, expected: str | None) -> None:
    dag = SyncDag("economic_invoice_sync__north", "economic_north", None, lines=on)
    told = serializers.lines_to_json({"lines": None, "lines_granted": granted}, dag)
    assert told == (expected and {"status": expected, "dag_id": "economic_invoice_lines__north"})


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({}, []),
        ({"2026-03": 5}, [("2026-03", 5)]),
        (
            {"2025-11": 4, "2026-01": 7},
            [("2025-11", 4), ("2025-12", 0), ("2026-01", 7), ("2026-02", 0), ("2026-03", 0)],
        ),
        ({"2026-04": 1}, [("2026-03", 0), ("2026-04", 1)]),
        ({"2026-02": 1, "2062-02": 1, "1826-02": 1}, [("2026-02", 1), ("2026-03", 0)]),
        ({"2026-13": 1, "0000-01": 1, "2026-3": 1, "<b>": 1, "\u0662026-01": 1}, []),
    ],
    ids=["nothing", "this month", "gaps", "the future", "typing errors", "no months"],
)
def test_months_run_to_the_current_one_without_gaps(
    counted: dict[str, int], expected: list[tuple[str, int]]
) -> None:
    assert serializers.months_to_json(counted, NOW) == expected


def test_months_are_three_years_at_most() -> None:
    counted = {f"{year}-{month:02}": 1 for year in range(2000, 2040) for month in range(1, 13)}
    assert len(serializers.months_to_json(counted, NOW)) == 35 + 1 + 12
