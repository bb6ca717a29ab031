"""One sync of the real DAG through the real Airflow, on embedded parts, watched while it runs.

The data stays in `.demo/`, so that a second demo shows what an unchanged sync does. Nothing is left running.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dev import embedded_postgres
from dev.embedded_postgres import Server

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".demo"
DAG_ID = "economic_invoice_sync"
REAL_TOKENS = ("ECONOMIC_APP_SECRET_TOKEN", "ECONOMIC_AGREEMENT_GRANT_TOKEN")
_POLL_SECONDS = 0.25
_BAR = 30

SHOWN = (
    ("status", "status"),
    ("fetched", "invoices fetched"),
    ("created", "  created"),
    ("updated", "  updated"),
    ("unchanged", "  unchanged"),
    ("failed", "  failed (kept aside with a reason)"),
    ("complete", "proven complete"),
    ("reconciled", "agrees with e-conomic's totals"),
    ("invoices_named", "employee names written"),
    ("pages", "pages"),
    ("requests", "requests"),
    ("retries", "retries"),
    ("bytes", "bytes read"),
    ("fetch_seconds", "seconds: fetch"),
    ("upsert_seconds", "seconds: upsert"),
    ("names_seconds", "seconds: names"),
    ("peak_memory_mb", "peak memory of the process, MB"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo, or open its database; the exit code of what was run."""
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__)
    parser.add_argument("--invoices", type=int, default=22_500, help="how many the simulator has")
    parser.add_argument("--psql", action="store_true", help="only open psql on the demo's database")
    given, rest = parser.parse_known_args(arguments)
    HOME.mkdir(exist_ok=True)
    try:
        with embedded_postgres.server(["airflow", "economic"], data=HOME / "postgres") as server:
            if given.psql:
                return open_psql(server, rest)
            return sync_once(server, given.invoices)
    except RuntimeError as error:
        say(f"The demo could not run: {error}")
        return 1


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def open_psql(server: Server, arguments: list[str]) -> int:
    """Psql on the demo's database, with the user's own terminal."""
    environment = os.environ | {"PGPASSWORD": server.password, "PGOPTIONS": "-c search_path=economic,public"}
    command = [
        str(server.bin / "psql"),
        "-h",
        "127.0.0.1",
        "-p",
        str(server.port),
        "-U",
        embedded_postgres.USER,
    ]
    return subprocess.run([*command, "-d", "economic", *arguments], env=environment).returncode


def sync_once(server: Server, invoices: int) -> int:
    """Run the DAG once and show what it did; 0 when it succeeded."""
    real = all(os.environ.get(name) for name in REAL_TOKENS)
    with ExitStack() as running:
        say(f"PostgreSQL {server_version(server)} runs on 127.0.0.1:{server.port}.")
        if real:
            connection = real_account()
            say(f"Reading the real account behind {REAL_TOKENS[0]} and {REAL_TOKENS[1]}.")
        else:
            connection = running.enter_context(simulated_account(invoices))
            say(f"A simulator of e-conomic with {invoices:,} invoices runs on {connection['host']}.")
        conn_id = "economic_live" if real else "economic_default"
        environment = airflow_environment(server, conn_id, connection)
        prepare_airflow(environment)
        before = written_by(server)
        say(f"Running the DAG {DAG_ID} through Airflow (its own start takes a while) ...")
        code, sync_id = run_dag(server, environment)
        if sync_id is None:
            say(f"No sync began. Airflow's log is in {log_file().relative_to(ROOT)}.")
            return code or 1
        show(server, sync_id, before)
    return code


def server_version(server: Server) -> str:
    with psycopg.connect(server.dsn("economic")) as connection:
        return str(connection.info.server_version // 10000)


def real_account() -> dict[str, Any]:
    """The connection to the account whose tokens are in the environment."""
    app_secret, grant = (os.environ[name] for name in REAL_TOKENS)
    return {
        "conn_type": "economic",
        "host": os.environ.get("ECONOMIC_BASE_URL", "https://restapi.e-conomic.com"),
        "extra": {"app_secret_token": app_secret, "agreement_grant_token": grant},
    }


@contextmanager
def simulated_account(invoices: int) -> Iterator[dict[str, Any]]:
    """The connection to a simulator that runs meanwhile."""
    sys.path.insert(0, str(ROOT / "tests"))
    import simulator

    with simulator.process(invoices=invoices) as found:
        extra = {
            "app_secret_token": found.app_secret_token,
            "agreement_grant_token": found.agreement_grant_token,
        }
        yield {"conn_type": "economic", "host": found.base_url, "extra": extra}


def airflow_environment(server: Server, conn_id: str, connection: Mapping[str, Any]) -> dict[str, str]:
    """Airflow's configuration: all of it in the demo's folder, the connections by environment."""
    database = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": server.port,
        "login": embedded_postgres.USER,
        "password": server.password,
        "schema": "economic",
    }
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("AIRFLOW") and key not in REAL_TOKENS
    }
    return kept | {
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(HOME / "airflow" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.uri("airflow").replace("://", "+psycopg2://", 1),
        "AIRFLOW_CONN_ECONOMIC_POSTGRES": json.dumps(database),
        f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection),
        "ECONOMIC_CONN_ID": conn_id,
        "ECONOMIC_POSTGRES_CONN_ID": "economic_postgres",
    }


def log_file() -> Path:
    return HOME / "airflow.log"


def prepare_airflow(environment: Mapping[str, str]) -> None:
    """Make Airflow's own tables, once for each version of Airflow.

    :raises RuntimeError: that failed; the reason is in the log file.
    """
    from importlib.metadata import version

    stamp = HOME / "airflow-database"
    if stamp.exists() and stamp.read_text() == version("apache-airflow"):
        return
    say("Making Airflow's own tables ...")
    with log_file().open("w") as log:
        done = subprocess.run(["airflow", "db", "migrate"], env=environment, stdout=log, stderr=log)
    if done.returncode:
        raise RuntimeError(f"`airflow db migrate` failed; see {log_file().relative_to(ROOT)}.")
    stamp.write_text(version("apache-airflow"))


def run_dag(server: Server, environment: Mapping[str, str]) -> tuple[int, int | None]:
    """Run the DAG in a process of its own and show its progress; its exit code, and the sync it began."""
    with psycopg.connect(server.dsn("economic"), autocommit=True, row_factory=dict_row) as connection:
        known = newest_sync(connection)
        last = known["sync_id"] if known else 0
        progress = Progress()
        with log_file().open("w") as log:
            child = subprocess.Popen(
                ["airflow", "dags", "test", DAG_ID], env=environment, stdout=log, stderr=log
            )
            try:
                while child.poll() is None:
                    time.sleep(_POLL_SECONDS)
                    found = newest_sync(connection)
                    if found and found["sync_id"] > last:
                        progress.show(found)
            finally:
                if child.poll() is None:
                    child.terminate()
                    child.wait()
        found = newest_sync(connection)
        if not found or found["sync_id"] <= last:
            return child.returncode, None
        progress.show(found)
        progress.end()
        # `airflow dags test` ends with 0 when the run has failed, too.
        return int(not found["status"].startswith("completed")), found["sync_id"]


def newest_sync(connection: psycopg.Connection[Any]) -> dict[str, Any] | None:
    try:
        return connection.execute("select * from economic.sync_run order by sync_id desc limit 1").fetchone()
    except psycopg.errors.UndefinedTable:
        return None


class Progress:
    """One line that moves on a terminal; a line for each step elsewhere."""

    def __init__(self) -> None:
        self._said = ""
        self._moving = sys.stdout.isatty()

    def show(self, sync: Mapping[str, Any]) -> None:
        share = float(sync["percentage"]) / 100
        line = f"[{'#' * round(share * _BAR):{_BAR}}] {sync['percentage']:>5} %  {sync['message']}"
        if line == self._said:
            return
        self._said = line
        sys.stdout.write(f"\r\x1b[2K{line}" if self._moving else f"{line}\n")
        sys.stdout.flush()

    def end(self) -> None:
        if self._moving:
            sys.stdout.write("\n")


def written_by(server: Server) -> dict[int, str]:
    """Which transaction wrote each invoice row last: what tells a row that was left alone."""
    with psycopg.connect(server.dsn("economic")) as connection:
        try:
            found = connection.execute("select invoice_number, xmin::text from economic.invoice")
        except psycopg.errors.UndefinedTable:
            return {}
        return {number: transaction for number, transaction in found}


def show(server: Server, sync_id: int, before: Mapping[int, str]) -> None:
    """The statistics of a sync, a few stored rows, and how to look further."""
    with psycopg.connect(server.dsn("economic"), row_factory=dict_row) as connection:
        sync = connection.execute("select * from economic.sync_run where sync_id = %s", (sync_id,)).fetchone()
        sample = connection.execute(
            """select invoice_number, invoice_date, customer_name, gross_amount, remainder, currency, employee_name
            from economic.invoice where agreement_number = %s and employee_name is not null
            order by invoice_number desc limit 5""",
            (sync["agreement_number"] if sync else None,),
        ).fetchall()
    if sync is None:
        return
    after = written_by(server)
    written = sum(before.get(number) != transaction for number, transaction in after.items())
    statistics = sync["statistics"]
    say()
    say(f"Sync {sync_id}: {sync['message']}")
    if sync["verdict"]:
        say(sync["verdict"])
    say()
    for key, label in SHOWN:
        if key in statistics:
            say(f"  {label:38} {shown(statistics[key]):>16}")
    say(f"  {'rows of economic.invoice written':38} {written:>16,}")
    work = sum(statistics.get(f"{phase}_seconds", 0.0) for phase in ("fetch", "upsert", "names"))
    say(f"  {'seconds: the three phases together':38} {work:>16.3f}")
    say()
    for row in sample:
        say(
            f"  {row['invoice_number']}  {row['invoice_date']}  {row['customer_name'][:26]:26} {row['gross_amount']:>12,} "
            f"{row['currency']}  open {row['remainder']:>12,}  {row['employee_name']}"
        )
    say()
    say("Look further:   make psql     (then: select * from invoice limit 10;)")
    say("Run it again:   make demo     (an unchanged invoice is not written)")


def shown(value: object) -> str:
    if value is None:
        return "not compared"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
