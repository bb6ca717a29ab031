"""`./run bench answers`: what was owed at the end of a day, over years of changes, and the plan of the slowest one.

A sync loads the books. Their years of payments are written by a statement: each invoice is first seen on its date, and
paid in steps within ten to sixty days.
"""

from __future__ import annotations

import logging
import os
import re
import statistics
import sys
import time
from datetime import date
from typing import Any

import psycopg

from dev.bench import ways
from dev.bench.__main__ import Bench, simulated
from dev.bench.measure import options, process_cpu, save
from dev.local import embedded_postgres
from dev.local.terminal import say

_DAYS_BACK = (0, 7, 30, 182, 365, 730, 1095, 1825, 2190)
_FUNCTIONS = ("receivables_as_of", "receivables_aging_as_of")
_EXPLAIN = (
    "load 'auto_explain'",
    "set auto_explain.log_nested_statements = on",
    "set auto_explain.log_min_duration = 0",
    "set auto_explain.log_analyze = on",
    "set auto_explain.log_buffers = on",
)
_SEEN = (
    "update economic.invoice set first_seen_at = invoice_date + interval '8 hours', last_changed_at = now()"
)
_CHANGES = """
    with numbered as (
        select *, row_number() over (order by invoice_number) - 1 as place, count(*) over () as invoices
        from economic.invoice
    ), stepped as (
        select *, %(changes)s / invoices + (place < %(changes)s %% invoices)::integer as steps from numbered
    ), change as (
        select stepped.*, step,
            first_seen_at + interval '1 day' * ((step - 1) * (10 + place * 7 %% 50) / steps) as owed_since,
            first_seen_at + interval '1 day' * (step * (10 + place * 7 %% 50) / steps) as paid_at
        from stepped cross join generate_series(1, steps) as step
    )
    insert into economic.invoice_history (
        agreement_number, invoice_number, changed_at, old_values_since, sync_id, old_values, new_values
    )
    select agreement_number, invoice_number, least(paid_at, now()), least(owed_since, now()), 1,
        jsonb_build_object(
            'remainder', round(remainder + gross_amount * (steps - step + 1) / steps, 2),
            'remainder_base', round(remainder_base + gross_amount_base * (steps - step + 1) / steps, 2)
        ),
        jsonb_build_object(
            'remainder', round(remainder + gross_amount * (steps - step) / steps, 2),
            'remainder_base', round(remainder_base + gross_amount_base * (steps - step) / steps, 2)
        )
    from change order by paid_at, step
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = options("answers", __doc__)
    parser.add_argument("--changes", type=int, default=0, help="in the history; default: two an invoice")
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args(arguments)
    changes = given.changes or 2 * given.n
    with embedded_postgres.server([], durable=True) as server:
        with simulated(given.n) as books:
            bench = Bench(server, books, given.n)
            os.environ |= bench.environment()
            logging.disable(logging.WARNING)
            ways.ours(bench.dsn)
        with psycopg.connect(bench.dsn, autocommit=True) as connection:
            write_years(connection, changes)
            days = [asked(connection, back, given.repetitions) for back in _DAYS_BACK]
            slowest = max(days, key=lambda day: float(day[_FUNCTIONS[0]]))
            plan = explained(connection, slowest["day"])
    save(given, f"answers-{given.n}", changes=changes, days=days, plan=plan)
    say("\n".join((*plan, "", table(days))))
    return 0


def write_years(connection: psycopg.Connection[Any], changes: int) -> None:
    """Write the history, as if syncs had seen every invoice on its date and every payment on its day."""
    connection.execute(_SEEN)
    connection.execute(_CHANGES, {"changes": changes})
    connection.execute("update economic.agreement set complete_since = '2019-01-01'")
    # As autovacuum does soon after so many rows.
    for table in ("invoice", "invoice_history"):
        connection.execute(f"vacuum (analyze) economic.{table}".encode())


def asked(connection: psycopg.Connection[Any], back: int, repetitions: int) -> dict[str, Any]:
    """Return the milliseconds of each function for a day so long ago (wall: median; PostgreSQL's CPU: mean), and its rows."""
    row = connection.execute("select (now() at time zone 'Europe/Copenhagen')::date - %s", (back,)).fetchone()
    day: date = row[0] if row else date.min
    figures: dict[str, Any] = {"day": day.isoformat(), "days_back": back}
    for name in _FUNCTIONS:
        taken, used = [], []
        for _ in range(repetitions):
            began, before = time.perf_counter(), process_cpu(connection.info.backend_pid)
            rows = connection.execute(f"select * from economic.{name}(%s)".encode(), (day,)).fetchall()
            taken.append(time.perf_counter() - began)
            used.append(process_cpu(connection.info.backend_pid) - before)
        figures |= {
            name: round(1000 * statistics.median(taken), 1),
            f"cpu of {name}": round(1000 * statistics.mean(used)),
            f"rows of {name}": len(rows),
        }
    return figures


def explained(connection: psycopg.Connection[Any], day: str) -> list[str]:
    """Return the plan of what was owed that day, as PostgreSQL carried it out."""
    plans: list[str] = []
    connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    for setting in (*_EXPLAIN, "set client_min_messages = log"):
        connection.execute(setting.encode())
    connection.execute("select count(*) from economic.receivables_as_of(%s)", (day,))
    # The function's last statement: after it comes the one that called it. The plan follows the statement's text.
    lines = plans[-2].splitlines()
    return lines[next(place for place, line in enumerate(lines) if re.match(r"\S.*\(cost=", line)) :]


def table(days: list[dict[str, Any]]) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        f"| days ago | open invoices | {' | '.join(f'`{name}`: wall ms, CPU ms' for name in _FUNCTIONS)} |"
    ]
    lines.append("|---|---|" + "---|" * len(_FUNCTIONS))
    for day in days:
        figures = " | ".join(f"{day[name]:.0f}, {day[f'cpu of {name}']}" for name in _FUNCTIONS)
        lines.append(f"| {day['days_back']:,} | {day[f'rows of {_FUNCTIONS[0]}']:,} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
