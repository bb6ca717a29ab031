"""Writes `.env` for docker-compose.yaml: fresh random secrets, and the settings to choose from. Standard library only: it needs no environment.

An existing file is never touched: its passwords are those that the databases were made with.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

from dev import ROOT


def fresh_secrets() -> dict[str, str]:
    """Return a new value for every secret of docker-compose.yaml: letters, digits, `-`, `_`, `=`."""
    return {
        "METADATA_DB_PASSWORD": secrets.token_urlsafe(32),
        "INVOICE_DB_PASSWORD": secrets.token_urlsafe(32),
        "INVOICE_DB_SYNC_PASSWORD": secrets.token_urlsafe(32),
        "INVOICE_DB_PAGE_PASSWORD": secrets.token_urlsafe(32),
        "REDIS_PASSWORD": secrets.token_urlsafe(32),
        "AIRFLOW_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "AIRFLOW_FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW_API_SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW_JWT_SECRET": secrets.token_urlsafe(64),
    }


def text(example: str) -> str:
    """Return the file: secrets first, then the settings of the example, each to be uncommented."""
    lines = [
        "# For docker-compose.yaml only: no other command of this project reads this file.",
        "# Its secrets open both databases and Airflow: keep this file to yourself, and keep a copy",
        "# (without AIRFLOW_FERNET_KEY a backup of Airflow's database has no readable connections).",
        *(f"{name}={value}" for name, value in fresh_secrets().items()),
        "",
        "# The e-conomic account. Left empty: add the connection economic_default in Airflow's web UI instead.",
        "ECONOMIC_APP_SECRET_TOKEN=",
        "ECONOMIC_AGREEMENT_GRANT_TOKEN=",
        "",
        "# Tasks in workers instead of in the scheduler; then: docker compose up -d --scale worker=2",
        "#AIRFLOW_EXECUTOR=CeleryExecutor",
        "#COMPOSE_PROFILES=celery",
        "",
        "# Ports on this machine's loopback interface.",
        "#AIRFLOW_PORT=8080",
        "#INVOICE_DB_PORT=5433",
        "",
        "# Images by digest instead of by name: `docker buildx imagetools inspect NAME` prints it. A mirror's go here too.",
        "#AIRFLOW_IMAGE=apache/airflow:slim-3.3.2-python3.13@sha256:...",
        "#POSTGRES_IMAGE=postgres:17-bookworm@sha256:...",
        "#REDIS_IMAGE=redis:7.2-bookworm@sha256:...",
        "",
    ]
    settings = [line if not line or line.startswith("#") else f"#{line}" for line in example.splitlines()]
    return "\n".join([*lines, *settings, ""])


def main(target: Path = ROOT / ".env") -> int:
    """Write the file, for its owner only; 1 when there is one already."""
    try:
        opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(
            f"{target.name} is there already and was not touched: the databases know its passwords.\n"
        )
        return 1
    with os.fdopen(opened, "w") as file:
        file.write(text((ROOT / ".env.example").read_text()))
    sys.stdout.write(
        f"Wrote {target.name}. Airflow's web UI will know the user admin with the password AIRFLOW_ADMIN_PASSWORD in it.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
