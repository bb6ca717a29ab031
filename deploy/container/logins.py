"""The logins of the invoice copy, so that no Airflow process is superuser of its database: an owner, one that syncs, one for the page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from economic.db.sql import sql_folder

OWNER, SYNC, PAGE = "economic_owner", "economic_sync", "economic_web"


def make_logins(superuser: str, passwords: Mapping[str, str]) -> None:
    """Make the three logins with these passwords, bring the tables up to date as their owner, and grant what each needs.

    Does no harm when run again.

    :param superuser: connection string of a superuser to the copy's database.
    :param passwords: of the three, by login.
    :raises subprocess.CalledProcessError: the tables could not be brought up to date; the reason is on standard error.
    """
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(Path(__file__).with_name("logins.sql").read_bytes())
        for login, password in passwords.items():
            # Hashed here: the server would write a password in clear into its log of statements.
            hashed = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
            statement = sql.SQL("alter role {} password {}")
            connection.execute(statement.format(sql.Identifier(login), sql.Literal(hashed.decode())))
    owner = conninfo.make_conninfo(superuser, user=OWNER, password=passwords[OWNER])
    subprocess.run(
        [sys.executable, "-m", "economic", "migrate"],
        env=os.environ | {"ECONOMIC_DSN": owner},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        for role in ("writer", "page"):
            connection.execute((sql_folder() / "grants" / f"grant_{role}.sql").read_bytes())
