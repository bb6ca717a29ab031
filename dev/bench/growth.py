"""`./run bench growth`: tables, indexes and write-ahead log over 100 syncs in which nothing changes and 100 in which one per cent does."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import psycopg

from dev import embedded_postgres
from dev.bench import ours, report
from dev.bench.__main__ import Bench, machine, say, simulated
from dev.bench.measure import wal_bytes

TABLES = ("invoice", "invoice_history", "staged_invoice", "sync_run")
_SIZES = """
    select relname, pg_table_size(relid), pg_indexes_size(relid), n_tup_upd, n_tup_hot_upd, n_dead_tup
    from pg_stat_user_tables where schemaname = 'economic' and relname = any(%s)
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = report.options("growth", __doc__)
    parser.add_argument("--syncs", type=int, default=100, help="of each kind")
    given = parser.parse_args(arguments)
    steps: list[dict[str, Any]] = []
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        bench = Bench(server, books, given.n)
        os.environ |= bench.environment()
        logging.disable(logging.INFO)
        sync(bench, 1)
        steps.append(look(bench, "first load", 1))
        if given.syncs:
            sync(bench, given.syncs)
            steps.append(look(bench, "unchanged", given.syncs))
            sync(bench, given.syncs, changing=True)
            steps.append(look(bench, "1 % changed", given.syncs))
    result = {"invoices": given.n, "machine": machine(), "steps": steps}
    report.save(result, f"growth-{given.n}", keep=given.keep)
    say(report.growth_table(result))
    return 0


def sync(bench: Bench, times: int, *, changing: bool = False) -> None:
    """So many syncs, one after the other, each after a payment on every hundredth invoice or after nothing."""
    for _ in range(times):
        if changing:
            bench.change()
        done = ours.load(bench.server.dsn("bench"))
        if not done["complete"]:
            raise RuntimeError(f"The sync did {done}.")


def look(bench: Bench, after: str, syncs: int) -> dict[str, Any]:
    """Sizes in bytes, and what the tables' statistics count since they were made."""
    with psycopg.connect(bench.server.dsn("bench"), autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        rows = connection.execute(_SIZES, [list(TABLES)]).fetchall()
        return {
            "after": after,
            "syncs": syncs,
            "wal": wal_bytes(connection),
            "tables": {
                name: {"table": table, "indexes": indexes, "updates": updates, "hot": hot, "dead": dead}
                for name, table, indexes, updates, hot, dead in rows
            },
        }


if __name__ == "__main__":
    sys.exit(main())
