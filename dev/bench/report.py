"""Keeps what was measured, and writes docs/benchmarks.md from all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dev.bench.measure import Cost, as_json, median, spread

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "benchmarks"
MB = 1024**2


def kept(cost: Cost) -> dict[str, float]:
    return as_json(cost)


def save(result: dict[str, Any]) -> None:
    """Keep one run's figures beside those of other sizes."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{result['invoices']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def medians(result: dict[str, Any]) -> dict[str, dict[str, Cost]]:
    return {
        way: {load: median([Cost(**one) for one in found]) for load, found in loads.items()}
        for way, loads in result["costs"].items()
    }


def table(result: dict[str, Any]) -> str:
    """One run as a table in Markdown: medians, and what they are of the limit's."""
    found = medians(result)
    lines = [
        "| load | way | wall s | CPU s: client + PostgreSQL | of the limit: wall, CPU | peak MB above start | WAL MB | spread of CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load in ("first", "unchanged", "1 % changed", "one bad row"):
        for way, loads in found.items():
            if load not in loads:
                continue
            cost = loads[load]
            base = found["limit"].get(load)
            ratio = (
                f"{cost.wall / base.wall:.2f}, {cost.cpu / base.cpu:.2f}" if base and way != "limit" else ""
            )
            costs = [Cost(**one) for one in result["costs"][way][load]]
            lines.append(
                f"| {load} | {way} | {cost.wall:.2f} | {cost.client:.2f} + {cost.postgres:.2f} | {ratio} | "
                f"{cost.peak_mb - cost.base_mb:.0f} | {cost.wal / MB:.2f} | {100 * spread(costs, 'client'):.0f} % |"
            )
    return "\n".join(lines)
