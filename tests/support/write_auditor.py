"""Watches a copy's database for two who write at once: every taking of the lease and every write leave a note, in the order of the commits.

The notes are written by triggers, in the transaction that they tell of: one that is rolled back leaves none. A note's number is drawn while the
lease row is locked, so the numbers are in the order in which the writers had it. Who writes is known by the name of the connection, which
processes of a test choose; the product's own name is the same for all, so the session's number is added to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

NOTES = Path(__file__).with_suffix(".sql")


class Hold(NamedTuple):
    """A sync's time with the lease."""

    sync_id: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Verdict:
    """What the notes say.

    :param offences: what must never be, in words.
    :param holds: who had the lease when, in order.
    :param writes: how many transactions wrote under it.
    """

    offences: tuple[str, ...]
    holds: tuple[Hold, ...]
    writes: int


def watch(dsn: str) -> None:
    """Begin to take notes in a database that has the schema; as its superuser."""
    with psycopg.connect(dsn) as connection:
        connection.execute(NOTES.read_bytes())


def verdict(dsn: str, after: int = 0) -> Verdict:
    """Replay the notes.

    :param after: only those after this one; no one may hold the lease then.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        notes = connection.execute(
            "select * from referee.note where at > %s order by at", (after,)
        ).fetchall()
    return _judged(notes)


@dataclass
class _Owner:
    sync_id: int | None = None
    token: int = -1
    who: str = ""


def _judged(notes: list[dict[str, Any]]) -> Verdict:
    """Each writing transaction must have passed the fence, be of the one who took or entered the lease last, and write for the sync that has it."""
    owner, fenced = _Owner(), None
    offences: list[str] = []
    holds: list[Hold] = []
    writing = set()
    for note in notes:
        if note["what"] == "lease":
            offences += _lease_offences(owner, note)
            if note["token"] != owner.token:
                holds = list(_moved(holds, owner, note))
                owner = _Owner(note["sync_id"], note["token"], note["who"])
            fenced = note["transaction"]
            continue
        writing.add(note["transaction"])
        if note["transaction"] != fenced:
            offences.append(f"{_said(note)} without having passed the fence")
        elif note["who"] != owner.who:
            offences.append(f"{_said(note)} while {owner.who} was the owner")
        elif note["sync_id"] not in {None, owner.sync_id}:
            offences.append(f"{_said(note)} while sync {owner.sync_id} had the lease")
    return Verdict(tuple(offences), tuple(holds), len(writing))


def _lease_offences(owner: _Owner, note: dict[str, Any]) -> Iterator[str]:
    if note["token"] < owner.token:
        yield f"{_said(note)}: the token shrank from {owner.token} to {note['token']}"
    elif note["token"] == owner.token and note["who"] != owner.who:
        yield f"{_said(note)}: passed the fence with the token of {owner.who}"
    elif note["token"] == owner.token and note["sync_id"] != owner.sync_id:
        yield f"{_said(note)}: the lease of sync {owner.sync_id} changed hands, and its token did not grow"


def _moved(holds: list[Hold], owner: _Owner, note: dict[str, Any]) -> Iterator[Hold]:
    """The holds, after the token grew: taken, freed, or entered by another attempt of the same sync."""
    if note["sync_id"] == owner.sync_id:
        yield from holds
        return
    yield from holds[:-1]
    if holds:
        last = holds[-1]
        yield last._replace(until=last.until or note["noted_at"])
    if note["sync_id"] is not None:
        yield Hold(note["sync_id"], note["noted_at"], None)


def _said(note: dict[str, Any]) -> str:
    return f"note {note['at']}, {note['noted_at']:%H:%M:%S.%f}: {note['who']} wrote {note['what']}"
