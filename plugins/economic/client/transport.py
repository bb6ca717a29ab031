"""How one GET reaches e-conomic: paced, bounded, and repeated where that helps.

It bounds what no HTTP client bounds by itself: the whole time of an answer and the size of its body. The repetition wraps sending,
reading and parsing together, because an answer cut short often shows only when it is parsed.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import LocationValueError
from urllib3.util.ssl_match_hostname import CertificateError

from economic.client.responses import error_for_status, parse_error_body, parse_retry_after
from economic.client.session import PinnedSession, WatchedAdapter
from economic.client.tokens import Tokens
from economic.errors import BrokenResponse, ConfigurationError, ConnectionLost, RateLimited, RetriableError

log = logging.getLogger(__name__)

T = TypeVar("T")
_CHUNK = 64 * 1024
_LONGEST_ERROR_BODY = 256 * 1024
_UNUSABLE = (InvalidURL, InvalidSchema, MissingSchema, LocationValueError)
_HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take. All times in seconds.

    :param interval: least time between two request starts.
    :param connect: to open the connection.
    :param read: between two pieces of the answer.
    :param page: for one whole answer, its headers included.
    :param body: bytes of a body after decompression.
    :param attempts: tries of one request in this process.
    :param budget: for all tries of one request together.
    :param longest_wait: the longest ``Retry-After`` waited out in the process; a longer one is left to the task's retry.
    :param first_wait: before the second try; doubles with each further one, with jitter.
    """

    interval: float = 0.1
    connect: float = 10.0
    read: float = 30.0
    page: float = 60.0
    body: int = 64 * 1024 * 1024
    attempts: int = 6
    budget: float = 600.0
    longest_wait: float = 120.0
    first_wait: float = 1.0


@dataclass(slots=True)
class Traffic:
    """What went over the wire so far: request starts, those that were repeats, body bytes after decompression."""

    requests: int = 0
    retries: int = 0
    bytes: int = 0


class Transport:
    """Sends GET requests through one session, paced, bounded and repeated where that helps.

    :param base_url: scheme and host (and port) of the API; every request goes there.
    :param traffic: where what goes over the wire is counted.
    :param while_waiting: called before each try and at least every 30 seconds of waiting, so that a lease can be kept alive.
    """

    def __init__(
        self,
        session: PinnedSession,
        base_url: str,
        tokens: Tokens,
        limits: Limits,
        traffic: Traffic,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.traffic = traffic
        self._session = session
        self._base_url = base_url
        self._tokens = tokens
        self._limits = limits
        self.while_waiting = while_waiting
        self._adapter = WatchedAdapter()
        self._last_start = float("-inf")
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)

    def close(self) -> None:
        self._session.close()

    def get(
        self,
        path: str,
        params: Mapping[str, str | int],
        parse: Callable[[bytes], T],
        attempts: int | None = None,
    ) -> T:
        """Fetch, read and parse one answer; each of the three may be what fails and is repeated.

        :param path: path and nothing more, such as ``/invoices/booked``.
        :raises RetriableError: it failed each time, or e-conomic asks for a longer wait than is waited here.
        :raises FatalError: it was refused.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetriableError),
            stop=tenacity.stop_after_attempt(attempts or self._limits.attempts)
            | tenacity.stop_after_delay(self._limits.budget)
            | _AskedTooLong(self._limits.longest_wait),
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=self._note_retry,
            reraise=True,
        )
        found: T = retrying(self._once, path, params, parse)
        return found

    def _once(self, path: str, params: Mapping[str, str | int], parse: Callable[[bytes], T]) -> T:
        self.while_waiting()
        self._pace()
        self.traffic.requests += 1
        # Before the watchdog starts: an answer that it cut must never look like one that ended in time.
        deadline = time.monotonic() + self._limits.page
        watchdog = threading.Timer(self._limits.page, self._adapter.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            with self._session.get(
                self._base_url + path,
                params=params,
                stream=True,
                timeout=(self._limits.connect, self._limits.read),
            ) as response:
                body = self._body(response, path, deadline)
        except _UNUSABLE as error:
            raise ConfigurationError(
                f"Nothing can be sent to {self._base_url} ({type(error).__name__}).",
                hint="Check the host of the connection, and `proxies` in its extra or the environment's proxy variables.",
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._lost(path, deadline, error)
        finally:
            watchdog.cancel()
            # The server counts from when it hears us: that is when the request was on its way, not when it was thought of.
            self._last_start = max(self._last_start, self._adapter.sent_at)
        if time.monotonic() >= deadline:
            # A connection cut among the headers reads like an answer that ended there.
            raise self._too_slow(path)
        self.traffic.bytes += len(body)
        if response.status_code != 200:
            asked = parse_retry_after(response.headers.get("Retry-After"))
            raise error_for_status(
                response.status_code, path, parse_error_body(body, self._tokens.scrub), asked
            )
        return parse(body)

    def _body(self, response: requests.Response, path: str, deadline: float) -> bytes:
        named = response.headers.get("Content-Encoding", "").lower().split(",")
        encodings = [encoding for encoding in map(str.strip, named) if encoding not in {"", "identity"}]
        if encodings not in ([], ["gzip"], ["x-gzip"]):
            raise BrokenResponse(f"The answer to {path} came with an encoding that was not asked for.")
        # urllib3 knows one plain name only.
        response.raw.headers["Content-Encoding"] = encodings[0] if encodings else "identity"
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in response.raw.stream(_CHUNK, decode_content=True):
                size += len(piece)
                if response.status_code != 200 and size > _LONGEST_ERROR_BODY:
                    # The status says enough.
                    return b""
                if size > self._limits.body:
                    raise BrokenResponse(f"The answer to {path} is larger than {self._limits.body:,} bytes.")
                if time.monotonic() > deadline:
                    raise self._too_slow(path)
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            # An error keeps this frame, and with it all that was read, until the next try is over.
            pieces.clear()

    def _too_slow(self, path: str) -> ConnectionLost:
        return ConnectionLost(f"The answer to {path} took longer than {self._limits.page:g} seconds.")

    def _lost(self, path: str, deadline: float, error: Exception) -> NoReturn:
        if time.monotonic() >= deadline:
            raise self._too_slow(path) from None
        # A handshake that breaks off is an outage like any other; only a certificate that was looked at and rejected stays rejected.
        if any(isinstance(cause, ssl.CertificateError | CertificateError) for cause in _causes(error)):
            raise ConfigurationError(
                f"The certificate of {self._base_url} was not accepted.",
                hint="Check the base URL; behind a proxy that opens TLS, give its CA as `verify` in the connection's extra.",
            ) from None
        raise ConnectionLost(
            f"No complete answer to {path} from {urlsplit(self._base_url).netloc} ({_root(error)})."
        ) from None

    def _pace(self) -> None:
        pause = self._last_start + self._limits.interval - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        self._last_start = time.monotonic()

    def _wait(self, state: tenacity.RetryCallState) -> float:
        asked = _asked(state) or 0.0
        first = self._limits.first_wait
        if not asked and state.outcome and isinstance(state.outcome.exception(), RateLimited):
            # e-conomic's window is 60 seconds: the tries together outlast it.
            first *= 3
        backoff = tenacity.wait_exponential(first, max=60.0) + tenacity.wait_random(0, first)
        return max(asked, backoff(state))

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _HEARTBEAT_SECONDS))
            self.while_waiting()

    def _note_retry(self, state: tenacity.RetryCallState) -> None:
        self.traffic.retries += 1
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "%s Trying again in %.2f s (try %d of %d).",
            error,
            wait,
            state.attempt_number + 1,
            self._limits.attempts,
        )


class _AskedTooLong(tenacity.stop.stop_base):
    """Stop when the other side asks for a wait that is too long to be spent in a running task."""

    def __init__(self, longest: float) -> None:
        self.longest = longest

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return (_asked(retry_state) or 0.0) > self.longest


def _asked(state: tenacity.RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, RetriableError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of: they carry their causes as arguments."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _root(error: BaseException) -> str:
    """The innermost cause in a word or two: the outer texts repeat whole object dumps."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _root(reason)
    return type(error).__name__
