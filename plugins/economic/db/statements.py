"""The only place that knows where the SQL files are.

One statement a file under ``include/sql``, read as it stands: parameters are bound by the driver, nothing is ever written into the text.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PACKAGE = Path(__file__).resolve().parents[1]
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
    for folder in (_PACKAGE / "_sql", _PACKAGE.parents[1] / "include" / "sql"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"The SQL statements are missing: neither in the package {_PACKAGE} nor in include/sql beside the plugins folder."
    )


@cache
def _files() -> dict[str, Path]:
    return {path.stem: path for path in sql_folder().rglob("*.sql")}


@cache
def statement(name: str) -> bytes:
    """Return the statement in ``NAME.sql``, whichever folder holds it, as the driver takes it."""
    return _files()[name].read_bytes()


@cache
def migrations() -> tuple[Migration, ...]:
    """All steps of the schema, in order."""
    found = []
    for path in (sql_folder() / "schema").iterdir():
        if match := _MIGRATION.fullmatch(path.name):
            found.append(Migration(int(match[1]), match[2], path.read_bytes()))
    return tuple(sorted(found))
