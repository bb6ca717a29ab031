"""How agreements stand, as text for a terminal and as a line for monitoring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from economic.cli.health import LEVELS, Health, ago
from economic.db.agreements import is_unbound
from economic.db.sql import Row
from economic.outside_text import bounded, harmless

_BAR = 40


def check_line(judged: Sequence[Health]) -> str:
    """Return monitoring's line: one line, the worst agreement first."""
    worst_first = sorted(judged, key=lambda health: health.level, reverse=True)
    line = " / ".join(f"{LEVELS[health.level]}: {health.words}" for health in worst_first)
    # Monitoring programs take what follows `|` for figures, and a second line for something else.
    return harmless(line.replace("|", "/")) + "\n"


def status_lines(found: Row, syncs: Sequence[Row], refused: Sequence[Row]) -> Iterator[str]:
    """What there is to know of one agreement: its copy, what runs, the latest syncs, the refused invoices."""
    yield _name(found)
    if found["last_synced_at"] is None:
        yield "  never synced"
    else:
        age = ago(timedelta(seconds=found["age_seconds"]))
        yield f"  last synced  {age} ago, {_moment(found['last_synced_at'])}"
        yield f"  complete     {'yes' if found['complete'] else 'not proven'}"
        yield f"  {found['verdict'] or _compared(found['reconciled'])}"
    if found["degraded"]:
        yield f"  left out     {found['degraded']:,} invoices stored with a field left out"
    if found["warning"]:
        yield f"  LOOK: {bounded(found['warning'])}"
    if found["held"]:
        yield from _held(found["held"], found["base_currency"])
    if found["running"]:
        yield from _running(found)
    if syncs:
        yield ""
        yield from _table(
            (
                "sync",
                "began",
                "seconds",
                "by",
                "status",
                "fetched",
                "created",
                "updated",
                "failed",
                "missing",
            ),
            [_sync(sync) for sync in syncs],
        )
        failed = next((sync for sync in syncs if sync["status"] == "failed"), None)
        if failed is not None:
            yield f"  sync {failed['sync_id']} failed: {bounded(failed['message'])}"
    if refused:
        yield ""
        yield from _table(
            ("invoice", "field", "why", "last seen", "now"),
            [
                (
                    str(item["invoice_number"] or "(no number)"),
                    item["field"],
                    item["message"] or item["reason"].replace("_", " "),
                    _moment(item["last_seen_at"]),
                    _now(item),
                )
                for item in refused
            ],
        )


def _now(item: Row) -> str:
    if item["resolved_at"] is not None:
        return "healed"
    return "stored without it" if item["degraded"] else "refused"


def _name(found: Row) -> str:
    if found["agreement_number"] is None:
        return f"connection {found['conn_id']}, which has not reached its agreement yet"
    reached_by = "no connection any more" if is_unbound(found) else f"connection {found['conn_id']}"
    return (
        f"{bounded(found['company_name'] or 'no name')} (agreement {found['agreement_number']}, {reached_by})"
    )


def _held(held: Row, currency: str | None) -> Iterator[str]:
    unpaid = (
        f"{held['open_count']:,} open, {held['overdue_count']:,} overdue, {held['credit_count']:,} credits"
    )
    yield f"  holds        {held['invoice_count']:,} invoices: {unpaid}; {held['missing_count']:,} missing"
    if "remainder_base" in held:
        yield f"  owed         {Decimal(held['remainder_base']):,.2f} {currency or ''}".rstrip()


def _compared(reconciled: bool | None) -> str:
    """Return how the copy compares, for a role that may not read sums."""
    if reconciled is None:
        return "Not compared with e-conomic."
    return "Agrees with e-conomic." if reconciled else "Differs from e-conomic."


def _running(found: Row) -> Iterator[str]:
    share = float(found["last_percentage"]) / 100
    bar = f"[{'#' * round(share * _BAR):{_BAR}}]"
    state = (
        "STALLED" if found["stalled"] else f"running for {ago(timedelta(seconds=found['running_seconds']))}"
    )
    yield f"  sync {found['last_sync_id']} {state}: {bar} {found['last_percentage']} %  {bounded(found['last_message'])}"
    if found["stalled"]:
        yield "  Its process is gone. The next sync takes over by itself; a forced one at once."


def _sync(sync: Row) -> tuple[str, ...]:
    counts = [
        f"{sync['statistics'].get(key, 0):,}"
        for key in ("fetched", "created", "updated", "failed", "missing")
    ]
    head = (str(sync["sync_id"]), _moment(sync["started_at"]), f"{sync['seconds']:,.1f}", _trigger(sync))
    return (*head, sync["status"], *counts)


def _trigger(sync: Row) -> str:
    """Return what began a sync: ``scheduled``, ``manual, forced``, ``backfill, 2026-03-01 to 2026-03-02``."""
    words = [sync["run_type"]]
    if sync["force"]:
        words.append("forced")
    if sync["scope"] == "range":
        words.append(f"{sync['date_from'] or 'start'} to {sync['date_to'] or 'today'}")
    return ", ".join(words)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    body = [[bounded(cell) for cell in row] for row in body]
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    for row in (head, *body):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
