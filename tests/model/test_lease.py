"""The lease protocol in every order of events, and what `economic.db.lease` does to a real row, from every row that can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg

from economic.db import agreements, runs
from economic.db import lease as leases
from economic.db.lease import Lease
from economic.db.sql import transaction
from economic.errors import LeaseBusy, LeaseLost
from economic.records.agreement import Agreement
from tests.conftest import open_sync
from tests.model import lease_protocol as model
from tests.model.lease_protocol import Attempt, Move, State

AGREEMENT = 42
HEARTBEAT = datetime(2026, 1, 31, 12, tzinfo=UTC)
"""Left by the transaction that a case asks about; or by none of them."""


class Row(NamedTuple):
    """State of the lease row: whether its heartbeat is a new one, and how each sync's own row stands."""

    token: int
    holder: int | None
    live: bool
    renewed: bool
    statuses: tuple[str, ...]


class Case(NamedTuple):
    """One row, and what one attempt does to it."""

    token: int
    holder: str | None
    live: bool
    action: str
    sync: str
    believed: int
    left_the_heartbeat: bool
    closed: bool
    """Whether the row of the one who acts is closed."""

    def __str__(self) -> str:
        held = "free" if self.holder is None else f"{self.holder}'s, {'live' if self.live else 'expired'}"
        closed = ", whose row is closed," if self.closed else ""
        return f"token {self.token}, {held}: {self.sync} with token {self.believed}{closed} {self.action}"


def cases() -> dict[Case, Move]:
    """Every row that can be reached, with everything that can then be done to it."""
    start = State(tuple(Attempt(name, name[0]) for name in ("A1", "A2", "B1")))
    found: dict[Case, Move] = {}
    for state in model.explore(start).states:
        if state.locked_by is None:
            for sync, believed, move in _done_to(state):
                mine = move.action == "asks" and state.beat == move.who
                closed = sync in state.closed
                case = Case(state.token, state.holder, state.live, move.action, sync, believed, mine, closed)
                found.setdefault(case, move)
    return found


def _done_to(state: State) -> Iterator[tuple[str, int, Move]]:
    for attempt in state.attempts:
        if attempt.at == "new":
            for move in (
                model.takes(state, attempt, force=False),
                model.takes(state, attempt, force=True),
                model.enters(state, attempt),
            ):
                yield attempt.sync, attempt.token, move
        elif attempt.at == "holding":
            fence = model.fences(state, attempt)
            yield attempt.sync, attempt.token, fence
            if fence.told == "fenced":
                yield attempt.sync, attempt.token, model.ends(fence.state, attempt)
        elif attempt.at == "asking":
            yield attempt.sync, attempt.token, model.asks(state, attempt)
    for sync in ("A", "B"):
        yield sync, 0, model.closes(state, sync)


class Real:
    """A real lease row with the two syncs of the model."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.syncs = {name: open_sync(connection) for name in ("A", "B")}
        with transaction(connection):
            agreements.bind_agreement(connection, "economic_default", Agreement(AGREEMENT, "x", "DKK"))
            connection.execute("insert into economic.sync_lease (agreement_number) values (%s)", [AGREEMENT])

    def differs(self, case: Case, move: Move) -> str | None:
        """How the real thing differs from the model in this case, in words; nothing of it stays."""
        with self.connection.transaction(force_rollback=True):
            self._arrange(case)
            told = self._do(case)
            row = self._row()
        expected = self._expected(case, move)
        if (told, row) == (move.told, expected):
            return None
        return f"{case}: {told or 'done'}, {row}; the model says {move.told or 'done'}, {expected}"

    def _arrange(self, case: Case) -> None:
        holder = None if case.holder is None else self.syncs[case.holder]
        left = None if holder is None else ("1 hour" if case.live else "-1 hour")
        self.connection.execute(
            "update economic.sync_lease set token = %s, holder = %s, acquired_at = now(), expires_at = now() + %s::interval,"
            " heartbeat_at = %s",
            [
                case.token,
                holder,
                left,
                HEARTBEAT if case.left_the_heartbeat else HEARTBEAT + timedelta(seconds=1),
            ],
        )

        if case.closed:
            runs.close_sync_run(self.connection, self.syncs[case.sync], "superseded", "by another one")

    def _do(self, case: Case) -> str:
        sync_id = self.syncs[case.sync]
        lease = Lease(AGREEMENT, sync_id, case.believed)
        try:
            if case.action.startswith("takes"):
                force = case.action == "takes by force"
                leases.acquire(self.connection, AGREEMENT, sync_id, "x", force=force)
                return "taken"
            if case.action == "enters":
                leases.enter(self.connection, AGREEMENT, sync_id, "x")
                return "entered"
            if case.action == "is closed":
                with transaction(self.connection):
                    leases.release(self.connection, AGREEMENT, sync_id)
                return ""
            if case.action == "asks":
                return "done" if leases.was_committed(self.connection, lease, HEARTBEAT) else "undone"
            with leases.fenced(self.connection, lease):
                if case.action == "ends":
                    leases.release(self.connection, AGREEMENT, sync_id)
        except LeaseBusy:
            return "busy"
        except LeaseLost:
            return "lost"
        except psycopg.IntegrityError as error:
            return f"refused by the table: {error.diag.constraint_name}"
        return "" if case.action == "ends" else "fenced"

    def _row(self) -> Row:
        found = self.connection.execute(
            "select token, holder, coalesce(expires_at > clock_timestamp(), false), heartbeat_at > %s"
            " from economic.sync_lease",
            [HEARTBEAT + timedelta(seconds=1)],
        ).fetchone()
        statuses = self.connection.execute("select status from economic.sync_run order by sync_id").fetchall()
        assert found is not None
        token, holder, live, renewed = found
        return Row(token, holder, live, renewed, tuple(status for (status,) in statuses))

    def _expected(self, case: Case, move: Move) -> Row:
        state = move.state
        holder = None if state.holder is None else self.syncs[state.holder]
        # the commit, which the model keeps apart, renews the lease
        live = state.live or move.told == "fenced"
        renewed = move.action == "ends" or move.told in {"taken", "entered", "fenced"}
        displaced = case.holder if move.told == "taken" and case.holder != case.sync else None
        statuses = dict.fromkeys(self.syncs, "running")
        if case.closed:
            statuses[case.sync] = "superseded"
        if displaced is not None:
            statuses[displaced] = "superseded" if case.live else "abandoned"
        return Row(state.token, holder, live, renewed, tuple(statuses.values()))


def test_the_statements_do_what_the_model_says(connection: psycopg.Connection) -> None:
    real = Real(connection)
    found = cases()
    assert len(found) > 60
    assert [said for case, move in found.items() if (said := real.differs(case, move))] == []


def test_no_order_of_events_breaks_a_property() -> None:
    found = model.explore(State(tuple(Attempt(name, name[0]) for name in ("A1", "A2", "B1", "B2"))))
    assert found.traces == {}
    # Nothing is proved of what never happened.
    told = {"fences": "fenced lost", "enters": "entered lost", "asks": "done undone lost"}
    told |= {"takes": "taken busy lost", "takes by force": "taken lost"}
    silent = "commits|ends|hears nothing|hears nothing of its end|is committed unheard|is rolled back"
    silent += "|is closed|dies|is thrown out|time runs out"
    assert found.told == {
        *((action, answer) for action, answers in told.items() for answer in answers.split()),
        *((action, "") for action in silent.split("|")),
    }
    assert len(found.states) > 1000
