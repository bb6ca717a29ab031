"""Runs one sync of the real DAG through the real Airflow, on embedded parts, with its progress.

The data stays in `.demo/`, so that a second demo shows an unchanged sync. Nothing is left running.
With `--history`, the books and their copy first live through a year.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dev import history
from dev.local import copies, embedded_postgres
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
    keys,
)
from dev.local.embedded_postgres import Server
from dev.local.interruption import Interrupted, Interruption
from dev.local.local_airflow import prepare
from dev.local.parts import PartFailed, Parts
from dev.local.terminal import add_invoices, positive, say
from economic.config.settings import Settings
from economic.errors import ConfigurationError

_POLL_SECONDS = 0.25
_BAR = 30
_RETRY = "Airflow retries by itself, three times, after one to ten minutes each. Ctrl-C stops it."
_SAMPLE = """
    select invoice_number, invoice_date, customer_name, gross_amount, remainder, currency, employee_name
    from economic.invoice where agreement_number = %s and employee_name is not null
    order by invoice_number desc limit 5
"""
SHOWN = {
    "status": "status",
    "fetched": "invoices fetched",
    "created": "  created",
    "updated": "  updated",
    "unchanged": "  unchanged",
    "failed": "  rejected",
    "complete": "proven complete",
    "reconciled": "agrees with e-conomic's totals",
    "invoices_named": "employee names written",
    "pages": "pages",
    "requests": "requests",
    "retries": "retries",
    "bytes": "bytes read",
    "fetch_seconds": "seconds: fetch",
    "upsert_seconds": "seconds: upsert",
    "names_seconds": "seconds: names",
    "peak_memory_mb": "peak memory of the process, MB",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 when the sync succeeded."""
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__)
    add_invoices(parser)
    parser.add_argument(
        "--history",
        type=positive,
        nargs="?",
        const=history.YEAR,
        metavar="DAYS",
        help="first let the books and their copy live through so many days; without a number, a year",
    )
    given = parser.parse_args(arguments)
    databases, data = [METADATA, INVOICES], HOME / "postgres"
    with Interruption() as interruption:
        try:
            with embedded_postgres.server(databases, data=data, held_by="./run demo") as server:
                say(f"PostgreSQL runs on 127.0.0.1:{server.port}.")
                with Parts(HOME / "logs", interruption) as parts:
                    return sync_once(server, parts, interruption, given.invoices, given.history)
        except Interrupted as request:
            say("Stopped.")
            return request.exit_code
        except (RuntimeError, ConfigurationError) as error:
            say(f"The demo could not run: {error}")
            return 1


def sync_once(
    server: Server,
    parts: Parts,
    interruption: Interruption,
    invoices: int | None,
    days: int | None = None,
) -> int:
    """Run the DAG once and show what it did; 0 when it succeeded.

    :param days: of the history that is written before, if any.
    """
    read = account(parts, HOME, invoices, last_day=history.days_ago(days) if days else None)
    begins = history.first_day(HOME, read, days) if days else None
    say(f"e-conomic is {read.description}.")
    connections = {read.conn_id: read.connection, **invoice_connections(server)}
    environment = configuration(HOME, server, read.conn_id, keys(HOME)) | as_connection_variables(connections)
    # Airflow itself would only report that it does not find the DAG.
    Settings.from_environment(environment)
    prepare(HOME, parts, environment)
    if begins:
        moves = history.moves_a_day(copies.note_simulated(HOME, None))
        history.write(server.dsn(INVOICES), read, begins, moves, environment, interruption)
    with psycopg.connect(server.dsn(INVOICES), autocommit=True, row_factory=dict_row) as connection:
        before = row_versions(connection)
        say(f"Running the DAG {DAG_ID} through Airflow (its own start takes a while) ...")
        sync = run_dag(connection, parts, interruption, environment)
        show(connection, sync, before)
    if begins:
        say(history.QUERIES.format(day=begins + (history.days_ago(0) - begins) // 2))
    # `airflow dags test` ends with 0 when the run has failed, too.
    return int(not sync["status"].startswith("completed"))


def run_dag(
    connection: psycopg.Connection[dict[str, Any]],
    parts: Parts,
    interruption: Interruption,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Run the DAG in a process and show its progress; return the sync it began.

    :raises PartFailed: it began none.
    """
    earlier, progress = newest_sync(connection), Progress()
    part = parts.start("airflow-dags-test", [AIRFLOW, "dags", "test", DAG_ID], environment, patience=3.0)
    while True:
        ended = part.ended
        sync = newest_sync(connection)
        if sync and (earlier is None or sync["sync_id"] > earlier["sync_id"]):
            progress.show(sync)
            if ended:
                progress.end()
                return sync
        elif ended:
            raise PartFailed(f"No sync began. The end of Airflow's log, {part.log}:\n{part.said()}")
        interruption.sleep(_POLL_SECONDS)


def newest_sync(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return connection.execute("select * from economic.sync_run order by sync_id desc limit 1").fetchone()
    except psycopg.errors.UndefinedTable:
        return None


class Progress:
    """One line that moves on a terminal; a line for each step elsewhere."""

    def __init__(self) -> None:
        self._line = ""
        self._retry_explained = False
        self._moving = sys.stdout.isatty()

    def show(self, sync: Mapping[str, Any]) -> None:
        share = float(sync["percentage"]) / 100
        line = f"[{'#' * round(share * _BAR):{_BAR}}] {sync['percentage']:>5} %  {sync['message']}"
        if line == self._line:
            return
        self._line = line
        if "will be tried again" in line.lower() and not self._retry_explained:
            self._retry_explained = True
            line += f"\n{_RETRY}"
        sys.stdout.write(f"\r\x1b[2K{line}" if self._moving else f"{line}\n")
        sys.stdout.flush()

    def end(self) -> None:
        if self._moving:
            sys.stdout.write("\n")


def row_versions(connection: psycopg.Connection[dict[str, Any]]) -> dict[int, str]:
    """Return the transaction that wrote each invoice row last: it shows which rows a sync left alone."""
    try:
        rows = connection.execute("select invoice_number, xmin::text as version from economic.invoice")
    except psycopg.errors.UndefinedTable:
        return {}
    return {row["invoice_number"]: row["version"] for row in rows}


def show(
    connection: psycopg.Connection[dict[str, Any]], sync: Mapping[str, Any], before: Mapping[int, str]
) -> None:
    """Show the statistics of a sync, a few stored rows, and how to look further."""
    written = len(row_versions(connection).items() - before.items())
    statistics = sync["statistics"]
    say(f"\nSync {sync['sync_id']}: {sync['message']}")
    if sync["verdict"]:
        say(sync["verdict"])
    say()
    for key, label in SHOWN.items():
        if key in statistics:
            say(f"  {label:38} {shown(statistics[key]):>16}")
    say(f"  {'rows of economic.invoice written':38} {written:>16,}")
    work = sum(statistics.get(f"{phase}_seconds", 0.0) for phase in ("fetch", "upsert", "names"))
    say(f"  {'seconds: the three phases together':38} {work:>16.3f}\n")
    for row in connection.execute(_SAMPLE, (sync["agreement_number"],)):
        say(
            f"  {row['invoice_number']}  {row['invoice_date']}  {row['customer_name'][:26]:26} "
            f"{row['gross_amount']:>12,} {row['currency']}  remainder {row['remainder']:>12,}  {row['employee_name']}"
        )
    say("\nLook further:   ./run psql              (then: select * from invoice_overview limit 1 \\gx)")
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
