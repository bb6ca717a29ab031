"""Requests to stop: noted when they arrive, acted on where nothing is half done."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STEP_SECONDS = 0.1


class Interrupted(Exception):
    """Somebody asked for the end.

    :param signal_number: with which signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports after this signal."""
        return 128 + self.signal_number


class Interruption:
    """Defers Ctrl-C, requests to terminate and closed terminals to the next :meth:`check`.

    An exception out of a signal handler could strike between the start of a program and the line that remembers to stop it.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        for request in _REQUESTS:
            if request == signal.SIGHUP and signal.getsignal(request) == signal.SIG_IGN:
                continue  # under nohup, which is meant to outlive its terminal
            self._before[request] = signal.signal(request, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for request, handler in self._before.items():
            signal.signal(request, handler)

    def check(self) -> None:
        """Raise Interrupted when somebody has asked for the end."""
        if self._received is not None:
            raise Interrupted(self._received)

    def sleep(self, seconds: float) -> None:
        """Wait that long.

        :raises Interrupted: somebody asked for the end.
        """
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STEP_SECONDS))
            self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = self._received or number
