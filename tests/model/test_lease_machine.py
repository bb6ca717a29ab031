"""Several real connections do to one real lease whatever hypothesis thinks of, beside the model; both must always agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from unittest.mock import patch

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from economic.db import lease as leases
from economic.db import sql
from economic.db.lease import Lease
from economic.errors import LeaseBusy, LeaseLost
from tests.model import lease_protocol as model
from tests.model.conftest import Connect, Mutate, new_agreement, new_sync
from tests.model.lease_protocol import Attempt, Move, Rules, State

RULES = Rules()
ATTEMPTS = ("A1", "A2", "A3", "A4", "B1", "B2", "B3", "C1", "C2")
WAITS = "waits for the row"
IMPATIENT, PATIENT = "20ms", "500ms"


class Leases(RuleBasedStateMachine):
    """Three syncs, up to three attempts each, a connection for each attempt."""

    def __init__(self, connect: Connect, idle: list[psycopg.Connection]) -> None:
        super().__init__()
        self.connect, self.idle = connect, idle
        self.connections: dict[str, psycopg.Connection] = {}
        self.watcher = self._connection("the watcher")
        self.agreement = new_agreement(self.watcher)
        self.syncs = {name: new_sync(self.watcher) for name in ("A", "B", "C")}
        with sql.transaction(self.watcher):
            self.watcher.execute(
                "insert into economic.sync_lease (agreement_number) values (%s)", [self.agreement]
            )
        self.state = State(tuple(Attempt(name, name[0]) for name in ATTEMPTS))
        self.open: dict[str, AbstractContextManager[datetime]] = {}
        self.heartbeats: dict[str, datetime] = {}
        self.tokens: list[int] = []
        self.ended: list[str] = []
        self.left: list[AbstractContextManager[datetime]] = []

    # -- what happens -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self._at("new"))
    @rule(data=st.data(), force=st.booleans())
    def takes(self, data: st.DataObject, force: bool) -> None:
        attempt = self._one(data, "new")
        if force and self.open:
            self._ends_who_is_in_the_way()
        # Force needs the time to see who is in its way.
        wait = PATIENT if self.ended else IMPATIENT
        with patch.object(sql, "LOCK_TIMEOUT", wait):
            self._agree(
                model.takes(RULES, self.state, attempt, force=force),
                lambda c, lease: leases.acquire(
                    c, lease.agreement_number, lease.sync_id, "x", force=force, reopen=self.connect
                ),
            )
        for name in self.ended:
            with pytest.raises(psycopg.Error):
                self.connections.pop(name).execute("select 1")
        self.ended.clear()

    @precondition(lambda self: self._at("new"))
    @rule(data=st.data())
    def enters(self, data: st.DataObject) -> None:
        attempt = self._one(data, "new")
        self._agree(
            model.enters(RULES, self.state, attempt),
            lambda c, lease: leases.enter(c, lease.agreement_number, lease.sync_id, "x"),
        )

    @precondition(lambda self: self._at("holding"))
    @rule(data=st.data())
    def fences(self, data: st.DataObject) -> None:
        attempt = self._one(data, "holding")
        self._agree(model.fences(RULES, self.state, attempt), partial(self._open, attempt.name))

    @precondition(lambda self: self.open)
    @rule(ends=st.booleans())
    def commits_or_ends(self, ends: bool) -> None:
        (name,) = self.open
        attempt = self._attempt(name)
        if ends:
            leases.release(self.connections[name], self._lease(attempt))
        self.tokens.append(attempt.token)
        self.open.pop(name).__exit__(None, None, None)
        self._goes_on(model.ends(RULES, self.state, attempt) if ends else model.commits(self.state, attempt))

    @precondition(lambda self: self.open)
    @rule(ends=st.booleans(), committed=st.booleans())
    def hears_nothing_and_asks(self, ends: bool, committed: bool) -> None:
        """The connection is lost at the COMMIT; on another one the attempt asks, and waits as long as it is not decided."""
        (name,) = self.open
        old = self.connections.pop(name)
        lease, heartbeat = self._lease(self._attempt(name)), self.heartbeats[name]
        if ends:
            leases.release(old, lease)
        self._goes_on(model.hears_nothing(self.state, self._attempt(name), ending=ends))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            leases.was_committed(self._connection(name), lease, heartbeat)
        if committed:
            self.open.pop(name).__exit__(None, None, None)
            self.tokens.append(lease.token)
        else:
            del self.open[name]
        old.close()
        self._goes_on(model.is_decided(RULES, self.state, self._attempt(name), committed=committed))
        move = model.asks(RULES, self.state, self._attempt(name))
        try:
            told = "done" if leases.was_committed(self._connection(name), lease, heartbeat) else "undone"
        except LeaseLost:
            told = "lost"
        assert told == move.told
        self._goes_on(move)

    @precondition(lambda self: self._at("holding", "writing"))
    @rule(data=st.data())
    def dies(self, data: st.DataObject) -> None:
        name = self._one(data, "holding", "writing").name
        self.open.pop(name, None)
        self.connections.pop(name).close()
        self._goes_on(model.dies(self.state, self._attempt(name)))

    @rule(sync=st.sampled_from(("A", "B", "C")))
    def is_closed(self, sync: str) -> None:
        def release(connection: psycopg.Connection, _: Lease) -> None:
            with sql.transaction(connection):
                leases.release(connection, Lease(self.agreement, self.syncs[sync], 0))

        self._agree(model.closes(RULES, self.state, sync), release)

    @precondition(lambda self: self.state.live and not self.open)
    @rule()
    def time_runs_out(self) -> None:
        self.watcher.execute(
            "update economic.sync_lease set expires_at = clock_timestamp() - interval '1 s' where agreement_number = %s",
            [self.agreement],
        )
        self.state = self.state._replace(live=False)

    # -- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def the_row_is_the_models(self) -> None:
        found = self.watcher.execute(
            "select token, holder, coalesce(expires_at > clock_timestamp(), false) from economic.sync_lease where agreement_number = %s",
            [self.agreement],
        ).fetchone()
        holder = None if self.state.holder is None else self.syncs[self.state.holder]
        assert found == (self.state.token, holder, self.state.live)

    @invariant()
    def no_older_token_writes_after_a_newer_one(self) -> None:
        assert self.tokens == sorted(self.tokens)

    @invariant()
    def there_is_one_owner_at_most_and_a_way_on(self) -> None:
        assert model.wrong_state(RULES, self.state) == ()

    def teardown(self) -> None:
        for transaction in (*self.open.values(), *self.left):
            with suppress(psycopg.Error):
                transaction.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        self.idle += self.connections.values()

    # -- how ----------------------------------------------------------------------------------------------------------

    def _ends_who_is_in_the_way(self) -> None:
        """The real one does so itself; its transaction is of no more use, whatever it goes on to do."""
        (name,) = self.open
        self.ended.append(name)
        self.left.append(self.open.pop(name))
        self.state = model.without_lock(self.state)

    def _attempt(self, name: str) -> Attempt:
        return next(attempt for attempt in self.state.attempts if attempt.name == name)

    def _at(self, *where: str) -> list[Attempt]:
        return [attempt for attempt in self.state.attempts if attempt.at in where]

    def _one(self, data: st.DataObject, *where: str) -> Attempt:
        return data.draw(st.sampled_from(self._at(*where)))

    def _lease(self, attempt: Attempt) -> Lease:
        return Lease(self.agreement, self.syncs[attempt.sync], attempt.token)

    def _open(self, name: str, connection: psycopg.Connection, lease: Lease) -> None:
        transaction = leases.fenced(connection, lease)
        self.heartbeats[name] = transaction.__enter__()
        self.open[name] = transaction

    def _agree(self, move: Move, do: Callable[[psycopg.Connection, Lease], object]) -> None:
        """Do the real thing, and compare what it tells with the model; while somebody writes, it must wait."""
        # Whoever the row as committed refuses already need not wait to hear it.
        takes = move.action.startswith("takes")
        must_wait = bool(self.open) and (
            takes or move.told == "busy" or (move.told != "lost" and move.state != self.state)
        )
        closes = move.action == "is closed"
        connection = self.watcher if closes else self._connection(move.who)
        lease = Lease(self.agreement, 0, 0) if closes else self._lease(self._attempt(move.who))
        try:
            told = getattr(do(connection, lease), "token", "")
        except LeaseBusy:
            told = "busy"
        except LeaseLost:
            told = "lost"
        except psycopg.errors.LockNotAvailable:
            told = WAITS
        if must_wait:
            assert told == WAITS
            return
        if move.told in {"taken", "entered"}:
            assert told == move.state.token
        else:
            assert told == ("" if move.told == "fenced" else move.told)
        self._goes_on(move)

    def _connection(self, name: str) -> psycopg.Connection:
        if name not in self.connections:
            self.connections[name] = self.idle.pop() if self.idle else self.connect()
        return self.connections[name]

    def _goes_on(self, move: Move) -> None:
        assert move.broken == ()
        self.state = move.state


def played(connect: Connect, monkeypatch: pytest.MonkeyPatch, *, examples: int) -> None:
    """Let hypothesis play, the same game each time; a wait for the row is cut short instead of sat out."""
    monkeypatch.setattr(sql, "LOCK_TIMEOUT", IMPATIENT)
    idle: list[psycopg.Connection] = []
    run_state_machine_as_test(
        lambda: Leases(connect, idle),  # type: ignore[arg-type]  # anything that makes one will do
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_real_lease_and_the_model_always_agree(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    played(connect, monkeypatch, examples=40)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        # what one connection alone cannot show: that the row stays locked to the commit
        (
            "fence_lease",
            "",
            "select heartbeat_at from economic.sync_lease"
            " where agreement_number = %(agreement_number)s and token = %(token)s and holder is not null",
        ),
        ("enter_lease", "token = token + 1", "token = token"),
        ("fence_lease", "and token = %(token)s", ""),
    ],
)
def test_a_broken_statement_makes_them_differ(
    connect: Connect, mutate: Mutate, monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str
) -> None:
    mutate(name, old, new)
    with pytest.raises(AssertionError):
        played(connect, monkeypatch, examples=40)
