"""From a path to the document it names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qsl

from simulator import totals
from simulator.documents import employee_json
from simulator.ledger import Ledger
from simulator.paging import Request, Window, envelope
from simulator.refusals import no_tokens, unknown_resource, wrong_tokens
from simulator.resources import VIEWS, Resources

_BOOKED = re.compile(r"/invoices/booked/(\d{1,9})")
_EMPLOYEE = re.compile(r"/employees/(\d{1,9})")
_VIEW = re.compile(rf"/invoices/({'|'.join(VIEWS)})")
PARAMETERS = ("skippages", "pagesize", "filter", "sort", "demo")


class Headers(Protocol):
    """The headers of a request, whatever their capitals."""

    def get(self, name: str, /) -> str | None: ...


class Tokens:
    """The pair of tokens that is let in, beside the pair demo and demo."""

    def __init__(self, app_secret: str, agreement_grant: str) -> None:
        self.agreement_grant = agreement_grant
        self._pairs = {(app_secret, agreement_grant), ("demo", "demo")}

    def check(self, headers: Headers, *, demo: bool) -> None:
        """Refuse a missing pair (half a pair counts as missing, which is unconfirmed) and a wrong one."""
        pair = headers.get("X-AppSecretToken"), headers.get("X-AgreementGrantToken")
        if pair == (None, None) and demo:
            return
        if None in pair:
            raise no_tokens()
        if pair not in self._pairs:
            raise wrong_tokens()


def asked(base: str, target: str) -> Request:
    """Take a request target apart; camel-case parameter names seem to work, the last of a repeated one counts."""
    path, _, query = target.partition("?")
    given = {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    return Request(base, path, query, {name: given[name] for name in PARAMETERS if name in given})


class Routes:
    """Answers GET requests out of the ledger."""

    def __init__(self, ledger: Ledger, tokens: Tokens) -> None:
        self._ledger, self._tokens = ledger, tokens
        self._resources = Resources(ledger)
        self._fixed: dict[str, Callable[[Request], bytes]] = {
            "/self": lambda request: totals.self_json(ledger),
            "/invoices": lambda request: totals.index_json(),
            "/invoices/drafts": self._nothing,
            "/invoices/sent": self._nothing,
            "/employees": self._employees,
            **{path: lambda request: totals.totals_json(ledger, request.path) for path in totals.PATHS},
        }

    def answer(self, request: Request, headers: Headers) -> bytes:
        """Return the document, or raise a Refusal."""
        self._tokens.check(headers, demo=request.parameters.get("demo") == "true")
        with self._ledger.lock:
            fixed = self._fixed.get(request.path)
            if fixed:
                return fixed(request)
            if view := _VIEW.fullmatch(request.path):
                return self._invoices(request, view[1])
            if found := _BOOKED.fullmatch(request.path):
                return self._invoice(int(found[1]))
            if found := _EMPLOYEE.fullmatch(request.path):
                return self._employee(int(found[1]))
        raise unknown_resource()

    def _invoices(self, request: Request, view: str) -> bytes:
        window = Window.of(request)
        numbers = self._resources.invoices(
            view, request.parameters.get("filter"), request.parameters.get("sort")
        )
        rows = [self._ledger.written(number) for number in numbers[window.rows]]
        return envelope(request, window, rows, len(numbers), len(self._resources.view(view)), meta=False)

    def _employees(self, request: Request) -> bytes:
        window = Window.of(request)
        staff = self._resources.employees(request.parameters.get("filter"), request.parameters.get("sort"))
        rows = [employee_json(employee).encode() for employee in staff[window.rows]]
        return envelope(request, window, rows, len(staff), len(self._ledger.staff), meta=True)

    def _nothing(self, request: Request) -> bytes:
        return envelope(request, Window.of(request), [], 0, 0, meta=False)

    def _invoice(self, number: int) -> bytes:
        if number not in self._ledger.invoices:
            raise unknown_resource()
        return self._ledger.single(number)

    def _employee(self, number: int) -> bytes:
        if number not in self._ledger.staff:
            raise unknown_resource()
        return employee_json(self._ledger.staff[number]).encode()
