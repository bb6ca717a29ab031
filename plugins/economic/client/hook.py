"""The Airflow hook: turns an Airflow connection into typed records of one e-conomic agreement."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from requests import Response

from economic.client.connection import (
    check_interval,
    check_type,
    read_base_url,
    read_openapi_url,
    read_proxies,
    read_token,
    read_verify,
)
from economic.client.filters import above, all_of, dated, not_numbered, numbered
from economic.client.pace import Pace
from economic.client.responses import LINES_PATH
from economic.client.session import PinnedSession
from economic.client.tokens import PUBLIC, Tokens
from economic.client.transport import Limits, Traffic, Transport, check_status
from economic.config.extras import read_extra
from economic.config.settings import LARGEST_PAGE
from economic.errors import ConfigurationError, ContractChanged, EconomicError
from economic.outside_text import listed
from economic.records.agreement import Agreement, parse_agreement
from economic.records.decoder import CollectionPage, LinePage, decode_count, decode_line_page, decode_page
from economic.records.totals import Totals, parse_totals

__all__ = ["EconomicHook"]

_NUMBER = "bookedInvoiceNumber"
_TOKEN_KEYS = ("app_secret_token", "agreement_grant_token")
_KNOWN_EXTRAS = frozenset({*_TOKEN_KEYS, "openapi_host", "allow_http", "verify", "proxies"})


class EconomicHook(HttpHook):
    """Reads one e-conomic agreement through its REST API. It can send nothing but GET.

    The constructor uses neither the network nor Airflow's database; the first request does. One
    session serves all requests. Use the hook as a context manager to close it.

    ::

        >>> with EconomicHook("economic_default") as hook:
        ...     hook.agreement().base_currency
        ...     numbers, page = [], hook.invoices_above(None, page_size=1000)
        ...     while page.items:
        ...         numbers += [item.decode()["bookedInvoiceNumber"] for item in page.items]
        ...         page = hook.invoices_above(numbers[-1], page_size=1000)
        ...     len(numbers) == hook.count_invoices()
        'DKK'
        True

    :param economic_conn_id: connection of type ``economic`` (or ``http``, ``generic``): the base
        URL in host, the tokens in the extra.
    :param limits: pace, deadlines and attempts; the defaults suit e-conomic.
    """

    conn_name_attr = "economic_conn_id"
    default_conn_name = "economic_default"
    conn_type = "economic"
    hook_name = "Visma e-conomic"

    def __init__(self, economic_conn_id: str = default_conn_name, *, limits: Limits | None = None) -> None:
        super().__init__(method="GET", http_conn_id=economic_conn_id)
        self.economic_conn_id = economic_conn_id
        self.limits = limits or Limits()
        self.while_waiting: Callable[[], None] = lambda: None
        self._traffic = Traffic()
        self._pace = Pace()
        self._where = f"connection {economic_conn_id}"

    def __enter__(self) -> EconomicHook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the session's connections."""
        for name in ("_transport", "_openapi_transport"):
            if name in self.__dict__:
                self.__dict__[name].close()

    @property
    def traffic(self) -> Traffic:
        """Requests, retries and bytes so far."""
        return self._traffic

    def agreement(self) -> Agreement:
        """Return the agreement that the tokens belong to: ``GET /self``.

        :raises CredentialsRefused: the tokens are rejected.
        """
        return self._transport.get("/self", {}, parse_agreement)

    def invoices_above(
        self,
        number: int | None,
        *,
        page_size: int,
        date_from: date | None = None,
        date_to: date | None = None,
    ) -> CollectionPage:
        """Return a page of ``GET /invoices/booked``: the lowest numbers above ``number``,
        ascending.

        :param number: the highest number read so far; None for the first page.
        :param page_size: 1 to 1000.
        :param date_from: only invoices of this day or later.
        :param date_to: only invoices of this day or earlier.
        """
        conditions = above(_NUMBER, number) + dated(date_from, date_to)
        return self._page("/invoices/booked", page_size, conditions)

    def count_invoices(self, *, date_from: date | None = None, date_to: date | None = None) -> int:
        """Return how many booked invoices e-conomic has, in all or dated in a range."""
        return self._page("/invoices/booked", 1, dated(date_from, date_to)).results

    def unpaid_above(self, number: int | None, *, page_size: int) -> CollectionPage:
        """Return a page of ``GET /invoices/unpaid``, as :meth:`invoices_above` does of all booked
        ones.
        """
        return self._page("/invoices/unpaid", page_size, above(_NUMBER, number))

    def invoices_numbered(self, numbers: Sequence[int]) -> CollectionPage:
        """Return the booked invoices with these numbers, those that there are, ascending.

        :param numbers: at most 200: e-conomic refuses more.
        """
        return self._page("/invoices/booked", LARGEST_PAGE, [numbered(_NUMBER, numbers)])

    def totals(self) -> Totals:
        """Return e-conomic's count and sum of the booked invoices: ``GET /invoices/totals``."""
        return self._transport.get("/invoices/totals", {}, parse_totals)

    def employees_above(
        self, number: int | None, *, page_size: int = 1000, attempts: int | None = None
    ) -> CollectionPage:
        """Return a page of ``GET /employees``, ascending by employee number.

        :param attempts: attempts of the request, when fewer than the limits allow.
        """
        key = "employeeNumber"
        return self._page("/employees", page_size, above(key, number), sort=key, attempts=attempts)

    def _page(
        self,
        path: str,
        page_size: int,
        conditions: Sequence[str],
        *,
        sort: str = _NUMBER,
        attempts: int | None = None,
    ) -> CollectionPage:
        params: dict[str, str | int] = {"pagesize": page_size, "sort": sort}
        if conditions:
            params["filter"] = all_of(conditions)
        return self._transport.get(path, params, decode_page, attempts)

    def lines_page(self, invoices: Sequence[int], cursor: str | None = None) -> LinePage:
        """Return a page of the lines of booked invoices: up to 1000, in no order.

        A booking may shift what the next cursor returns: sum and count prove what was read.
        Source: specification of Q2C 5.3.0, ``GET /invoices/booked/lines``.

        :param invoices: their numbers: a ``range``, or a list of at most 200.
        :param cursor: of the page before; None for the first page.
        :raises LinesForbidden: the app may not read lines.
        :raises LinesNotFound: e-conomic has ended this version of the service.
        :raises ContractChanged: the page names itself as the next one.
        """
        params: dict[str, str | int] = {"filter": numbered("documentId", invoices)}
        if cursor is not None:
            params["cursor"] = cursor
        page = self._openapi_transport.get(LINES_PATH, params, decode_line_page)
        if cursor is not None and page.cursor == cursor:
            raise ContractChanged(
                "A page of lines names itself as the next one: reading would never end.",
                hint="If it lasts, a newer version of this package may be needed.",
            )
        return page

    def count_lines(self, invoices: range, without: Sequence[int] = ()) -> int:
        """Return how many lines the booked invoices of a range have: ``.../lines/count``.

        :param without: at most 200 numbers not to count.
        :raises EconomicError: as :meth:`lines_page`.
        """
        conditions = [numbered("documentId", invoices)]
        if without:
            conditions.append(not_numbered("documentId", without))
        params = {"filter": all_of(conditions)}
        return self._openapi_transport.get(f"{LINES_PATH}/count", params, decode_count)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the connection works and to what, or why not: for the Test button."""
        self.limits = Limits(attempts=1, page=20.0, read=20.0)
        # Airflow tests a connection that is not stored yet under an id that it makes up.
        self._where = "this connection"
        try:
            agreement = self.agreement()
        except EconomicError as error:
            return False, str(error)
        company = agreement.company_name or "no company name"
        return True, f"Connected to agreement {agreement.agreement_number} ({company})"

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> PinnedSession:
        """Return a session that sends the tokens, and to the connection's host only.

        The http provider would send unknown extras as headers, log in with login and password,
        default to plain http and follow redirects. This uses the known extras and nothing else.

        :raises ConfigurationError: the connection is missing or something in it is not usable. The
            message names the part and never its value.
        """
        self.base_url = read_base_url(self._connection, self._extra)
        self._base_url_initialized = True
        session = self._session(self.base_url)
        session.headers.update(headers or {})
        if unknown := sorted(set(self._extra) - _KNOWN_EXTRAS):
            self.log.warning("The extra of %s has unused keys: %s.", self._where, listed(unknown))
        return session

    def _session(self, url: str) -> PinnedSession:
        check_interval(self.limits.interval, url)
        session = PinnedSession(url, self._tokens)
        session.verify = read_verify(self._extra.get("verify", True), session.trust_env)
        session.proxies = read_proxies(self._extra, url, self._where)
        return session

    def check_response(self, response: Response) -> None:
        """Raise the typed error for any status but 200. The body is not logged.

        :raises EconomicError: the error that the status means.
        """
        check_status(response, urlsplit(response.url).path, response.content, self._tokens)

    @cached_property
    def _transport(self) -> Transport:
        return self._new_transport(self.get_conn())

    @cached_property
    def _openapi_transport(self) -> Transport:
        """The transport to the newer services: the same one when one host serves both."""
        first = self._transport
        url = read_openapi_url(self._extra, self.base_url)
        return first if url == self.base_url else self._new_transport(self._session(url))

    def _new_transport(self, session: PinnedSession) -> Transport:
        return Transport(session, self.limits, self._traffic, self._pace, lambda: self.while_waiting())

    @cached_property
    def _tokens(self) -> Tokens:
        tokens = [read_token(self._where, self._extra, key) for key in _TOKEN_KEYS]
        for token in tokens:
            if token != PUBLIC:
                mask_secret(token)
                mask_secret(quote(token, safe=""))
        return Tokens(*tokens)

    @cached_property
    def _extra(self) -> dict[str, Any]:
        return read_extra(self._connection.extra, self._where)

    @cached_property
    def _connection(self) -> Any:
        try:
            connection = self.get_connection(self.economic_conn_id)
        except AirflowNotFoundException:
            raise ConfigurationError(
                f"The connection {self.economic_conn_id} is not defined in Airflow, or cannot be read.",
                hint=f"Add it under Admin, Connections, or {_setting_to_change(self.economic_conn_id)}.",
            ) from None
        check_type(connection.conn_type, self._where)
        return connection


def _setting_to_change(conn_id: str) -> str:
    if conn_id == (os.environ.get("ECONOMIC_CONN_ID", "").strip() or EconomicHook.default_conn_name):
        return "set ECONOMIC_CONN_ID to the one to use"
    return "name the one to use as `conn_id` of its company in ECONOMIC_AGREEMENTS"
