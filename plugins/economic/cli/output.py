"""The status of agreements as text for a terminal, and as a line for monitoring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from economic.cli.health import LEVELS, LINES_NOT_GRANTED, Health, ago, lines_facts, lines_trouble
from economic.db.agreements import is_unbound, is_unproven
from economic.db.sql import Row
from economic.outside_text import bounded, harmless

REQUESTS_OF_DAY = 50_000
"""The calls that e-conomic allows in a day."""
_BAR = 40
_COUNTS = ("fetched", "created", "updated", "failed", "missing")


def check_line(verdicts: Sequence[Health]) -> str:
    """Return monitoring's one line."""
    line = " / ".join(f"{LEVELS[verdict.level]}: {verdict.text}" for verdict in verdicts)
    # Monitoring programs read figures after `|`, and something else from a second line.
    return harmless(line.replace("|", "/")) + "\n"


def status_lines(row: Row, syncs: Sequence[Row], requests: int, rejections: Sequence[Row]) -> Iterator[str]:
    """Yield one agreement's status: its copy, what runs, the
    latest syncs, the rejected invoices.

    :param requests: of the last 24 hours.
    """
    yield _name(row)
    if row["last_synced_at"] is None:
        yield "  never synced"
    else:
        yield f"  last synced  {_ago(row['age_seconds'])}, {_timestamp(row['last_synced_at'])}"
        if row["last_full_scan_at"] is not None:
            yield f"  last full    {_ago(row['full_age_seconds'])}, {_timestamp(row['last_full_scan_at'])}"
        yield f"  complete     {'yes' if row['complete'] else 'not proven'}"
        yield f"  {row['verdict'] or _comparison(row['reconciled'])}"
    if row["degraded"]:
        yield f"  left out     {row['degraded']:,} invoices stored with a field left out"
    if row["warning"]:
        yield f"  WARNING: {bounded(row['warning'])}"
    if row["held"]:
        yield from _held(row["held"], row["base_currency"])
    yield from _lines(row)
    yield from _outcome(row, requests)
    if row["running"]:
        yield from _running(row)
    if syncs:
        yield ""
        yield from _table(
            ("sync", "started", "seconds", "trigger", "status", *_COUNTS), [_sync(sync) for sync in syncs]
        )
        failed = next((sync for sync in syncs if sync["status"] == "failed"), None)
        if failed is not None:
            yield f"  sync {failed['sync_id']} failed: {bounded(failed['message'])}"
    if rejections:
        yield ""
        yield from _table(
            ("invoice", "field", "reason", "last seen", "now"), [_rejection(item) for item in rejections]
        )


def _name(row: Row) -> str:
    if row["agreement_number"] is None:
        return f"connection {row['conn_id']}, which has not reached its agreement yet"
    connection = "no connection any more" if is_unbound(row) else f"connection {row['conn_id']}"
    return f"{bounded(row['company_name'] or 'no name')} (agreement {row['agreement_number']}, {connection})"


def _held(held: Row, currency: str | None) -> Iterator[str]:
    counts = ", ".join(f"{held[f'{name}_count']:,} {name}" for name in ("open", "overdue"))
    yield (
        f"  holds        {held['invoice_count']:,} invoices: {counts}, {held['credit_count']:,} credits; "
        f"{held['missing_count']:,} missing"
    )
    if "remainder_base" in held:
        yield f"  owed         {Decimal(held['remainder_base']):,.2f} {currency or ''}".rstrip()


def _lines(row: Row) -> Iterator[str]:
    if not row["lines_granted"]:
        yield f"  lines        not known: {LINES_NOT_GRANTED}"
    reading = row["lines"]
    if reading is None:
        return
    done = reading["completed_age"]
    facts = lines_facts(reading) + ([] if done is None else [f"read {_ago(done)}"])
    yield f"  lines        {', '.join(facts)}"
    for trouble in lines_trouble(reading):
        yield f"  lines        {trouble}"
    if reading["status"] == "running":
        so_far = f"{reading['current']:,} of {reading['total']:,} invoices"
        yield f"  lines        reading for {ago(timedelta(seconds=reading['started_age']))}: {so_far}"


def _outcome(row: Row, requests: int) -> Iterator[str]:
    yield f"  requests     {requests:,} of {REQUESTS_OF_DAY:,} by syncs in the last 24 h"
    if row["outcome_quiet"]:
        yield f"  Looked {_ago(row['outcome_age_seconds'])}: nothing had changed."
    if is_unproven(row, "outcome_"):
        yield f"  The last quick sync is {bounded(row['outcome_warning'])}"


def _comparison(reconciled: bool | None) -> str:
    """Return how the copy compares, for a role that may not read sums."""
    if reconciled is None:
        return "Not compared with e-conomic."
    return "Agrees with e-conomic." if reconciled else "Differs from e-conomic."


def _running(row: Row) -> Iterator[str]:
    percentage = row["last_percentage"]
    bar = f"[{'#' * round(float(percentage) / 100 * _BAR):{_BAR}}]"
    age = ago(timedelta(seconds=row["running_seconds"]))
    state = "STALLED" if row["stalled"] else f"running for {age}"
    yield f"  sync {row['last_sync_id']} {state}: {bar} {percentage} %  {bounded(row['last_message'])}"
    if row["stalled"]:
        yield "  Its process is gone. The next sync takes over; a forced one at once."


def _sync(sync: Row) -> tuple[str, ...]:
    trigger = [sync["run_type"]]
    if sync["force"]:
        trigger.append("forced")
    if sync["scope"] == "quick":
        trigger.append("quick")
    if sync["scope"] == "range":
        trigger.append(f"{sync['date_from'] or 'start'} to {sync['date_to'] or 'today'}")
    return (
        str(sync["sync_id"]),
        _timestamp(sync["started_at"]),
        f"{sync['seconds']:,.1f}",
        ", ".join(trigger),
        sync["status"],
        *(f"{sync['statistics'].get(name, 0):,}" for name in _COUNTS),
    )


def _rejection(item: Row) -> tuple[str, ...]:
    now = "stored without it" if item["degraded"] else "rejected"
    return (
        str(item["invoice_number"] or "(no number)"),
        item["field"],
        item["message"] or item["reason"].replace("_", " "),
        _timestamp(item["last_seen_at"]),
        now if item["resolved_at"] is None else "resolved",
    )


def _ago(seconds: float) -> str:
    return f"{ago(timedelta(seconds=seconds))} ago"


def _timestamp(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    body = [[bounded(cell) for cell in row] for row in body]
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    for row in (head, *body):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
