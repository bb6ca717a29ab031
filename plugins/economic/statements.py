"""The only place that knows where the SQL files are.

One statement a file under ``include/sql``, read as it stands: parameters are bound by the driver, nothing is ever written into the text.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).resolve().parent
_MIGRATION = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One step of the schema: its version, its name, its statements."""

    version: int
    name: str
    text: bytes


def sql_folder() -> Path:
    """Where the statements are: in the installed package, else in the checkout or next to a mounted ``plugins`` folder.

    :raises FileNotFoundError: they are in neither place.
    """
    for folder in (_HERE / "_sql", _HERE.parents[1] / "include" / "sql"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"The SQL statements are missing: neither in the package {_HERE} nor in include/sql beside the plugins folder."
    )


@cache
def statement(name: str) -> bytes:
    """The statement in ``NAME.sql``, as the driver takes it."""
    return (sql_folder() / f"{name}.sql").read_bytes()


@cache
def migrations() -> tuple[Migration, ...]:
    """All steps of the schema, in order."""
    found = []
    for path in (sql_folder() / "schema").iterdir():
        if match := _MIGRATION.fullmatch(path.name):
            found.append(Migration(int(match[1]), match[2], path.read_bytes()))
    return tuple(sorted(found))
