"""Sends one GET to e-conomic: paced, bounded, and retried where that helps.

No HTTP client bounds the whole time of an answer or the size of its body; this module does. A retry
repeats sending, reading and parsing, because an answer cut short often shows only in parsing.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import LocationValueError
from urllib3.util.ssl_match_hostname import CertificateError

from economic.client.pace import Pace
from economic.client.responses import (
    Budget,
    describe_error_body,
    error_for_status,
    parse_retry_after,
    read_budget,
)
from economic.client.session import PinnedSession, WatchedAdapter
from economic.client.tokens import Tokens
from economic.errors import BrokenResponse, ConfigurationError, ConnectionLost, RateLimited, RetriableError

__all__ = ["Limits", "Traffic"]

log = logging.getLogger(__name__)

T = TypeVar("T")
_CHUNK = 64 * 1024
_LONGEST_ERROR_BODY = 256 * 1024
_LONGEST_BACKOFF = 60.0
_UNUSABLE = (InvalidURL, InvalidSchema, MissingSchema, LocationValueError)
_HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a request. All times in seconds.

    :param interval: minimum between the starts of two requests.
    :param connect: to open the connection.
    :param read: between two pieces of the answer.
    :param page: for a whole answer, its headers included.
    :param body: bytes of a body after decompression.
    :param attempts: attempts of one request in this process.
    :param budget: for all attempts of one request together.
    :param longest_wait: the longest ``Retry-After`` to wait here; a longer one is left to the
        task's retry.
    :param first_wait: before the second attempt; doubles each time, with jitter.
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
    """Counts of requests, of retries and 429 among them, and of body bytes after decompression.

    ``cost`` is what the calls cost by e-conomic's count; ``used`` is the most that was used of a
    window of ``limit`` calls.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    bytes: int = 0
    cost: int = 0
    used: int = 0
    limit: int = 0


class Transport:
    """Sends GET requests through one session.

    :param traffic: the counters to increase.
    :param pace: common to all transports with the same tokens.
    :param while_waiting: called before each attempt and every 30 seconds of waiting, to keep a
        lease alive.
    """

    def __init__(
        self,
        session: PinnedSession,
        limits: Limits,
        traffic: Traffic,
        pace: Pace,
        while_waiting: Callable[[], None],
    ) -> None:
        self.traffic = traffic
        self.while_waiting = while_waiting
        self._session = session
        self._limits = limits
        self._adapter = WatchedAdapter()
        self._pace = pace
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
        """Fetch, read and parse one answer, and retry all three when one of them fails.

        :param path: a path without a query, such as ``/invoices/booked``.
        :raises RetriableError: each attempt failed, or e-conomic asks for a longer wait than
            allowed.
        :raises FatalError: the request was rejected.
        """
        attempts = attempts or self._limits.attempts
        end = time.monotonic() + self._limits.budget
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._attempt(path, params, parse)
            except RetriableError as error:
                too_long = (error.retry_after or 0.0) > self._limits.longest_wait
                if attempt >= attempts or too_long or time.monotonic() >= end:
                    raise
                wait = self._wait(attempt, error)
                log.warning("%s Trying again in %.2f s (try %d of %d).", error, wait, attempt + 1, attempts)
            self.traffic.retries += 1
            self._sleep(wait)

    def _attempt(self, path: str, params: Mapping[str, str | int], parse: Callable[[bytes], T]) -> T:
        self.while_waiting()
        self._pace.wait_for_turn(self._limits.interval, self._sleep)
        self.traffic.requests += 1
        # Taken before the watchdog starts: an answer that was cut must not seem to end in time.
        deadline = time.monotonic() + self._limits.page
        watchdog = threading.Timer(self._limits.page, self._adapter.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            with self._session.get(
                self._session.base_url + path,
                params=params,
                stream=True,
                timeout=(self._limits.connect, self._limits.read),
            ) as response:
                self._note_budget(read_budget(response.headers))
                self.traffic.rate_limited += response.status_code == 429
                body = self._body(response, path, deadline)
        except _UNUSABLE as error:
            raise ConfigurationError(
                f"Nothing can be sent to {self._session.base_url} ({type(error).__name__}).",
                hint="Check the connection's host, `proxies` in its extra, and the environment's proxies.",
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._raise_lost(path, deadline, error)
        finally:
            watchdog.cancel()
            self._pace.note_sent(self._adapter.sent_at)
        if time.monotonic() >= deadline:
            # A connection that is cut within the headers seems to end there.
            raise self._too_slow(path)
        self.traffic.bytes += len(body)
        check_status(response, path, body, self._session.tokens)
        return parse(body)

    def _note_budget(self, budget: Budget) -> None:
        self.traffic.cost += budget.cost
        self.traffic.used = max(self.traffic.used, budget.used)
        self.traffic.limit = max(self.traffic.limit, budget.limit)
        self._pace.note_budget(budget)

    def _body(self, response: requests.Response, path: str, deadline: float) -> bytes:
        named = response.headers.get("Content-Encoding", "").lower().split(",")
        encodings = [encoding for encoding in map(str.strip, named) if encoding not in {"", "identity"}]
        if encodings not in ([], ["gzip"], ["x-gzip"]):
            raise BrokenResponse(f"The answer to {path} came with an encoding that was not asked for.")
        # urllib3 decodes only one plain name.
        response.raw.headers["Content-Encoding"] = encodings[0] if encodings else "identity"
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in response.raw.stream(_CHUNK, decode_content=True):
                size += len(piece)
                if response.status_code != 200 and size > _LONGEST_ERROR_BODY:
                    return b""  # The status is enough.
                if size > self._limits.body:
                    raise BrokenResponse(f"The answer to {path} is larger than {self._limits.body:,} bytes.")
                if time.monotonic() > deadline:
                    raise self._too_slow(path)
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            # A traceback keeps this frame, and all that was read, during the next attempt.
            pieces.clear()

    def _too_slow(self, path: str) -> ConnectionLost:
        return ConnectionLost(f"The answer to {path} took longer than {self._limits.page:g} seconds.")

    def _raise_lost(self, path: str, deadline: float, error: Exception) -> NoReturn:
        if time.monotonic() >= deadline:
            raise self._too_slow(path) from None
        # A broken handshake is an outage. Only a rejected certificate is final.
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.CertificateError | CertificateError) for cause in causes):
            raise ConfigurationError(
                f"The certificate of {self._session.base_url} was not accepted.",
                hint="Check the base URL. Behind a proxy that opens TLS, set its CA as `verify` in the extra.",
            ) from None
        server = urlsplit(self._session.base_url).netloc
        # Only the innermost cause's type: the outer texts repeat whole object dumps.
        raise ConnectionLost(
            f"No complete answer to {path} from {server} ({type(causes[-1]).__name__})."
        ) from None

    def _wait(self, attempt: int, error: RetriableError) -> float:
        first = self._limits.first_wait
        if isinstance(error, RateLimited) and not error.retry_after:
            # e-conomic's window is 60 seconds: the attempts together outlast it.
            first *= 3
        # Jitter, so that waiting syncs do not send in lockstep.
        backoff = min(first * 2.0 ** (attempt - 1), _LONGEST_BACKOFF) + random.uniform(0, first)  # noqa: S311  # no secret
        return max(error.retry_after or 0.0, backoff)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _HEARTBEAT_SECONDS))
            self.while_waiting()


def check_status(response: requests.Response, path: str, body: bytes, tokens: Tokens) -> None:
    """Raise the typed error for any status but 200.

    :raises EconomicError: the error that the status means.
    """
    if response.status_code != 200:
        wait = parse_retry_after(response.headers.get("Retry-After"))
        details = describe_error_body(body, tokens.scrub)
        raise error_for_status(response.status_code, path, details, wait)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, the innermost last: they are arguments or ``reason``."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
