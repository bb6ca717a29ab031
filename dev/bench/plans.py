"""How PostgreSQL goes about a page's statements: their plans, with what was really read."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from dev.bench.__main__ import Bench
from economic import scanning, sync
from economic.attempt import Order
from economic.database import prepare
from economic.hook import EconomicHook
from economic.statements import statement
from economic.transport import Limits

STATEMENTS = ("select_digests", "insert_new_invoices", "upsert_invoices")


def of_a_page(bench: Bench) -> dict[str, Any]:
    """The plan of each statement for the middle page of a forced scan, as for any page (`force_generic_plan`), and rolled back.

    :return: by statement: the plan as text, milliseconds, and pages of 8 kB touched.
    """
    limits = Limits(interval=0.0)
    order = Order("bench", "bench__plans", "bench", "manual", "economic_default", "plans", force=True)
    dsn = bench.server.dsn("bench")
    with prepare(psycopg.connect(dsn)) as connection, EconomicHook("economic_default", limits=limits) as hook:
        begun = sync.begin(hook, connection, order)
        scanning.fetch_pages(begun, hook, 1000, 3600)
        page = len(begun.run.staged_rows) // 2 + 1
        numbers = [
            row[0]
            for row in connection.execute(
                "select invoice_number from economic.staged_invoice where sync_id = %s and page = %s",
                [begun.run.sync_id, page],
            )
        ]
        parameters = {
            "agreement_number": begun.run.agreement_number,
            "sync_id": begun.run.sync_id,
            "page": page,
            "first_position": 1,
            "last_position": len(numbers),
            "numbers": numbers,
        }
        connection.commit()
        return {name: _plan(connection, name, parameters) for name in STATEMENTS}


def _plan(connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    with connection.transaction(force_rollback=True):
        connection.execute("set local plan_cache_mode = force_generic_plan")
        told = b"explain (analyze, buffers, format json) " + statement(name)
        with connection.cursor() as cursor:
            found = cursor.execute(told, parameters, prepare=True).fetchone()
    plan = found[0] if isinstance(found, tuple) else next(iter(found.values()))  # type: ignore[union-attr]
    document = (json.loads(plan) if isinstance(plan, str) else plan)[0]
    top = document["Plan"]
    return {
        "milliseconds": document["Execution Time"],
        "buffers": top["Shared Hit Blocks"] + top["Shared Read Blocks"],
        "scans": sorted(set(_scans(top))),
    }


def _scans(node: dict[str, Any]) -> list[str]:
    here = f"{node['Node Type']} of {node['Relation Name']}" if "Relation Name" in node else None
    index = f" by {node['Index Name']}" if "Index Name" in node else ""
    return [
        *([f"{here}{index}"] if here else []),
        *(one for inner in node.get("Plans", []) for one in _scans(inner)),
    ]
