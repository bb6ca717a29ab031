"""`./run bench lines`: reading invoice lines against the least that any program could do.

*limit* fetches the same pages, parses them with exact decimals, and needs one COPY and one upsert. It checks nothing.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import requests

from dev import ROOT
from dev.bench import ways
from dev.bench.__main__ import Bench, simulated
from dev.bench.measure import MB, Cost, circumstances, measured, median, options, save
from dev.local import embedded_postgres
from dev.local.terminal import say
from economic.client.responses import LINES_PATH
from economic.lines.invoice_line import InvoiceLine

LOADS = "first load", "nothing to read", "a booking"
_NAMES = ", ".join(InvoiceLine._fields)
_FIELDS = [
    "documentId",
    "number",
    "userInterfaceNumber",
    "productNumber",
    "description",
    "quantity",
    "quantity2",
    "unitNumber",
    "unit2Number",
    "unitNetPrice",
    "unitCostPrice",
    "recommendedPrice",
    "discountPercentage",
    "vatRate",
    "vatAmount",
    "totalNetAmount",
    "departmentNumber",
    "bookedAccount",
    "projectCloseAccount",
    "accrue",
    "accrueStartDate",
    "accrueEndDate",
]
"""Where an item has the columns' values, in the columns' order."""


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    cursor: str | None = None


_page = msgspec.json.Decoder(_Page)
_line = msgspec.json.Decoder(float_hook=Decimal)


def limit(dsn: str, base_url: str, headers: dict[str, str]) -> None:
    """Load all lines at the least cost."""
    others = [column for column in InvoiceLine._fields if column not in {"invoice_number", "line_number"}]
    with psycopg.connect(dsn) as connection, requests.Session() as session:
        session.headers.update(headers)
        connection.execute(
            f"create table if not exists bare_line as select {_NAMES} from economic.invoice_line".encode()
        )
        connection.execute(
            "create unique index if not exists bare_key on bare_line (invoice_number, line_number)"
        )
        connection.execute("create temporary table incoming (like bare_line) on commit drop")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy incoming ({_NAMES}) from stdin".encode()) as copy,
        ):
            parameters = {"filter": "documentId$gte:1"}
            while True:
                page = _page.decode(session.get(base_url + LINES_PATH, params=parameters, timeout=60).content)
                for raw in page.items:
                    value = _line.decode(raw)
                    copy.write_row([*map(value.get, _FIELDS), bytes(raw).decode()])
                if page.cursor is None:
                    break
                parameters["cursor"] = page.cursor
        connection.execute(
            f"""insert into bare_line ({_NAMES}) select {_NAMES} from incoming
            on conflict (invoice_number, line_number)
            do update set {", ".join(f"{c} = excluded.{c}" for c in others)}""".encode()
        )


def ours(dsn: str) -> dict[str, Any]:
    """Let one run read lines; return the statistics."""
    from economic.client.hook import EconomicHook
    from economic.client.transport import Limits
    from economic.db.sql import prepare
    from economic.lines.reading import read_lines

    with (
        prepare(psycopg.connect(dsn)) as connection,
        EconomicHook(ways.CONN_ID, limits=Limits(interval=0.0)) as hook,
    ):
        return read_lines(connection, hook, ways.CONN_ID, f"bench {os.getpid()}")


def load(way: str) -> None:
    """Load once in this process, and print the cost as a line of JSON. The environment has the rest."""
    logging.disable(logging.INFO)
    dsn, statistics, result = os.environ["BENCH_DSN"], {}, {}
    if way == "ours":
        ways.prepare_ours()
    with measured(dsn, int(os.environ["BENCH_POSTMASTER"]), lambda cost: result.update(cost.as_json())):
        if way == "ours":
            statistics = ours(dsn)
        else:
            limit(dsn, os.environ["BENCH_URL"], json.loads(os.environ["BENCH_HEADERS"]))
    print(json.dumps(result | {"statistics": statistics}))


def one_round(bench: Bench, way: str, costs: dict[str, dict[str, list[Cost]]]) -> dict[str, int]:
    """Measure all loads of a way on fresh invoices; return how many requests each took."""
    asked = {}
    bench.load("ours", created=bench.invoices)
    for name in LOADS if way == "ours" else LOADS[:1]:
        if name == LOADS[2]:
            (booked,) = bench.books.book()
            bench.invoices += 1
            bench.load("ours", created=1)
        done = subprocess.run(
            [sys.executable, "-m", "dev.bench.lines", "--load", way],
            env=os.environ | bench.environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        figures = json.loads(done.stdout.splitlines()[-1])
        statistics = figures.pop("statistics")
        costs.setdefault(name, {}).setdefault(way, []).append(Cost(**figures))
        if way == "ours":
            asked[name] = statistics["requests"]
        if statistics and statistics["differing"] + statistics["rejected"]:
            raise RuntimeError(f"Lines are not proven: {statistics}.")
    if way == "ours":
        bench.books.control("remove", number=booked)
    return asked


def main() -> int:
    """Measure, print and keep the figures."""
    parser = options("lines", __doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--load", choices=["ours", "limit"], help="load once; used by this program itself")
    given = parser.parse_args()
    if given.load:
        load(given.load)
        return 0
    costs: dict[str, dict[str, list[Cost]]] = {}
    asked: dict[str, int] = {}
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        for repetition in range(given.repetitions):
            for way in ("limit", "ours")[:: 1 if repetition % 2 else -1]:
                asked |= one_round(Bench(server, books, given.n), way, costs)
                say(f"round {repetition + 1} of {given.repetitions}: {way}")
    kept = {
        name: {way: [cost.as_json() for cost in each] for way, each in ways_.items()}
        for name, ways_ in costs.items()
    }
    save(
        {"invoices": given.n, "requests": asked, **circumstances(), "costs": kept},
        f"lines-{given.n}",
        keep=given.keep,
    )
    say(table(costs, asked))
    return 0


def table(costs: dict[str, dict[str, list[Cost]]], asked: dict[str, int]) -> str:
    """Return a table in Markdown: medians, and their ratio to the limit's."""
    lines = [
        "| load | way | requests | wall s | CPU s: client + PostgreSQL | of limit: wall, CPU | peak MB above start | WAL MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in LOADS:
        for way in ("limit", "ours"):
            if way not in costs[name]:
                continue
            cost, ratio = median(costs[name][way]), ""
            if way == "ours" and "limit" in costs[name]:
                base = median(costs[name]["limit"])
                ratio = f"{cost.wall / base.wall:.2f}, {cost.cpu / base.cpu:.2f}"
            lines.append(
                f"| {name} | {way} | {asked[name] if way == 'ours' else ''} | {cost.wall:.2f} "
                f"| {cost.client:.2f} + {cost.postgres:.2f} | {ratio} | {cost.peak_mb - cost.base_mb:.0f} | {cost.wal / MB:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
