"""How long the DAG files take to be read with many companies: in a process of its own, Airflow's own imports left out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from dev.parts import PartFailed
from dev.scale import environment

_CODE = """
import json, sys, time
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
import psycopg, requests, croniter
folder, wanted = sys.argv[1], sys.argv[2] or None
with _airflow_parsing_context_manager(dag_id=wanted, task_id=wanted and "fetch-pages"):
    wall, cpu = time.perf_counter(), time.process_time()
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    read = time.perf_counter() - wall, time.process_time() - cpu
cpu = time.process_time()
size = sum(len(json.dumps(DagSerialization.to_dict(dag))) for dag in bag.dags.values())
written = time.process_time() - cpu
assert not bag.import_errors, bag.import_errors
print(json.dumps({"dags": len(bag.dags), "read wall": round(read[0], 3), "read CPU": round(read[1], 3),
    "serialise CPU": round(written, 3), "serialised bytes a DAG": size // max(1, len(bag.dags))}))
"""


def measured(agreements: int, home: Path, *, one_task: bool = False) -> dict[str, Any]:
    """What reading the folder of DAGs costs with that many entries.

    :param one_task: read it as the process of one task does.
    :raises PartFailed: it cannot be read.
    """
    entries = json.dumps([{"name": f"company_{position:04}"} for position in range(1, agreements + 1)])
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    told = kept | {
        "ECONOMIC_AGREEMENTS": entries,
        "AIRFLOW_HOME": str(home / "parsing"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "parsing" / "plugins"),
    }
    wanted = "economic_invoice_sync__company_0001" if one_task else ""
    command: list[str | Path] = [environment.PYTHON, "-c", _CODE, environment.ROOT / "dags", wanted]
    done = subprocess.run(command, env=told, capture_output=True, text=True)
    if done.returncode:
        raise PartFailed(f"The DAG files cannot be read:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
