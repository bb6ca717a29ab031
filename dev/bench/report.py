"""Keeps what was measured, and writes docs/benchmarks.md from all of it."""

from __future__ import annotations

import json
import string
from itertools import pairwise
from pathlib import Path
from typing import Any

from dev.bench.measure import Cost, as_json, median, spread

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "benchmarks"
TEXT = Path(__file__).with_name("benchmarks.md")
USUAL = 22_500
MB = 1024**2


def kept(cost: Cost) -> dict[str, float]:
    return as_json(cost)


def save(result: dict[str, Any], name: str) -> None:
    """Keep one run's figures beside those of others."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    write()


def medians(result: dict[str, Any]) -> dict[str, dict[str, Cost]]:
    return {
        way: {load: median([Cost(**one) for one in found]) for load, found in loads.items()}
        for way, loads in result["costs"].items()
    }


def table(result: dict[str, Any], base: str = "limit") -> str:
    """One run as a table in Markdown: medians, and what they are of another way's."""
    found = medians(result)
    lines = [
        f"| load | way | wall s | CPU s: client + PostgreSQL | of {base}: wall, CPU | peak MB above start | WAL MB | spread of CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load in ("first", "unchanged", "1 % changed", "one bad row"):
        for way, loads in found.items():
            if load not in loads:
                continue
            cost = loads[load]
            other = found[base].get(load)
            ratio = (
                f"{cost.wall / other.wall:.2f}, {cost.cpu / other.cpu:.2f}" if other and way != base else ""
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
    """Growth over many syncs, and the plans of a page, as tables in Markdown."""
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
    lines += [
        "",
        "| statement, for one page of 1,000 | ms | 8 kB pages touched | how it reads |",
        "|---|---|---|---|",
    ]
    for name, plan in result["plans"].items():
        scans = "; ".join(scan for scan in plan["scans"] if not scan.startswith("Result"))
        lines.append(f"| `{name}` | {plan['milliseconds']:.1f} | {plan['buffers']:,} | {scans} |")
    return "\n".join(lines)


def killed_table(result: dict[str, Any]) -> str:
    """What each attempt of a sync did that was killed twice, as a table in Markdown."""
    lines = [
        "| attempt | invoices, from | to | seconds, with the process's start | ended |",
        "|---|---|---|---|---|",
    ]
    for step in result["steps"]:
        reached = ("", "") if step["phase"] == "names" else (f"{step['from']:,}", f"{step['to']:,}")
        ended = "killed with SIGKILL" if step["killed"] else "well"
        lines.append(f"| {step['phase']} | {reached[0]} | {reached[1]} | {step['seconds']:.1f} | {ended} |")
    done = result["statistics"]
    return "\n".join(
        [
            *lines,
            "",
            f"{done['fetched']:,} fetched, {done['created']:,} created, {done['failed']} failed, complete and in agreement with e-conomic's totals; "
            f"{done['requests']:,} requests.",
        ]
    )


def parts_table(parts: dict[str, float]) -> str:
    """The parts of a first load, the largest first."""
    rows = sorted(parts.items(), key=lambda part: -part[1])
    return "\n".join(["| part | CPU ms |", "|---|---|", *(f"| {name} | {ms:.0f} |" for name, ms in rows)])


def growth_of_time(sizes: dict[int, dict[str, Any]]) -> str:
    """Microseconds for each invoice by how many there are."""
    lines = [
        "| invoices | load | wall, µs an invoice | of the smallest | CPU, µs an invoice: client + PostgreSQL | peak MB above start | WAL MB |",
        "|---|---|---|---|---|---|---|",
    ]
    smallest = sizes[min(sizes)]
    for load in ("first", "unchanged", "1 % changed"):
        least = medians(smallest)["ours"][load].wall / smallest["invoices"]
        for invoices, result in sorted(sizes.items()):
            cost = medians(result)["ours"][load]
            wall = cost.wall / invoices
            lines.append(
                f"| {invoices:,} | {load} | {1e6 * wall:.0f} | {wall / least:.2f} | {1e6 * cost.client / invoices:.0f} + "
                f"{1e6 * cost.postgres / invoices:.0f} | {cost.peak_mb - cost.base_mb:.0f} | {cost.wal / MB:.1f} |"
            )
    return "\n".join(lines)


def chart(result: dict[str, Any], peers: dict[str, Any] | None) -> str:
    """CPU seconds of a first load by way, as a chart that Markdown viewers draw."""
    bars = {way: loads["first"].cpu for way, loads in medians(result).items()}
    if peers:
        bars |= {way: loads["first"].cpu for way, loads in medians(peers).items() if way not in bars}
    bars = dict(sorted(bars.items(), key=lambda bar: bar[1]))
    names = ", ".join(f'"{way}"' for way in bars)
    values = ", ".join(f"{cpu:.1f}" for cpu in bars.values())
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta horizontal",
            f'    title "First load of {result["invoices"]:,} invoices, CPU seconds of client and PostgreSQL"',
            f"    x-axis [{names}]",
            '    y-axis "CPU seconds"',
            f"    bar [{values}]",
            "```",
        ]
    )


def write() -> None:
    """Write docs/benchmarks.md anew from all that was measured so far; what was not says so."""
    kept_results = {path.stem: json.loads(path.read_text()) for path in KEPT.glob("*.json")}
    sizes = {int(name): result for name, result in kept_results.items() if name.isdigit()}
    usual, peers = sizes.get(USUAL), kept_results.get("peers")
    nothing = "(not measured yet)"
    growths = {
        int(name.removeprefix("growth-")): result
        for name, result in kept_results.items()
        if name.startswith("growth-")
    }
    parts = {
        "usual": table(usual) if usual else nothing,
        "machine": usual["machine"] if usual else nothing,
        "when": usual["when"] if usual else nothing,
        "repetitions": str(usual["repetitions"]) if usual else nothing,
        "chart": chart(usual, peers) if usual else nothing,
        "parts": parts_table(usual["parts"]) if usual and "parts" in usual else nothing,
        "sizes": growth_of_time(sizes) if sizes else nothing,
        "peers": table(peers, base="ours") if peers else nothing,
        "airflow": airflow_table(kept_results["airflow"]) if "airflow" in kept_results else nothing,
        "killed": killed_table(kept_results["killed"]) if "killed" in kept_results else nothing,
        "growth": "\n\n".join(
            f"{invoices:,} invoices:\n\n{growth_table(result)}"
            for invoices, result in sorted(growths.items())
        )
        or nothing,
    }
    (ROOT / "docs" / "benchmarks.md").write_text(string.Template(TEXT.read_text()).substitute(parts))
