"""When the next request to e-conomic may start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from economic.client.responses import Budget

log = logging.getLogger(__name__)

_LONGEST_WINDOW = 60


class Pace:
    """The pace of all requests with the same tokens, whichever of the hosts they go to."""

    def __init__(self) -> None:
        self._last_start = float("-inf")
        self._spent_window = 0

    def wait_for_turn(self, interval: float, sleep: Callable[[float], None]) -> None:
        """Wait until a request may start.

        :param interval: minimum of seconds since the start of the last one.
        :param sleep: waits for the end of e-conomic's window of calls, which takes long.
        """
        if self._spent_window:
            wait = self._spent_window - time.time() % self._spent_window
            log.warning(
                "e-conomic's window of calls is nearly spent. Waiting for the next one, %.0f s.", wait
            )
            self._spent_window = 0
            sleep(wait)
        pause = self._last_start + interval - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        self._last_start = time.monotonic()

    def note_sent(self, moment: float) -> None:
        """Note when a request was sent: e-conomic counts from when it arrives, which is later."""
        self._last_start = max(self._last_start, moment)

    def note_budget(self, budget: Budget) -> None:
        """Let the next request wait when e-conomic's window of calls is nearly spent."""
        if budget.nearly_spent and budget.seconds:
            self._spent_window = min(budget.seconds, _LONGEST_WINDOW)
