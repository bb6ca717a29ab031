"""Connections to the invoice database, as Airflow defines them.

Kept light at import: every task process imports this through the DAG file.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowNotFoundException

from economic.config.extras import read_extra
from economic.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from economic.db.sql import Connection


log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
_AIRFLOWS_OWN = frozenset(
    [
        "iam",
        "redshift",
        "redshift-serverless",
        "cursor",
        "cluster-identifier",
        "workgroup-name",
        "aws_conn_id",
        "sqlalchemy_scheme",
        "sqlalchemy_query",
        "azure_conn_id",
    ]
)
"""Extras that belong to Airflow's Postgres provider and that libpq does not know."""

_PG_HOSTS = frozenset({"PGHOST", "PGHOSTADDR", "PGSERVICE"})


def connect_patiently(conn_id: str) -> Connection:
    """Connect, retrying for two minutes while the server cannot be reached."""
    import tenacity

    def log_retry(state: tenacity.RetryCallState) -> None:
        log.warning("%s Trying again.", state.outcome and state.outcome.exception())

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
        stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10.0),
        before_sleep=log_retry,
        reraise=True,
    )
    return retrying(connect, conn_id)


def connect(conn_id: str, *, within: int | None = None) -> Connection:
    """Return a connection to the invoice database, from Airflow's connection of that id.

    :param within: seconds allowed for connecting, and for data that was sent to be acknowledged. By
        default the connection's extra decides, else 10 and 60.
    :raises ConfigurationError: the connection is not defined, cannot be used, or the login is
        refused.
    :raises DatabaseUnavailable: the server cannot be reached.
    """
    from airflow.sdk import BaseHook

    from economic.db.opening import open_connection

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"The connection {conn_id} is not defined in Airflow, or its definition cannot be read.",
            hint="Add a Postgres connection of that id, or set ECONOMIC_POSTGRES_CONN_ID to the one to use.",
        ) from None
    extra = read_extra(connection.extra, f"connection {conn_id}")
    login, password, port = connection.login, connection.password, connection.port
    if extra.get("iam"):
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        login, password, port = PostgresHook(connection=connection).get_iam_token(connection)
    options = {
        "host": connection.host,
        "port": port,
        "user": login,
        "password": password,
        "dbname": connection.schema,
        "application_name": "airflow-provider-economic",
        # Of several hosts, the primary; a standby alone is a retriable error.
        "target_session_attrs": "read-write",
    }
    options |= {
        name: value for name, value in extra.items() if value is not None and name not in _AIRFLOWS_OWN
    }
    reached = {name for name, value in options.items() if value} | {
        name for name in os.environ if name in _PG_HOSTS
    }
    if not reached & {"host", "hostaddr", "service", *_PG_HOSTS}:
        raise ConfigurationError(
            f"The connection {conn_id} names no host.",
            hint="Fill in its host; for a local socket, the folder that holds it, such as /var/run/postgresql.",
        )
    if within is not None:
        options |= {"connect_timeout": within, "tcp_user_timeout": within * 1000}
    return open_connection(f"connection {conn_id}", options)
