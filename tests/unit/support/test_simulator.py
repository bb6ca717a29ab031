"""The stand-in for e-conomic behaves as the description of the API says, over real HTTP.

What a test may change, the tests of the product prove: they see each payment, booking, removal, spoiled field and step between two pages.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

import simulator
from simulator.books import LAST_DAY, Books
from simulator.ledger import Ledger
from simulator.mover import Mover

INVOICES = 1300
BOOKED, UNPAID, TOTALS = "/invoices/booked", "/invoices/unpaid", "/invoices/totals"
Item = dict[str, Any]


class Client:
    """A session with the right tokens, and amounts read as Decimal."""

    def __init__(self, sim: simulator.Simulator) -> None:
        self.sim = sim
        self.session = requests.Session()
        self.session.headers.update(sim.headers)

    def answer(self, target: str, **options: Any) -> requests.Response:
        return self.session.get(self.sim.base_url + target, timeout=10, **options)

    def get(self, target: str) -> Item:
        answer = self.answer(target)
        assert answer.status_code == 200, answer.text
        document: Item = answer.json(parse_float=Decimal)
        return document

    def items(self, path: str, **parameters: Any) -> list[Item]:
        """Follow the links to the next page to the end."""
        query = "&".join(f"{name}={value}" for name, value in ({"pagesize": 1000} | parameters).items())
        page = self.get(f"{path}?{query}")
        found: list[Item] = page["collection"]
        while following := page["pagination"].get("nextPage"):
            page = self.get(following.removeprefix(self.sim.base_url))
            found += page["collection"]
        return found


@pytest.fixture(scope="module")
def still() -> Iterator[simulator.InProcess]:
    """A simulator that no test changes."""
    with simulator.running(invoices=INVOICES, seed=7) as sim:
        yield sim


@pytest.fixture(scope="module")
def client(still: simulator.InProcess) -> Client:
    return Client(still)


def test_pages_link_to_pages_that_exist(client: Client) -> None:
    base, counts = client.sim.base_url, {"results": INVOICES, "resultsWithoutFilter": INVOICES}
    first = client.get(f"{BOOKED}?filter=bookedInvoiceNumber$gt:5")
    assert len(first["collection"]) == 20
    tail = "&pagesize=20&filter=bookedInvoiceNumber$gt:5"
    links = {"firstPage": 0, "nextPage": 1, "lastPage": 64}
    assert first["pagination"] == {
        "maxPageSizeAllowed": 1000, "skipPages": 0, "pageSize": 20, **counts,
        **{name: f"{base}{BOOKED}?skippages={page}{tail}" for name, page in links.items()},
    }  # fmt: skip
    last = client.get(f"{BOOKED}?skippages=1&pagesize=1000")["pagination"]
    assert set(last) & {"previousPage", "nextPage"} == {"previousPage"}
    nothing = client.get(f"{BOOKED}?filter=bookedInvoiceNumber$gt:99999999")
    assert (nothing["collection"], nothing["pagination"]["results"]) == ([], 0)
    assert "firstPage" not in nothing["pagination"]


@pytest.mark.parametrize(
    ("path", "filter_text", "belongs"),
    [
        (BOOKED, "", lambda i: True),
        (BOOKED, "bookedInvoiceNumber$gt:10050", lambda i: i["bookedInvoiceNumber"] > 10050),
        (BOOKED, "bookedInvoiceNumber$lte:10050", lambda i: i["bookedInvoiceNumber"] <= 10050),
        (BOOKED, "bookedInvoiceNumber$gt:10050$and:date$gte:2024-01-01$and:date$lt:2025-01-01",
         lambda i: i["bookedInvoiceNumber"] > 10050 and i["date"][:4] == "2024"),
        (BOOKED, "bookedInvoiceNumber$in:[10060,10007,10050,10007,5]", lambda i: i["bookedInvoiceNumber"] in (10007, 10050, 10060)),
        (BOOKED, "bookedInvoiceNumber$in:[10007,10050]$and:bookedInvoiceNumber$gt:10007", lambda i: i["bookedInvoiceNumber"] == 10050),
        (BOOKED, f"bookedInvoiceNumber$in:{[*range(10001, 10201)]}", lambda i: i["bookedInvoiceNumber"] <= 10200),
        ("/employees", "employeeNumber$gt:3", lambda e: e["employeeNumber"] > 3),
    ],
)  # fmt: skip
def test_a_filter_selects(
    client: Client, path: str, filter_text: str, belongs: Callable[[Item], bool]
) -> None:
    key = "bookedInvoiceNumber" if path == BOOKED else "employeeNumber"
    truth = {BOOKED: client.sim.ledger.items(), "/employees": client.sim.ledger.employees()}  # type: ignore[attr-defined]
    expected = [item for _, item in sorted(truth[path].items()) if belongs(item)]
    assert client.items(path, pagesize=400, sort=key, filter=filter_text) == expected


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        (f"{BOOKED}?pagesize=1001", 400, "The page size 1001 exceeds"),
        (f"{BOOKED}?pagesize=0", 400, "Could not parse query string pagesize"),
        (f"{BOOKED}?skippages=-1", 400, "Could not parse query string skippages"),
        (f"{BOOKED}?filter=remainder$gt:0", 400, "Could not parse query string filter"),
        (f"{BOOKED}?filter=date$gte:2026-1-1", 400, "Could not parse query string filter"),
        (f"{BOOKED}?filter=date$gte:2026-01-01$or:bookedInvoiceNumber$gt:1", 400, "Could not parse"),
        (
            f"{BOOKED}?filter=bookedInvoiceNumber$in:{[*range(201)]}",
            400,
            "Could not parse query string filter",
        ),
        (f"{BOOKED}?filter=bookedInvoiceNumber$in:10007", 400, "Could not parse query string filter"),
        (f"{BOOKED}?filter=bookedInvoiceNumber$in:[]", 400, "Could not parse query string filter"),
        (f"{BOOKED}?sort=-date", 400, "Could not parse query string sort parameter"),
        ("/customers", 404, "Resource not found."),
        (f"{BOOKED}/", 404, "Resource not found."),
    ],
)
def test_a_question_is_refused(client: Client, target: str, status: int, message: str) -> None:
    answer = client.answer(target)
    body = answer.json()
    assert (answer.status_code, body["httpStatusCode"]) == (status, status)
    assert body["message"].startswith(message)
    assert {"developerHint", "logId", "logTime"} <= set(body)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, None)),
        ({"X-AppSecretToken": "a"}, (401, None)),
        ({"X-AppSecretToken": "a", "X-AgreementGrantToken": "b"}, (401, "E02250")),
        ({"X-AppSecretToken": "demo", "X-AgreementGrantToken": "demo"}, (200, None)),
    ],
)
def test_tokens_are_checked(
    still: simulator.InProcess, headers: dict[str, str], expected: tuple[int, str | None]
) -> None:
    answer = requests.get(f"{still.base_url}/self", headers=headers, timeout=10)
    assert (answer.status_code, answer.json().get("errorCode")) == expected


def test_answers_are_packed_when_asked(client: Client) -> None:
    packed = client.answer(BOOKED)
    plain = client.answer(BOOKED, headers={"Accept-Encoding": "identity"})
    assert [one.headers.get("Content-Encoding") for one in (packed, plain)] == ["gzip", None]
    assert plain.content == packed.content


def test_the_books_are_a_companys(client: Client) -> None:
    """All that the tests of the product rely on: what is rare, what is missing, what adds up, in every spelling."""
    items = client.items(BOOKED)
    text = client.answer(f"{BOOKED}?pagesize=1000").text
    text += client.answer(f"{BOOKED}?pagesize=1000&skippages=1").text
    assert {item["currency"] for item in items} == {"DKK", "EUR", "SEK", "USD", "NOK"}
    for missing in ("dueDate", "orderNumber", "notes", "references"):
        assert 0 < sum(missing not in item for item in items) < INVOICES, missing
    for letters in (*"æøåÆØÅé", r"\r\n", r"\n", "vendorReference", '"project"', "mobilePhone"):
        assert letters in text, letters
    for spelling in ('"exchangeRate":100.0,', '"exchangeRate":100.000000', '":0.0,', '":0.00,'):
        assert spelling in text, spelling
    sellers = {item.get("references", {}).get("salesPerson", {}).get("employeeNumber") for item in items}
    assert sellers - set(client.sim.ledger.staff) == {None, 99}  # type: ignore[attr-defined]
    notes = [item for item in items if item["netAmount"] < 0]
    assert 0.01 < len(notes) / INVOICES < 0.06
    assert all(note["grossAmount"] < 0 and note["vatAmount"] <= 0 >= note["remainder"] for note in notes)
    for item in items:
        rate = item["exchangeRate"] / 100
        assert item["netAmount"] + item["vatAmount"] == item["grossAmount"]
        for amount in ("netAmount", "grossAmount", "remainder"):
            assert abs(item[amount] * rate - item[f"{amount}InBaseCurrency"]) <= Decimal("0.005")
    total = client.get("/invoices/totals")["booked"]
    unpaid = [item for item in items if item["remainder"]]
    assert total["unpaid"]["invoiceCount"] == len(unpaid) == INVOICES - total["paid"]["invoiceCount"]


def test_the_same_seed_gives_the_same_books(still: simulator.InProcess) -> None:
    assert [one for one in Books(INVOICES, 10, 7).invoices()] == [*still.ledger.books.invoices()]
    usual, asked = Books(300, 5, 1), Books(300, 5, 1, sold_every=1, until=date(2030, 2, 1))
    assert {one.sales_person is None for one in usual.invoices()} == {True, False}
    assert {one.sales_person is None for one in asked.invoices()} == {False}
    later = timedelta(days=(date(2030, 2, 1) - LAST_DAY).days)
    for before, after in zip(usual.invoices(), asked.invoices(), strict=True):
        assert date.fromisoformat(after.date) - date.fromisoformat(before.date) == later
        assert (after.number, after.net, after.customer) == (before.number, before.net, before.customer)
    assert [one.net for one in Books(300, 5, 2).invoices()] != [one.net for one in usual.invoices()]


@pytest.fixture
def changing() -> Iterator[Client]:
    with simulator.running(invoices=INVOICES, seed=7) as sim:
        yield Client(sim)


def open_items(client: Client, *, negative: bool = True) -> list[Item]:
    """Return the unpaid invoices out of the listing of all; fail unless `/unpaid` and the totals agree with them."""
    items = client.items(BOOKED)
    expected = [item for item in items if item["remainder"] > 0 or (negative and item["remainder"])]
    listed = client.items(UNPAID, pagesize=40, sort="bookedInvoiceNumber")
    assert [one["bookedInvoiceNumber"] for one in listed] == [one["bookedInvoiceNumber"] for one in expected]
    for one, item in zip(listed, expected, strict=True):
        assert one.items() <= item.items()
    totals = client.get(TOTALS)["booked"]
    assert _sums(items) == (totals["invoiceCount"], totals["netAmountInBaseCurrency"])
    unpaid = totals["unpaid"]
    assert _sums(expected) == (unpaid["invoiceCount"], unpaid["netAmountInBaseCurrency"])
    assert sum(one["remainderInBaseCurrency"] for one in listed) == unpaid["grossRemainderInBaseCurrency"]
    return listed


def remainders(client: Client) -> dict[int, Decimal]:
    return {item["bookedInvoiceNumber"]: item["remainder"] for item in open_items(client)}


def _sums(items: list[Item]) -> tuple[int, Decimal]:
    return len(items), sum((item["netAmountInBaseCurrency"] for item in items), Decimal())


def test_unpaid_agrees_with_totals_in_either_reading(changing: Client) -> None:
    both = open_items(changing)
    assert {item["remainder"] > 0 for item in both} == {True, False}
    changing.sim.unpaid(negative=False)
    assert open_items(changing, negative=False) == [item for item in both if item["remainder"] > 0]


def test_unpaid_is_paged_by_number(client: Client) -> None:
    found: list[Item] = []
    while True:
        above = f"&filter=bookedInvoiceNumber$gt:{found[-1]['bookedInvoiceNumber']}" if found else ""
        page = client.get(f"{UNPAID}?sort=bookedInvoiceNumber&pagesize=20{above}")
        assert page["pagination"]["resultsWithoutFilter"] - page["pagination"]["results"] == len(found)
        found += page["collection"]
        if len(page["collection"]) < 20:
            break
    assert found == open_items(client)


def test_unpaid_items_lack_what_they_are_told(changing: Client) -> None:
    number = changing.get(UNPAID)["collection"][0]["bookedInvoiceNumber"]
    changing.sim.spoil(number, "exchangeRate", value="a,b")
    rate, gross = "exchangeRate", "grossAmountInBaseCurrency"
    for lacking in ((rate,), (rate, gross), (gross,), ()):
        changing.sim.unpaid(lacking=lacking)
        for item in changing.items(UNPAID):
            assert {rate, gross} - item.keys() == set(lacking)
        assert changing.items(BOOKED)[0].keys() >= {rate, gross}
    with pytest.raises(ValueError, match="always have remainder"):
        changing.sim.unpaid(lacking=["remainder"])


def test_every_change_shows_in_listing_and_totals(changing: Client) -> None:
    sim, before = changing.sim, open_items(changing)
    owing = next(item for item in before if item["remainder"] > 2)
    number = owing["bookedInvoiceNumber"]

    def left() -> Decimal | None:
        return remainders(changing).get(number)

    sim.pay(number, "1.50")
    assert left() == owing["remainder"] - Decimal("1.50")
    sim.pay(number)
    assert left() is None
    sim.unpay(number, "0.75")
    assert left() == Decimal("0.75")
    sim.control("remove", number=number)
    assert left() is None
    sim.control("restore", number=number)
    assert left() == Decimal("0.75")
    assert sim.book(number=77) == [77]
    assert open_items(changing)[0]["bookedInvoiceNumber"] == 77


def test_books_move_by_themselves(changing: Client) -> None:
    """Listing and totals agree after each move; invoices are booked, paid wholly and in part, credited and reopened."""
    ledger, kinds, now = changing.sim.ledger, set(), [0.0]  # type: ignore[attr-defined]
    mover = Mover(ledger, lambda: now[0])
    mover.set_rate(30)
    for second in range(120):
        before = {number: one.remainder for number, one in ledger.invoices.items()}
        now[0] = second
        mover.catch_up()
        after = {number: one.remainder for number, one in ledger.invoices.items()}
        changed = [number for number in after if after[number] != before.get(number)]
        assert len(changed) <= (2 if second % 2 == 0 else 0)
        for number in changed:
            was, left = before.get(number), after[number]
            kinds.add("booked" if was is None else "reopened" if not was else "in part" if left else "wholly")
            kinds |= {"credited"} if left < 0 else set()
    assert kinds == {"booked", "reopened", "in part", "wholly", "credited"}
    open_items(changing)


def test_moves_are_the_same_for_a_seed() -> None:
    found = []
    for moves in ((40,), (1, 39)):
        with simulator.running(invoices=200, seed=3) as sim:
            for count in moves:
                sim.move(count)
            items = Client(sim).items(BOOKED)
            assert len(items) > 205
            found.append([(one["bookedInvoiceNumber"], one["remainder"]) for one in items])
    assert found[0] == found[1]


def test_a_moving_program_answers_consistently() -> None:
    with simulator.process(invoices=300, companies=2, moves_per_minute=60_000) as sim:
        for grant in ("", "-2"):
            own = Client(sim)
            own.session.headers["X-AgreementGrantToken"] = sim.agreement_grant_token + grant
            counts = {own.get(TOTALS)["booked"]["invoiceCount"] for _ in range(10)}
            assert len(counts) > 1
        sim.moves(0)
        first, second = (open_items(Client(sim)) for _ in range(2))
        assert first == second


def test_a_credit_note_is_matched_and_unmatched(changing: Client) -> None:
    sim = changing.sim
    item = next(one for one in changing.items(UNPAID) if one["remainder"] > 2 and one["currency"] != "DKK")
    number, gross, half = item["bookedInvoiceNumber"], item["grossAmount"], item["remainder"] / 2
    sim.pay(number, half.quantize(Decimal("0.01")))
    before = remainders(changing)
    note = sim.credit(number)
    assert remainders(changing) == before | {note: -gross}
    booked = changing.items(BOOKED)[-1]
    for amount in ("netAmountInBaseCurrency", "grossAmountInBaseCurrency", "vatAmount"):
        assert booked[amount] == -next(
            one[amount] for one in changing.items(BOOKED) if one["bookedInvoiceNumber"] == number
        )
    sim.match(number, note)
    left = before.keys() - {number} | {note}
    assert remainders(changing) == {n: (before | {note: before[number] - gross})[n] for n in left}
    with pytest.raises(ValueError, match="nothing to match"):
        sim.match(number, note)
    with pytest.raises(ValueError, match="are not matched"):
        sim.unmatch(note, number)
    sim.unmatch(number, note)
    assert remainders(changing) == before | {note: -gross}


# as a program


def test_the_program_serves_several_companies() -> None:
    """It is steered over HTTP, and tells its companies apart by their grant tokens."""
    with simulator.process(invoices=40, companies=3) as sim:
        seen = {}
        for grant in ("", "-2", "-3"):
            own = Client(sim)
            own.session.headers["X-AgreementGrantToken"] = sim.agreement_grant_token + grant
            amounts = tuple(item["netAmount"] for item in own.items(BOOKED))
            seen[amounts] = (own.get("/self")["agreementNumber"], len(amounts))
        assert [*seen.values()] == [(1234567, 40), (1234568, 40), (1234569, 40)]
        own.session.headers["X-AgreementGrantToken"] = f"{sim.agreement_grant_token}-4"
        assert own.answer("/self").status_code == 401
        (number,) = sim.book(date="2026-02-01")
        assert Client(sim).items(BOOKED)[-1]["bookedInvoiceNumber"] == number
        for refused in (lambda: sim.pay(5), lambda: sim.fault("/", "magic"), lambda: sim.control("dance")):
            with pytest.raises(ValueError, match=r"no invoice 5|kind magic|no action dance"):
                refused()
    assert sim.process.returncode == 0


def test_it_never_touches_the_package_under_test() -> None:
    code = "import simulator, simulator.__main__, sys; sys.exit('economic' in sys.modules or 'requests' in sys.modules)"
    folder = Path(simulator.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


def test_moves_are_made_again_by_the_next_process(tmp_path: Path) -> None:
    kept = tmp_path / "moves.json"
    books = []
    for count in (40, 0):
        ledger = Ledger(Books(200, 4, 1))
        mover = Mover(ledger)
        mover.keep_in(kept)
        mover.move(count)
        books.append(ledger.items())
    assert books[0] == books[1] != Ledger(Books(200, 4, 1)).items()
