"""From a path to the document it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import parse_qsl

from simulator import resources, totals
from simulator.budget import Budget
from simulator.documents import employee_json
from simulator.ledger import Ledger
from simulator.lines.service import LinesService
from simulator.mover import Mover
from simulator.paging import Request, Window, envelope
from simulator.refusals import NEWER_SERVICES, Refusal

PARAMETERS = ("skippages", "pagesize", "filter", "sort", "cursor")


class Headers(Protocol):
    """The headers of a request, whatever their capitals."""

    def get(self, name: str, /) -> str | None: ...


class Tokens:
    """The pair of tokens that is let in, beside the pair demo and demo."""

    def __init__(self, app_secret: str, agreement_grant: str) -> None:
        self.agreement_grant = agreement_grant
        self._pairs = {(app_secret, agreement_grant), ("demo", "demo")}

    def check(self, headers: Headers) -> None:
        """Refuse a missing pair (half a pair counts as missing, which is unconfirmed) and a wrong one."""
        pair = headers.get("X-AppSecretToken"), headers.get("X-AgreementGrantToken")
        if None in pair:
            raise Refusal(401)
        if pair not in self._pairs:
            raise Refusal(401, "Token does not correspond to a valid grant.", errorCode="E02250")


def asked(base: str, target: str) -> Request:
    """Take a request target apart; camel-case parameter names seem to work, the last of a repeated one counts."""
    path, _, query = target.partition("?")
    given = {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    return Request(base, path, query, {name: given[name] for name in PARAMETERS if name in given})


class Routes:
    """Answers GET requests out of the ledger."""

    def __init__(self, ledger: Ledger, tokens: Tokens) -> None:
        self._ledger, self._tokens, self.budget = ledger, tokens, Budget()
        self.mover, self.lines = Mover(ledger), LinesService(ledger)
        self._paths: dict[str, Callable[[Request], bytes]] = {
            "/self": lambda request: totals.self_json(ledger),
            "/invoices/totals": lambda request: totals.totals_json(ledger),
            "/invoices/booked": lambda request: self._invoices(request, ledger.numbers, ledger.written),
            "/invoices/unpaid": lambda request: self._invoices(
                request, ledger.unpaid(), ledger.written_unpaid
            ),
            "/employees": self._employees,
        }

    def answer(self, request: Request, headers: Headers) -> bytes:
        """Return the document, or raise a Refusal."""
        self._tokens.check(headers)
        if request.path not in self._paths and not request.path.startswith(NEWER_SERVICES):
            raise Refusal(404)
        with self._ledger.lock:
            self.mover.catch_up()
            if request.path.startswith(NEWER_SERVICES):
                return self.lines.answer(request)
            return self._paths[request.path](request)

    def _invoices(self, request: Request, listed: Sequence[int], written: Callable[[int], bytes]) -> bytes:
        window = Window.of(request)
        numbers, results = resources.invoices(self._ledger, listed, request, window)
        rows = [written(number) for number in numbers]
        return envelope(request, window, rows, results, len(listed), meta=False)

    def _employees(self, request: Request) -> bytes:
        window = Window.of(request)
        staff = resources.employees(self._ledger, request)
        rows = [employee_json(employee).encode() for employee in staff[window.rows]]
        return envelope(request, window, rows, len(staff), len(self._ledger.staff), meta=True)
