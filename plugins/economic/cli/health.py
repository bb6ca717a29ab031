"""The verdict of monitoring on an agreement's row of status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from economic.db.sql import Row
from economic.outside_text import bounded

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""Exit codes as monitoring programs understand them."""
LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True)
class Health:
    """What monitoring should think of an agreement: a level (also the exit code), and why, in one line."""

    level: int
    words: str


def judge(found: Row, oldest: timedelta) -> Health:
    """Judge one agreement.

    Critical: no full sync within ``oldest``. Warning: fresh, but not proven complete, not equal to e-conomic's totals, with refused invoices,
    or with a last sync that failed or has stalled.

    :param found: its row of :func:`economic.db.agreements.statuses`.
    """
    who = f"agreement {found['agreement_number']} ({found['company_name'] or 'no name'})"
    if found["agreement_number"] is None:
        who = f"connection {found['conn_id']}"
    if found["last_synced_at"] is None:
        why = f"; the last sync FAILED: {found['outcome_message']}" if _failed(found) else ""
        return Health(CRITICAL, bounded(f"{who}: never synced{why}{_now(found)}", _LONGEST_LINE))
    age = timedelta(seconds=found["age_seconds"])
    words = [f"synced {ago(age)} ago", f"{found['invoices'] or 0:,} invoices"]
    words.append("complete" if found["complete"] else "NOT PROVEN COMPLETE")
    if found["reconciled"] is not None:
        words.append("agrees with e-conomic" if found["reconciled"] else "DIFFERS FROM e-conomic")
    if found["rejected"]:
        words.append(f"{found['rejected']:,} refused")
    if found["degraded"]:
        words.append(f"{found['degraded']:,} stored with a field left out")
    if found["warning"]:
        words.append(found["warning"])
    if found["stalled"]:
        words.append("a sync has STALLED")
    failed = _failed(found)
    if failed:
        words.append("the last sync FAILED")
    fine = found["complete"] and found["reconciled"] is not False and not failed
    level = OK if fine and not (found["rejected"] or found["warning"] or found["stalled"]) else WARNING
    if age > oldest:
        words[0] = f"NOT synced for {ago(age)}"
        level = CRITICAL
    return Health(level, bounded(f"{who}: {', '.join(words)}{_now(found)}", _LONGEST_LINE))


def _failed(found: Row) -> bool:
    return bool(found["outcome_status"] == "failed")


def _now(found: Row) -> str:
    if not found["running"] or found["stalled"]:
        return ""
    return f"; running, {found['last_percentage']} %"


def ago(age: timedelta) -> str:
    """A length of time in words, to two units: ``2 h 3 min``."""
    seconds = max(0, int(age.total_seconds()))
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    parts: list[str] = []
    for size, name in units:
        if seconds >= size or (size == 1 and not parts):
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    return " ".join(parts[:2])
