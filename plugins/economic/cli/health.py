"""Monitoring's verdict on an agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from economic.db import agreements
from economic.db.sql import Row
from economic.outside_text import bounded

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""Exit codes as monitoring programs understand them."""
LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_GRAVITY = (OK, WARNING, UNKNOWN, CRITICAL)

LINES_NOT_GRANTED = "the role may not read line_reading; run grant_monitor.sql of this version"
_LINES_TROUBLES = {
    "failed": "the last run FAILED",
    "skipped": "the last run was SKIPPED",
    "stalled": "the run has STALLED",
}
_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict: its level, which is the exit code, and the reason in one line."""

    level: int
    text: str


def worst_first(verdicts: Sequence[Health]) -> list[Health]:
    """Sort verdicts. What is known to be critical is worse than what cannot be known."""
    return sorted(verdicts, key=lambda verdict: _GRAVITY.index(verdict.level), reverse=True)


def judge(row: Row, max_age: timedelta, max_full_age: timedelta | None = None) -> Health:
    """Return the verdict on one agreement.

    Critical: no full or proven quick sync within ``max_age``, or no full one within
    ``max_full_age``. Warning: not proven complete, different from e-conomic's totals, rejected
    invoices, a warning, or a last sync that failed,
    has stalled or is not proven.

    :param row: of :func:`economic.db.agreements.statuses`.
    """
    level, facts = (
        _never_synced(row) if row["last_synced_at"] is None else _synced(row, max_age, max_full_age)
    )
    running = f"; running, {row['last_percentage']} %" if row["running"] and not row["stalled"] else ""
    return Health(level, bounded(f"{_name(row)}: {facts}{running}", _LONGEST_LINE))


def judge_lines(row: Row, max_age: timedelta) -> Health:
    """Return the verdict on the lines of one agreement's invoices.

    Critical: a run failed, none has ended well within ``max_age``, or none ever has and none is at
    work. Warning: differing or rejected lines, another count than e-conomic's, a run that was
    skipped or has stalled. Unknown: the role may not read it.
    """
    if not row["lines_granted"]:
        return Health(UNKNOWN, f"{_name(row)}, lines: {LINES_NOT_GRANTED}")
    reading = row["lines"]
    level, facts = (OK, "off, none was ever read") if reading is None else _lines(reading, max_age)
    return Health(level, bounded(f"{_name(row)}, lines: {facts}", _LONGEST_LINE))


def _lines(reading: Row, max_age: timedelta) -> tuple[int, str]:
    status, done = reading["status"], reading["completed_age"]
    age = timedelta(seconds=reading["started_age"] if done is None else done)
    facts = lines_facts(reading)
    if done is None:
        facts.append("not read completely yet")
    else:
        facts.append(f"NOT read for {ago(age)}" if age > max_age else f"read {ago(age)} ago")
    if status == "running":
        facts.append(f"reading {reading['current']:,} of {reading['total']:,}")
    facts += lines_trouble(reading)
    never = done is None and status == "skipped"
    if age > max_age or status == "failed" or never:
        return CRITICAL, ", ".join(facts)
    strange = reading["differing"] or reading["rejected"] or reading["counted"] != reading["held"]
    return WARNING if strange or status in _LINES_TROUBLES else OK, ", ".join(facts)


def lines_facts(reading: Row) -> list[str]:
    """Return how the lines of an agreement's invoices stand, each fact as text."""
    facts = [f"{reading['proven']:,} of {reading['invoices']:,} invoices proven"]
    facts += [
        f"{reading[name]:,} {word}"
        for name, word in (("differing", "differing"), ("rejected", "rejected"), ("unread", "not read yet"))
        if reading[name]
    ]
    counted, held = reading["counted"], reading["held"]
    if counted is None:
        facts.append("not counted yet")
    elif counted == held:
        facts.append(f"e-conomic counts {held:,} lines too")
    else:
        facts.append(f"e-conomic COUNTS {counted:,} lines, the copy holds {held:,}")
    return facts


def lines_trouble(reading: Row) -> list[str]:
    """Return what is wrong with the latest run that read lines, and why."""
    trouble = _LINES_TROUBLES.get(reading["status"])
    why = ": " + bounded(reading["message"]) if reading["message"] else ""
    return [] if trouble is None else [trouble + why]


def _name(row: Row) -> str:
    if row["agreement_number"] is None:
        return f"connection {row['conn_id']}"
    return f"agreement {row['agreement_number']} ({row['company_name'] or 'no name'})"


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
