"""Reads shared by everybody who asks for the same at the same time, a few at once: many viewers of a page cost a database no more than one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class TooSlow(Exception):
    """The answer has not come in time; whoever asks later may still get it."""


@dataclass
class _Read:
    future: Future[Any]
    good_until: float = float("inf")


class SharedReads:
    """Runs reads in threads of its own and hands each result, or failure, to all who ask for it.

    :param at_once: how many reads run at the same time, so how many database connections there are at most.
    :param good_for: for how many seconds a result is handed out after it has come.
    :param patience: for how many seconds one waits for a result, in the queue and in the database together.
    """

    def __init__(self, *, at_once: int = 4, good_for: float = 1.0, patience: float = 10.0) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="economic-page")
        self._good_for = good_for
        self._patience = patience
        self._lock = threading.Lock()
        self._reads: dict[Hashable, _Read] = {}

    async def get(self, key: Hashable, read: Callable[[], Answer]) -> Answer:
        """The result of ``read``, its own or that of somebody who asked with the same key a moment ago.

        :param key: what is read, for whom it may be shown; never read with another meaning.
        :raises TooSlow: it takes longer than the patience lasts.
        """
        coming = asyncio.wrap_future(self._future(key, read))
        # Looked at here: a failure that comes after the patience would stand in the log as one that nobody took note of.
        coming.add_done_callback(lambda come: come.cancelled() or come.exception())
        try:
            # Shielded: one who stops waiting must not take the answer from the others.
            answer: Answer = await asyncio.wait_for(asyncio.shield(coming), self._patience)
        except TimeoutError:
            raise TooSlow from None
        return answer

    def _future(self, key: Hashable, read: Callable[[], Any]) -> Future[Any]:
        with self._lock:
            now = time.monotonic()
            self._reads = {other: kept for other, kept in self._reads.items() if kept.good_until > now}
            kept = self._reads.get(key)
            if kept is not None:
                return kept.future
            begun = self._reads[key] = _Read(self._threads.submit(read))
        # Outside of the lock: a read that has ended already calls back at once, in this thread.
        begun.future.add_done_callback(lambda _: self._ended(begun))
        return begun.future

    def _ended(self, read: _Read) -> None:
        with self._lock:
            read.good_until = time.monotonic() + self._good_for
