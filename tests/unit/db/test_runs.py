"""Counts that add up."""

from __future__ import annotations

import json

from economic.db.runs import Counts


def test_counts_add_up_with_memory_as_a_peak() -> None:
    total = Counts(fetched=2, created=1, failed=1, fetch_seconds=0.5, peak_memory_mb=80.0) + Counts(
        fetched=1, updated=1, fetch_seconds=0.25, peak_memory_mb=70.0
    )
    assert total == Counts(fetched=3, created=1, updated=1, failed=1, fetch_seconds=0.75, peak_memory_mb=80.0)


def test_every_fetched_item_has_exactly_one_outcome() -> None:
    assert Counts(
        fetched=7, created=1, updated=1, unchanged=2, raw_changed=1, failed=1, duplicates=1, discarded=1
    ).add_up
    assert not Counts(fetched=7, created=6).add_up


def test_counts_survive_the_database() -> None:
    counts = Counts(fetched=3, unchanged=3, upsert_seconds=1.2345)
    stored = json.loads(json.dumps(counts.to_json()))
    assert Counts.from_json(stored | {"of_a_newer_version": 1}) == Counts(
        fetched=3, unchanged=3, upsert_seconds=1.234
    )
    assert Counts.from_json(None) == Counts()
