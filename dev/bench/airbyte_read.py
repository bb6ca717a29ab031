"""Airbyte's connector for e-conomic reads every booked invoice once, in its own environment; prints a line of JSON.

It only reads: what a destination would take comes on top of it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "integration" / "peers"))

from airbyte_cdk.logger import init_logger
from airbyte_cdk.sources.declarative.manifest_declarative_source import ManifestDeclarativeSource
from airbyte_source import catalog, manifest, read


def main() -> int:
    """Read once and say what it took: what this process needed before it began is not counted."""
    init_logger()
    headers = json.loads(os.environ["BENCH_HEADERS"])
    config = {
        "app_secret_token": headers["X-AppSecretToken"],
        "agreement_grant_token": headers["X-AgreementGrantToken"],
    }
    source = ManifestDeclarativeSource(source_config=manifest(f"{os.environ['BENCH_URL']}/"))
    chosen = catalog(source, config, ["invoices_booked"])
    clock, used = time.perf_counter(), time.process_time()
    records = sum('"RECORD"' in line[:40] for line in read(source, config, chosen))
    wall, client = time.perf_counter() - clock, time.process_time() - used
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"wall": wall, "client": client, "peak_mb": peak, "records": records}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
