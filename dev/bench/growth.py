"""`./run bench growth`: tables, indexes and write-ahead log over 100 unchanged syncs and 100 in which one per cent changes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import psycopg

from dev.bench import ways
from dev.bench.__main__ import Bench, simulated
from dev.bench.measure import MB, options, save, wal_bytes
from dev.local import embedded_postgres
from dev.local.terminal import say

_SIZES = """
    select relname, pg_table_size(relid) as table, pg_indexes_size(relid) as indexes, n_tup_upd as updates,
        n_tup_hot_upd as hot, n_dead_tup as dead
    from pg_stat_user_tables where schemaname = 'economic'
        and relname in ('invoice', 'invoice_history', 'staged_invoice', 'sync_run') order by relname
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = options("growth", __doc__)
    parser.add_argument("--syncs", type=int, default=100, help="of each kind")
    given = parser.parse_args(arguments)
    steps: list[dict[str, Any]] = []
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        bench = Bench(server, books, given.n)
        os.environ |= bench.environment()
        logging.disable(logging.INFO)
        for after, syncs in (("first load", 1), ("unchanged", given.syncs), ("1 % changed", given.syncs)):
            for _ in range(syncs):
                if after == "1 % changed":
                    bench.change()
                statistics = ways.ours(bench.dsn)
                if not statistics["complete"]:
                    raise RuntimeError(f"The sync did {statistics}.")
            steps.append({"after": after, "syncs": syncs, **sizes(bench.dsn)})
    save(given, f"growth-{given.n}", steps=steps)
    say(table(steps))
    return 0


def sizes(dsn: str) -> dict[str, Any]:
    """Return the sizes in bytes, and the tables' statistics since they were created."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        rows = connection.execute(_SIZES).fetchall()
        names = ("table", "indexes", "updates", "hot", "dead")
        tables = {name: dict(zip(names, figures, strict=True)) for name, *figures in rows}
        return {"wal": wal_bytes(connection), "tables": tables}


def table(steps: list[dict[str, Any]]) -> str:
    """Return the growth as a table in Markdown."""
    lines = [
        "| after | table | size MB | indexes MB | updates, HOT | dead rows | WAL MB a sync |",
        "|---|---|---|---|---|---|---|",
    ]
    before = 0
    for step in steps:
        wal = f"{(step['wal'] - before) / MB / step['syncs']:.2f}" if before and step["syncs"] else ""
        before = step["wal"]
        for name, size in step["tables"].items():
            share = (
                f"{size['updates']:,}, {100 * size['hot'] / size['updates']:.0f} %"
                if size["updates"]
                else "none"
            )
            lines.append(
                f"| {step['syncs']} {step['after']} | `{name}` | {size['table'] / MB:.1f} | {size['indexes'] / MB:.1f} "
                f"| {share} | {size['dead']:,} | {wal if name == 'invoice' else ''} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
