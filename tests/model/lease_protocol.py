"""The lease as a finite machine, small enough to try every order of events.

Written from decision record 5, not from the SQL; ``test_lease.py`` then holds the SQL to it. A row is locked from the fence
to the commit, so a writing transaction is two events, and whatever else touches the row can only happen before or after. A commit may go
unanswered: then what became of it is read from the row's heartbeat, which is that of the last transaction committed. What an attempt knows
(its token, what it was told) and what is true (which taking was the newest, who owns the lease, what was committed) are kept apart: the
properties are about the latter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

STALE = "a write of an older owner after a newer one got the lease"
OWNERLESS = "a write without ownership"
TWO_OWNERS = "two owners at once"
STUCK = "no new sync can get the lease without a person"
ROBBED = "a live lease lost although nobody forced it"
REVIVED = "a sync whose row is closed got the lease again"
MISTOLD = "a transaction taken for what it was not, so that it is done twice or never"


class Attempt(NamedTuple):
    """One task attempt of a sync, what it does and what it believes; ``taking``, ``done`` and ``undone`` are the truth.

    ``ending``: its transaction frees the lease. ``taking``: when it became the owner. ``done``: its last unanswered transaction was
    committed. ``undone``: it was told that it was not.
    """

    name: str
    sync: str
    at: Literal["new", "holding", "writing", "asking", "gone"] = "new"
    token: int = 0
    ending: bool = False
    taking: int = 0
    done: bool = False
    undone: bool = False


class State(NamedTuple):
    """The lease row, the lock on it, the attempts; and, for the properties only, the newest taking and the sync that truly owns it.

    ``closed`` are the syncs whose rows were closed when another one took the lease from them. ``beat`` is whose newest transaction left the row's heartbeat. ``locked_by`` is also an attempt that has gone or waits for an answer:
    its transaction is still open in PostgreSQL.
    """

    attempts: tuple[Attempt, ...]
    token: int = 0
    holder: str | None = None
    live: bool = False
    beat: str | None = None
    locked_by: str | None = None
    takings: int = 0
    owner: str | None = None
    closed: frozenset[str] = frozenset()


class Move(NamedTuple):
    """One event: what happens, what the one who acts is told, the state after it, and which properties it broke."""

    action: str
    who: str
    told: str
    state: State
    broken: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.who} {self.action}".strip()


def moves(state: State) -> Iterator[Move]:
    """Every event that can happen now, in a fixed order."""
    for attempt in state.attempts:
        yield from _of_attempt(state, attempt)
    if state.locked_by is None and state.holder is not None:
        for sync in dict.fromkeys(attempt.sync for attempt in state.attempts):
            yield closes(state, sync)
    if state.live:
        yield Move("time runs out", "", "", state._replace(live=False))


def _of_attempt(state: State, attempt: Attempt) -> Iterator[Move]:
    free = state.locked_by is None
    if attempt.at == "new" and free:
        yield takes(state, attempt, force=False)
        yield takes(state, attempt, force=True)
        yield enters(state, attempt)
    if attempt.at == "new" and not free:
        yield takes(without_lock(state), attempt, force=True)
    if attempt.at == "holding" and free:
        yield fences(state, attempt)
    if attempt.at == "writing":
        yield commits(state, attempt)
        yield ends(state, attempt)
        yield hears_nothing(state, attempt, ending=False)
        yield hears_nothing(state, attempt, ending=True)
        back = _with(state, attempt._replace(at="holding"))._replace(locked_by=None)
        yield Move("is thrown out", attempt.name, "", back)
    if attempt.at == "asking" and free:
        yield asks(state, attempt)
    if attempt.at != "writing" and state.locked_by == attempt.name:
        yield is_decided(state, attempt, committed=True)
        yield is_decided(state, attempt, committed=False)
    if attempt.at in {"holding", "writing", "asking"}:
        yield dies(state, attempt)


def dies(state: State, attempt: Attempt) -> Move:
    """A process is killed. A transaction of its own that it had not sent the COMMIT of is rolled back."""
    unlocked = None if attempt.at == "writing" and state.locked_by == attempt.name else state.locked_by
    return Move(
        "dies", attempt.name, "", _with(state, attempt._replace(at="gone"))._replace(locked_by=unlocked)
    )


def without_lock(state: State) -> State:
    """A forced sync ends the session that has the row locked, busy or idle: its transaction is rolled back."""
    locker = next(attempt for attempt in state.attempts if attempt.name == state.locked_by)
    ended = locker._replace(at="holding") if locker.at == "writing" else locker._replace(done=False)
    return _with(state, ended)._replace(locked_by=None)


def takes(state: State, attempt: Attempt, *, force: bool) -> Move:
    """A sync that begins asks for the lease."""
    action = "takes by force" if force else "takes"
    mine = state.holder in {None, attempt.sync}
    if not mine and state.live and not force:
        return Move(action, attempt.name, "busy", state)
    if attempt.sync in state.closed:
        return Move(action, attempt.name, "lost", _with(state, attempt._replace(at="gone")))
    closed = state.closed if mine or state.holder is None else state.closed | {state.holder}
    after = state._replace(token=state.token + 1, holder=attempt.sync, closed=closed)
    broken = () if force else _robbed(state, attempt.sync)
    broken += (REVIVED,) if attempt.sync in state.closed else ()
    return Move(action, attempt.name, "taken", _owns(after, attempt), broken)


def enters(state: State, attempt: Attempt) -> Move:
    """A new attempt goes on with a sync that holds the lease."""
    if state.holder != attempt.sync:
        return Move("enters", attempt.name, "lost", _with(state, attempt._replace(at="gone")))
    after = state._replace(token=state.token + 1)
    return Move("enters", attempt.name, "entered", _owns(after, attempt), _robbed(state, attempt.sync))


def fences(state: State, attempt: Attempt) -> Move:
    """A writing transaction opens; the row stays locked to its end."""
    if not _passes(state, attempt):
        return Move("fences", attempt.name, "lost", _with(state, attempt._replace(at="gone")))
    after = _with(state, attempt._replace(at="writing", done=False, undone=False))
    older = None if state.beat == attempt.name else state.beat
    return Move("fences", attempt.name, "fenced", after._replace(beat=older, locked_by=attempt.name))


def commits(state: State, attempt: Attempt) -> Move:
    """A writing transaction ends well."""
    after = _with(_written(state, attempt), attempt._replace(at="holding"))
    return Move("commits", attempt.name, "", after, _wrong_write(state, attempt))


def ends(state: State, attempt: Attempt) -> Move:
    """A writing transaction frees the lease and ends well."""
    after = _with(_freed(_written(state, attempt), attempt.sync), attempt._replace(at="gone"))
    broken = _wrong_write(state, attempt) + _robbed_by_release(state, attempt.sync)
    return Move("ends", attempt.name, "", after, broken)


def hears_nothing(state: State, attempt: Attempt, *, ending: bool) -> Move:
    """The connection is lost after COMMIT was sent: PostgreSQL still has to decide what becomes of the transaction."""
    action = "hears nothing of its end" if ending else "hears nothing"
    return Move(action, attempt.name, "", _with(state, attempt._replace(at="asking", ending=ending)))


def is_decided(state: State, attempt: Attempt, *, committed: bool) -> Move:
    """PostgreSQL commits such a transaction or rolls it back, whatever has become of its client."""
    after = _with(state, attempt._replace(done=committed))._replace(locked_by=None)
    if not committed:
        return Move("is rolled back", attempt.name, "", after)
    broken = _wrong_write(state, attempt) + ((MISTOLD,) if attempt.undone else ())
    after = _written(after, attempt)
    if attempt.ending:
        broken += _robbed_by_release(state, attempt.sync)
        after = _freed(after, attempt.sync)
    return Move("is committed unheard", attempt.name, "", after, broken)


def asks(state: State, attempt: Attempt) -> Move:
    """Read from the row, on a new connection, whether an unanswered transaction was committed."""
    if state.beat == attempt.name:
        after = _with(state, attempt._replace(at="gone" if attempt.ending else "holding"))
        return Move("asks", attempt.name, "done", after, () if attempt.done else (MISTOLD,))
    if state.token != attempt.token or state.holder is None:
        return Move("asks", attempt.name, "lost", _with(state, attempt._replace(at="gone")))
    after = _with(state, attempt._replace(at="holding", undone=True))
    return Move("asks", attempt.name, "undone", after, (MISTOLD,) if attempt.done else ())


def closes(state: State, sync: str) -> Move:
    """Close a failed sync by its id alone, with no lease in hand."""
    return Move("is closed", sync, "", _freed(state, sync), _robbed_by_release(state, sync))


def _passes(state: State, attempt: Attempt) -> bool:
    return state.holder is not None and state.token == attempt.token


def _with(state: State, attempt: Attempt) -> State:
    return state._replace(attempts=tuple(attempt if a.name == attempt.name else a for a in state.attempts))


def _owns(state: State, attempt: Attempt) -> State:
    takings = state.takings + 1
    owner = attempt._replace(at="holding", token=state.token, taking=takings)
    return _with(state, owner)._replace(takings=takings, owner=attempt.sync, live=True, beat=None)


def _written(state: State, attempt: Attempt) -> State:
    return state._replace(locked_by=None, live=state.holder is not None, beat=attempt.name)


def _freed(state: State, sync: str) -> State:
    if state.holder != sync:
        return state
    return state._replace(token=state.token + 1, holder=None, live=False, owner=None)


def _robbed(state: State, sync: str) -> tuple[str, ...]:
    return (ROBBED,) if state.owner not in {None, sync} and state.live else ()


def _robbed_by_release(state: State, sync: str) -> tuple[str, ...]:
    return () if state.holder != sync else _robbed(state, sync)


def _wrong_write(state: State, attempt: Attempt) -> tuple[str, ...]:
    if attempt.taking < state.takings:
        return (STALE,)
    return () if state.owner is not None else (OWNERLESS,)


def wrong_state(state: State) -> tuple[str, ...]:
    """Which properties a state breaks by itself."""
    owners = [a for a in state.attempts if a.at not in {"new", "gone"} and _passes(state, a)]
    broken: tuple[str, ...] = (TWO_OWNERS,) if len(owners) > 1 else ()
    return broken if _a_new_sync_gets_it(state) else (*broken, STUCK)


def _a_new_sync_gets_it(state: State) -> bool:
    """Whether time alone is enough: an idle writer is thrown out, the lease runs out, somebody new asks without force."""
    newcomer = Attempt("N1", "N")
    after = state._replace(locked_by=None, live=False, attempts=(*state.attempts, newcomer))
    return takes(after, newcomer, force=False).told == "taken"


@dataclass(frozen=True)
class Explored:
    """Everything that can happen: the states, the distinct events, and for each broken property a shortest way to it."""

    states: tuple[State, ...]
    told: frozenset[tuple[str, str]]
    traces: dict[str, str]


def explore(start: State) -> Explored:
    """Try every order of events, breadth first."""
    before: dict[State, State | None] = {start: None}
    told: set[tuple[str, str]] = set()
    traces: dict[str, str] = {}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for broken in wrong_state(state):
            traces.setdefault(broken, _trace(before, state))
        for move in moves(state):
            told.add((move.action, move.told))
            for broken in move.broken:
                traces.setdefault(broken, _trace(before, state, broken))
            after = _nameless(_essential(move.state))
            if after not in before:
                before[after] = state
                queue.append(after)
    return Explored(tuple(before), frozenset(told), traces)


def _essential(state: State) -> State:
    """A state without what nothing can come of any more, which leaves many times fewer.

    Tokens only grow, so what counts of an older one is that it is not the newest; the same goes for takings.
    """
    asking = {a.name for a in state.attempts if a.at == "asking"}
    attempts = []
    for name, sync, at, token, ending, taking, done, undone in state.attempts:
        in_doubt = name in asking or name == state.locked_by
        if at == "gone" and not in_doubt:
            attempts.append(Attempt(name, sync, at))
            continue
        newest, own = at != "new" and token == state.token, at != "new" and taking == state.takings
        of_it = (ending, done, undone) if in_doubt else (False, False, False)
        attempts.append(Attempt(name, sync, at, int(newest), of_it[0], int(own), *of_it[1:]))
    beat = state.beat if state.beat in asking else None
    return State(
        tuple(attempts), 1, state.holder, state.live, beat, state.locked_by, 1, state.owner, state.closed
    )


def _nameless(state: State) -> State:
    """The one that stands for all states in which only the names differ, of attempts or of syncs with as many attempts.

    What can happen does not depend on names. Everything that can be said of a name is part of what is sorted, so two that
    sort alike are alike.
    """
    syncs: dict[str, list[tuple[Any, ...]]] = {}
    for name, sync, *facts in state.attempts:
        syncs.setdefault(sync, []).append((*facts, name == state.locked_by, name == state.beat))
    for attempts in syncs.values():
        attempts.sort()
    was = sorted(
        syncs,
        key=lambda s: (-len(syncs[s]), syncs[s], s == state.holder, s == state.owner, s in state.closed),
    )
    called = dict(zip(was, syncs, strict=True))
    renamed, locked_by, beat = [], None, None
    for old, new in called.items():
        for number, (*same, locks, beats) in enumerate(syncs[old], 1):
            renamed.append(Attempt(f"{new}{number}", new, *same))
            locked_by = renamed[-1].name if locks else locked_by
            beat = renamed[-1].name if beats else beat
    holder, owner = state.holder and called[state.holder], state.owner and called[state.owner]
    closed = frozenset(called[sync] for sync in state.closed)
    return State(
        tuple(renamed), state.token, holder, state.live, beat, locked_by, state.takings, owner, closed
    )


def _trace(before: dict[State, State | None], state: State, broken: str | None = None) -> str:
    """The events that lead to a state, and the one there that breaks a property; each name is the same one's throughout."""
    path = [state]
    while (earlier := before[path[-1]]) is not None:
        path.append(earlier)
    now, steps = path.pop(), []
    while path:
        wanted = path.pop()
        move = next(move for move in moves(now) if _nameless(_essential(move.state)) == wanted)
        now = _essential(move.state)
        steps.append(str(move))
    if broken is not None:
        steps.append(next(str(move) for move in moves(now) if broken in move.broken))
    return ", ".join(steps)
