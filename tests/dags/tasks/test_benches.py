"""Every verb that measures, in miniature: what it measures must go on to exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dev.verbs import VERBS

ROOT = Path(__file__).resolve().parents[3]
# Without Redis, Airflow's scheduler runs the tasks itself.
WORKERS = "1" if shutil.which("redis-server") else "0"
MINIATURES = {
    "sync": (["60", "--repetitions", "1"], r"\| first \| ours \| [\d.]+ \|"),
    "growth": (["60", "--syncs", "1"], r"\| 1 unchanged \| `invoice` \|"),
    "airflow": (["60", "--repetitions", "1"], r"\| the run is over \| \*\*[\d.]+\*\* \|"),
    "scale": (
        ["--agreements", "2", "--invoices", "60", "--workers", WORKERS, "--concurrency", "2"],
        r'"nothing changed"',
    ),
}


def test_every_bench_has_a_miniature() -> None:
    assert set(VERBS["bench"].options) == set(MINIATURES)


@pytest.mark.parametrize("name", MINIATURES)
def test_bench_measures_to_its_end(name: str) -> None:
    words, wanted = MINIATURES[name]
    module = "dev.bench" if name == "sync" else f"dev.bench.{name}"
    before = changed()
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(wanted, done.stdout), done.stdout[-3000:]
    assert changed() == before  # figures are kept when --keep asks for it


def changed() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.json")}
