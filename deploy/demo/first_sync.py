"""Connects Airflow with the simulator, runs the DAG once and shows what the sync did. For `docker compose --profile demo up`."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

AIRFLOW = "http://api-server:8080"
DAG = "/api/v2/dags/economic_invoice_sync"
SIMULATOR = "http://simulator:8000"
# e-conomic's public pair of tokens for trying its API; the simulator takes it too.
TOKENS = {"app_secret_token": "demo", "agreement_grant_token": "demo"}
PATIENCE_SECONDS = 600.0


class Airflow:
    """Airflow's REST API, as the administrator."""

    def __init__(self) -> None:
        self._token = ""
        password = Path("/run/secrets/admin_password").read_text().strip()
        answer = self.ask("POST", "/auth/token", {"username": os.environ["ADMIN_USER"], "password": password})
        self._token = answer["access_token"]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send one request; raise HTTPError for any refusal."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(AIRFLOW + path, data, headers, method=method)  # noqa: S310  # the constant above
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # http to a host that the compose file names
            return json.load(answer)

    def find(self, path: str) -> Any:
        """Return what is there, or None."""
        try:
            return self.ask("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None


def connect(airflow: Airflow) -> None:
    """Make the connection to the simulator, unless one is there; a real account is left alone."""
    conn_id = os.environ.get("ECONOMIC_CONN_ID") or "economic_default"
    known = airflow.find(f"/api/v2/connections/{conn_id}")
    if known is None:
        extra = json.dumps({**TOKENS, "allow_http": True})
        airflow.ask(
            "POST",
            "/api/v2/connections",
            {"connection_id": conn_id, "conn_type": "economic", "host": SIMULATOR, "extra": extra},
        )
    elif known["host"] != SIMULATOR:
        sys.exit(
            f"The connection {conn_id} opens {known['host']}: the demo leaves it alone. Start without --profile demo."
        )


def wait_for(what: str, look: Any) -> Any:
    """Return what `look` returns as soon as it returns something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(2)
    sys.exit(f"Waited in vain for {what}.")


def main() -> int:
    """Run the DAG once; return 0 when the run succeeded."""
    airflow = Airflow()
    connect(airflow)
    wait_for("the DAG to be read", lambda: airflow.find(DAG))
    run = airflow.ask("POST", f"{DAG}/dagRuns", {"logical_date": None, "conf": {}})
    path = f"{DAG}/dagRuns/{run['dag_run_id']}"

    def ended() -> str | None:
        state: str = airflow.ask("GET", path)["state"]
        return state if state in {"success", "failed"} else None

    state = wait_for("the run to end", ended)
    print(f"The run {run['dag_run_id']} ended: {state}.")
    if state == "success":
        entry = airflow.ask("GET", f"{path}/taskInstances/populate-employee-names/xcomEntries/return_value")
        value = entry["value"]
        for key, found in (value if isinstance(value, dict) else json.loads(value)).items():
            print(f"  {key:20} {found}")
    return int(state != "success")


if __name__ == "__main__":
    sys.exit(main())
