"""What was injected, what became of the runs, and what was checked, as a table for people."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from tests.soak.ground import Ground
from tests.soak.traffic import Traffic

_STATES = ("success", "skipped", "failed", "cut short")


def report(
    title: str, place: Ground, traffic: Traffic, troubles: Counter[str], books: Counter[str], healed: dict[str, Any]
) -> str:  # fmt: skip
    """Describe a soak that ended well; `healed` is what the last sync counted."""
    lines = [title]
    for heading, counted in (("injected", troubles), ("changes of the books", books)):
        lines += ["", f"{heading:<66}{counted.total():>7}"]
        lines += [f"  {name:<64}{times:>7}" for name, times in sorted(counted.items())]
    columns = (*_STATES, "processes", "killed", "tried beside")
    lines += ["", f"{'DAG runs':<20}" + "".join(f"{column:>14}" for column in columns)]
    for kind, seen in sorted(traffic.seen.items()):
        figures = [seen.states[state] for state in _STATES]
        figures += [seen.tries.total(), seen.tries["Died"], seen.tries["Lost"]]
        lines.append(f"  {kind:<18}" + "".join(f"{figure:>14}" for figure in figures))
    rows = place.witness.rows("select sync_id, run_id, status from economic.sync_run")
    lines += ["", f"syncs: {dict(sorted(Counter(row['status'] for row in rows).items()))}"]
    ids = {row["run_id"]: row["sync_id"] for row in rows}
    since = {hold.sync_id: hold.since.timestamp() for hold in place.judged.holds}
    waits = [since[ids[run_id]] - began for run_id, began in traffic.takings]
    if waits:
        median, longest = statistics.median(waits), max(waits)
        lines.append(
            f"{len(waits)} forced syncs had the lease after {median:.2f} s (median), {longest:.2f} s (longest)"
        )
    lines += [
        f"looked at the whole copy {place.looks} times: no row twice, none older than before, none marked missing without proof",
        f"{place.judged.writes} writing transactions in {len(place.judged.holds)} holds of the lease: never two owners at once",
        f"after one healthy sync ({healed['created']} created, {healed['updated']} updated of {healed['fetched']} invoices)"
        " the copy equals the books in every column",
    ]  # fmt: skip
    return "\n".join(lines)
