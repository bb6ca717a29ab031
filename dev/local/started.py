"""The note that a started Airflow leaves of itself, for other commands and for the next start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from dev import inherited
from dev.local.ownership import write_private
from dev.local.parts import Part

_KEPT = ("AIRFLOW", "ECONOMIC_", "AUTO_SYNC_", "no_proxy", "NO_PROXY")


@contextmanager
def noted(home: Path, environment: Mapping[str, str], parts: tuple[Part, ...]) -> Iterator[None]:
    """Keep a note of the Airflow that runs now, for as long as it does."""
    processes = [psutil.Process(), *(part.process for part in parts)]
    settings = {key: value for key, value in environment.items() if key.startswith(_KEPT)}
    note = {"processes": [[each.pid, each.create_time()] for each in processes], "environment": settings}
    write_private(_note(home), note)
    try:
        yield
    finally:
        _note(home).unlink(missing_ok=True)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the started Airflow's processes.

    :raises RuntimeError: none is started.
    """
    if not _living(home):
        raise RuntimeError("Airflow is not started; start it with ./run start.")
    settings: dict[str, str] = json.loads(_note(home).read_text())["environment"]
    return inherited("AIRFLOW") | settings


def refuse_a_second(home: Path) -> None:
    """Raise RuntimeError when an Airflow is started, or one was killed and its parts still run."""
    living = _living(home)
    if not living:
        return
    starter = json.loads(_note(home).read_text())["processes"][0][0]
    if starter in living:
        raise RuntimeError(f"Airflow is started already, by process {starter}.")
    pids = " ".join(str(pid) for pid in living)
    raise RuntimeError(f"An earlier start was killed, and its parts still run. End them: kill -INT {pids}")


def _living(home: Path) -> list[int]:
    if not _note(home).exists():
        return []
    found = []
    for pid, created in json.loads(_note(home).read_text())["processes"]:
        try:
            process = psutil.Process(pid)
            if process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def _note(home: Path) -> Path:
    return home / "started.json"
