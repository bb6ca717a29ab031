"""What the databases hold afterwards, what they wrote, and how long the questions of page and monitoring take."""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg

from dev.airflow_settings import INVOICES, METADATA
from dev.scale.stand import Stand
from economic.statements import statement

_REPEATED = 5


def wal(stand: Stand) -> dict[str, int]:
    """Bytes of write-ahead log that each server has written since it was made."""
    found = {}
    for name, server in stand.servers.items():
        with psycopg.connect(server.dsn("postgres")) as connection:
            (written,) = connection.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone() or (0,)
            found[name] = int(written)
    return found


def sizes(stand: Stand) -> dict[str, Any]:
    """Rows and bytes of the tables, the largest first."""
    query = """select relname, pg_relation_size(oid), pg_indexes_size(oid),
            coalesce(pg_total_relation_size(nullif(reltoastrelid, 0)), 0), pg_total_relation_size(oid)
        from pg_class where relnamespace = 'economic'::regnamespace and relkind = 'r' order by 5 desc limit 5"""
    with psycopg.connect(stand.invoices.dsn(INVOICES)) as connection:
        (rows,) = connection.execute("select count(*) from economic.invoice").fetchone() or (0,)
        tables = {
            name: {"heap": heap, "indexes": indexes, "TOAST": toast, "all": every}
            for name, heap, indexes, toast, every in connection.execute(query)
        }
    with psycopg.connect(stand.metadata.dsn(METADATA)) as connection:
        (metadata,) = connection.execute("select pg_database_size(current_database())").fetchone() or (0,)
    return {
        "rows of invoice": rows,
        "bytes a row of invoice, all in": round(tables["invoice"]["all"] / max(1, rows), 1),
        "bytes": tables,
        "metadata database": metadata,
    }


def queries(stand: Stand) -> dict[str, float]:
    """Milliseconds, the middle one of some."""
    agreement = stand.companies[len(stand.companies) // 2].agreement
    with psycopg.connect(stand.invoices.dsn(INVOICES), autocommit=True) as connection:
        connection.execute("analyze")

        def took(query: bytes, **parameters: Any) -> float:
            seen = []
            for _ in range(_REPEATED):
                began = time.perf_counter()
                connection.execute(query, parameters).fetchall()
                seen.append(time.perf_counter() - began)
            return round(1000 * statistics.median(seen), 1)

        own = b" where agreement_number = %(agreement)s"
        return {
            "how every agreement stands": took(statement("select_sync_status"), conn_id=None),
            "the totals of one agreement": took(statement("select_held_totals"), agreement_number=agreement),
            "what customers of one agreement owe": took(
                b"select * from economic.receivables_aging" + own, agreement=agreement
            ),
            "all invoices of one agreement": took(
                b"select * from economic.invoice_overview" + own, agreement=agreement
            ),
        }
