"""How each agreement stands: what the page, the command line and monitoring show. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from economic.db.sql import Connection, Row, one, rows
from economic.outside_text import bounded

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""Exit codes as monitoring programs understand them."""
LEVELS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

_LONGEST_LINE = 1000

_UNBOUND = "unbound:"
"""What an agreement's connection id begins with once ``unbind`` has let go of it."""


def connections(connection: Connection, conn_ids: Sequence[str] | None) -> list[Row]:
    """How each of these connections' agreements stands, with the ages in seconds by the database's clock.

    A connection that has not reached its agreement yet has a row too, without one.

    :param conn_ids: None: all that have reached one, and those that tried to lately.
    """
    wanted = None if conn_ids is None else list(conn_ids)
    return rows(connection, "select_sync_status", conn_ids=wanted)


def latest_syncs(connection: Connection, agreement_number: int | None, conn_id: str, most: int) -> list[Row]:
    """The latest syncs of an agreement, newest first, and those of its connection that never got to know it."""
    return rows(
        connection,
        "select_latest_sync_runs",
        agreement_number=agreement_number,
        conn_id=conn_id,
        most=most,
    )


def rejections(connection: Connection, agreement_number: int, most: int) -> list[Row]:
    """Return rejected items, the open ones first; without their raw text, and without message for a role that may not read values."""
    granted = one(connection, "select_rights_on_values")["granted"]
    name = "select_rejections" if granted else "select_rejection_reasons"
    return rows(connection, name, agreement_number=agreement_number, most=most)


def is_unbound(found: Row) -> bool:
    """Whether no connection reaches this agreement any more: its rows stay, and are not expected to be fresh."""
    return str(found["conn_id"]).startswith(_UNBOUND)


@dataclass(frozen=True, slots=True)
class Health:
    """What monitoring should think of an agreement: a level (also the exit code), and why, in one line."""

    level: int
    words: str


def health(found: Row, oldest: timedelta) -> Health:
    """Judge one agreement.

    Critical: no full sync within ``oldest``. Warning: fresh, but not proven complete, not equal to e-conomic's totals, with refused invoices,
    or with a last sync that failed or has stalled.

    :param found: its row of :func:`connections`.
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


def trigger(found: dict[str, Any]) -> str:
    """What began a sync, in words: ``scheduled``, ``manual, forced``, ``backfill, 2026-03-01 to 2026-03-02``."""
    words = [found["run_type"]]
    if found["force"]:
        words.append("forced")
    if found["scope"] == "range":
        words.append(f"{found['date_from'] or 'start'} to {found['date_to'] or 'today'}")
    return ", ".join(words)
