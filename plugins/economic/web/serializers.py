"""The page's JSON: facts picked from rows one by one, never a whole row.

The right to read a DAG's runs, which opens the page, is not the right to read receivables. Amounts
and messages of the database are included only when the settings allow it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from economic.config import schedules
from economic.config.dags import DAG_ID, SyncDag
from economic.db import agreements
from economic.db.sql import Row

LATE_AFTER = timedelta(hours=1)
"""How long after a sync fell due the copy counts as late: syncs wait for each other and are
retried.
"""

MOST_MONTHS_BACK = 35
MOST_MONTHS_AHEAD = 12
"""Bounds of the months shown, from the current one: an invoice may be dated in another century."""

_MONTH = re.compile(r"[12]\d{3}-(0[1-9]|1[0-2])", re.ASCII)
_CREDENTIALS = re.compile(r"\b40[13]\b", re.ASCII)
_FROM_DATABASE = "sqlstate_"
_PHASES = ("fetch", "upsert", "names")
_COUNTS = {"rejected": "failed"} | {
    name: name for name in ("fetched", "created", "updated", "unchanged", "missing")
}
_HELD = {
    "invoices": "invoice_count",
    "not_due": "open_count",
    "overdue": "overdue_count",
    "credit": "credit_count",
    "missing": "missing_count",
}
_HELD_AMOUNTS = {"net": "net_amount_base", "unpaid": "remainder_base", "overdue_unpaid": "overdue_base"}


def dag_to_json(dag: SyncDag, triggerable: Collection[str]) -> dict[str, Any]:
    """Return what is known of an agreement's DAGs without the database.

    :param triggerable: ids of the DAGs that the user may trigger.
    """
    return {
        "dag_id": dag.dag_id,
        "name": dag.dag_id.removeprefix(DAG_ID).removeprefix("__"),
        "scheduled": dag.schedule is not None,
        "may_trigger": dag.dag_id in triggerable,
        "quick_dag_id": dag.quick_dag_id if dag.quick_schedule else None,
        "may_trigger_quick": dag.quick_dag_id in triggerable,
    }


def status_to_json(row: Row, dag: SyncDag, *, amounts: bool, months: bool) -> dict[str, Any]:
    """Return an agreement's status.

    :param months: whether to include the invoices of each month, which are most of the JSON.
    """
    return {
        "agreement": row["agreement_number"],
        "company": row["company_name"],
        "currency": row["base_currency"],
        "last_synced": _timestamp(row["last_synced_at"]),
        "last_full": _timestamp(row["last_full_scan_at"]),
        "missed_due": _timestamp(missed_due(row, dag.schedule, datetime.now(UTC))),
        "missed_full": _timestamp(missed_due(row, dag.schedule, datetime.now(UTC), full=True)),
        "booked_net": str(row["booked_net"]) if amounts and row["booked_net"] is not None else None,
        "held": _held_to_json(row["held"], amounts=amounts, months=months),
        "sync": _last_sync_to_json(row, dag) if row["last_sync_id"] is not None else None,
        "outcome": _outcome_to_json(row, dag) if row["outcome_sync_id"] is not None else None,
        "lines": lines_to_json(row, dag),
    } | _pick(
        row,
        "age_seconds",
        "full_age_seconds",
        "complete",
        "reconciled",
        "booked",
        "warning",
        "rejected",
        "degraded",
    )


def missed_due(row: Row, schedule: str | None, now: datetime, *, full: bool = False) -> datetime | None:
    """Return when a full sync fell due that should have ended by now and is not in the copy.

    :param full: whether proven quick syncs since then do not count.
    """
    last = row["last_full_scan_at" if full else "last_synced_at"]
    if schedule is None or last is None:
        return None
    due = schedules.previous_due_time(schedule, now - LATE_AFTER)
    at_work = row["running"] and not row["stalled"] and row["last_started_at"] >= due
    return due if last < due and not (at_work and (not full or row["last_scope"] == "full")) else None


def sync_to_json(row: Row, dag: SyncDag) -> dict[str, Any]:
    """Return one sync of the list."""
    statistics = row["statistics"]
    return {
        **_request_to_json(row, dag, ""),
        **_pick(row, "sync_id", "status", "phase", "seconds"),
        "percentage": float(row["percentage"]),
        "unproven": agreements.is_unproven(row),
        "warning": row["warning"] if _is_ours(row, dag, "") else None,
        "started": _timestamp(row["started_at"]),
        "finished": _timestamp(row["finished_at"]),
        "phases": {phase: statistics.get(f"{phase}_seconds", 0) for phase in _PHASES},
        "counts": {name: statistics.get(key, 0) for name, key in _COUNTS.items()},
    }


def rejection_to_json(row: Row, *, amounts: bool) -> dict[str, Any]:
    """Return one rejected item, or one field that a stored invoice lacks.

    Messages of the database may hold amounts; other messages never do.
    """
    return {
        "invoice": row["invoice_number"],
        "reason": reason_text(row["reason"]),
        "message": row["message"] if amounts or not row["reason"].startswith(_FROM_DATABASE) else None,
        "first_seen": _timestamp(row["first_seen_at"]),
        "last_seen": _timestamp(row["last_seen_at"]),
        "seen": row["seen_count"],
        "resolved": _timestamp(row["resolved_at"]),
    } | _pick(row, "field", "degraded")


def unproven_to_json(row: Row, *, amounts: bool) -> dict[str, Any]:
    """Return one invoice whose lines do not add up, or cannot be stored."""
    return {
        "invoice": row["invoice_number"],
        "reason": row["reason"] and reason_text(row["reason"]),
        "difference": str(row["difference"]) if amounts and row["status"] == "differing" else None,
        "first_read": _timestamp(row["first_read_at"]),
        "last_read": _timestamp(row["last_read_at"]),
    } | _pick(row, "status", "field", "message", "tries")


def reason_text(reason: str) -> str:
    """Return a reason code as text."""
    if reason.startswith(_FROM_DATABASE):
        return f"rejected by the database ({reason.removeprefix(_FROM_DATABASE)})"
    return reason.replace("_", " ")


def _held_to_json(held: dict[str, Any] | None, *, amounts: bool, months: bool) -> dict[str, Any] | None:
    if held is None:
        return None
    names = _HELD | _HELD_AMOUNTS if amounts else _HELD
    json: dict[str, Any] = {name: held.get(key) for name, key in names.items()}
    if months:
        json["months"] = months_to_json(held.get("months") or {}, datetime.now(UTC))
    return json


def months_to_json(counts: dict[str, int], now: datetime) -> list[tuple[str, int]]:
    """Return a count for each month from the first that has invoices to the current one.

    :param counts: by YYYY-MM; months without invoices are left out.
    """
    this_month = _month_number(f"{now:%Y-%m}")
    by_number = {_month_number(month): counts[month] for month in counts if _MONTH.fullmatch(month)}
    shown = [n for n in by_number if -MOST_MONTHS_BACK <= n - this_month <= MOST_MONTHS_AHEAD]
    if not shown:
        return []
    numbers = range(min([*shown, this_month]), max([*shown, this_month]) + 1)
    return [(f"{number // 12}-{number % 12 + 1:02}", by_number.get(number, 0)) for number in numbers]


def _month_number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _last_sync_to_json(row: Row, dag: SyncDag) -> dict[str, Any]:
    return {
        **_request_to_json(row, dag, "last_"),
        **_pick(row, "running", "stalled", "waiting"),
        "sync_id": row["last_sync_id"],
        "status": row["last_status"],
        "phase": row["last_phase"],
        "percentage": float(row["last_percentage"]),
        "current": row["last_current"],
        "total": row["last_total"],
        "seconds": row["running_seconds"],
    }


def _outcome_to_json(row: Row, dag: SyncDag) -> dict[str, Any]:
    ours = _is_ours(row, dag, "outcome_")
    message = row["outcome_message"] if ours else None
    # A failure because of the tokens or the connection is corrected there.
    at_connection = message and (_CREDENTIALS.search(message) or dag.conn_id in message)
    return {
        "sync_id": row["outcome_sync_id"],
        "quick": row["outcome_scope"] == "quick",
        "quiet": row["outcome_quiet"],
        "unproven": agreements.is_unproven(row, "outcome_"),
        "age_seconds": row["outcome_age_seconds"],
        "status": row["outcome_status"],
        "message": message,
        "warning": row["outcome_warning"] if ours else None,
        "fetched": row["outcome_fetched"],
        "rejected": row["outcome_rejected"],
        "connection": dag.conn_id if at_connection and row["outcome_status"] == "failed" else None,
    }


def lines_to_json(row: Row, dag: SyncDag) -> dict[str, Any] | None:
    """Return how the lines of an agreement's invoices stand; None where they are off.

    Where this Airflow reads none, another one may: its messages are not shown.
    """
    reading = row["lines"]
    if reading is None:
        status = "unread" if row["lines_granted"] else "no_right"
        return {"status": status, "dag_id": dag.lines_dag_id} if dag.lines else None
    age = reading["completed_age"]
    return {
        "dag_id": dag.lines_dag_id if dag.lines else None,
        "message": reading["message"] if dag.lines else None,
        "late": age is not None and age > agreements.LINES_LATE_AFTER.total_seconds(),
        "finished": _timestamp(reading["finished_at"]),
        "age_seconds": age,
        "seconds": reading["started_age"],
    } | _pick(
        reading,
        *("status", "current", "total", "invoices", "proven", "differing", "rejected", "unread"),
        *("counted", "held"),
    )


def _is_ours(row: Row, dag: SyncDag, prefix: str) -> bool:
    """Return whether the connection of these DAGs made the sync.

    Another Airflow may write to the same database. Its run ids and messages are not shown here:
    they may name its connections and companies.
    """
    ours = row[f"{prefix}dag_id"] in {dag.dag_id, dag.quick_dag_id}
    return bool(ours and row[f"{prefix}conn_id"] == dag.conn_id)


def _request_to_json(row: Row, dag: SyncDag, prefix: str) -> dict[str, Any]:
    """Return what started a sync, and its message."""
    ours = _is_ours(row, dag, prefix)
    days = [row[f"{prefix}date_from"], row[f"{prefix}date_to"]]
    return {
        "dag_id": row[f"{prefix}dag_id"] if ours else None,
        "run_id": row[f"{prefix}run_id"] if ours else None,
        "message": row[f"{prefix}message"] if ours else None,
        "trigger": row[f"{prefix}run_type"],
        "forced": row[f"{prefix}force"],
        "quick": row[f"{prefix}scope"] == "quick",
        "range": [day and day.isoformat() for day in days] if row[f"{prefix}scope"] == "range" else None,
    }


def _pick(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _timestamp(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")
