"""One measured load in a process of its own: `python -m dev.bench.contestant WAY`, with the rest in the environment; prints a line of JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from dev.bench.measure import Cost, as_json, measured


def main() -> int:
    """Load once, the way that was asked for."""
    way = sys.argv[1]
    dsn, base_url = os.environ["BENCH_DSN"], os.environ["BENCH_URL"]
    headers = json.loads(os.environ["BENCH_HEADERS"])
    logging.disable(logging.INFO)
    told: dict[str, Any] = {}

    def note(cost: Cost) -> None:
        told.update(as_json(cost))

    postmaster = int(os.environ["BENCH_POSTMASTER"])
    if way == "ours":
        from dev.bench import ours

        ours.start()
        with measured(dsn, postmaster, note):
            statistics = ours.load(dsn)
        told["statistics"] = statistics
    else:
        from dev.bench import limit, row_by_row

        load = {
            "limit": limit.load,
            "row by row": row_by_row.load,
        }[way]
        with measured(dsn, postmaster, note):
            load(dsn, base_url, headers)
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
