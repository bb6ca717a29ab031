"""What the schema holds, read from PostgreSQL's catalogue: tables, views and functions with their comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from economic.db.sql import sql_folder

TABLE, VIEW, FUNCTION = "table", "view", "function"
_RELATIONS = """
    select class.oid::integer, class.relname, case class.relkind when 'r' then 'table' else 'view' end,
        obj_description(class.oid, 'pg_class')
    from pg_class as class
    where class.relnamespace = 'economic'::regnamespace and class.relkind in ('r', 'v')
    order by class.relname
"""
_COLUMNS = """
    select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
    from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped order by attnum
"""
_FUNCTIONS = """
    select routine.proname, pg_get_function_arguments(routine.oid), obj_description(routine.oid, 'pg_proc'),
        pg_get_function_result(routine.oid), coalesce(routine.proargnames, '{}'),
        array(
            select format_type(kind, null)
            from unnest(coalesce(routine.proallargtypes, routine.proargtypes::oid[])) with ordinality as types (kind, place)
            order by place
        ),
        coalesce(routine.proargmodes::text[], '{}')
    from pg_proc as routine
    where routine.pronamespace = 'economic'::regnamespace
    order by routine.proname
"""
_SAME_NAMES = ("payments", "receivables", "invoice", "agreement")
"""Where a function's column is explained that its own comment leaves out, in this order after the view of its name."""
_EXPLANATION = re.compile(r"(?m)^(\w+): (.+)$")


@dataclass(frozen=True)
class Column:
    """A column of a table or view, or a parameter or returned column of a function."""

    name: str
    type: str
    text: str | None


@dataclass(frozen=True)
class Entry:
    """A table, a view or a function.

    :param arguments: a function's, as PostgreSQL writes them.
    :param result: a function's type, unless it returns columns.
    :param for_readers: whether the role economic_reader may use it.
    """

    name: str
    kind: str
    text: str | None
    parameters: tuple[Column, ...]
    columns: tuple[Column, ...]
    for_readers: bool
    arguments: str = ""
    result: str = ""


def entries(connection: psycopg.Connection) -> list[Entry]:
    """Return everything in the schema: views, functions, then tables, each by name."""
    readable = _readable()
    relations = list(_relations(connection, readable))
    texts = {entry.name: {column.name: column.text for column in entry.columns} for entry in relations}
    found = relations + list(_functions(connection, readable, texts))
    return sorted(found, key=lambda entry: ((VIEW, FUNCTION, TABLE).index(entry.kind), entry.name))


def _readable() -> set[str]:
    """Return what the script of the role economic_reader grants."""
    script = (sql_folder() / "grants" / "grant_reader.sql").read_text()
    return set(re.findall(r"economic\.(\w+)", script))


def _relations(connection: psycopg.Connection, readable: set[str]) -> Iterator[Entry]:
    for oid, name, kind, text in connection.execute(_RELATIONS).fetchall():
        columns = tuple(Column(*row) for row in connection.execute(_COLUMNS, (oid,)))
        yield Entry(name, kind, text, (), columns, name in readable)


def _functions(
    connection: psycopg.Connection, readable: set[str], texts: Mapping[str, Mapping[str, str | None]]
) -> Iterator[Entry]:
    rows: list[tuple[Any, ...]] = connection.execute(_FUNCTIONS).fetchall()
    for name, arguments, comment, result, names, types, modes in rows:
        text, explained = comment, {}
        if comment is not None:
            text, explained = comment.partition("\n\n")[0], dict(_EXPLANATION.findall(comment))
        like = name.removesuffix("_as_of")
        for source in (like, *_SAME_NAMES):
            explained = {**texts.get(source, {}), **explained}
        columns = [
            (mode, Column(column, kind, explained.get(column)))
            # Inputs have no modes where there are only inputs, and those of an aggregate have no names.
            for mode, column, kind in zip(
                modes or ["i"] * len(names), names, types[: len(names)], strict=True
            )
        ]
        yield Entry(
            name,
            FUNCTION,
            text,
            tuple(column for mode, column in columns if mode != "t"),
            tuple(column for mode, column in columns if mode == "t"),
            name in readable,
            arguments,
            "" if "t" in modes else result,
        )
