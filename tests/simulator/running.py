"""Ways to have a simulator: inside this process for tests, or as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError

from simulator.books import SOLD_EVERY, Books
from simulator.faults import Step
from simulator.ledger import Ledger
from simulator.lines.book import LineBook
from simulator.routes import Tokens
from simulator.server import Server

APP_SECRET_TOKEN = "simulated-app-secret-token"
AGREEMENT_GRANT_TOKEN = "simulated-agreement-grant-token"
AGREEMENT = 1234567
COMPANY = "Prøvefirmaet Æble & Ørsted ApS"
READY = "Simulator of the e-conomic REST API on "


class Simulator(ABC):
    """A running simulator, as tests steer it."""

    def __init__(self, base_url: str, app_secret_token: str, agreement_grant_token: str) -> None:
        self.base_url = base_url
        self.app_secret_token = app_secret_token
        self.agreement_grant_token = agreement_grant_token

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are let in."""
        return {
            "X-AppSecretToken": self.app_secret_token,
            "X-AgreementGrantToken": self.agreement_grant_token,
        }

    @abstractmethod
    def control(self, action: str, **payload: Any) -> dict[str, Any]:
        """Perform an action of the control endpoint; ValueError says what was wrong with it."""

    def requests(self) -> list[dict[str, Any]]:
        """Return the API requests so far, in the order of arrival."""
        found: list[dict[str, Any]] = self.control("requests")["requests"]
        return found

    def reset(self) -> None:
        """Forget the requests so far."""
        self.control("reset")

    def pay(self, number: int, amount: Any = None) -> None:
        self.control("pay", number=number, amount=amount)

    def unpay(self, number: int, amount: Any = None) -> None:
        self.control("unpay", number=number, amount=amount)

    def credit(self, number: int) -> int:
        """Book a credit note over an invoice and return its number."""
        note: int = self.control("credit", number=number)["number"]
        return note

    def match(self, number: int, note: int) -> None:
        self.control("match", number=number, note=note)

    def unmatch(self, number: int, note: int) -> None:
        self.control("unmatch", number=number, note=note)

    def moves(self, per_minute: float) -> None:
        """Let the books move by themselves so often from now on; 0 ends it."""
        self.control("moves", per_minute=per_minute)

    def move(self, count: int = 1) -> None:
        """Let the books make this many moves now."""
        self.control("move", count=count)

    def unpaid(self, **reading: Any) -> None:
        """Choose what was never verified of "unpaid": negative=…, lacking=…; see :meth:`Ledger.read_unpaid`."""
        self.control("unpaid", **reading)

    def budget(self, **chosen: Any) -> None:
        """Choose limit=…, window=… and used=… of the calls; see :meth:`Budget.change`."""
        self.control("budget", **chosen)

    def book(self, count: int = 1, **chosen: Any) -> list[int]:
        """Book invoices (number, date, customer, sales_person, net may be chosen) and return their numbers."""
        numbers: list[int] = self.control("book", count=count, **chosen)["numbers"]
        return numbers

    def fault(self, match: str, kind: str, **details: Any) -> None:
        """Put this one fault in force, instead of those before."""
        self.control("faults", faults=[{"match": match, "kind": kind, **details}])

    def faults(self, *faults: dict[str, Any]) -> None:
        """Put these faults in force, instead of those before."""
        self.control("faults", faults=list(faults))

    def when(self, after_request: int, *do: Step, match: str = "/invoices/booked") -> None:
        """Do this after the k-th matching request was worked out, before its answer is sent.

        :param do: actions of the control endpoint; functions too, when the simulator runs in this process.
        """
        self.control("when", after_request=after_request, match=match, do=list(do))

    def spoil(self, number: int, path: str, **how: Any) -> None:
        """Deliver the invoice with a field replaced: value=…, raw="…" or absent=True."""
        self.control("spoil", number=number, path=path, **how)

    def lines(self, **chosen: Any) -> None:
        """Choose how the service of lines behaves: least=…, most=…, page=… and so on; see :class:`Habits`."""
        self.control("lines", **chosen)

    def spoil_line(self, number: int, line: int, path: str, **how: Any) -> None:
        """Deliver a line of an invoice, the first is 0, with a field replaced, as :meth:`spoil` does."""
        self.control("spoil_line", number=number, line=line, path=path, **how)

    def differ(self, number: int, by: Any) -> None:
        """Let the lines of an invoice add up to that much more than its net amount."""
        self.control("differ", number=number, by=by)

    def lose(self, number: int) -> None:
        """Leave out the first line of an invoice that has no amount, and count it."""
        self.control("lose", number=number)

    def heal(self, number: int) -> None:
        self.control("heal", number=number)


class InProcess(Simulator):
    """A simulator in this process; `ledger` and `line_book` can be read and changed directly."""

    def __init__(self, server: Server, app_secret_token: str, agreement_grant_token: str) -> None:
        super().__init__(server.base_url, app_secret_token, agreement_grant_token)
        self._server = server
        self.ledger: Ledger = server.ledger
        self.line_book: LineBook = server.routes.lines.book

    def control(self, action: str, **payload: Any) -> dict[str, Any]:
        return self._server.control.perform(action, payload)


class OwnProcess(Simulator):
    """A simulator in a process of its own; `process` is its handle."""

    def __init__(
        self, process: subprocess.Popen[str], base_url: str, app_secret_token: str, agreement_grant_token: str
    ) -> None:
        super().__init__(base_url, app_secret_token, agreement_grant_token)
        self.process = process
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def control(self, action: str, **payload: Any) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 (always the simulator on the loopback interface)
            f"{self.base_url}/__control__/{action}",
            data=json.dumps(payload, default=str).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=60) as answer:
                result: dict[str, Any] = json.load(answer)
                return result
        except HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None


@contextmanager
def running(
    *, invoices: int = 2500, employees: int = 10, seed: int = 1, agreement: int = AGREEMENT, company: str = COMPANY,
    app_secret_token: str = APP_SECRET_TOKEN, agreement_grant_token: str = AGREEMENT_GRANT_TOKEN,
    sold_every: int = SOLD_EVERY, negative: bool = True, lacking: Sequence[str] = ("exchangeRate",),
    limit: int | None = None, window: float | None = None, moves_per_minute: float = 0,
) -> Iterator[InProcess]:  # fmt: skip
    """Run a simulator in a thread of this process.

    :param negative: whether negative remainders count as unpaid; can be changed by :meth:`Simulator.unpaid`.
    :param lacking: what the items of `/invoices/unpaid` leave out.
    :param limit: how many calls are answered in a window; by default 10,000.
    :param window: its seconds; by default 60.
    :param moves_per_minute: how often the books move by themselves; see :class:`Mover`.
    """
    ledger = Ledger(Books(invoices, employees, seed, sold_every=sold_every), agreement, company)
    ledger.read_unpaid(negative=negative, lacking=lacking)
    server = Server(0, ledger, Tokens(app_secret_token, agreement_grant_token))
    server.routes.budget.change(limit, window)
    server.move(moves_per_minute)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield InProcess(server, app_secret_token, agreement_grant_token)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def process(
    *, invoices: int = 22500, companies: int = 1, moves_per_minute: float = 0
) -> Iterator[OwnProcess]:
    """Run a simulator as a process of its own, and stop that process at the end.

    :param companies: how many it serves; those after the first are told apart by `-2`, `-3` and so on behind the grant token.
    :param moves_per_minute: how often the books of each move by themselves.
    """
    arguments = ["--invoices", str(invoices), "--companies", str(companies)]
    arguments += ["--moves-per-minute", str(moves_per_minute)]
    folder = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        stdout=subprocess.PIPE, text=True, encoding="utf-8", env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    try:
        line = child.stdout.readline() if child.stdout else ""
        if not line.startswith(READY):
            raise RuntimeError(f"the simulator did not start: {line!r}")
        yield OwnProcess(child, line.removeprefix(READY).strip(), APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN)
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout:
            child.stdout.close()
