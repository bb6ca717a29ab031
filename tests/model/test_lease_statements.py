"""The functions of `economic.db.lease` do to a real row what the model says, from every row the model can reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

import psycopg
import pytest

from economic.db import lease as leases
from economic.db import runs
from economic.db.lease import Lease
from economic.db.sql import transaction
from economic.errors import LeaseBusy, LeaseLost
from tests.model import lease_protocol as model
from tests.model.conftest import Connect, Mutate, new_agreement, new_sync
from tests.model.lease_protocol import Attempt, Move, Rules, State

HEARTBEAT = datetime(2026, 1, 31, 12, tzinfo=UTC)
"""Left by the transaction that a case asks about; or by none of them."""


class Row(NamedTuple):
    """What the lease row says, whether its heartbeat is a new one, and how each sync's own row stands."""

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


@cache
def cases() -> dict[Case, Move]:
    """Every row that can be reached, with everything that can then be done to it."""
    rules = Rules()
    start = State(tuple(Attempt(name, name[0]) for name in ("A1", "A2", "B1")))
    found: dict[Case, Move] = {}
    for state in model.explore(rules, start).states:
        if state.locked_by is None:
            for sync, believed, move in _done_to(rules, state):
                mine = move.action == "asks" and state.beat == move.who
                closed = sync in state.closed
                case = Case(state.token, state.holder, state.live, move.action, sync, believed, mine, closed)
                found.setdefault(case, move)
    return found


def _done_to(rules: Rules, state: State) -> Iterator[tuple[str, int, Move]]:
    for attempt in state.attempts:
        if attempt.at == "new":
            for move in (
                model.takes(rules, state, attempt, force=False),
                model.takes(rules, state, attempt, force=True),
                model.enters(rules, state, attempt),
            ):
                yield attempt.sync, attempt.token, move
        elif attempt.at == "holding":
            fence = model.fences(rules, state, attempt)
            yield attempt.sync, attempt.token, fence
            if fence.told == "fenced":
                yield attempt.sync, attempt.token, model.ends(rules, fence.state, attempt)
        elif attempt.at == "asking":
            yield attempt.sync, attempt.token, model.asks(rules, state, attempt)
    for sync in ("A", "B"):
        yield sync, 0, model.closes(rules, state, sync)


class Real:
    """A real lease row with the two syncs of the model."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.agreement = new_agreement(connection)
        self.syncs = {name: new_sync(connection) for name in ("A", "B")}
        with transaction(connection):
            connection.execute(
                "insert into economic.sync_lease (agreement_number) values (%s)", [self.agreement]
            )

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
        lease = Lease(self.agreement, sync_id, case.believed)
        try:
            if case.action.startswith("takes"):
                force = case.action == "takes by force"
                leases.acquire(self.connection, self.agreement, sync_id, "x", force=force)
                return "taken"
            if case.action == "enters":
                leases.enter(self.connection, self.agreement, sync_id, "x")
                return "entered"
            if case.action == "is closed":
                with transaction(self.connection):
                    leases.release(self.connection, lease)
                return ""
            if case.action == "asks":
                return "done" if leases.was_committed(self.connection, lease, HEARTBEAT) else "undone"
            with leases.fenced(self.connection, lease):
                if case.action == "ends":
                    leases.release(self.connection, lease)
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


def differences(connection: psycopg.Connection) -> list[str]:
    real = Real(connection)
    return [said for case, move in cases().items() if (said := real.differs(case, move))]


def test_the_statements_do_what_the_model_says(connect: Connect) -> None:
    assert len(cases()) > 60
    assert differences(connect()) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lock_lease", "expires_at > clock_timestamp()", "true"),
        ("lock_lease", "expires_at > clock_timestamp()", "expires_at < clock_timestamp()"),
        ("take_lease", "token = token + 1", "token = token"),
        ("take_lease", "clock_timestamp() + make", "clock_timestamp() - make"),
        ("take_lease", " and status = 'running'", ""),
        ("enter_lease", "token = token + 1", "token = token"),
        ("enter_lease", "and holder = %(sync_id)s", ""),
        ("enter_lease", "and holder = %(sync_id)s", "and holder = %(sync_id)s and expires_at > now()"),
        ("fence_lease", "and token = %(token)s", ""),
        ("fence_lease", "token = %(token)s", "token >= %(token)s"),
        ("fence_lease", "expires_at = clock_timestamp() +", "expires_at = expires_at + 0 *"),
        ("release_lease", "token = token + 1", "token = token"),
        ("release_lease", "and holder = %(sync_id)s", ""),
        ("fence_lease", "heartbeat_at = clock_timestamp()", "heartbeat_at = heartbeat_at"),
        ("enter_lease", "heartbeat_at = clock_timestamp()", "heartbeat_at = heartbeat_at"),
        ("select_lease_heartbeat", "token = %(token)s and holder is not null", "holder is not null"),
        ("update_sync_run_ended", "and status = 'running'", "and status = 'ended'"),
    ],
)
def test_a_broken_statement_is_found(connect: Connect, mutate: Mutate, name: str, old: str, new: str) -> None:
    mutate(name, old, new)
    assert differences(connect()) != []
