"""What the page is told of each row, as JSON: facts that were picked one by one, never a whole row.

Whoever may read a DAG's runs sees the page, which is not the right to read receivables: amounts, sentences that hold amounts, and refused values are
told only when the settings say so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from economic import schedules
from economic.agreements import DAG_ID, AgreementDag
from economic.database import Row

LATE_AFTER = timedelta(hours=1)
"""How long after a sync fell due the copy counts as late: syncs wait for each other and are tried again."""

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_COUNTS = ("fetched", "created", "updated", "unchanged", "failed", "missing", "duplicates", "discarded")
_PHASES = ("fetch", "upsert", "names")
_HELD = {
    "invoices": "invoice_count",
    "open": "open_count",
    "overdue": "overdue_count",
    "credit": "credit_count",
    "missing": "missing_count",
}
_HELD_AMOUNTS = {"net": "net_amount_base", "unpaid": "remainder_base", "overdue_unpaid": "overdue_base"}


def dag_json(dag: AgreementDag, *, may_trigger: bool) -> dict[str, Any]:
    """What is known of an agreement's DAG without its database."""
    return {
        "dag_id": dag.dag_id,
        "name": dag.dag_id.removeprefix(DAG_ID).removeprefix("__"),
        "scheduled": dag.schedule is not None,
        "may_trigger": may_trigger,
    }


def standing_json(found: Row, dag: AgreementDag, *, amounts: bool, months: bool = True) -> dict[str, Any]:
    """How an agreement stands.

    :param found: its row of :func:`economic.status.connections`.
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
        "verdict": found["verdict"] if amounts else None,
        "warning": found["warning"],
        "refused": found["rejected"],
        "held": _held_json(found["held"], amounts=amounts, months=months),
        "sync": _last_json(found, dag) if found["last_sync_id"] is not None else None,
        "outcome": _outcome_json(found),
    }


def missed_due(found: Row, schedule: str | None, now: datetime) -> datetime | None:
    """When a full sync fell due of which the copy shows nothing although there was time for it; None when it is up to date."""
    last = found["last_synced_at"]
    if schedule is None or last is None:
        return None
    due = schedules.previous_tick(schedule, now - LATE_AFTER)
    at_work = found["running"] and not found["stalled"] and found["last_started_at"] >= due
    return due if last < due and not at_work else None


def sync_json(found: Row, dag: AgreementDag) -> dict[str, Any]:
    """One sync of the list.

    :param found: a row of :func:`economic.status.latest_syncs`.
    """
    statistics = found["statistics"]
    return {
        **_order_json(found, dag, ""),
        "sync_id": found["sync_id"],
        "status": found["status"],
        "percentage": float(found["percentage"]),
        "message": found["message"],
        "started": _moment(found["started_at"]),
        "finished": _moment(found["finished_at"]),
        "seconds": found["seconds"],
        "phases": {phase: statistics.get(f"{phase}_seconds", 0) for phase in _PHASES},
        "counts": {count: statistics.get(count, 0) for count in _COUNTS},
    }


def rejection_json(found: Row, *, amounts: bool) -> dict[str, Any]:
    """One item that was set aside.

    :param found: a row of :func:`economic.status.rejections`.
    """
    return {
        "invoice": found["invoice_number"],
        "field": found["field"],
        "reason": reason_words(found["reason"]),
        "message": found["message"] if amounts else None,
        "first_seen": _moment(found["first_seen_at"]),
        "last_seen": _moment(found["last_seen_at"]),
        "seen": found["seen_count"],
        "healed": _moment(found["resolved_at"]),
    }


def reason_words(reason: str) -> str:
    """A reason code in words; the codes are made of them."""
    if reason.startswith("sqlstate_"):
        return f"refused by the database ({reason.removeprefix('sqlstate_')})"
    return reason.replace("_", " ")


def _held_json(held: dict[str, Any] | None, *, amounts: bool, months: bool) -> dict[str, Any] | None:
    if held is None:
        return None
    told: dict[str, Any] = {name: held.get(key) for name, key in _HELD.items()}
    if amounts:
        told |= {name: held.get(key) for name, key in _HELD_AMOUNTS.items()}
    if months:
        counted: dict[str, int] = held.get("months") or {}
        told["months"] = [[month, counted[month]] for month in sorted(counted) if _MONTH.fullmatch(month)]
    return told


def _last_json(found: Row, dag: AgreementDag) -> dict[str, Any]:
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
        "message": found["last_message"],
        "seconds": found["running_seconds"],
        "started": _moment(found["last_started_at"]),
        "updated": _moment(found["last_updated_at"]),
        "finished": _moment(found["last_finished_at"]),
    }


def _outcome_json(found: Row) -> dict[str, Any] | None:
    if found["outcome_sync_id"] is None:
        return None
    return {
        "sync_id": found["outcome_sync_id"],
        "status": found["outcome_status"],
        "message": found["outcome_message"],
        "finished": _moment(found["outcome_finished_at"]),
    }


def _order_json(found: Row, dag: AgreementDag, prefix: str) -> dict[str, Any]:
    """What began a sync. The run is named only when it is one of this DAG: another Airflow may write to the same database."""
    ours = found[f"{prefix}dag_id"] == dag.dag_id
    return {
        "run_id": found[f"{prefix}run_id"] if ours else None,
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
