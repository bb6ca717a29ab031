"""Faults at a chosen statement or commit: a proxy that reads PostgreSQL's messages, and backends that are ended."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import psycopg

from tests.support.faults.proxy import Link, Proxy

Fate = Literal["passed on", "held back", "unanswered"]
APPLICATION = "airflow-provider-economic"
NO_TLS = frozenset({80877103, 80877104})  # SSLRequest, GSSENCRequest: answered by one byte
_COMMENT = re.compile(rb"--[^\n]*")
_WRITES = re.compile(rb"\b(insert|update|delete|copy|truncate)\b")
_WITH_TEXT = frozenset({b"Q", b"P", b"d"})  # Query, Parse, CopyData


@dataclass
class Trip:
    """What is to happen when a statement comes by for the k-th time."""

    text: bytes
    do: Callable[[], object]
    at: int
    fate: Fate
    seen: int = 0


@dataclass
class _Reader:
    """Cuts the client's stream into PostgreSQL's messages."""

    rest: bytes = b""
    started: bool = False

    def messages(self, piece: bytes) -> Iterator[bytes]:
        self.rest += piece
        while True:
            start = 1 if self.started else 0
            if len(self.rest) < start + 4:
                return
            size = start + struct.unpack_from("!I", self.rest, start)[0]
            if len(self.rest) < size:
                return
            message, self.rest = self.rest[:size], self.rest[size:]
            if not self.started:
                self.started = struct.unpack_from("!I", message, 4)[0] not in NO_TLS
            yield message


@dataclass
class _Conversation:
    reader: _Reader = field(default_factory=_Reader)
    statements: list[bytes] = field(default_factory=list)
    unanswered: Callable[[], object] | None = None


class PostgresProxy(Proxy):
    """A proxy in front of PostgreSQL that can act at a chosen statement."""

    def __init__(self, target: int) -> None:
        self.commits: list[tuple[bytes, ...]] = []
        """What each transaction that was committed has written: its statements, without their repetitions. For the test to empty."""
        self._trips: list[Trip] = []
        self._conversations: dict[Link, _Conversation] = {}
        super().__init__(target)

    def trip(self, text: bytes, do: Callable[[], object], *, at: int = 1, fate: Fate = "passed on") -> Trip:
        r"""Call a function once, when a statement (or a piece of a COPY) that holds ``text`` comes by for the ``at``-th time from now.

        :param text: part of the statement, in lower case; ``b"commit\0"`` is each transaction's last.
        :param fate: what becomes of the statement: passed on after the call, held back, or passed on and its answer held back until
            PostgreSQL has given it, and then the call.
        :return: what was set up; it knows how often the text has come by.
        """
        self._trips.append(Trip(text, do, at, fate))
        return self._trips[-1]

    def heal(self) -> None:
        self._trips.clear()
        super().heal()

    def _from_client(self, link: Link, piece: bytes) -> bytes:
        conversation = self._conversations.setdefault(link, _Conversation())
        return b"".join(self._met(conversation, message) for message in conversation.reader.messages(piece))

    def _from_server(self, link: Link, piece: bytes) -> bytes:
        conversation = self._conversations.get(link)
        if conversation is None or conversation.unanswered is None:
            return piece
        do, conversation.unanswered = conversation.unanswered, None
        do()
        return b""

    def _met(self, conversation: _Conversation, message: bytes) -> bytes:
        if message[:1] not in _WITH_TEXT:
            return message
        said = message.lower()
        self._note(conversation, said)
        for trip in list(self._trips):
            if trip.text not in said:
                continue
            trip.seen += 1
            if trip.seen == trip.at:
                self._trips.remove(trip)
                if trip.fate == "unanswered":
                    conversation.unanswered = trip.do
                    return message
                trip.do()
                return b"" if trip.fate == "held back" else message
        return message

    def _note(self, conversation: _Conversation, said: bytes) -> None:
        if said[:1] == b"d":
            return
        # A statement is the first text of a Query, and the second one of a Parse.
        statement = _COMMENT.sub(b"", said[5:].split(b"\0")[said[:1] == b"p"])
        if statement == b"commit":
            self.commits.append(tuple(dict.fromkeys(conversation.statements)))
        if statement.startswith((b"begin", b"commit", b"rollback")):
            conversation.statements.clear()
        elif _WRITES.search(statement):
            conversation.statements.append(statement)


def ends_of_each_kind(commits: list[tuple[bytes, ...]]) -> list[int]:
    """Which commits, from 1, are the first or the last one that writes with their statements, and the first one that writes nothing.

    Whoever dies at one that writes nothing leaves what the one before it has written. All commits when ECONOMIC_SWEEP is set.
    """
    every = list(enumerate(commits, start=1))
    if os.environ.get("ECONOMIC_SWEEP"):
        return [at for at, _ in every]
    first = {written: at for at, written in reversed(every)}
    last = {written: at for at, written in every if written}
    return sorted({*first.values(), *last.values()})


def terminate_backends(dsn: str, application: str = APPLICATION) -> int:
    """End the server's side of every connection of an application; how many."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        found = admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s and pid <> pg_backend_pid()",
            (application,),
        ).fetchall()
    return len(found)
