"""Many companies at once, with Celery workers: all synced, none mixed up, and what it costs. Stops whatever it started."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from dev.airflow_settings import DAG_ID, METADATA
from dev.bench.__main__ import machine
from dev.interruption import Interrupted, Interruption
from dev.parts import PartFailed
from dev.scale import databases, environment, parsing, times, verdict
from dev.scale.stand import Scale, Stand, running
from dev.scale.watch import Watch
from dev.terminal import say

KEPT = environment.ROOT / "docs" / "scale"
ROUNDS = ("first load", "nothing changed")
_KNOWN_SECONDS = 600.0
_SHOWN_COMPLAINTS = 10


class Wrong(RuntimeError):
    """A run failed, or a company's copy is not what it should be."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep the figures; 0 when every company's copy is complete and its own."""
    parser = argparse.ArgumentParser(prog="./run bench scale", description=__doc__)
    parser.add_argument("--agreements", type=int, default=200)
    parser.add_argument("--invoices", type=int, default=5000, help="of each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=4, help="tasks at once in one worker")
    parser.add_argument(
        "--rounds", type=int, default=2, choices=(1, 2), help="1 leaves out the one in which nothing changed"
    )
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds that a round may take")
    parser.add_argument(
        "--keep", action="store_true", help=f"the figures, in {KEPT.relative_to(environment.ROOT)}"
    )
    given = parser.parse_args(arguments)
    scale = Scale(given.agreements, given.invoices, given.workers, given.concurrency)
    home = Path(tempfile.mkdtemp(prefix="economic-scale-"))
    with Interruption() as interruption:
        try:
            environment.install()
            found = measure(scale, home, interruption, given.patience, ROUNDS[: given.rounds])
        except Interrupted as request:
            shutil.rmtree(home)
            return request.exit_code
        except (PartFailed, Wrong) as error:
            say(f"{error}\nThe logs are in {home}.")
            return 1
    shutil.rmtree(home)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    say(text)
    if given.keep:
        KEPT.mkdir(exist_ok=True)
        (KEPT / f"{scale.agreements}x{scale.invoices}.json").write_text(f"{text}\n")
    return 0


def measure(
    scale: Scale, home: Path, interruption: Interruption, patience: float, rounds: Sequence[str]
) -> dict[str, Any]:
    """Everything that is measured.

    :raises Wrong: not every company's copy is complete and its own.
    """
    found: dict[str, Any] = {
        "agreements": scale.agreements,
        "invoices of each": scale.invoices,
        "workers": f"{scale.workers} of {scale.concurrency} tasks each",
        "when": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    say("Reading the DAG files ...")
    found["parsing"] = {str(count): parsing.measured(count, home) for count in (1, 200, 1000)}
    found["parsing for one task"] = {
        str(count): parsing.measured(count, home, one_task=True) for count in (1, 200, 1000)
    }
    say("Starting everything ...")
    began = time.monotonic()
    with running(scale, home, interruption) as stand:
        _wait_until_known(stand)
        say(f"All DAGs are known ({time.monotonic() - began:.0f} s).")
        for number, name in enumerate(rounds, start=1):
            found[name] = _round(stand, patience)
            say(f"{name}: {json.dumps(found[name], indent=1)}\nComparing with the books ...")
            if said := verdict.complaints(stand, number):
                shown = "\n".join(said[:_SHOWN_COMPLAINTS])
                raise Wrong(f"{len(said)} complaints, the first of them:\n{shown}")
        found["database"] = databases.sizes(stand)
        found["queries"] = databases.queries(stand)
    found["machine"] = machine()
    found["scheduled minutes"] = _minutes(scale)
    return found


def _round(stand: Stand, patience: float) -> dict[str, Any]:
    """Every company synced once, all of them triggered at once."""
    since, wal = datetime.now(UTC), databases.wal(stand)
    with Watch(stand) as watch:
        _trigger(stand)
        _wait_until_ended(stand, since, patience)
    written = {name: after - wal[name] for name, after in databases.wal(stand).items()}
    return {"seconds": times.summary(stand, since), "watch": _seen(watch), "WAL bytes": written}


def _wait_until_known(stand: Stand) -> None:
    wanted = stand.scale.agreements
    stand.parts.wait_until(
        lambda: (
            stand.airflow.api.get("dags", dag_id_pattern=f"{DAG_ID}__%", limit=1)["total_entries"] == wanted
        ),
        f"all {wanted} DAGs are known",
        _KNOWN_SECONDS,
    )


def _trigger(stand: Stand) -> None:
    for position in range(1, stand.scale.agreements + 1):
        dag_id = f"{DAG_ID}__{stand.scale.name(position)}"
        stand.airflow.api.post(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": {}})


def _wait_until_ended(stand: Stand, since: datetime, seconds: float) -> None:
    shown = [time.monotonic()]
    with psycopg.connect(stand.metadata.dsn(METADATA), autocommit=True) as connection:

        def ended() -> bool:
            states = times.states(connection, since)
            if time.monotonic() - shown[0] > 30:
                shown[0] = time.monotonic()
                say(f"  {states}, load {os.getloadavg()[0]:.1f}")
            return states.get("success", 0) + states.get("failed", 0) == stand.scale.agreements

        stand.parts.wait_until(ended, "all runs have ended", seconds)
        if failed := times.states(connection, since).get("failed"):
            raise Wrong(f"{failed} of {stand.scale.agreements} runs failed.")


def _seen(watch: Watch) -> dict[str, Any]:
    def rounded(values: dict[str, float]) -> dict[str, float]:
        return {name: round(value, 1) for name, value in values.items()}

    return {
        "most connections": watch.most_connections,
        "most of them at work": watch.most_backends_at_work,
        "CPU seconds": rounded(watch.cpu),
        "peak MB, shared pages counted for each": rounded(watch.most_rss),
        "peak MB, shared pages divided": rounded(watch.most_pss),
        "longest gap between the scheduler's heartbeats": round(watch.longest_heartbeat_gap, 1),
        "most syncs begun at once": watch.most_begun_syncs,
        "most rows in staging": watch.most_staged_rows,
        "most leases past their time": watch.most_syncs_without_lease,
        "load": {"least": round(min(watch.load), 1), "most": round(max(watch.load), 1)},
        "least free memory, MB": round(watch.least_free_mb),
    }


def _minutes(scale: Scale) -> dict[str, int]:
    """How many of the companies' schedules share a minute of the hour."""
    from economic.settings import Settings

    found = Settings.from_environment({"ECONOMIC_AGREEMENTS": scale.entries()})
    used = Counter((one.schedule or "").split()[0] for one in found.agreements[1:])
    return {"minutes used": len(used), "most in one minute": max(used.values())}


if __name__ == "__main__":
    sys.exit(main())
