"""psql and `python -m economic` on the invoice database of `demo` and `start`, whose server is started when it does not run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from dev.local import embedded_postgres
from dev.local.airflow_settings import HOME, INVOICES
from dev.local.embedded_postgres import Server
from dev.local.interruption import Interruption
from dev.local.terminal import say

_OF_THE_TERMINAL = ("EDITOR", "LANG", "LC_", "LESS", "PAGER", "PATH", "PSQL", "TERM", "TZ", "VISUAL")


def main(arguments: list[str]) -> int:
    """Run one of the two, `psql` or `economic`; its exit code."""
    program, *words = arguments
    run = {"psql": _psql, "economic": _economic}[program]
    # Ctrl-C is the program's: in psql it cancels a query.
    with Interruption():
        try:
            if server := embedded_postgres.running(HOME / "postgres"):
                return run(server, words)
            with embedded_postgres.server(
                [INVOICES], data=HOME / "postgres", held_by=f"./run {program}"
            ) as server:
                return run(server, words)
        except RuntimeError as error:
            say(f"{program} could not be opened: {error}")
            return 1


def _psql(server: Server, words: list[str]) -> int:
    known: dict[str, str] = {
        key: value for key, value in os.environ.items() if key.startswith(_OF_THE_TERMINAL)
    }
    environment = known | {"PGPASSWORD": server.password, "PGOPTIONS": "-c search_path=economic,public"}
    who: dict[str, Any] = dict(server.identity)
    # Root runs psql as the server's user, which has no home for a history.
    environment |= {"PSQL_HISTORY": os.devnull} if who else {"HOME": os.environ.get("HOME", "")}
    address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", embedded_postgres.USER, "-d", INVOICES]
    return subprocess.run([server.bin / "psql", *address, *words], env=environment, **who).returncode


def _economic(server: Server, words: list[str]) -> int:
    environment = os.environ | {"ECONOMIC_DSN": server.dsn(INVOICES)}
    return subprocess.run([sys.executable, "-m", "economic", *words], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
