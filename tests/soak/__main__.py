"""``python -m tests.soak``: see :mod:`tests.soak`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(words: list[str]) -> int:
    """Run the soak, or the sweep."""
    parser = argparse.ArgumentParser(
        prog="./run test --soak",
        description="Let everything go wrong for a while, and see that nothing is lost.",
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="makes the same trouble again")
    parser.add_argument(
        "--sweep", action="store_true", help="kill a sync at every request and every commit instead"
    )
    chosen = parser.parse_args(words)  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="economic-soak-"))
    print(f"seed {chosen.seed}", flush=True)
    from tests.soak import chaos, sweep

    try:
        if chosen.sweep:
            print(sweep.run(folder, seed=chosen.seed), flush=True)
        else:
            print(chaos.run(folder, minutes=chosen.minutes, seed=chosen.seed), flush=True)
    except BaseException:
        traceback.print_exc()
        print(f"\nFAILED with --seed {chosen.seed}. The logs are kept in {folder}.", flush=True)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    # Before anything of Airflow is imported: it makes a folder and a configuration where it is told to live.
    sys.path[:0] = [str(ROOT / part) for part in ("plugins", "tests", ".")]
    os.environ["AIRFLOW_HOME"] = home = tempfile.mkdtemp(prefix="economic-soak-airflow-")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [*sys.path[:3], str(ROOT / "tests" / "support" / "network_guard")]
    )
    code = main(sys.argv[1:])
    shutil.rmtree(home, ignore_errors=True)
    sys.exit(code)
