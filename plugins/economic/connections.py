"""Connections to the invoice database, from Airflow's connections.

Kept light at import: the DAG file imports the tasks, which import this, and every task process imports the DAG file.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowNotFoundException

from economic.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from economic.database import Connection


log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0


def connect_patiently(conn_id: str) -> Connection:
    """As :func:`connect`, but a server that cannot be reached just now is given two minutes: it may be restarting."""
    import tenacity

    def tell(state: tenacity.RetryCallState) -> None:
        log.warning("%s Trying again.", state.outcome and state.outcome.exception())

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
        stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10.0),
        before_sleep=tell,
        reraise=True,
    )
    return retrying(connect, conn_id)


def connect(conn_id: str, *, within: int | None = None) -> Connection:
    """A connection to the invoice database, from Airflow's connection of that id.

    :param within: how many seconds at most until it stands, and until data that is sent is known to have arrived; by default as the connection's
        extra says, else 10 and 60.
    :raises ConfigurationError: the connection is not defined.
    :raises DatabaseUnavailable: the server cannot be reached.
    """
    import psycopg
    from airflow.providers.postgres.hooks.postgres import PostgresHook
    from airflow.sdk import BaseHook

    from economic import database

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"The connection {conn_id} is not defined in Airflow.",
            hint="Add a Postgres connection of that id, or set ECONOMIC_POSTGRES_CONN_ID to the one to use.",
        ) from None
    # Without these a cut network cable is noticed after hours; a user's own values win.
    extra = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "application_name": "airflow-provider-economic",
        # Of several hosts the one that can be written to; of a standby alone, an error that is tried again.
        "target_session_attrs": "read-write",
    } | connection.extra_dejson
    extra.pop("cursor", None)
    if within is not None:
        extra |= {"connect_timeout": within, "tcp_user_timeout": within * 1000}
    connection.extra = json.dumps(extra)
    with database.translated():
        opened = PostgresHook(connection=connection).get_conn()
    if not isinstance(opened, psycopg.Connection):
        raise ConfigurationError(
            "The Postgres provider uses psycopg2 here.",
            hint="Install psycopg 3: pip install 'psycopg[binary]'.",
        )
    return database.prepare(opened)
