"""The two documents: the dictionary, and the questions with their answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from textwrap import wrap
from typing import Any

import psycopg

from dev import ROOT
from dev.dictionary import books, catalogue
from dev.dictionary.catalogue import FUNCTION, Column, Entry

DATA, QUESTIONS = ROOT / "docs" / "data.md", ROOT / "docs" / "questions.md"
FOLDER = ROOT / "docs" / "questions"
_WIDTH = 100
_DICTIONARY = """
Written by `./run check --dictionary` from the comments in the database; `\\d+` and `\\df+` of psql show them too. First
what [readers](install.md#database-rights) may use, then the rest. All of it is in the schema `economic`. Every amount
is an exact decimal, every moment has a time zone. Without `_base`, an amount is in the currency of its row.
"""
_ASKED = f"""
Each question with its SQL, and its answer on the simulator's books: {books.INVOICES:,} invoices up to
{books.FIRST_DAY:%d %B %Y}, then a sync on each working day, asked on {books.LAST_DAY:%d %B %Y}. Written by
`./run check --dictionary` from the files in `docs/questions/`: a new file is a new question. What each
column means is in the [dictionary](data.md). `make demo` draws its books alike, up to the day of its first start.
"""


@dataclass(frozen=True)
class Question:
    """A question, its SQL and remarks about it.

    :param about: the view or function it is listed with: the first one it names.
    """

    text: str
    remark: str
    query: str

    @property
    def about(self) -> str:
        return self.names[0]

    @property
    def names(self) -> list[str]:
        return re.findall(r"economic\.(\w+)", self.query)


def questions() -> list[Question]:
    """Return all questions, in the order of their files."""
    found = []
    for path in sorted(FOLDER.glob("*.sql")):
        lines = path.read_text().splitlines()
        header = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
        found.append(Question(header[0], " ".join(header[1:]), "\n".join(lines[len(header) :])))
    return found


def written(dsn: str) -> dict[Path, str]:
    """Return the documents as they should be, worked out in an empty database of a superuser."""
    with books.written(dsn) as connection:
        asked = questions()
        return {
            DATA: dictionary(catalogue.entries(connection), asked),
            QUESTIONS: answered(connection, asked),
        }


def dictionary(entries: Iterable[Entry], asked: Sequence[Question]) -> str:
    """Return the dictionary in Markdown."""
    kept = sorted(entries, key=lambda entry: not entry.for_readers)
    parts = ["# Data dictionary", _filled(_DICTIONARY)]
    for for_readers, heading in ((True, "## For readers"), (False, "## Internal tables and functions")):
        parts.append(heading)
        for entry in kept:
            if entry.for_readers == for_readers:
                parts += _described(entry, [one for one in asked if one.about == entry.name])
    return "\n\n".join(parts) + "\n"


def _described(entry: Entry, asked: Sequence[Question]) -> list[str]:
    parts = [f"### {entry.name}"]
    if entry.kind == FUNCTION:
        result = f" returns {entry.result}" if entry.result else ""
        parts.append(_filled(f"Function `{entry.name}({entry.arguments}){result}`. {_escaped(entry.text)}"))
    else:
        parts.append(_filled(f"{entry.kind.capitalize()}. {_escaped(entry.text)}"))
    if asked:
        parts.append("\n".join(f"- [{one.text}](questions.md#{_anchor(one.text)})" for one in asked))
    for heading, columns in (("parameter", entry.parameters), ("column", entry.columns)):
        named = [column for column in columns if column.name]
        if named:
            parts.append(_columns(heading, named))
    return parts


def _columns(heading: str, columns: Sequence[Column]) -> str:
    rows = [[f"`{column.name}`", column.type, _escaped(column.text)] for column in columns]
    return _table([heading, "type", "means"], rows)


def answered(connection: psycopg.Connection[Any], asked: Sequence[Question]) -> str:
    """Return the questions and their answers in Markdown."""
    parts = ["# Questions you can ask", _filled(_ASKED)]
    for question in asked:
        parts.append(f"## {question.text}")
        if question.remark:
            parts.append(_filled(question.remark))
        parts.append(f"```sql\n{question.query}\n```")
        cursor = connection.execute(question.query.encode())
        names = [column.name for column in cursor.description or ()]
        parts.append(_table(names, [[_shown(value) for value in row] for row in cursor]))
    return "\n\n".join(parts) + "\n"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, Decimal):
        return f"{value:,}"
    return "" if value is None else _escaped(str(value))


def _escaped(text: str | None) -> str:
    return re.sub(r"(?=[|*<])|(?<![\w`])(?=_)", r"\\", text or "")


def _filled(text: str) -> str:
    return "\n".join(wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
