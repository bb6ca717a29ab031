"""Monitoring's verdict on an agreement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from economic.db import agreements
from economic.db.sql import Row
from economic.outside_text import bounded

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""Exit codes as monitoring programs understand them."""
LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict: its level, which is the exit code, and the reason in one line."""

    level: int
    text: str


def judge(row: Row, max_age: timedelta, max_full_age: timedelta | None = None) -> Health:
    """Return the verdict on one agreement.

    Critical: no full or proven quick sync within ``max_age``, or no full one within
    ``max_full_age``. Warning: not proven complete, different from e-conomic's totals, rejected
    invoices, a warning, or a last sync that failed,
    has stalled or is not proven.

    :param row: of :func:`economic.db.agreements.statuses`.
    """
    name = f"agreement {row['agreement_number']} ({row['company_name'] or 'no name'})"
    if row["agreement_number"] is None:
        name = f"connection {row['conn_id']}"
    level, facts = (
        _never_synced(row) if row["last_synced_at"] is None else _synced(row, max_age, max_full_age)
    )
    running = f"; running, {row['last_percentage']} %" if row["running"] and not row["stalled"] else ""
    return Health(level, bounded(f"{name}: {facts}{running}", _LONGEST_LINE))


def _never_synced(row: Row) -> tuple[int, str]:
    failed = row["outcome_status"] == "failed"
    return CRITICAL, "never synced" + (f"; the last sync FAILED: {row['outcome_message']}" if failed else "")


def _synced(row: Row, max_age: timedelta, max_full_age: timedelta | None) -> tuple[int, str]:
    age = timedelta(seconds=row["age_seconds"])
    facts = [f"NOT synced for {ago(age)}" if age > max_age else f"synced {ago(age)} ago"]
    full_age = None if row["full_age_seconds"] is None else timedelta(seconds=row["full_age_seconds"])
    full_is_old = max_full_age is not None and (full_age is None or full_age > max_full_age)
    if full_is_old:
        facts.append("NO full sync" + (f" for {ago(full_age)}" if full_age else ""))
    facts.append(f"{row['invoices'] or 0:,} invoices")
    if row["complete"]:
        facts.append("complete")
    if row["reconciled"]:
        facts.append("agrees with e-conomic")
    warnings = [
        (not row["complete"], "NOT PROVEN COMPLETE"),
        (row["reconciled"] is False, "DIFFERS FROM e-conomic"),
        (row["rejected"], f"{row['rejected'] or 0:,} rejected"),
        (row["warning"], row["warning"]),
        (row["stalled"], "a sync has STALLED"),
        (row["outcome_status"] == "failed", "the last sync FAILED"),
        (agreements.is_unproven(row, "outcome_"), f"the last quick sync is {row['outcome_warning']}"),
    ]
    found = [text for applies, text in warnings if applies]
    facts += found
    if row["degraded"]:
        facts.append(f"{row['degraded']:,} stored with a field left out")
    return CRITICAL if age > max_age or full_is_old else WARNING if found else OK, ", ".join(facts)


def ago(age: timedelta) -> str:
    """Return a length of time with two units: ``2 h 3 min``."""
    seconds = max(0, int(age.total_seconds()))
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size or (size == 1 and not parts):
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(parts[:2])
