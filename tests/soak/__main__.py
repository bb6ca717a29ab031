"""``python -m tests.soak``: see :mod:`tests.soak`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STRESS_SHARE = 0.1
"""Of the time, for the stress test of the lease alone."""
SHORTEST_STRESS_SECONDS = 20.0


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run test --soak",
        description="Let everything go wrong for a while, and see that nothing is lost.",
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--seed",
        type=int,
        default=int(time.time()),
        help="the same seed makes the same trouble; default: the time",
    )
    parser.add_argument(
        "--sweep", action="store_true", help="kill a sync at every request and every commit instead"
    )
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    chosen = arguments(words)
    folder = Path(tempfile.mkdtemp(prefix="economic-soak-"))
    print(f"seed {chosen.seed}", flush=True)
    try:
        print(_run(chosen, folder), flush=True)
        if not chosen.sweep:
            _stress(max(SHORTEST_STRESS_SECONDS, chosen.minutes * 60 * STRESS_SHARE))
    except BaseException:
        traceback.print_exc()
        print(f"\nFAILED with --seed {chosen.seed}. The logs are kept in {folder}.", flush=True)
        return 1
    shutil.rmtree(folder)
    return 0


def _run(chosen: argparse.Namespace, folder: Path) -> object:
    if chosen.sweep:
        from tests.soak import sweep

        return sweep.run(folder, seed=chosen.seed)
    from tests.soak import chaos

    return chaos.run(folder, minutes=chosen.minutes, seed=chosen.seed)


def _stress(seconds: float) -> None:
    command = [
        "pytest",
        "-q",
        "-s",
        "tests/model/test_lease_processes.py",
        "--stress-seconds",
        f"{seconds:.0f}",
    ]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


if __name__ == "__main__":
    # Before anything of Airflow is imported: it makes a folder and a configuration where it is told to live.
    sys.path[:0] = [str(ROOT / part) for part in ("plugins", "tests", ".")]
    os.environ["AIRFLOW_HOME"] = home = tempfile.mkdtemp(prefix="economic-soak-airflow-")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path[:3], str(ROOT / "tests" / "loopback_only")])
    code = main(sys.argv[1:])
    shutil.rmtree(home, ignore_errors=True)
    sys.exit(code)
