"""Everything at once, for a time: the books change, syncs of every kind run, and things go wrong around them and in them."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.soak.bookkeeper import Bookkeeper
from tests.soak.ground import Ground, dice_of, ground
from tests.soak.traffic import Traffic
from tests.soak.troubles import Troubles
from tests.support import invariants as oracle

INVOICES = 300
JUDGED_EVERY_SECONDS = 15.0
TOLD_EVERY_SECONDS = 60.0
LONG_MINUTES = 5.0
"""After so long at least, some of those that never give way, or wait for their turn, must have got through in spite of everything."""
PERSISTENT = ("forced", "backfill")
_STATES = ("success", "skipped", "failed", "cut short")
_TRIES = ("processes", "killed", "tried beside")


def run(folder: Path, *, minutes: float, seed: int) -> str:
    """Let it all happen for that long, then let one healthy sync bring everything into order, and check it; what was seen.

    :raises AssertionError: something is as it must never be.
    """
    with ground(folder, invoices=INVOICES, seed=seed) as place:
        place.healthy_run("manual__first")
        traffic = Traffic(place, seed)
        inside, around = (Troubles(place, traffic, seed, inside=inside) for inside in (True, False))
        bookkeeper = Bookkeeper(place.witness, dice_of(seed, "books"))
        began = time.monotonic()
        traffic.start()
        mischief = [
            traffic.begin("bookkeeper", lambda dice: bookkeeper.change(), (0.02, 0.3)),
            traffic.begin("troubles inside", lambda dice: inside.make(), (0.6, 4.0)),
            traffic.begin("troubles around", lambda dice: around.make(), (0.1, 1.2)),
        ]
        try:
            _watch(place, traffic, minutes * 60)
        finally:
            traffic.stop.set()
            for thread in mischief:
                thread.join(30)
            inside.end()
            place.put_right()
            traffic.end()
        assert not traffic.failures, traffic.failures
        bookkeeper.heal_all()
        healed = oracle.healed(place.witness, lambda: place.healthy_run("manual__last"))
        place.judge()
        if minutes >= LONG_MINUTES:
            through = {kind: traffic.seen[kind].states["success"] for kind in PERSISTENT}
            assert min(through.values()) > 0, f"too few runs got through: {through}"
        title = f"Soak of {(time.monotonic() - began) / 60:.1f} minutes, seed {seed}"
        return _report(title, place, traffic, inside.done + around.done, bookkeeper.done, healed)


def _watch(place: Ground, traffic: Traffic, seconds: float) -> None:
    """Look on for that long.

    :raises AssertionError: something is as it must never be.
    """
    began = judged = told = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        place.look()
        traffic.clear_away()
        if now - judged > JUDGED_EVERY_SECONDS:
            judged = now
            place.judge()
        if now - told > TOLD_EVERY_SECONDS:
            told = now
            runs = sum(sum(seen.states.values()) for seen in traffic.seen.values())
            print(f"{(now - began) / 60:5.1f} min  {runs} runs have ended", flush=True)
        assert not traffic.failures, traffic.failures
        time.sleep(0.5)


def _report(
    title: str, place: Ground, traffic: Traffic, troubles: Counter[str], books: Counter[str], healed: dict[str, Any]
) -> str:  # fmt: skip
    """Describe a soak that ended well; `healed` is what the last sync counted."""
    lines = [title]
    for heading, counted in (("injected", troubles), ("changes of the books", books)):
        lines += ["", f"{heading:<66}{counted.total():>7}"]
        lines += [f"  {name:<64}{times:>7}" for name, times in sorted(counted.items())]
    lines += ["", f"{'DAG runs':<20}" + "".join(f"{column:>14}" for column in (*_STATES, *_TRIES))]
    for kind, seen in sorted(traffic.seen.items()):
        figures = [seen.states[state] for state in _STATES]
        figures += [seen.tries.total(), seen.tries["Died"], seen.tries["Lost"]]
        lines.append(f"  {kind:<18}" + "".join(f"{figure:>14}" for figure in figures))
    rows = place.witness.rows("select sync_id, run_id, status from economic.sync_run")
    lines += ["", f"syncs: {dict(sorted(Counter(row['status'] for row in rows).items()))}"]
    ids = {row["run_id"]: row["sync_id"] for row in rows}
    since = {hold.sync_id: hold.since.timestamp() for hold in place.judged.holds}
    if waits := [since[ids[run_id]] - began for run_id, began in traffic.takings]:
        lines.append(f"{len(waits)} forced syncs had the lease after {max(waits):.2f} s at most")
    lines += [
        f"looked at the whole copy {place.looks} times: no row twice, older than before, or marked missing without proof",
        f"{place.judged.writes} writing transactions in {len(place.judged.holds)} holds of the lease: never two owners at once",
        f"after one healthy sync ({healed['created']} created, {healed['updated']} updated of {healed['fetched']} invoices)"
        " the copy equals the books in every column",
    ]  # fmt: skip
    return "\n".join(lines)
