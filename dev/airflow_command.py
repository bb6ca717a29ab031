"""Airflow's own command line, against the Airflow that `make start` has running."""

from __future__ import annotations

import os
import sys

from dev.local import started
from dev.local.airflow_settings import AIRFLOW, HOME
from dev.local.terminal import say


def main(arguments: list[str]) -> int:
    """Become the command; it returns only when there is no Airflow to talk to."""
    try:
        environment = started.environment(HOME)
    except RuntimeError as error:
        say(str(error))
        return 1
    return os.execve(AIRFLOW, ["airflow", *arguments], environment)  # noqa: S606  # never returns


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
