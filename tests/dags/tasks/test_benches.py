"""Every verb that measures, in miniature: what it measures must go on to exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Without Redis, Airflow's scheduler runs the tasks itself.
WORKERS = "1" if shutil.which("redis-server") else "0"
MINIATURES = {
    "dev.bench": (["60", "--repetitions", "1"], r"\| first \| ours \| [\d.]+ \|"),
    "dev.bench.growth": (["60", "--syncs", "1"], r"\| 1 unchanged \| `invoice` \|"),
    "dev.bench.lines": (["60", "--repetitions", "1"], r"\| a booking \| ours \| 2 \|"),
    "dev.bench.answers": (["60", "--repetitions", "1"], r"\| 365 \| \d+ \| \d+, \d+ \| \d+, \d+ \|"),
    "dev.bench.airflow": (
        ["60", "--agreements", "2", "--repetitions", "1", "--workers", WORKERS, "--concurrency", "2"],
        r"\| `upsert-invoices` \| [\d.]+ to [\d.]+ \|",
    ),
}


@pytest.mark.parametrize("module", MINIATURES)
def test_bench_measures_to_its_end(module: str) -> None:
    words, wanted = MINIATURES[module]
    before = changed()
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(wanted, done.stdout), done.stdout[-3000:]
    assert changed() == before  # figures are kept when --keep asks for it


def test_every_module_of_bench_has_a_miniature() -> None:
    """Or is a part of one that has: a verb that is never run rots."""
    programs = {path.stem for path in (ROOT / "dev" / "bench").glob("*.py")} - {"__init__", "measure", "ways"}
    assert {f"dev.bench.{name}".removesuffix(".__main__") for name in programs} == set(MINIATURES)


def changed() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.json")}
