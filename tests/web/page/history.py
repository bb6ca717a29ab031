"""Inserts rows as syncs leave them: a history that would take days to run."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

DAG_ID = "economic_invoice_sync"
AGREEMENT = 1234567
COMPANY = "Nordhavn Møbler A/S"

# Of the last 24 months only, as a sync counts them; all 22,540 are of seven years.
MONTHS = {
    f"{year}-{month:02}": 210 + (year * 37 + month * 53) % 80
    for year, month in [(2024, 12)]
    + [(2025, month) for month in range(1, 13)]
    + [(2026, month) for month in range(1, 12)]
}
REFUSED = range(6, 9)
"""The syncs of :func:`add_past` that rejected an invoice, resolved since; 1 is the latest."""
HELD = {
    "invoice_count": 22_540,
    "net_amount_base": "204949866.44",
    "remainder_base": "1830422.75",
    "without_base": 0,
    "open_count": 412,
    "overdue_count": 87,
    "overdue_base": "301944.50",
    "credit_count": 19,
    "missing_count": 0,
    "rejected_count": 0,
    "unheld_count": 0,
    "base_currency": "DKK",
    "months": MONTHS,
}

OCTOBER = MONTHS["2026-10"]
WITH_ONE_REFUSED: dict[str, Any] = {
    "status": "completed_with_errors",
    "message": "Synced 22,540 invoices; 1 invoice rejected (see rejected_invoice)",
    "reconciled": False,
    "verdict": "Differs from e-conomic: 1 invoice rejected.",
    "held": HELD | {"rejected_count": 1},
}
"""Columns of a sync that rejected the new version of a stored invoice."""


def statistics(**counts: float) -> dict[str, float]:
    """Return the statistics of a sync in which little happened."""
    return {
        "fetched": 22_540,
        "created": 0,
        "updated": 0,
        "unchanged": 22_540,
        "failed": 0,
        "missing": 0,
        "duplicates": 0,
        "discarded": 0,
        "fetch_seconds": 6.1,
        "upsert_seconds": 1.2,
        "names_seconds": 0.2,
    } | counts


def add_agreement(
    connection: psycopg.Connection,
    number: int = AGREEMENT,
    conn_id: str = "economic_default",
    company: str | None = COMPANY,
    currency: str | None = "DKK",
) -> None:
    connection.execute(
        "insert into economic.agreement (agreement_number, conn_id, company_name, base_currency) values (%s, %s, %s, %s)",
        (number, conn_id, company, currency),
    )


def add_sync(
    connection: psycopg.Connection,
    number: int | None = AGREEMENT,
    *,
    ended: timedelta | None = timedelta(minutes=12),
    seconds: float = 11.4,
    **columns: Any,
) -> int:
    """Insert a sync and return its id. By default it is full, scheduled and successful.

    :param ended: how long ago; None for one that has been running for ``seconds``.
    :param columns: of ``sync_run``, instead of the defaults.
    """
    now = datetime.now(UTC)
    finished = None if ended is None else now - ended
    values: dict[str, Any] = {
        "agreement_number": number,
        "conn_id": "economic_default",
        "dag_id": DAG_ID,
        "run_id": f"scheduled__{now:%H%M%S%f}",
        "run_type": "scheduled",
        "scope": "full",
        "force": False,
        "phase": "fetch" if ended is None else "ended",
        "status": "running" if ended is None else "completed",
        "percentage": 0 if ended is None else 100,
        "message": "Synced 22,540 invoices",
        "started_at": (finished or now) - timedelta(seconds=seconds),
        "updated_at": finished or now,
        "finished_at": finished,
        "complete": ended is not None,
        "reconciled": None if ended is None else True,
        "verdict": None
        if ended is None
        else "Agrees with e-conomic: 22,540 invoices, net 204,949,866.44 DKK.",
        "totals": Jsonb({"invoice_count": 22_540, "net_amount_base": "204949866.44"}),
        "statistics": statistics(),
        "held": None if ended is None else HELD,
    } | columns
    for name in ("statistics", "held"):
        values[name] = None if values[name] is None else Jsonb(values[name])
    query = psycopg.sql.SQL("insert into economic.sync_run ({}) values ({}) returning sync_id").format(
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, values)),
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Placeholder, values)),
    )
    found = connection.execute(query, values).fetchone()
    assert found is not None
    return int(found[0])


def add_lease(
    connection: psycopg.Connection,
    sync_id: int,
    number: int = AGREEMENT,
    expires: timedelta = timedelta(minutes=5),
) -> None:
    """Insert the lease of a sync; an expired one when ``expires`` is negative."""
    connection.execute(
        "insert into economic.sync_lease (agreement_number, token, holder, acquired_at, expires_at)"
        " values (%s, 1, %s, clock_timestamp(), clock_timestamp() + %s)"
        " on conflict (agreement_number) do update set holder = excluded.holder, expires_at = excluded.expires_at",
        (number, sync_id, expires),
    )


def add_left_out(connection: psycopg.Connection, invoice: int, *, number: int = AGREEMENT) -> None:
    """Insert a field that a stored invoice lacks."""
    connection.execute(
        "insert into economic.degraded_field (agreement_number, invoice_number, field, reason, message, last_sync_id)"
        " values (%s, %s, 'recipient.zip', 'not_a_text', 'recipient.zip is not a text: 8000.', 1)",
        (number, invoice),
    )


def add_rejection(
    connection: psycopg.Connection,
    invoice: int | None,
    *,
    number: int = AGREEMENT,
    field: str = "dueDate",
    reason: str = "not_a_date",
    message: str = "dueDate is not a date: '2026-02-30'.",
    raw: str = '{"secret": "raw item"}',
    seen: range = range(1, 2),
    healed: bool = False,
) -> None:
    """Insert a rejected item.

    :param seen: by which syncs of :func:`add_past`, counted back from the latest.
    :param healed: resolved by the next sync, or just now when there is none.
    """
    now = datetime.now(UTC)
    healing = ended_before(seen.start - 1) if seen.start > 1 else timedelta(0)
    connection.execute(
        "insert into economic.rejected_invoice (agreement_number, item_key, invoice_number, field, reason, message, raw_data, first_seen_at,"
        " last_seen_at, seen_count, last_sync_id, resolved_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s)",
        (
            number,
            f"{invoice}:{field}",
            invoice,
            field,
            reason,
            message,
            raw,
            now - ended_before(seen[-1]),
            now - ended_before(seen[0]),
            len(seen),
            now - healing if healed else None,
        ),
    )


def add_lines(
    connection: psycopg.Connection,
    number: int = AGREEMENT,
    *,
    ended: timedelta | None = timedelta(hours=3),
    seconds: float = 40.0,
    **columns: Any,
) -> None:
    """Insert, or replace, how the lines of a company stand: by default all are proven.

    :param ended: how long ago; None for a run that has been at work for ``seconds``.
    :param columns: of ``line_reading``, instead of the defaults.
    """
    now = datetime.now(UTC)
    finished = None if ended is None else now - ended
    started = (finished or now) - timedelta(seconds=seconds)
    values: dict[str, Any] = {
        "agreement_number": number,
        "status": "running" if ended is None else "completed",
        "attempt": "economic_invoice_lines scheduled" if ended is None else None,
        "expires_at": now + timedelta(minutes=5) if ended is None else None,
        "proven": 22_540,
        "started_at": started,
        "updated_at": finished or now,
        "finished_at": finished,
        "completed_at": None if ended is None else started,
        "counted": 67_620,
        "held": 67_620,
        "counted_at": finished,
    } | columns
    connection.execute("delete from economic.line_reading where agreement_number = %s", [number])
    query = psycopg.sql.SQL("insert into economic.line_reading ({}) values ({})").format(
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, values)),
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Placeholder, values)),
    )
    connection.execute(query, values)


def add_unproven(
    connection: psycopg.Connection,
    invoice: int,
    *,
    number: int = AGREEMENT,
    difference: str | None = None,
    reason: str = "not_an_amount",
    message: str = "totalNetAmount is not an amount, but a text.",
) -> None:
    """Insert an invoice whose lines are not proven.

    :param difference: by which the lines exceed the net amount; None for a line that cannot be stored.
    """
    rejected = ("totalNetAmount", reason, message, '{"secret": "raw line"}')
    connection.execute(
        "insert into economic.line_check (agreement_number, invoice_number, status, line_count, lines_net_amount,"
        " invoice_net_amount, field, reason, message, rejected_item, tries, first_read_at)"
        " values (%s, %s, %s, 3, 48123.75::numeric + %s, 48123.75, %s, %s, %s, %s, 4, now() - interval '3 days')",
        (
            number,
            invoice,
            "rejected" if difference is None else "differing",
            difference or "-100",
            *(rejected if difference is None else (None,) * 4),
        ),
    )


def add_past(
    connection: psycopg.Connection,
    number: int = AGREEMENT,
    conn_id: str = "economic_default",
    syncs: int = 40,
    refused: Collection[int] = (),
) -> None:
    """Insert ten days of syncs: mostly uneventful, with a failure, a forced and a ranged one.

    :param refused: the syncs that rejected an invoice; 1 is the latest. See :func:`add_rejection`.
    """
    for back in range(syncs, 0, -1):
        created, updated = (7 * back) % 23 + (38 if back % 4 == 0 else 0), (11 * back) % 61
        failed = int(back in refused)
        columns: dict[str, Any] = {
            "conn_id": conn_id,
            "statistics": statistics(
                created=created,
                updated=updated,
                unchanged=22_540 - created - updated - failed,
                failed=failed,
                fetch_seconds=5.8 + (back * 13 % 11) / 7,
                upsert_seconds=0.9 + updated / 40,
                names_seconds=0.1 + (0.9 if back % 3 == 0 else 0),
            ),
            "seconds": 10.3 + (back * 13 % 17) / 5,
        }
        if failed:
            columns |= WITH_ONE_REFUSED
        if back == syncs - 3:
            columns |= {
                "status": "failed",
                "percentage": 21.5,
                "complete": False,
                "reconciled": None,
                "message": "e-conomic answered 503 to GET /invoices/booked (logId 4f1c2a9e). If it lasts, see e-conomic's status page and give their support the logId.",
                "statistics": statistics(fetched=9_000, unchanged=0, upsert_seconds=0, names_seconds=0),
                "held": None,
            }
        if back == 5:
            columns |= {"run_type": "manual", "force": True}
        if back == 9:
            columns |= {
                "run_type": "backfill",
                "scope": "range",
                "date_from": "2026-10-01",
                "date_to": "2026-10-31",
                "complete": False,
                "reconciled": None,
                "verdict": "Not compared: this sync covered a range of dates.",
                "message": f"Synced {OCTOBER} invoices",
                "statistics": statistics(
                    fetched=OCTOBER,
                    updated=3,
                    unchanged=OCTOBER - 3,
                    fetch_seconds=0.8,
                    upsert_seconds=0.2,
                    names_seconds=0,
                ),
                "seconds": 4.6,
            }
        add_sync(connection, number, ended=ended_before(back), **columns)


def ended_before(back: int) -> timedelta:
    """Return how long ago a sync of :func:`add_past` ended; 1 is the latest."""
    return timedelta(hours=6 * (back - 1), minutes=12)


def make_schema(connection: psycopg.Connection) -> None:
    """Create the tables."""
    from economic.db import schema
    from economic.db.sql import prepare

    schema.migrate(prepare(connection))
