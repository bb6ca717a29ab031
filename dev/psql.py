"""psql on the invoice database of `make demo` and `make start`; the server is started for it when it does not run."""

from __future__ import annotations

import os
import subprocess
import sys

from dev import embedded_postgres
from dev.airflow_settings import HOME, INVOICES
from dev.embedded_postgres import Server
from dev.interruption import Interruption
from dev.terminal import say


def main(arguments: list[str]) -> int:
    """Open psql; its exit code."""
    # Ctrl-C is psql's: it cancels a query.
    with Interruption():
        try:
            if server := embedded_postgres.running(HOME / "postgres"):
                return _open(server, arguments)
            with embedded_postgres.server([INVOICES], data=HOME / "postgres") as server:
                return _open(server, arguments)
        except RuntimeError as error:
            say(f"psql could not be opened: {error}")
            return 1


def _open(server: Server, arguments: list[str]) -> int:
    environment = os.environ | {"PGPASSWORD": server.password, "PGOPTIONS": "-c search_path=economic,public"}
    address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", embedded_postgres.USER, "-d", INVOICES]
    return subprocess.run([server.bin / "psql", *address, *arguments], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
