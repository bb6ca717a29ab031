"""What was measured, kept as JSON and shown as the tables of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from dev.bench.measure import Cost, median, spread
from dev.options import positive

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "benchmarks"
MB = 1024**2


def options(name: str, description: str | None) -> argparse.ArgumentParser:
    """What every bench can be told."""
    parser = argparse.ArgumentParser(prog=f"./run bench {name}", description=description)
    parser.add_argument("n", nargs="?", type=positive, default=22_500, help="how many invoices")
    parser.add_argument("--keep", action="store_true", help="keep the figures in docs/benchmarks")
    return parser


def save(result: dict[str, Any], name: str, *, keep: bool) -> None:
    """Keep one run's figures beside those of others, when that is wanted."""
    if keep:
        (KEPT / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def medians(result: dict[str, Any]) -> dict[str, dict[str, Cost]]:
    return {
        way: {load: median([Cost(**one) for one in found]) for load, found in loads.items()}
        for way, loads in result["costs"].items()
    }


def table(result: dict[str, Any]) -> str:
    """Return one run as a table in Markdown: medians, and their ratio to the limit's."""
    found = medians(result)
    lines = [
        "| load | way | wall s | CPU s: client + PostgreSQL | of limit: wall, CPU | peak MB above start | WAL MB | spread of CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load in ("first", "unchanged", "1 % changed", "one bad row"):
        for way, loads in found.items():
            if load not in loads:
                continue
            cost = loads[load]
            other = found["limit"].get(load)
            ratio = (
                f"{cost.wall / other.wall:.2f}, {cost.cpu / other.cpu:.2f}"
                if other and way != "limit"
                else ""
            )
            costs = [Cost(**one) for one in result["costs"][way][load]]
            lines.append(
                f"| {load} | {way} | {cost.wall:.2f} | {cost.client:.2f} + {cost.postgres:.2f} | {ratio} | "
                f"{cost.peak_mb - cost.base_mb:.0f} | {cost.wal / MB:.2f} | {100 * spread(costs, 'client'):.0f} % |"
            )
    return "\n".join(lines)


def airflow_table(result: dict[str, Any]) -> str:
    """What Airflow adds, as a list in Markdown."""
    first, *others = result["runs"]
    middle = sorted(others, key=lambda run: float(run["whole"]))[len(others) // 2]
    tasks = sorted(middle["tasks"].items(), key=lambda task: float(task[1][0]))
    lines = [
        "| from the trigger, in seconds | first load | unchanged (median run) |",
        "|---|---|---|",
    ]
    for name, _ in tasks:
        lines.append(f"| `{name}` | {_span(first['tasks'][name])} | {_span(middle['tasks'][name])} |")
    lines.append(f"| the run is over | **{first['whole']:.1f}** | **{middle['whole']:.1f}** |")
    gaps = [later[1][0] - earlier[1][1] for earlier, later in pairwise(tasks)]
    empty = sorted(result["empty_task_mb"])[len(result["empty_task_mb"]) // 2]
    peaks = [run["result"]["peak_memory_mb"] for run in result["runs"]]
    spread = [run["whole"] for run in others]
    return "\n".join(
        [
            *lines,
            "",
            f"Between two tasks: {', '.join(f'{gap:.2f}' for gap in gaps)} s. Unchanged runs: {min(spread):.1f} to {max(spread):.1f} s.",
            f"The DAG file is read in {sorted(result['reading'])[len(result['reading']) // 2]:.2f} s beyond Airflow's own imports.",
            f"Peak memory of a task process: {max(peaks):.0f} MB; of one that does nothing: {empty:.0f} MB.",
        ]
    )


def _span(times: list[float]) -> str:
    return f"{times[0]:.1f} to {times[1]:.1f}"


def growth_table(result: dict[str, Any]) -> str:
    """Growth over many syncs, as a table in Markdown."""
    lines = [
        "| after | table | size MB | indexes MB | updates, HOT | dead rows | WAL MB a sync |",
        "|---|---|---|---|---|---|---|",
    ]
    before = 0
    for step in result["steps"]:
        wal = (step["wal"] - before) / MB / step["syncs"] if before else None
        before = step["wal"]
        for name in ("invoice", "invoice_history", "staged_invoice", "sync_run"):
            found = step["tables"][name]
            share = (
                f"{found['updates']:,}, {100 * found['hot'] / found['updates']:.0f} %"
                if found["updates"]
                else "none"
            )
            lines.append(
                f"| {step['syncs']} {step['after']} | `{name}` | {found['table'] / MB:.1f} | {found['indexes'] / MB:.1f} | {share} | "
                f"{found['dead']:,} | {f'{wal:.2f}' if wal is not None and name == 'invoice' else ''} |"
            )
    return "\n".join(lines)
