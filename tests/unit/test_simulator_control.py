"""The simulator changes and fails as it is told to, and notes what it was asked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

import simulator


class Client:
    """A session with the right tokens, and amounts read as Decimal."""

    def __init__(self, sim: simulator.Simulator) -> None:
        self.sim = sim
        self.session = requests.Session()
        self.session.headers.update(sim.headers)

    def answer(self, target: str, **options: Any) -> requests.Response:
        return self.session.get(self.sim.base_url + target, timeout=10, **options)

    def get(self, target: str) -> dict[str, Any]:
        answer = self.answer(target)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json(parse_float=Decimal)
        return document

    def numbers(self, target: str) -> list[int]:
        return [item["bookedInvoiceNumber"] for item in self.get(f"{target}?pagesize=1000")["collection"]]


@pytest.fixture
def sim() -> Iterator[simulator.InProcess]:
    """A small simulator of one's own."""
    with simulator.running(invoices=60, employees=5) as own:
        yield own


@pytest.fixture
def own(sim: simulator.InProcess) -> Client:
    return Client(sim)


# the ledger changes


def test_today_in_copenhagen_decides_what_is_overdue(sim: simulator.InProcess, own: Client) -> None:
    (number,) = sim.book(date="2026-01-31")
    due = sim.ledger.item(number)["dueDate"]
    sim.control("clock", date=due)
    assert number in own.numbers("/invoices/not-due")
    sim.control("clock", date="2099-01-01")
    assert number in own.numbers("/invoices/overdue")


def test_payments_move_the_remainder_down_and_up(sim: simulator.InProcess, own: Client) -> None:
    (number,) = sim.book(net="100.00", customer=3001)
    gross = sim.ledger.item(number)["grossAmount"]
    assert own.get(f"/invoices/booked/{number}")["remainder"] == gross
    sim.pay(number, "40.25")
    assert own.get(f"/invoices/booked/{number}")["remainder"] == gross - Decimal("40.25")
    sim.pay(number)
    assert own.get(f"/invoices/booked/{number}")["remainder"] == 0
    assert number in own.numbers("/invoices/paid")
    sim.unpay(number, 5)
    assert own.get(f"/invoices/booked/{number}")["remainder"] == 5
    assert number in own.numbers("/invoices/unpaid")
    with pytest.raises(ValueError, match="no invoice 5"):
        sim.pay(5)


def test_invoices_are_booked_backdated_out_of_series_and_removed(
    sim: simulator.InProcess, own: Client
) -> None:
    last = sim.ledger.numbers[-1]
    assert sim.book(2, date="2025-02-03") == [last + 1, last + 2]
    assert sim.book(number=9999999) == [9999999]
    assert sim.book() == [last + 3]
    assert own.numbers("/invoices/booked")[-4:] == [last + 1, last + 2, last + 3, 9999999]
    assert own.get(f"/invoices/booked/{last + 1}")["date"] == "2025-02-03"
    sim.control("remove", number=last + 1)
    assert own.answer(f"/invoices/booked/{last + 1}").status_code == 404
    assert own.get("/invoices/booked")["pagination"]["results"] == 63
    sim.control("restore", number=last + 1)
    assert own.get(f"/invoices/booked/{last + 1}")["date"] == "2025-02-03"
    assert own.numbers("/invoices/booked")[-4:] == [last + 1, last + 2, last + 3, 9999999]


def test_employees_come_go_and_change_names(sim: simulator.InProcess, own: Client) -> None:
    sim.control("rename_employee", number=2, name="Ny Ærø")
    sim.control("add_employee", number=42, name="Fræk", barred=True)
    sim.control("remove_employee", number=1)
    staff = {employee["employeeNumber"]: employee for employee in own.get("/employees")["collection"]}
    assert staff[2]["name"] == "Ny Ærø"
    assert staff[42]["barred"] is True
    assert 1 not in staff
    assert sim.control("ledger")["employees"] == {str(n): e["name"] for n, e in staff.items()}


@pytest.mark.parametrize(
    ("how", "path", "expected"),
    [
        ({"value": None}, "date", '"date":null'),
        ({"value": {"a": [1]}}, "dueDate", '"dueDate":{"a": [1]}'),
        ({"raw": "NaN"}, "remainder", '"remainder":NaN'),
        ({"raw": "1e400"}, "netAmount", '"netAmount":1e400'),
        ({"raw": r'"\ud800"'}, "recipient.name", r'"name":"\ud800"'),
        ({"value": "x"}, "references.salesPerson.employeeNumber", '"employeeNumber":"x"'),
    ],
)
def test_one_field_can_be_spoiled_and_healed(
    sim: simulator.InProcess, own: Client, how: dict[str, Any], path: str, expected: str
) -> None:
    number = sim.ledger.numbers[-1]
    healthy = own.answer("/invoices/booked?skippages=2").content
    sim.spoil(number, path, **how)
    assert expected in own.answer("/invoices/booked?skippages=2").text
    assert expected in own.answer(f"/invoices/booked/{number}").text
    sim.heal(number)
    assert own.answer("/invoices/booked?skippages=2").content == healthy


def test_one_field_can_be_left_out(sim: simulator.InProcess, own: Client) -> None:
    number = sim.ledger.numbers[0]
    sim.spoil(number, "currency", absent=True)
    assert "currency" not in own.get(f"/invoices/booked/{number}")
    assert "currency" in sim.ledger.item(number)


def test_something_happens_exactly_between_two_pages(sim: simulator.InProcess, own: Client) -> None:
    removed = sim.ledger.numbers[0]
    sim.when(1, {"action": "book", "count": 1}, {"action": "remove", "number": removed})
    assert own.get("/self")
    assert own.get("/invoices/booked")["pagination"]["results"] == 60
    assert own.get("/invoices/booked?skippages=1")["pagination"]["results"] == 60
    assert sim.ledger.numbers[0] != removed
    assert own.get("/invoices/booked")["pagination"]["results"] == 60


def test_the_agreement_can_become_another(sim: simulator.InProcess, own: Client) -> None:
    sim.control("agreement", number=7654321)
    assert own.get("/self")["agreementNumber"] == 7654321


def test_requests_are_noted_without_tokens(sim: simulator.InProcess, own: Client) -> None:
    before = time.monotonic()
    own.get("/invoices/booked?pagesize=3")
    own.answer("/nowhere")
    noted = sim.requests()
    assert [(one["path"], one["query"], one["status"]) for one in noted] == [
        ("/invoices/booked", "pagesize=3", 200),
        ("/nowhere", "", 404),
    ]
    assert before <= noted[0]["received"] <= noted[1]["received"] <= time.monotonic()
    assert "X-AppSecretToken" in noted[0]["headers"]
    assert "gzip" in noted[0]["accept_encoding"]
    assert sim.app_secret_token not in json.dumps(noted)
    sim.reset()
    assert sim.requests() == []


# faults


def test_a_fault_strikes_the_request_it_is_meant_for(sim: simulator.InProcess, own: Client) -> None:
    sim.fault("/invoices/booked", "status", at=2, times=2, status=503)
    statuses = [own.answer(path).status_code for path in ["/self", *["/invoices/booked"] * 4]]
    assert statuses == [200, 200, 503, 503, 200]
    sim.fault("/invoices/booked", "status", at="all", status=500, query_contains="skippages=1")
    assert own.answer("/invoices/booked").status_code == 200
    assert [own.answer("/invoices/booked?skippages=1").status_code for _ in range(2)] == [500, 500]
    sim.faults()
    assert own.answer("/invoices/booked?skippages=1").status_code == 200


def test_too_many_requests_with_and_without_retry_after(sim: simulator.InProcess, own: Client) -> None:
    sim.faults(
        {"match": "/", "kind": "status", "status": 429, "headers": {"Retry-After": "3"}},
        {"match": "/", "kind": "status", "status": 429, "at": 2},
        {"match": "/employees", "kind": "status", "status": 403, "at": "all"},
    )
    first, second, third = own.answer("/self"), own.answer("/self"), own.answer("/self")
    assert (first.status_code, first.headers["Retry-After"]) == (429, "3")
    assert (second.status_code, "Retry-After" in second.headers) == (429, False)
    assert second.json()["httpStatusCode"] == 429
    assert third.status_code == 200
    assert own.answer("/employees").status_code == 403
    assert [one["status"] for one in sim.requests()] == [429, 429, 200, 403]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", requests.ConnectionError),
        ("half_body", requests.exceptions.ChunkedEncodingError),
        ("bad_gzip", requests.exceptions.ContentDecodingError),
    ],
)
def test_an_answer_can_be_broken(own: Client, kind: str, error: type[Exception]) -> None:
    own.sim.fault("/invoices/booked", kind)
    with pytest.raises(error):
        own.answer("/invoices/booked")
    assert own.answer("/invoices/booked").status_code == 200


def test_json_can_be_truncated_under_an_honest_length(own: Client) -> None:
    own.sim.fault("/invoices/booked", "half_json")
    answer = own.answer("/invoices/booked")
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_a_gateway_can_answer_in_html(own: Client) -> None:
    own.sim.fault("/self", "html")
    answer = own.answer("/self")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_an_answer_can_take_its_time(own: Client, kind: str) -> None:
    own.sim.fault("/invoices/booked", kind, seconds=0.3)
    started = time.monotonic()
    assert len(own.get("/invoices/booked")["collection"]) == 20
    assert 0.25 < time.monotonic() - started < 2


def test_an_answer_can_lead_elsewhere(own: Client) -> None:
    own.sim.fault("/self", "redirect", location="http://127.0.0.1:1/self", status=307)
    answer = own.answer("/self", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "http://127.0.0.1:1/self")


def test_a_body_and_headers_can_be_given_word_for_word(own: Client) -> None:
    own.sim.faults(
        {"match": "/self", "kind": "body", "body": '{"agreementNumber": "zwölf"'},
        {
            "match": "/self",
            "kind": "headers",
            "headers": {"X-CallCost": None, "X-RateLimiting": None},
            "at": 2,
        },
    )
    assert own.answer("/self").text == '{"agreementNumber": "zwölf"'
    second = own.answer("/self")
    assert second.json()["agreementNumber"] == 1234567
    assert "X-CallCost" not in second.headers


def test_an_unknown_fault_or_action_is_refused(sim: simulator.InProcess) -> None:
    with pytest.raises(ValueError, match="kind magic"):
        sim.fault("/", "magic")
    with pytest.raises(ValueError, match="no action dance"):
        sim.control("dance")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_only_get_is_allowed(own: Client, method: str) -> None:
    answer = own.session.request(method, f"{own.sim.base_url}/invoices/drafts", data=b"{}", timeout=10)
    assert answer.status_code == 405
    assert own.get("/self")  # on the same connection


# as a program


def test_the_program_serves_is_steered_over_http_and_stops() -> None:
    with simulator.process(invoices=40, employees=3, seed=1, agreement=42) as sim:
        own = Client(sim)
        assert own.get("/self")["agreementNumber"] == 42
        number = sim.book(date="2026-02-01", net="10.10")[0]
        sim.pay(number, "1.1")
        item = own.get(f"/invoices/booked/{number}")
        assert (item["netAmount"], item["remainder"]) == (
            Decimal("10.10"),
            item["grossAmount"] - Decimal("1.1"),
        )
        plain = requests.get(f"{sim.base_url}/__control__/invoice/{number}", timeout=10).json(
            parse_float=Decimal
        )
        assert plain["remainder"] == item["remainder"]
        state = requests.get(f"{sim.base_url}/__control__/ledger", timeout=10).json()
        assert state["count"] == 41
        bad = requests.post(
            f"{sim.base_url}/__control__/faults", json=[{"match": "/", "kind": "x"}], timeout=10
        )
        assert bad.status_code == 400
        with pytest.raises(ValueError, match="no invoice 5"):
            sim.pay(5)
        assert [one["path"] for one in sim.requests()] == ["/self", f"/invoices/booked/{number}"]
        sim.control("stop")
        assert sim.process.wait(timeout=5) == 0
    with simulator.process(invoices=5) as sim:
        pass
    assert sim.process.returncode == 0


def test_companies_behind_one_server_are_told_apart_by_their_grant_tokens() -> None:
    with simulator.process(invoices=40, companies=3) as sim:
        seen = []
        for grant in ("", "-2", "-3"):
            own = Client(sim)
            own.session.headers["X-AgreementGrantToken"] = sim.agreement_grant_token + grant
            items = own.get("/invoices/booked?pagesize=1000")["collection"]
            seen.append((own.get("/self")["agreementNumber"], [item["netAmount"] for item in items]))
        assert [number for number, _ in seen] == [1234567, 1234568, 1234569]
        assert all(len(amounts) == 40 for _, amounts in seen)
        assert seen[0][1] != seen[1][1] != seen[2][1]
        own.session.headers["X-AgreementGrantToken"] += "4"
        assert own.answer("/self").status_code == 401
        own.session.headers.update(
            {
                "X-AgreementGrantToken": f"{sim.agreement_grant_token}-2",
                "X-AppSecretToken": "other",
            }
        )
        assert own.answer("/self").status_code == 401


def test_a_stopped_simulator_answers_nobody() -> None:
    with simulator.running(invoices=5) as sim:
        own = Client(sim)
        assert own.get("/self")
    with pytest.raises(requests.ConnectionError):
        own.answer("/self")


def test_it_never_touches_the_package_under_test() -> None:
    code = "import simulator, simulator.__main__, sys; sys.exit('economic' in sys.modules or 'requests' in sys.modules)"
    folder = Path(simulator.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0
