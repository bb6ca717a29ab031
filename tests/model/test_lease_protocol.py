"""The lease protocol in every order of events: what must hold does, and each rule is missed when it is broken."""

from __future__ import annotations

import pytest

from tests.model.lease_protocol import (
    KEPT_OUT,
    MISTOLD,
    OWNERLESS,
    REVIVED,
    ROBBED,
    STALE,
    STUCK,
    TWO_OWNERS,
    Attempt,
    Explored,
    Rules,
    State,
    explore,
    mutant,
)

TWO_ATTEMPTS_AND_A_RIVAL = ("A1", "A2", "B1")
TWO_ATTEMPTS_EACH = ("A1", "A2", "B1", "B2")


def explored(rules: Rules, attempts: tuple[str, ...] = TWO_ATTEMPTS_AND_A_RIVAL) -> Explored:
    return explore(rules, State(tuple(Attempt(name, name[0]) for name in attempts)))


def told(found: Explored) -> str:
    return "\n".join(f"{broken}: {trace}" for broken, trace in found.traces.items())


@pytest.mark.parametrize("attempts", [TWO_ATTEMPTS_AND_A_RIVAL, TWO_ATTEMPTS_EACH], ids=" ".join)
def test_no_order_of_events_breaks_a_property(attempts: tuple[str, ...]) -> None:
    found = explored(Rules(), attempts)
    assert not found.traces, told(found)
    # Nothing is proved of what never happened.
    assert found.told == {
        ("takes", "taken"),
        ("takes", "busy"),
        ("takes by force", "taken"),
        ("takes", "lost"),
        ("takes by force", "lost"),
        ("enters", "entered"),
        ("enters", "lost"),
        ("fences", "fenced"),
        ("fences", "lost"),
        ("commits", ""),
        ("ends", ""),
        ("hears nothing", ""),
        ("hears nothing of its end", ""),
        ("is committed unheard", ""),
        ("is rolled back", ""),
        ("asks", "done"),
        ("asks", "undone"),
        ("asks", "lost"),
        ("is closed", ""),
        ("dies", ""),
        ("is thrown out", ""),
        ("time runs out", ""),
    }
    assert len(found.states) > 1000


@pytest.mark.parametrize(
    ("broken", "property_", "trace"),
    [
        ({"expiry_frees": False}, STUCK, "A1 takes"),
        ({"taking_respects_the_living": False}, ROBBED, "A1 takes, B1 takes"),
        ({"taking_grows": False}, STALE, "A1 takes, A2 takes, A1 fences, A1 commits"),
        ({"taking_asks_its_own_row": False}, REVIVED, "A1 takes, B1 takes by force, A2 takes by force"),
        ({"force_ends_who_is_in_the_way": False}, KEPT_OUT, "A1 takes, A1 fences"),
        ({"force_grows": False}, STALE, "A1 takes, A2 takes by force, A1 fences, A1 commits"),
        # a token for the run instead of the attempt: the orphan of a killed worker and its retry both write
        ({"entering_grows": False}, STALE, "A1 takes, A2 enters, A1 fences, A1 commits"),
        ({"entering_asks_the_holder": False}, ROBBED, "A1 takes, B1 enters"),
        ({"fence_asks": "sync"}, TWO_OWNERS, "A1 takes, A2 takes"),
        ({"fence_asks": "nothing"}, STALE, "A1 takes, A2 takes, A1 fences, A1 commits"),
        # the check in a transaction of its own, before the one that writes
        ({"fence_locks": False}, STALE, "A1 takes, A1 fences, A2 takes, A1 commits"),
        ({"fence_locks": False}, OWNERLESS, "A1 takes, A1 fences, A is closed, A1 commits"),
        (
            {"release_grows": False, "fence_asks_for_a_holder": False},
            OWNERLESS,
            "A1 takes, A is closed, A1 fences, A1 commits",
        ),
        ({"release_asks_the_holder": False}, ROBBED, "A1 takes, B is closed"),
        ({"idle_writers_are_thrown_out": False}, STUCK, "A1 takes, A1 fences"),
        (
            {"asking_waits": False},
            MISTOLD,
            "A1 takes, A1 fences, A1 hears nothing, A1 asks, A1 is committed unheard",
        ),
        (
            {"asking_compares_heartbeats": False},
            MISTOLD,
            "A1 takes, A1 fences, A1 hears nothing, A1 is committed unheard, A1 asks",
        ),
    ],
    ids=str,
)
def test_broken_rule_is_found_by_a_shortest_trace(
    broken: dict[str, object], property_: str, trace: str
) -> None:
    found = explored(mutant(**broken))
    assert found.traces.get(property_) == trace, told(found)


@pytest.mark.parametrize("wall", ["release_grows", "fence_asks_for_a_holder"])
def test_release_needs_one_of_its_two_walls(wall: str) -> None:
    """Both are kept, and the pair of mutants above shows that at least one is needed."""
    found = explored(mutant(**{wall: False}))
    assert not found.traces, told(found)
