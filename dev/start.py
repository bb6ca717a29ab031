"""The whole Airflow on embedded parts, until Ctrl-C: PostgreSQL, a simulator of e-conomic, web server, scheduler, DAG processor.

The simulator's books move by themselves, and a quick sync looks every minute. The data stays in `.demo/`, in common with `make demo`, so that a second start finds it again. Nothing is left running.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev import ROOT
from dev.local import embedded_postgres, started
from dev.local.account import account
from dev.local.airflow_settings import (
    ADMIN,
    DAG_ID,
    HOME,
    INVOICES,
    METADATA,
    Keys,
    configuration,
    invoice_connections,
    keys,
    serving,
)
from dev.local.interruption import Interrupted, Interruption
from dev.local.local_airflow import LocalAirflow, prepare
from dev.local.parts import PartFailed, Parts
from dev.local.ports import free_port, is_free
from dev.local.terminal import add_invoices, say, tcp_port
from economic.config.dags import QUICK_DAG_ID

USUAL_PORT = 8080
MOVES_PER_MINUTE = 3
"""So that a person who watches sees invoices booked and paid."""
EVERY_MINUTE = "* * * * *"
_WATCH_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Start everything and stop it when asked to; return 0 if it had been ready, 1 if a part failed."""
    parser = argparse.ArgumentParser(prog="./run start", description=__doc__)
    add_invoices(parser)
    parser.add_argument(
        "--port", type=tcp_port, help=f"of the web server; default: {USUAL_PORT}, or a free one"
    )
    given = parser.parse_args(arguments)
    ready = False
    with Interruption() as interruption:
        try:
            port = web_port(given.port)
            started.refuse_a_second(HOME)
            with ExitStack() as stack:
                parts = _start(stack, interruption, given.invoices, port)
                ready = True
                while True:
                    parts.check()
                    interruption.sleep(_WATCH_SECONDS)
        except Interrupted as request:
            say("Everything is stopped.")
            return 0 if ready else request.exit_code
        except PartFailed as error:
            say(f"Everything else is stopped.\n\n{error}")
            return 1
        except RuntimeError as error:
            say(f"Airflow could not be started: {error}")
            return 1


def web_port(wanted: int | None) -> int:
    """Return the wanted port, or the usual one, or a free one.

    :raises RuntimeError: the wanted one is in use, or only root may have it.
    """
    try:
        if wanted is not None and not is_free(wanted):
            raise RuntimeError(f"Port {wanted} is in use. Choose another one, or leave --port out.")
    except PermissionError:
        raise RuntimeError(
            f"Only root may serve on port {wanted}. Choose one from 1024 to 65535, or leave --port out."
        ) from None
    return wanted or (USUAL_PORT if is_free(USUAL_PORT) else free_port())


def _start(stack: ExitStack, interruption: Interruption, invoices: int | None, port: int) -> Parts:
    began = time.monotonic()
    server = stack.enter_context(
        embedded_postgres.server([METADATA, INVOICES], data=HOME / "postgres", held_by="./run start")
    )
    say(f"PostgreSQL runs on 127.0.0.1:{server.port}.")
    interruption.check()
    parts = stack.enter_context(Parts(HOME / "logs", interruption))
    stack.callback(say, "\nStopping ...")
    parts.watch("postgresql", server.pid, server.log)
    read = account(parts, HOME, invoices, MOVES_PER_MINUTE)
    say(f"e-conomic is {read.description}.")
    secrets = keys(HOME)
    environment = configuration(HOME, server, read.conn_id, secrets) | serving(port, secrets)
    if read.is_simulated:
        environment.setdefault("ECONOMIC_QUICK_SCHEDULE", EVERY_MINUTE)
        environment.setdefault("ECONOMIC_LINES", "true")
    say("Starting Airflow (half a minute, the first time a little more) ...")
    prepare(HOME, parts, environment)
    airflow = LocalAirflow(parts, environment, secrets)
    airflow.start({read.conn_id: read.connection, **invoice_connections(server)})
    stack.enter_context(started.noted(HOME, environment, parts.running))
    say(f"Airflow is ready ({time.monotonic() - began:.0f} s).\n")
    _show(airflow, secrets, environment.get("ECONOMIC_QUICK_SCHEDULE", "off"))
    return parts


def _show(airflow: LocalAirflow, secrets: Keys, quick_schedule: str) -> None:
    dag = airflow.api.get(f"dags/{DAG_ID}")
    begun = [
        run
        for state in ("queued", "running")
        for run in airflow.api.get(f"dags/{DAG_ID}/dagRuns", run_type="scheduled", state=state)["dag_runs"]
    ]
    command = f"./run airflow dags trigger {DAG_ID}"
    for label, text in (
        ("web", airflow.api.url),
        ("login", f"{ADMIN} / {secrets.admin_password}   (kept in {_shown(secrets.passwords_file)})"),
        ("DAG", f"{DAG_ID} is {_state(dag, begun)}"),
        ("quick", f"{QUICK_DAG_ID} looks for changes: {quick_schedule} (ECONOMIC_QUICK_SCHEDULE)"),
        ("sync now", command),
        ("force", f"{command} --conf '{{\"force\": true}}'"),
        ("invoices", "./run psql   (then: select * from invoice_overview limit 1 \\gx)"),
        ("status", "./run economic status"),
        (
            "logs",
            f"{_shown(HOME / 'logs')} of the processes, {_shown(HOME / 'airflow' / 'logs')} of the tasks",
        ),
    ):
        say(f"  {label:10} {text}")
    say("\nCtrl-C stops everything.")


def _state(dag: dict[str, Any], begun: list[Any]) -> str:
    if dag["is_paused"]:
        return "paused: switch it on in the web"
    if dag["next_dagrun_run_after"] is None:
        return "on, without a schedule"
    due = datetime.fromisoformat(dag["next_dagrun_run_after"])
    when = "now" if due <= datetime.now(UTC) else f"{due:%Y-%m-%d %H:%M} UTC"
    # Airflow makes up for the schedule's last tick as soon as its scheduler runs.
    now = "a sync has begun, and " if begun else ""
    return f"on; {now}the next sync by itself begins {when}"


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    sys.exit(main())
