"""`./run bench lines`: reading invoice lines against the least that any program could do.

*limit* fetches the same pages, parses them with exact decimals, and needs one COPY and one upsert. It checks nothing.
"""

from __future__ import annotations

import sys

from dev.bench.__main__ import Bench, simulated
from dev.bench.measure import MB, Costs, as_json, median, options, save
from dev.local import embedded_postgres
from dev.local.terminal import say

WAYS = {"limit": "limit of lines", "ours": "lines"}
LOADS = "first load", "nothing to read", "a booking"


def one_round(bench: Bench, way: str, costs: Costs) -> dict[str, int]:
    """Measure all loads of a way on fresh invoices; return how many requests each took."""
    asked = {}
    bench.load("ours", created=bench.invoices)
    for name in LOADS if way == "ours" else LOADS[:1]:
        if name == LOADS[2]:
            (booked,) = bench.books.book()
            bench.invoices += 1
            bench.load("ours", created=1)
        cost = bench.load(WAYS[way], differing=0, rejected=0)
        costs.setdefault(name, {}).setdefault(way, []).append(cost)
        if way == "ours":
            asked[name] = bench.statistics["requests"]
    if way == "ours":
        bench.books.control("remove", number=booked)
    return asked


def main() -> int:
    """Measure, print and keep the figures."""
    parser = options("lines", __doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    costs: Costs = {}
    asked: dict[str, int] = {}
    with embedded_postgres.server([], durable=True) as server, simulated(given.n) as books:
        for repetition in range(given.repetitions):
            for way in list(WAYS)[:: 1 if repetition % 2 else -1]:
                asked |= one_round(Bench(server, books, given.n), way, costs)
                say(f"round {repetition + 1} of {given.repetitions}: {way}")
    save(given, f"lines-{given.n}", requests=asked, costs=as_json(costs))
    say(table(costs, asked))
    return 0


def table(costs: Costs, asked: dict[str, int]) -> str:
    """Return a table in Markdown: medians, and their ratio to the limit's."""
    lines = [
        "| load | way | requests | wall s | CPU s: client + PostgreSQL | of limit: wall, CPU | peak MB above start | WAL MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in LOADS:
        for way in WAYS:
            if way not in costs[name]:
                continue
            cost, ratio = median(costs[name][way]), ""
            if way == "ours" and "limit" in costs[name]:
                ratio = cost.beside(median(costs[name]["limit"]))
            lines.append(
                f"| {name} | {way} | {asked[name] if way == 'ours' else ''} | {cost.wall:.2f} "
                f"| {cost.client:.2f} + {cost.postgres:.2f} | {ratio} | {cost.peak_mb - cost.base_mb:.0f} | {cost.wal / MB:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
