"""The simulator on a port of this machine: requests in, answers and scripted faults out."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from socket import SHUT_RDWR, socket
from socketserver import TCPServer
from threading import Thread
from time import monotonic
from typing import Any

from simulator.answers import Answer
from simulator.control import Control
from simulator.delivery import deliver, healthy_headers
from simulator.faults import Fault, Script
from simulator.journal import Entry, Journal
from simulator.ledger import Ledger
from simulator.paging import Request
from simulator.refusals import Refusal, error_headers
from simulator.routes import Routes, Tokens, asked

CONTROL = "/__control__/"
LOOPBACK = "127.0.0.1"


class Server(ThreadingHTTPServer):
    """A threading server that knows the ledger, the script of faults and the journal."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, ledger: Ledger, tokens: Tokens, bind: str = LOOPBACK) -> None:
        super().__init__((bind, port), Handler)
        self._open: set[socket] = set()
        self.ledger, self.script, self.journal = ledger, Script(), Journal()
        self.routes = Routes(ledger, tokens)
        self._others: dict[str, Routes] = {}
        self.control = Control(ledger, self.script, self.journal, self.routes)

    def admit(self, ledger: Ledger, tokens: Tokens) -> None:
        """Serve another company's books to its own grant token; script, journal and control endpoint know the first one's only."""
        self._others[tokens.agreement_grant] = Routes(ledger, tokens)

    def move(self, per_minute: float) -> None:
        """Let every company's books move by themselves."""
        for routes in (self.routes, *self._others.values()):
            routes.mover.set_rate(per_minute)

    def routes_for(self, agreement_grant: str | None) -> Routes:
        """The routes of the company that a grant token belongs to; the first one's, which know whom to refuse, for any other."""
        return self._others.get(agreement_grant or "", self.routes)

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def get_request(self) -> tuple[socket, Any]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:
        """Close a connection whose client has gone."""
        self._open.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        """Close the port and the connections kept alive: a stopped server answers nobody."""
        super().server_close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up, and about connections cut on purpose."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop_soon(self) -> None:
        """Stop serving, from a thread that is itself being served."""
        Thread(target=self.shutdown, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    received = 0.0

    def parse_request(self) -> bool:
        """Note the time at which the request line has been read, then read the headers."""
        self.received = monotonic()
        return super().parse_request()

    def handle_any(self) -> None:
        """Answer a request of whatever method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(CONTROL):
            self._control(body)
        else:
            self._api()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any

    def _api(self) -> None:
        base = f"http://{self.headers.get('Host') or self.server.base_url.removeprefix('http://')}"
        request = asked(base, self.path)
        entry = Entry(
            self.command, request.path, request.query, self.received, headers=list(self.headers.keys()),
            accept_encoding=self.headers.get("Accept-Encoding"),
        )  # fmt: skip
        self.server.journal.add(entry)
        fault = self.server.script.fault_for(request.path, request.query)
        routes = self.server.routes_for(self.headers.get("X-AgreementGrantToken"))
        wait, limits = routes.budget.spend()
        headers = healthy_headers(token_hex(8), limits)
        try:
            if wait:
                headers["Retry-After"] = str(wait)
                raise Refusal(429)
            if self.command != "GET":
                headers["Allow"] = "GET"
                raise Refusal(405)
            answer = Answer(200, headers, routes.answer(_otherwise(request, fault), self.headers))
        except Refusal as refusal:
            headers |= error_headers(request.path)
            answer = Answer(refusal.status, headers, refusal.body(request.path))
        self.server.control.after(request.path)
        deliver(self, answer, fault, entry)

    def _control(self, body: bytes) -> None:
        try:
            payload = json.loads(body, parse_float=Decimal) if body else {}
            result = self.server.control.perform(self.path.removeprefix(CONTROL), payload)
            answer = Answer(200, {"Content-Type": "application/json"}, json.dumps(result).encode())
        except (ValueError, TypeError, KeyError) as error:
            text = json.dumps({"error": str(error)})
            answer = Answer(400, {"Content-Type": "application/json"}, text.encode())
        deliver(self, answer)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the journal has it."""


def _otherwise(request: Request, fault: Fault | None) -> Request:
    """Return the question that a fault has answered instead of the one that was asked."""
    if fault is None or not fault.parameters:
        return request
    given = {**request.parameters, **fault.parameters}
    return replace(request, parameters={name: value for name, value in given.items() if value is not None})
