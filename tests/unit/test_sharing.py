"""Reads that everybody shares who asks for the same."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from economic.sharing import SharedReads, TooSlow


class Counter:
    """A read that says how often it ran, and how many ran at the same time at most."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.calls = self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        return self.calls


def together(reads: SharedReads, counter: Counter, keys: list[str]) -> list[object]:
    async def ask() -> list[object]:
        return list(await asyncio.gather(*(reads.get(key, counter) for key in keys), return_exceptions=True))

    return asyncio.run(ask())


def test_fifty_who_ask_for_the_same_cost_one_read() -> None:
    counter = Counter(0.05)
    assert together(SharedReads(), counter, ["status"] * 50) == [1] * 50
    assert counter.calls == 1


def test_a_result_is_good_for_its_time_and_is_then_read_anew() -> None:
    reads, counter = SharedReads(good_for=0.2), Counter()
    assert together(reads, counter, ["status"]) == together(reads, counter, ["status"]) == [1]
    time.sleep(0.25)
    assert together(reads, counter, ["status"]) == [2]


def test_different_things_are_read_each_for_itself_and_a_few_at_once() -> None:
    counter = Counter(0.05)
    answers = together(SharedReads(at_once=3), counter, [str(place) for place in range(12)])
    assert len(answers) == counter.calls == 12
    assert counter.most == 3


def test_reads_that_end_at_once_do_not_wait_for_themselves() -> None:
    reads, counter = SharedReads(good_for=0.0), Counter()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        together(reads, counter, ["a", "b", "c"])
    assert counter.calls > 100


def test_a_failure_reaches_everybody_and_is_not_kept_longer_than_a_result() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise LookupError("so it is")

    reads = SharedReads(good_for=0.1)
    answers = together(reads, fail, ["status"] * 5)  # type: ignore[arg-type]  # a read like any other
    assert [type(answer) for answer in answers] == [LookupError] * 5
    time.sleep(0.15)
    together(reads, fail, ["status"])  # type: ignore[arg-type]
    assert len(calls) == 2


def test_who_loses_patience_leaves_the_answer_to_the_others() -> None:
    reads, counter = SharedReads(patience=0.1, good_for=5.0), Counter(0.3)
    (impatient,) = together(reads, counter, ["status"])
    assert isinstance(impatient, TooSlow)
    time.sleep(0.4)
    assert together(reads, counter, ["status"]) == [1]


def test_nobody_waits_for_a_place_longer_than_the_patience_lasts() -> None:
    reads, counter = SharedReads(at_once=1, patience=0.1), Counter(0.3)
    began = time.monotonic()
    answers = together(reads, counter, [str(place) for place in range(8)])
    assert all(isinstance(answer, TooSlow) for answer in answers)
    assert time.monotonic() - began < 0.6


def test_a_failure_that_comes_too_late_is_not_logged_as_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    def fail_late() -> None:
        time.sleep(0.2)
        raise LookupError("so it is")

    async def ask(reads: SharedReads) -> None:
        with pytest.raises(TooSlow):
            await reads.get("status", fail_late)
        await asyncio.sleep(0.3)
        gc.collect()

    asyncio.run(ask(SharedReads(patience=0.05)))
    assert caplog.text == ""
