"""Database reads shared by equal requests."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from economic.web.coalescing import CoalescedReads


class Counter:
    """A read that counts its calls, and how many ran at the same time at most."""

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


def together(reads: CoalescedReads, counter: Counter, keys: list[str]) -> list[object]:
    async def ask() -> list[object]:
        return list(await asyncio.gather(*(reads.get(key, counter) for key in keys), return_exceptions=True))

    return asyncio.run(ask())


def test_fifty_equal_requests_cost_one_read() -> None:
    counter = Counter(0.05)
    assert together(CoalescedReads(), counter, ["status"] * 50) == [1] * 50
    assert counter.calls == 1


def test_result_is_read_again_after_it_expires() -> None:
    async def ask() -> list[int]:
        reads, counter = CoalescedReads(good_for=0.2), Counter()
        first = [await reads.get("status", counter), await reads.get("status", counter)]
        await asyncio.sleep(0.25)
        return [*first, await reads.get("status", counter)]

    assert asyncio.run(ask()) == [1, 1, 2]


def test_different_keys_are_read_a_few_at_once() -> None:
    counter = Counter(0.05)
    answers = together(CoalescedReads(at_once=3), counter, [str(place) for place in range(12)])
    assert len(answers) == counter.calls == 12
    assert counter.most == 3


def test_failure_is_shared_and_cached_like_a_result() -> None:
    calls = []

    def fail() -> int:
        calls.append(1)
        time.sleep(0.05)
        raise LookupError("no such table")

    async def ask() -> list[object]:
        reads = CoalescedReads(good_for=0.1)
        shared = await asyncio.gather(*(reads.get("status", fail) for _ in range(50)), return_exceptions=True)
        await asyncio.sleep(0.15)
        again = await asyncio.gather(reads.get("status", fail), return_exceptions=True)
        return [*shared, *again]

    assert [type(answer) for answer in asyncio.run(ask())] == [LookupError] * 51
    assert len(calls) == 2


def test_waiting_for_a_turn_ends_with_the_patience() -> None:
    reads, counter = CoalescedReads(at_once=1, patience=0.1), Counter(0.3)
    began = time.monotonic()
    answers = together(reads, counter, [str(place) for place in range(8)])
    assert [type(answer) for answer in answers] == [int] + [TimeoutError] * 7
    assert (counter.calls, counter.most) == (1, 1)
    assert time.monotonic() - began < 0.6


def test_cancelled_request_keeps_its_connection_counted() -> None:
    """A viewer who closes the tab must not make room for a fifth connection, nor lose the others' result."""

    async def ask() -> tuple[list[object], int]:
        from anyio import create_task_group

        reads, counter = CoalescedReads(at_once=1, good_for=5.0), Counter(0.2)
        async with create_task_group() as group:
            group.start_soon(reads.get, "status", counter)
            await asyncio.sleep(0.05)
            group.cancel_scope.cancel()
        answers: list[object] = [await reads.get("status", counter), await reads.get("other", counter)]
        return answers, counter.most

    assert asyncio.run(ask()) == ([1, 2], 1)


def test_slow_read_leaves_the_event_loop_free() -> None:
    async def ask() -> float:
        reading = asyncio.ensure_future(CoalescedReads().get("status", Counter(0.4)))
        slowest = 0.0
        while not reading.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            slowest = max(slowest, time.monotonic() - began)
        return slowest

    assert asyncio.run(ask()) < 0.2


def test_forgotten_keys_are_dropped() -> None:
    async def ask() -> int:
        reads, counter = CoalescedReads(good_for=0.05), Counter()
        for place in range(20):
            await reads.get(str(place), counter)
        await asyncio.sleep(0.1)
        await reads.get("last", counter)
        return len(reads._entries)

    assert asyncio.run(ask()) == 1


@pytest.mark.parametrize("good_for", [0.0, 1.0])
def test_reads_that_end_at_once_do_not_deadlock(good_for: float) -> None:
    reads, counter = CoalescedReads(good_for=good_for), Counter()

    async def ask() -> None:
        for _ in range(200):
            await asyncio.gather(*(reads.get(key, counter) for key in "abcaab"))

    asyncio.run(asyncio.wait_for(ask(), 20))
    assert counter.calls >= 3
