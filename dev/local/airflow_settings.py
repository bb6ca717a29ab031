"""The configuration of this machine's Airflow: environment variables only, its files in one folder."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.container import logins
from dev import ROOT, inherited
from dev.local.account import REAL_TOKENS
from dev.local.embedded_postgres import Server
from dev.local.ownership import write_private
from dev.local.ports import LOOPBACK

HOME = Path(os.environ.get("ECONOMIC_DEMO_DATA") or ROOT / ".demo").resolve()
"""Where `make demo` and `make start` keep their data, in common."""
ADMIN = "admin"
DAG_ID = "economic_invoice_sync"
AIRFLOW = Path(sys.executable).with_name("airflow")
POSTGRES_CONN_ID = "economic_postgres"
PAGE_CONN_ID = "economic_postgres_page"
"""What the API server takes for the page, which only reads."""
METADATA, INVOICES = "airflow", "economic"
"""The two databases: Airflow's own, and the one of the invoice copy."""
_HERE = (LOOPBACK, "localhost")


@dataclass(frozen=True)
class Keys:
    """Airflow's keys and the admin's password.

    :param passwords_file: where Airflow looks the admin's password up.
    """

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    admin_password: str
    passwords_file: Path


def keys(home: Path) -> Keys:
    """Return the secrets of the Airflow in that folder, made at its first use."""
    kept, passwords = home / "keys.json", home / "passwords.json"
    if not kept.exists():
        write_private(
            kept,
            {
                "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
                "jwt_secret": secrets.token_urlsafe(64),
                "api_secret_key": secrets.token_urlsafe(32),
            },
        )
    if not passwords.exists():
        write_private(passwords, {ADMIN: secrets.token_urlsafe(12)})
    admin_password = json.loads(passwords.read_text())[ADMIN]
    return Keys(**json.loads(kept.read_text()), admin_password=admin_password, passwords_file=passwords)


def configuration(home: Path, server: Server, conn_id: str, keys: Keys) -> dict[str, str]:
    """Return every Airflow process's environment; the caller's Airflow variables and tokens are left out.

    :param conn_id: of the e-conomic account that is synced.
    """
    kept = inherited("AIRFLOW", *REAL_TOKENS)
    # Airflow's processes talk to each other over loopback, whatever proxy leads out of here.
    beyond = ",".join(filter(None, (kept.get("no_proxy") or kept.get("NO_PROXY"), *_HERE)))
    return kept | {
        "no_proxy": beyond,
        "NO_PROXY": beyond,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        # The package is installed; its folder must not be loaded a second time.
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "airflow" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": keys.fernet_key,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.uri(METADATA).replace("://", "+psycopg2://", 1),
        "ECONOMIC_CONN_ID": conn_id,
        "ECONOMIC_POSTGRES_CONN_ID": POSTGRES_CONN_ID,
    }


def serving(port: int, keys: Keys) -> dict[str, str]:
    """Return further variables for an Airflow with a web server and a scheduler.

    :param port: of the web server, on loopback.
    """
    url = f"http://{LOOPBACK}:{port}"
    return {
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": keys.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.jwt_secret,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The default of 5 seconds is too short while everything starts at once on two cores.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(keys.passwords_file),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # That many workers are started beforehand, 30 MB each; the default is 32.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }


def invoice_connections(server: Server) -> dict[str, dict[str, Any]]:
    """Return Airflow's connections to the invoice database by id, for the sync and for the page.

    Their logins get new passwords each time, so that none is kept anywhere but in Airflow.
    """
    passwords = {login: secrets.token_urlsafe(24) for login in (logins.OWNER, logins.SYNC, logins.PAGE)}
    logins.make_logins(server.dsn(INVOICES), passwords)
    return {
        conn_id: {
            "conn_type": "postgres",
            "host": LOOPBACK,
            "port": server.port,
            "login": login,
            "password": passwords[login],
            "schema": INVOICES,
        }
        for conn_id, login in ((POSTGRES_CONN_ID, logins.SYNC), (PAGE_CONN_ID, logins.PAGE))
    }


def as_connection_variables(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return connections as environment variables, for an Airflow whose database lacks them."""
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields) for conn_id, fields in connections.items()}
