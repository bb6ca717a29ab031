"""The page's JSON: facts picked from rows one by one, never a whole row.

The right to read a DAG's runs, which opens the page, is not the right to read receivables. Amounts
and messages of the database are included only when the settings allow it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from economic.config import schedules
from economic.config.dags import DAG_ID, SyncDag
from economic.db.sql import Row

LATE_AFTER = timedelta(hours=1)
"""How long after a sync fell due the copy counts as late: syncs wait for each other and are tried again."""

MOST_MONTHS_BACK = 35
MOST_MONTHS_AHEAD = 12
"""Bounds of the months shown, from the current one: an invoice may be dated in another century."""

_MONTH = re.compile(r"[12]\d{3}-(0[1-9]|1[0-2])", re.ASCII)
_CREDENTIALS = re.compile(r"\b40[13]\b", re.ASCII)
_COUNTS = {"rejected": "failed"} | {
    name: name
    for name in ("fetched", "created", "updated", "unchanged", "missing", "duplicates", "discarded")
}
_FROM_DATABASE = "sqlstate_"
_PHASES = ("fetch", "upsert", "names")
_HELD = {
    "invoices": "invoice_count",
    "not_due": "open_count",
    "overdue": "overdue_count",
    "credit": "credit_count",
    "missing": "missing_count",
}
_HELD_AMOUNTS = {"net": "net_amount_base", "unpaid": "remainder_base", "overdue_unpaid": "overdue_base"}


def dag_json(dag: SyncDag, *, may_trigger: bool) -> dict[str, Any]:
    """What is known of an agreement's DAG without its database."""
    return {
        "dag_id": dag.dag_id,
        "name": dag.dag_id.removeprefix(DAG_ID).removeprefix("__"),
        "scheduled": dag.schedule is not None,
        "may_trigger": may_trigger,
    }


def standing_json(found: Row, dag: SyncDag, *, amounts: bool, months: bool = True) -> dict[str, Any]:
    """How an agreement stands.

    :param found: its row of :func:`economic.db.agreements.statuses`.
    :param months: whether the invoices of each month are told; in a list of many they are most of it.
    """
    return {
        "agreement": found["agreement_number"],
        "company": found["company_name"],
        "currency": found["base_currency"],
        "last_synced": _moment(found["last_synced_at"]),
        "age_seconds": found["age_seconds"],
        "missed_due": _moment(missed_due(found, dag.schedule, datetime.now(UTC))),
        "complete": found["complete"],
        "reconciled": found["reconciled"],
        "booked": found["booked"],
        "booked_net": str(found["booked_net"]) if amounts and found["booked_net"] is not None else None,
        "warning": found["warning"],
        "rejected": found["rejected"],
        "degraded": found["degraded"],
        "held": _held_json(found["held"], amounts=amounts, months=months),
        "sync": _last_json(found, dag) if found["last_sync_id"] is not None else None,
        "outcome": _outcome_json(found, dag),
    }


def missed_due(found: Row, schedule: str | None, now: datetime) -> datetime | None:
    """When a full sync fell due of which the copy shows nothing although there was time for it; None when it is up to date."""
    last = found["last_synced_at"]
    if schedule is None or last is None:
        return None
    due = schedules.previous_due_time(schedule, now - LATE_AFTER)
    at_work = found["running"] and not found["stalled"] and found["last_started_at"] >= due
    return due if last < due and not at_work else None


def sync_json(found: Row, dag: SyncDag) -> dict[str, Any]:
    """One sync of the list.

    :param found: a row of :func:`economic.db.runs.latest_syncs`.
    """
    statistics = found["statistics"]
    return {
        **_order_json(found, dag, ""),
        "sync_id": found["sync_id"],
        "status": found["status"],
        "phase": found["phase"],
        "percentage": float(found["percentage"]),
        "warning": found["warning"] if _is_ours(found, dag, "") else None,
        "started": _moment(found["started_at"]),
        "finished": _moment(found["finished_at"]),
        "seconds": found["seconds"],
        "phases": {phase: statistics.get(f"{phase}_seconds", 0) for phase in _PHASES},
        "counts": {name: statistics.get(key, 0) for name, key in _COUNTS.items()},
    }


def rejection_json(found: Row, *, amounts: bool) -> dict[str, Any]:
    """One rejected item, or one field that a stored invoice lacks. Only the database's messages may hold amounts.

    :param found: a row of :func:`economic.db.invoices.rejections`.
    """
    return {
        "invoice": found["invoice_number"],
        "field": found["field"],
        "reason": reason_words(found["reason"]),
        "message": found["message"] if amounts or not found["reason"].startswith(_FROM_DATABASE) else None,
        "first_seen": _moment(found["first_seen_at"]),
        "last_seen": _moment(found["last_seen_at"]),
        "seen": found["seen_count"],
        "resolved": _moment(found["resolved_at"]),
        "degraded": found["degraded"],
    }


def reason_words(reason: str) -> str:
    """A reason code in words; the codes are made of them."""
    if reason.startswith(_FROM_DATABASE):
        return f"rejected by the database ({reason.removeprefix(_FROM_DATABASE)})"
    return reason.replace("_", " ")


def _held_json(held: dict[str, Any] | None, *, amounts: bool, months: bool) -> dict[str, Any] | None:
    if held is None:
        return None
    told: dict[str, Any] = {name: held.get(key) for name, key in _HELD.items()}
    if amounts:
        told |= {name: held.get(key) for name, key in _HELD_AMOUNTS.items()}
    if months:
        told["months"] = months_json(held.get("months") or {}, datetime.now(UTC))
    return told


def months_json(counted: dict[str, int], now: datetime) -> list[tuple[str, int]]:
    """Return a count for each month from the first that has invoices to the current one.

    :param counted: by YYYY-MM; months without invoices are left out.
    """
    this_month = _month_number(f"{now:%Y-%m}")
    by_number = {_month_number(month): counted[month] for month in counted if _MONTH.fullmatch(month)}
    shown = [n for n in by_number if -MOST_MONTHS_BACK <= n - this_month <= MOST_MONTHS_AHEAD]
    if not shown:
        return []
    every = range(min([*shown, this_month]), max([*shown, this_month]) + 1)
    return [(f"{number // 12}-{number % 12 + 1:02}", by_number.get(number, 0)) for number in every]


def _month_number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _last_json(found: Row, dag: SyncDag) -> dict[str, Any]:
    return {
        **_order_json(found, dag, "last_"),
        "sync_id": found["last_sync_id"],
        "status": found["last_status"],
        "running": found["running"],
        "stalled": found["stalled"],
        "phase": found["last_phase"],
        "percentage": float(found["last_percentage"]),
        "current": found["last_current"],
        "total": found["last_total"],
        "waiting": found["waiting"],
        "seconds": found["running_seconds"],
        "started": _moment(found["last_started_at"]),
        "updated": _moment(found["last_updated_at"]),
        "finished": _moment(found["last_finished_at"]),
    }


def _outcome_json(found: Row, dag: SyncDag) -> dict[str, Any] | None:
    if found["outcome_sync_id"] is None:
        return None
    ours = _is_ours(found, dag, "outcome_")
    failed = ours and found["outcome_status"] == "failed"
    message = found["outcome_message"]
    return {
        "sync_id": found["outcome_sync_id"],
        "status": found["outcome_status"],
        "message": message if ours else None,
        "warning": found["outcome_warning"] if ours else None,
        "finished": _moment(found["outcome_finished_at"]),
        "fetched": found["outcome_fetched"],
        "rejected": found["outcome_rejected"],
        # Where the reason can be mended, when it is the tokens or the connection.
        "connection": dag.conn_id
        if failed and (_CREDENTIALS.search(message) or dag.conn_id in message)
        else None,
    }


def _is_ours(found: Row, dag: SyncDag, prefix: str) -> bool:
    """Whether this DAG's own connection made the sync.

    Another Airflow may write to the same database. Its run ids and messages are not shown here: they
    may name its connections and companies.
    """
    return bool(found[f"{prefix}dag_id"] == dag.dag_id and found[f"{prefix}conn_id"] == dag.conn_id)


def _order_json(found: Row, dag: SyncDag, prefix: str) -> dict[str, Any]:
    """What began a sync, and what it said of itself."""
    ours = _is_ours(found, dag, prefix)
    return {
        "run_id": found[f"{prefix}run_id"] if ours else None,
        "message": found[f"{prefix}message"] if ours else None,
        "trigger": found[f"{prefix}run_type"],
        "forced": found[f"{prefix}force"],
        "range": [_day(found[f"{prefix}date_from"]), _day(found[f"{prefix}date_to"])]
        if found[f"{prefix}scope"] == "range"
        else None,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds")


def _day(day: Any) -> str | None:
    return None if day is None else day.isoformat()
