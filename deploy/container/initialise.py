#!/usr/bin/env python
"""Makes a new or older installation ready: Airflow's tables, the administrator, the connections. Does no harm when run again.

The image's own way to do this goes on when the migration fails; this one stops.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from logins import OWNER, PAGE, SYNC, make_logins  # type: ignore[import-not-found]  # beside this file in the image
from psycopg import conninfo

SECRETS = Path("/run/secrets")
DATABASE = "invoice-db"
API = "https://restapi.e-conomic.com"
KEPT = ("verify", "proxies")
"""Of the extra of e-conomic's connection: the way through a proxy, which .env cannot name. Its host is never kept."""


def secret(name: str) -> str:
    path = SECRETS / name
    return path.read_text().strip() if path.exists() else ""


def airflow(*arguments: str, answers: str = "") -> None:
    """Run a command of Airflow's, with secrets on its standard input instead of its arguments."""
    done = subprocess.run(["airflow", *arguments], input=answers, text=True, check=False)
    if done.returncode:
        sys.exit(f"`airflow {arguments[0]} {arguments[1]}` failed; the lines above say why.")


def connections() -> dict[str, dict[str, Any]]:
    """Return the connections of .env: to the copy, and to e-conomic when both tokens are there."""
    conn_id = os.environ.get("ECONOMIC_POSTGRES_CONN_ID") or "economic_postgres"
    logins = {
        conn_id: (SYNC, "invoice_db_sync_password"),
        f"{conn_id}_page": (PAGE, "invoice_db_page_password"),
    }
    found: dict[str, dict[str, Any]] = {
        name: {
            "conn_type": "postgres",
            "host": DATABASE,
            "port": 5432,
            "login": login,
            "password": secret(password),
            "schema": "economic",
        }
        for name, (login, password) in logins.items()
    }
    tokens = {name: secret(name) for name in ("app_secret_token", "agreement_grant_token")}
    if all(tokens.values()):
        conn_id = os.environ.get("ECONOMIC_CONN_ID") or "economic_default"
        found[conn_id] = {"conn_type": "economic", "host": API, "port": 443, "extra": tokens}
    elif any(tokens.values()):
        sys.exit(
            "Only one of ECONOMIC_APP_SECRET_TOKEN and ECONOMIC_AGREEMENT_GRANT_TOKEN is set in .env; e-conomic needs both."
        )
    return found


def way_through_a_proxy(conn_id: str) -> dict[str, object]:
    """Return how the connection that Airflow has gets through a proxy; empty when it has none that can be read."""
    command = ["airflow", "connections", "get", conn_id, "--output", "json"]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if asked.returncode:
        print(f"The connection {conn_id} is made anew.", flush=True)
        return {}
    extra = json.loads(asked.stdout.splitlines()[-1])[0]["extra_dejson"]
    return {key: extra[key] for key in KEPT if key in extra}


def prepare_copy() -> None:
    """Make the copy's logins and tables; only this program has its superuser's and owner's passwords."""
    superuser = conninfo.make_conninfo(
        host=DATABASE, user="economic", password=secret("invoice_db_password"), dbname="economic"
    )
    passwords = {SYNC: secret("invoice_db_sync_password"), PAGE: secret("invoice_db_page_password")}
    try:
        make_logins(superuser, passwords | {OWNER: secrets.token_urlsafe(32)})
    except subprocess.CalledProcessError:
        sys.exit("The tables of the copy could not be brought up to date; the line above says why.")


def main() -> int:
    """Make everything ready, each step before those that need it."""
    wanted = connections()
    prepare_copy()
    airflow("db", "migrate")
    password = secret("admin_password")
    airflow(
        *("users", "create", "--role", "Admin", "--username", os.environ["ADMIN_USER"]),
        *("--firstname", "Airflow", "--lastname", "Admin", "--email", os.environ["ADMIN_EMAIL"]),
        answers=f"{password}\n{password}\n",
    )
    for conn_id, connection in wanted.items():
        if connection["conn_type"] == "economic":
            connection["extra"] |= way_through_a_proxy(conn_id)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # memory, not a disk
        file = Path(folder, "connections.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(wanted))
        airflow("connections", "import", "--overwrite", str(file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
