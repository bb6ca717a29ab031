"""One sync of the real DAG through the real Airflow, on embedded parts, watched while it runs.

The data stays in `.demo/`, so that a second demo shows what an unchanged sync does. Nothing is left running.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dev.local import embedded_postgres, options
from dev.local.account import account
from dev.local.airflow_settings import (
    AIRFLOW,
    DAG_ID,
    HOME,
    INVOICES,
    METADATA,
    as_connection_variables,
    configuration,
    invoice_connections,
)
from dev.local.embedded_postgres import Server
from dev.local.interruption import Interrupted, Interruption
from dev.local.keys import keys
from dev.local.local_airflow import prepare
from dev.local.parts import PartFailed, Parts
from dev.local.terminal import say
from economic.config.settings import Settings
from economic.errors import ConfigurationError

_POLL_SECONDS = 0.25
_BAR = 30
_RETRY = "Airflow tries again by itself, three times, after one to ten minutes each. Ctrl-C stops it."

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
    """Run the demo; 0 when the sync succeeded."""
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__)
    parser.add_argument(
        "--invoices",
        type=options.positive,
        help="how many the simulator has; default: as before, at first 22,500",
    )
    given = parser.parse_args(arguments)
    with Interruption() as interruption:
        try:
            with embedded_postgres.server(
                [METADATA, INVOICES], data=HOME / "postgres", held_by="./run demo"
            ) as server:
                say(f"PostgreSQL {server_version(server)} runs on 127.0.0.1:{server.port}.")
                with Parts(HOME / "logs", interruption) as parts:
                    return sync_once(server, parts, interruption, given.invoices)
        except Interrupted as request:
            say("Stopped.")
            return request.exit_code
        except (RuntimeError, ConfigurationError) as error:
            say(f"The demo could not run: {error}")
            return 1


def sync_once(server: Server, parts: Parts, interruption: Interruption, invoices: int | None) -> int:
    """Run the DAG once and show what it did; 0 when it succeeded."""
    read = account(parts, HOME, invoices)
    say(f"e-conomic is {read.description}.")
    connections = {read.conn_id: read.connection, **invoice_connections(server)}
    environment = configuration(HOME, server, read.conn_id, keys(HOME)) | as_connection_variables(connections)
    # Airflow itself would only say that it does not find the DAG.
    Settings.from_environment(environment)
    prepare(HOME, parts, environment)
    before = written_by(server)
    say(f"Running the DAG {DAG_ID} through Airflow (its own start takes a while) ...")
    code, sync_id = run_dag(server, parts, interruption, environment)
    show(server, sync_id, before)
    return code


def server_version(server: Server) -> str:
    with psycopg.connect(server.dsn(INVOICES)) as connection:
        return str(connection.info.server_version // 10000)


def run_dag(
    server: Server, parts: Parts, interruption: Interruption, environment: Mapping[str, str]
) -> tuple[int, int]:
    """Run the DAG in a process of its own and show its progress; its exit code, and the sync it began.

    :raises PartFailed: it began none.
    """
    with psycopg.connect(server.dsn(INVOICES), autocommit=True, row_factory=dict_row) as connection:
        known = newest_sync(connection)
        last = known["sync_id"] if known else 0
        progress = Progress()
        part = parts.start("airflow-dags-test", [AIRFLOW, "dags", "test", DAG_ID], environment, patience=3.0)
        while not part.ended:
            interruption.sleep(_POLL_SECONDS)
            found = newest_sync(connection)
            if found and found["sync_id"] > last:
                progress.show(found)
        found = newest_sync(connection)
        if not found or found["sync_id"] <= last:
            raise PartFailed(f"No sync began. The end of Airflow's log, {part.log}:\n{part.said()}")
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
        self._told_of_retry = False
        self._moving = sys.stdout.isatty()

    def show(self, sync: Mapping[str, Any]) -> None:
        share = float(sync["percentage"]) / 100
        line = f"[{'#' * round(share * _BAR):{_BAR}}] {sync['percentage']:>5} %  {sync['message']}"
        if line == self._said:
            return
        self._said = line
        if "will be tried again" in line.lower() and not self._told_of_retry:
            self._told_of_retry = True
            line += f"\n{_RETRY}"
        sys.stdout.write(f"\r\x1b[2K{line}" if self._moving else f"{line}\n")
        sys.stdout.flush()

    def end(self) -> None:
        if self._moving:
            sys.stdout.write("\n")


def written_by(server: Server) -> dict[int, str]:
    """Which transaction wrote each invoice row last: what tells a row that was left alone."""
    with psycopg.connect(server.dsn(INVOICES)) as connection:
        try:
            found = connection.execute("select invoice_number, xmin::text from economic.invoice")
        except psycopg.errors.UndefinedTable:
            return {}
        return {number: transaction for number, transaction in found}


def show(server: Server, sync_id: int, before: Mapping[int, str]) -> None:
    """The statistics of a sync, a few stored rows, and how to look further."""
    with psycopg.connect(server.dsn(INVOICES), row_factory=dict_row) as connection:
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
            f"{row['currency']}  remainder {row['remainder']:>12,}  {row['employee_name']}"
        )
    say()
    say("Look further:   ./run psql              (then: select * from invoice_overview limit 1 \\gx)")
    say("                ./run economic status   (how fresh and complete the copy is)")
    say("Run it again:   ./run demo              (an unchanged invoice is not written)")


def shown(value: object) -> str:
    if value is None:
        return "not compared"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
