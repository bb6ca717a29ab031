"""The stand-in for e-conomic behaves as the description of the API says, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

import simulator
from simulator.books import LAST_DAY, Books

INVOICES = 1300
REAL_HOST = "https://restapi.e-conomic.com"


class Client:
    """A session with the right tokens, and amounts read as Decimal."""

    def __init__(self, sim: simulator.Simulator) -> None:
        self.sim = sim
        self.session = requests.Session()
        self.session.headers.update(sim.headers)

    def answer(self, target: str, **options: Any) -> requests.Response:
        url = target if target.startswith("http") else self.sim.base_url + target
        return self.session.get(url, timeout=10, **options)

    def get(self, target: str) -> dict[str, Any]:
        answer = self.answer(target)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json(parse_float=Decimal)
        return document

    def numbers(self, target: str) -> list[int]:
        """Follow the links to the next page to the end."""
        found: list[int] = []
        following: str | None = target
        while following:
            page = self.get(following)
            found += [item["bookedInvoiceNumber"] for item in page["collection"]]
            following = page["pagination"].get("nextPage")
        return found

    def all(self, view: str) -> list[dict[str, Any]]:
        pages = [self.get(f"/invoices/{view}?pagesize=1000&skippages={skip}") for skip in range(2)]
        return [item for page in pages for item in page["collection"]]


@pytest.fixture(scope="module")
def still() -> Iterator[simulator.InProcess]:
    """A simulator that no test changes."""
    with simulator.running(invoices=INVOICES, seed=7) as sim:
        yield sim


@pytest.fixture(scope="module")
def client(still: simulator.InProcess) -> Client:
    return Client(still)


# pages


def test_a_page_has_20_invoices_unless_told_otherwise(client: Client) -> None:
    page = client.get("/invoices/booked")
    base = client.sim.base_url
    assert len(page["collection"]) == 20
    assert page["pagination"] == {
        "maxPageSizeAllowed": 1000,
        "skipPages": 0,
        "pageSize": 20,
        "results": INVOICES,
        "resultsWithoutFilter": INVOICES,
        "firstPage": f"{base}/invoices/booked?skippages=0&pagesize=20",
        "nextPage": f"{base}/invoices/booked?skippages=1&pagesize=20",
        "lastPage": f"{base}/invoices/booked?skippages=64&pagesize=20",
    }
    assert page["self"] == f"{base}/invoices/booked"


def test_a_page_of_more_than_1000_is_refused(client: Client) -> None:
    answer = client.answer("/invoices/booked?pagesize=1001")
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E04810")
    assert len(client.get("/invoices/booked?pagesize=1000")["collection"]) == 1000


@pytest.mark.parametrize("query", ["pagesize=0", "pagesize=x", "skippages=-1", "pagesize=-5"])
def test_a_page_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert client.answer(f"/invoices/booked?{query}").status_code == 400


def test_following_the_links_gives_every_number_once(client: Client, still: simulator.InProcess) -> None:
    assert client.numbers("/invoices/booked?pagesize=300&sort=bookedInvoiceNumber") == still.ledger.numbers
    assert len(still.ledger.numbers) == len(set(still.ledger.numbers)) == INVOICES


def test_following_the_keys_gives_every_number_once(client: Client, still: simulator.InProcess) -> None:
    found: list[int] = []
    while True:
        last = found[-1] if found else 0
        page = client.get(
            f"/invoices/booked?pagesize=400&sort=bookedInvoiceNumber&filter=bookedInvoiceNumber$gt:{last}"
        )
        assert page["pagination"]["results"] == INVOICES - len(found)
        assert page["pagination"]["resultsWithoutFilter"] == INVOICES
        found += [item["bookedInvoiceNumber"] for item in page["collection"]]
        if "nextPage" not in page["pagination"]:
            break
    assert found == still.ledger.numbers


def test_the_last_page_has_no_next_and_the_links_keep_the_question(client: Client) -> None:
    query = "skippages=1&pagesize=1000&filter=currency$ne:X&sort=-date&demo=true"
    links = client.get(f"/invoices/booked?{query}")["pagination"]
    assert "nextPage" not in links
    for name, page in (("firstPage", 0), ("previousPage", 0), ("lastPage", 1)):
        tail = f"?skippages={page}&pagesize=1000&filter=currency$ne:X&sort=-date&demo=true"
        assert links[name] == f"{client.sim.base_url}/invoices/booked{tail}"


def test_no_results_have_no_links_but_a_hint(client: Client) -> None:
    page = client.get("/invoices/booked?filter=bookedInvoiceNumber$gt:99999999")
    assert page["collection"] == []
    assert page["pagination"].pop("developerHint")
    assert page["pagination"] == {
        "maxPageSizeAllowed": 1000, "skipPages": 0, "pageSize": 20, "results": 0, "resultsWithoutFilter": INVOICES,
    }  # fmt: skip


def test_past_the_end_is_empty_but_counts(client: Client) -> None:
    page = client.get("/invoices/booked?skippages=9&pagesize=1000")
    assert (page["collection"], page["pagination"]["results"]) == ([], INVOICES)
    assert "nextPage" not in page["pagination"]


# documents


def test_the_books_end_and_are_sold_as_asked() -> None:
    usual, asked = Books(300, 5, 1), Books(300, 5, 1, sold_every=1, until=date(2030, 2, 1))
    assert {one.sales_person is None for one in usual.invoices()} == {True, False}
    assert {one.sales_person is None for one in asked.invoices()} == {False}
    assert "2030-01-01" < max(one.date for one in asked.invoices()) <= "2030-02-01"
    later = (date(2030, 2, 1) - LAST_DAY).days
    for before, after in zip(usual.invoices(), asked.invoices(), strict=True):
        assert date.fromisoformat(after.date) - date.fromisoformat(before.date) == timedelta(days=later)
        assert (after.number, after.net, after.customer) == (before.number, before.net, before.customer)


def test_the_documents_look_like_a_companys_books(client: Client) -> None:
    items = client.all("booked")
    sold = [item for item in items if "salesPerson" in item.get("references", {})]
    sellers = {item["references"]["salesPerson"]["employeeNumber"] for item in sold}
    text = json.dumps(items, ensure_ascii=False, default=str)
    assert len(items) == INVOICES
    assert 0.3 < len(sold) / INVOICES < 0.4
    assert {"DKK", "EUR", "SEK", "USD", "NOK"} == {item["currency"] for item in items}
    for missing in ("dueDate", "orderNumber", "notes", "references"):
        assert 0 < sum(missing not in item for item in items) < INVOICES, missing
    assert {
        "daysOfCredit" in item["paymentTerms"]
        for item in items
        if item["paymentTerms"]["paymentTermsType"] == "dueDate"
    } == {False}
    for letters in (
        "æ",
        "ø",
        "å",
        "Æ",
        "Ø",
        "Å",
        "é",
        r"\r\n",
        r"\n",
        "vendorReference",
        '"project"',
        "mobilePhone",
    ):
        assert letters in text, letters
    assert sellers - set(client.sim.ledger.staff) == {99}  # type: ignore[attr-defined]
    assert 900 < len(text) / INVOICES < 1600


def test_amounts_are_consistent(client: Client) -> None:
    for item in client.all("booked"):
        rate = item["exchangeRate"] / 100
        assert item["netAmount"] + item["vatAmount"] == item["grossAmount"]
        assert abs(item["netAmount"] * rate - item["netAmountInBaseCurrency"]) <= Decimal("0.005")
        assert abs(item["grossAmount"] * rate - item["grossAmountInBaseCurrency"]) <= Decimal("0.005")
        assert abs(item["remainder"] * rate - item["remainderInBaseCurrency"]) <= Decimal("0.005")
        assert (item["currency"] == "DKK") == (rate == 1)


def test_credit_notes_are_negative_throughout(client: Client) -> None:
    notes = [item for item in client.all("booked") if item["netAmount"] < 0]
    assert 0.01 * INVOICES < len(notes) < 0.06 * INVOICES
    for note in notes:
        assert note["grossAmount"] < 0
        assert note["vatAmount"] <= 0
        assert note["remainder"] <= 0
    lines = client.get(f"/invoices/booked/{notes[0]['bookedInvoiceNumber']}")["lines"]
    assert sum(line.get("totalNetAmount", 0) for line in lines) == notes[0]["netAmount"]


def test_numbers_are_spelled_in_old_and_new_ways(client: Client) -> None:
    text = client.answer("/invoices/booked?pagesize=1000").text + client.answer("/invoices/booked/10001").text
    text += client.answer("/invoices/booked?pagesize=1000&skippages=1").text
    for spelling in (
        '"exchangeRate":100.0,',
        '"exchangeRate":100.000000',
        '":0.0,',
        '":0.00,',
        '"vatRate":25.00000000',
    ):
        assert spelling in text, spelling


def test_the_single_invoice_is_the_item_with_its_lines(client: Client, still: simulator.InProcess) -> None:
    for number in still.ledger.numbers[:200:20]:
        single = client.get(f"/invoices/booked/{number}")
        assert sum(line.get("totalNetAmount", 0) for line in single.pop("lines")) == single["netAmount"]
        assert single == still.ledger.item(number)


def test_links_of_documents_name_the_real_host(client: Client) -> None:
    item = client.get("/invoices/booked")["collection"][0]
    own = f"{REAL_HOST}/invoices/booked/{item['bookedInvoiceNumber']}"
    assert (item["self"], item["sent"], item["pdf"]["download"]) == (own, f"{own}/sent", f"{own}/pdf")
    assert client.sim.base_url not in json.dumps(item, default=str)


def test_the_same_seed_gives_the_same_bytes_on_another_port(
    still: simulator.InProcess, client: Client
) -> None:
    target = "/invoices/booked?pagesize=1000"
    with simulator.running(invoices=INVOICES, seed=7) as other:
        mine, theirs = client.answer(target), Client(other).answer(target)
        assert mine.content == theirs.content.replace(other.base_url.encode(), still.base_url.encode())
    with simulator.running(invoices=50, seed=8) as other:
        assert other.ledger.items() != {n: still.ledger.item(n) for n in still.ledger.numbers[:50]}


# views and totals


def test_the_views_part_the_books(client: Client) -> None:
    of = {view: set(client.numbers(f"/invoices/{view}?pagesize=1000")) for view in
          ("booked", "paid", "unpaid", "overdue", "not-due")}  # fmt: skip
    assert of["paid"] | of["unpaid"] == of["booked"]
    assert not of["paid"] & of["unpaid"]
    assert of["overdue"] | of["not-due"] == of["unpaid"]
    assert not of["overdue"] & of["not-due"]
    assert all(of.values())


def test_the_totals_add_up_to_the_listing(client: Client) -> None:
    total = client.get("/invoices/totals")
    booked, unpaid = total["booked"], total["booked"]["unpaid"]
    places = {
        "booked": booked, "paid": booked["paid"], "unpaid": unpaid, "overdue": unpaid["overdue"],
        "not-due": unpaid["notOverdue"],
    }  # fmt: skip
    for view, place in places.items():
        items = client.all(view)
        assert place["invoiceCount"] == len(items)
        assert place["netAmountInBaseCurrency"] == sum(item["netAmountInBaseCurrency"] for item in items)
        if "grossRemainderInBaseCurrency" in place:
            assert place["grossRemainderInBaseCurrency"] == sum(
                item["remainderInBaseCurrency"] for item in items
            )
    assert client.get("/invoices/totals/booked")["invoiceCount"] == INVOICES
    assert client.get("/invoices/totals/booked")["maxDate"] == max(
        item["date"] for item in client.all("booked")
    )
    overdue = client.get("/invoices/totals/booked/unpaid/overdue")
    assert overdue["invoiceCount"] == unpaid["overdue"]["invoiceCount"]


# filters and orders


@pytest.mark.parametrize(
    ("query", "belongs"),
    [
        ("bookedInvoiceNumber$eq:10005", lambda i: i["bookedInvoiceNumber"] == 10005),
        ("bookedInvoiceNumber$lte:10050", lambda i: i["bookedInvoiceNumber"] <= 10050),
        ("bookedInvoiceNumber$in:[10001,10002,7]", lambda i: i["bookedInvoiceNumber"] in (10001, 10002)),
        ("bookedInvoiceNumber$nin:[10001]", lambda i: i["bookedInvoiceNumber"] != 10001),
        ("date$gte:2024-01-01$and:date$lt:2025-01-01", lambda i: i["date"][:4] == "2024"),
        ("currency$eq:eur$or:currency$eq:SEK", lambda i: i["currency"] in ("EUR", "SEK")),
        ("(currency$eq:EUR$or:currency$eq:SEK)$and:date$gt:2024-12-31",
         lambda i: i["currency"] in ("EUR", "SEK") and i["date"] > "2024-12-31"),
        ("exchangeRate$gt:100", lambda i: i["exchangeRate"] > 100),
        ("references.salesPerson.employeeNumber$eq:3",
         lambda i: i.get("references", {}).get("salesPerson", {}).get("employeeNumber") == 3),
        ("references.salesPerson.employeeNumber$ne:$null:", lambda i: "salesPerson" in i.get("references", {})),
        ("recipient.ean$eq:$null:", lambda i: "ean" not in i["recipient"]),
        ("recipient.name$like:byg", lambda i: "byg" in i["recipient"]["name"].lower()),
        ("recipient.name$like:*a/s", lambda i: i["recipient"]["name"].lower().endswith("a/s")),
        ("recipient.name$like:[fæ]*", lambda i: i["recipient"]["name"][0].lower() in "fæ"),
        ("notes.heading$eq:Serviceaftale, 1. kvartal",
         lambda i: i.get("notes", {}).get("heading") == "Serviceaftale, 1. kvartal"),
        ("notes.heading$eq:Serviceaftale$, 1. kvartal",
         lambda i: i.get("notes", {}).get("heading") == "Serviceaftale, 1. kvartal"),
        ("recipient.zip$eq:0999", lambda i: i["recipient"]["zip"] == "0999"),
        ("currency$in:[EUR,SEK]", lambda i: False),
    ],
)  # fmt: skip
def test_a_filter_selects(client: Client, query: str, belongs: Any) -> None:
    expected = [item["bookedInvoiceNumber"] for item in client.all("booked") if belongs(item)]
    url = requests.Request(
        "GET", f"{client.sim.base_url}/invoices/booked", params={"filter": query, "pagesize": "1000"}
    )
    assert client.numbers(str(url.prepare().url)) == expected


@pytest.mark.parametrize(
    "query",
    [
        "remainder$gt:0",
        "dueDate$lt:2026-01-01",
        "grossAmount$eq:1",
        "lastUpdated$gte:2026-01-01T00:00:00Z",
        "orderNumber$eq:1",
    ],
)
def test_some_properties_cannot_be_filtered(client: Client, query: str) -> None:
    answer = client.answer(f"/invoices/booked?filter={query}")
    body = answer.json()
    assert answer.status_code == 400
    assert body["message"] == "Could not parse query string filter."
    assert body["errors"] == [f"Filtering is not allowed on property '{query.split('$')[0]}'."]
    assert "bookedInvoiceNumber" in body["allowedFilteringFields"]
    assert body["httpStatusCode"] == 400


@pytest.mark.parametrize(
    "query",
    [
        "bookedInvoiceNumber", "bookedInvoiceNumber$eq:x", "(date$eq:2026-01-01", "date$eq:2026-1-1",
        "date$eq:2026-01-01$and:", "currency$eq:a)",
        "bookedInvoiceNumber$in:1,2", "notes.heading$eq:5$", "bookedInvoiceNumber$in:[" + "1," * 200 + "1]",
    ],
)  # fmt: skip
def test_a_broken_filter_is_refused(client: Client, query: str) -> None:
    assert client.answer(f"/invoices/booked?filter={query}").status_code == 400


@pytest.mark.parametrize("name", ["dueDate", "remainder", "-grossAmount", "nothing"])
def test_some_properties_cannot_be_sorted_by(client: Client, name: str) -> None:
    answer = client.answer(f"/invoices/booked?sort={name}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Could not parse query string sort parameter")


def test_an_order_is_kept(client: Client) -> None:
    items = client.all("booked")
    expected = [i["bookedInvoiceNumber"] for i in sorted(items, key=lambda i: i["bookedInvoiceNumber"])]
    assert client.numbers("/invoices/booked?pagesize=1000&sort=-bookedInvoiceNumber") == expected[::-1]
    by_date = sorted(items, key=lambda i: i["bookedInvoiceNumber"])
    by_date.sort(key=lambda i: i["date"], reverse=True)
    expected = [i["bookedInvoiceNumber"] for i in by_date]
    assert client.numbers("/invoices/booked?pagesize=1000&sort=-date,bookedInvoiceNumber") == expected


# employees and the rest


def test_employees_are_listed_and_one_is_barred(client: Client) -> None:
    staff = client.get("/employees?pagesize=1000&sort=employeeNumber")["collection"]
    assert [employee["employeeNumber"] for employee in staff] == list(range(1, 11))
    assert [employee.get("barred") for employee in staff] == [None] * 9 + [True]
    assert client.get("/employees/3") == staff[2]
    assert client.answer("/employees/99").status_code == 404
    assert client.answer("/employees?filter=email$eq:x").status_code == 400
    assert len(client.get("/employees?filter=barred$eq:true")["collection"]) == 1
    names = [employee["name"].casefold() for employee in client.get("/employees?sort=-name")["collection"]]
    assert names == sorted(names, reverse=True)


def test_the_agreement_names_itself(client: Client) -> None:
    me = client.get("/self")
    assert (me["agreementNumber"], me["settings"]["baseCurrency"]) == (1234567, "DKK")
    assert client.get("/invoices")["notDue"] == f"{REAL_HOST}/invoices/not-due"
    assert client.get("/invoices/drafts")["collection"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/invoices/booked/1",
        "/invoices/booked/overdue",
        "/customers",
        "/invoices/booked/",
        "/invoices/overdue/",
    ],
)
def test_anything_else_is_not_found(client: Client, path: str) -> None:
    answer = client.answer(path)
    body = answer.json()
    assert answer.status_code == 404
    assert set(body) == {"message", "developerHint", "logId", "httpStatusCode", "logTime"}
    assert body["message"] == "Resource not found."
    assert body["logId"].endswith("-CPH")
    assert not body["logTime"].endswith("Z")


def test_tokens_are_checked(still: simulator.InProcess) -> None:
    def ask(headers: dict[str, str], query: str = "") -> requests.Response:
        return requests.get(f"{still.base_url}/invoices/booked{query}", headers=headers, timeout=10)

    missing, wrong = (
        ask({}),
        ask({"X-AppSecretToken": "a", "X-AgreementGrantToken": still.agreement_grant_token}),
    )
    assert (missing.status_code, "errorCode" in missing.json()) == (401, False)
    assert missing.json()["message"] == "Unauthorized access (Unauthorized)."
    assert (wrong.status_code, wrong.json()["errorCode"]) == (401, "E02250")
    demo = ask({"X-AppSecretToken": "demo", "X-AgreementGrantToken": "demo"})
    assert (demo.status_code, demo.headers["X-CallCost"]) == (200, "L")
    assert ask({}, "?demo=true").json()["pagination"]["nextPage"].endswith("&demo=true")
    assert ask({"X-AppSecretToken": "a", "X-AgreementGrantToken": "b"}, "?demo=true").status_code == 401


def test_answers_carry_the_headers_of_the_api_and_are_packed_when_asked(client: Client) -> None:
    answer = client.answer("/invoices/booked?pagesize=1000")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["X-CallCost"] == "3"
    assert answer.headers["X-RateLimiting"].startswith("token-limit-10000-per-60-seconds: ")
    plain = client.answer("/invoices/booked?pagesize=1000", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == answer.content
