"""The stand-in for the newer service of lines: what they add up to, which are selected, and in what order they come."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

import simulator

LINES = "/q2capi/v5.3.0/invoices/booked/lines"
INVOICES = 300
Item = dict[str, Any]


@pytest.fixture(scope="module")
def still() -> Iterator[simulator.InProcess]:
    """A simulator that no test changes."""
    with simulator.running(invoices=INVOICES, seed=3) as sim:
        sim.lines(least=1, most=200, page=700)
        yield sim


@pytest.fixture
def sim() -> Iterator[simulator.InProcess]:
    with simulator.running(invoices=40) as own:
        yield own


def answer(sim: simulator.InProcess, path: str = LINES, **parameters: str) -> requests.Response:
    return requests.get(sim.base_url + path, parameters, headers=sim.headers, timeout=10)


def get(sim: simulator.InProcess, path: str = LINES, **parameters: str) -> Any:
    done = answer(sim, path, **parameters)
    assert done.status_code == 200, done.text
    return json.loads(done.text, parse_float=Decimal)


def pages(sim: simulator.InProcess, **parameters: str) -> list[list[Item]]:
    """Follow the cursors to the end."""
    page = get(sim, **parameters)
    read = [page["items"]]
    while "cursor" in page:
        page = get(sim, cursor=page["cursor"], **parameters)
        read.append(page["items"])
    return read


def lines(sim: simulator.InProcess, **parameters: str) -> list[Item]:
    return [line for page in pages(sim, **parameters) for line in page]


def keys(items: list[Item]) -> list[tuple[int, int]]:
    return [(line["documentId"], line["number"]) for line in items]


def test_the_lines_of_each_invoice_add_up(still: simulator.InProcess) -> None:
    """To the last decimal, in 1 to 200 lines, some of them text."""
    read = lines(still)
    sums: Counter[int] = Counter()
    for line in read:
        sums[line["documentId"]] += line.get("totalNetAmount", 0)
    assert sums == {number: item["netAmount"] for number, item in still.ledger.items().items()}
    counts = Counter(line["documentId"] for line in read).values()
    assert min(counts) < 10 < 190 < max(counts) <= 200
    assert len(set(keys(read))) == len(read) == get(still, f"{LINES}/count")
    assert len({number for _, number in keys(read)}) < len(read) / 20


def test_the_lines_are_a_companys(still: simulator.InProcess) -> None:
    read = lines(still)
    texts = [line for line in read if "totalNetAmount" not in line]
    assert 0.05 < len(texts) / len(read) < 0.2
    assert not {"quantity", "vatAmount", "unitNetPrice", "productNumber"} & {
        key for text in texts for key in text
    }
    for name in ("productNumber", "departmentNumber", "discountPercentage", "accrueStartDate", "quantity2"):
        assert 0 < sum(name in line for line in read) < len(read), name
    assert any(line.get("quantity", 1) % 1 for line in read)
    assert any(line.get("totalNetAmount", 0) * 100 % 1 for line in read)
    for letters in ("Æ", "ø", '"'):
        assert any(letters in line["description"] for line in read), letters
    assert all(1 <= line["userInterfaceNumber"] <= 200 for line in read)


def test_pages_are_full_and_shuffled(still: simulator.InProcess) -> None:
    read = pages(still, sort="documentId")
    assert [len(page) for page in read[:-1]] == [700] * (len(read) - 1)
    assert 0 < len(read[-1]) <= 700
    once = [line for page in read for line in page]
    assert once == lines(still)
    numbers = [line["documentId"] for line in once]
    assert numbers != sorted(numbers)
    shown = [line["userInterfaceNumber"] for line in once if line["documentId"] == numbers[0]]
    assert shown != sorted(shown)
    # an invoice does not end with its page
    assert read[0][-1]["documentId"] == read[1][0]["documentId"]


@pytest.mark.parametrize(
    ("text", "belongs"),
    [
        ("documentId$eq:10007", lambda number: number == 10007),
        ("documentId$gt:10250", lambda number: number > 10250),
        ("documentId$lt:10050", lambda number: number < 10050),
        ("documentId$gte:10050$and:documentId$lte:10060", lambda number: 10050 <= number <= 10060),
        ("documentId$in:[10060,10007,5]", lambda number: number in {10007, 10060}),
        (f"documentId$in:{[*range(10001, 10201)]}".replace(" ", ""), lambda number: number <= 10200),
        (
            "documentId$gte:10050$and:documentId$lte:10060$and:documentId$nin:[10051,10055]",
            lambda number: 10050 <= number <= 10060 and number not in {10051, 10055},
        ),
        ("documentId$gt:99999", lambda number: False),
    ],
)
def test_a_filter_selects_lines(
    still: simulator.InProcess, text: str, belongs: Callable[[int], bool]
) -> None:
    true = [
        line for n in still.ledger.numbers if belongs(n) for line in still.line_book.items(n)
    ]  # fmt: skip
    read = lines(still, filter=text)
    assert sorted(keys(read)) == sorted(keys(true))
    assert get(still, f"{LINES}/count", filter=text) == len(true)


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        (LINES, {"filter": f"documentId$in:{[*range(201)]}"}, 400),
        (LINES, {"filter": f"documentId$nin:{[*range(201)]}"}, 400),
        (f"{LINES}/count", {"filter": "description$eq:x"}, 400),
        (LINES, {"filter": "documentId$gt:many"}, 400),
        (LINES, {"cursor": "bGluZXM"}, 400),
        (LINES, {"cursor": "eHg6NQ=="}, 400),
        (LINES.replace("5.3.0", "5.2.0"), {}, 404),
        (f"{LINES}/", {}, 404),
    ],
)
def test_a_question_for_lines_is_refused(
    still: simulator.InProcess, path: str, parameters: dict[str, str], status: int
) -> None:
    refused = answer(still, path, **parameters)
    assert refused.status_code == status
    assert_problem(refused)
    assert [set(error) for error in refused.json()["errors"]] == [{"message", "errorCode", "property"}] * (
        status == 400
    )


def assert_problem(refused: requests.Response) -> None:
    assert refused.headers["Content-Type"] == "application/problem+json"
    body = refused.json()
    assert set(body) == {"title", "status", "errorCode", "errors", "traceId"}
    assert body["status"] == refused.status_code


def test_every_refusal_is_a_problem_document(sim: simulator.InProcess) -> None:
    assert_problem(requests.get(sim.base_url + LINES, timeout=10))
    assert_problem(requests.post(sim.base_url + LINES, headers=sim.headers, timeout=10))
    sim.fault(LINES, "status", at="all", status=503)
    assert_problem(answer(sim))
    sim.faults()
    sim.lines(forbidden=True)
    assert (answer(sim).status_code, answer(sim).json()["errorCode"]) == (403, "AccessDeniedMissingRole")
    sim.lines(forbidden=False, version="6.0.0")
    assert answer(sim).status_code == 404
    assert answer(sim, LINES.replace("5.3.0", "6.0.0")).status_code == 200
    sim.budget(limit=1, used=1)
    refused = answer(sim)
    assert refused.status_code == 429
    assert refused.headers["X-RateLimiting"].endswith("1/1")
    assert_problem(refused)


def test_a_booking_between_pages_shifts_them(sim: simulator.InProcess) -> None:
    """One page repeats lines, others were never shown; whole invoices are among both."""
    sim.lines(page=20)
    sim.when(2, *({"action": "book", "number": 5000 + k} for k in range(20)), match=LINES)
    read = keys(lines(sim))
    assert len(set(read)) < len(read)
    assert {number for number, _ in read} < set(sim.ledger.numbers)
    assert get(sim, f"{LINES}/count") == 3 * 60


@pytest.mark.parametrize("scattered", [False, True])
def test_spoiled_lines_are_delivered_until_healed(sim: simulator.InProcess, scattered: bool) -> None:
    sim.lines(scattered=scattered)
    first, second = sim.ledger.numbers[:2]
    healthy = lines(sim)
    sim.spoil_line(first, 2, "totalNetAmount", raw='"many"')
    sim.spoil_line(first, 1, "number", absent=True)
    sim.differ(second, by="0.01")
    changed = [line for line in lines(sim) if line not in healthy]
    assert sorted((line["documentId"], line["userInterfaceNumber"]) for line in changed) == [
        (first, 2), (first, 3), (second, 1),
    ]  # fmt: skip
    total = sum(line.get("totalNetAmount", 0) for line in lines(sim) if line["documentId"] == second)
    assert total == sim.ledger.item(second)["netAmount"] + Decimal("0.01")
    sim.heal(first)
    sim.heal(second)
    assert lines(sim) == healthy
    with pytest.raises(ValueError, match="has no line 3"):
        sim.spoil_line(first, 3, "number", value=1)


def test_cursors_can_repeat_or_never_end(sim: simulator.InProcess) -> None:
    sim.lines(page=50, cursor="repeats")
    named = get(sim)["cursor"]
    assert get(sim, cursor=named)["cursor"] == named
    sim.lines(cursor="endless")
    seen, page = set(), get(sim)
    for _ in range(10):
        seen.add(page["cursor"])
        page = get(sim, cursor=page["cursor"])
    assert (len(seen), page["items"]) == (10, [])
    with pytest.raises(ValueError, match="cannot be chosen"):
        sim.lines(least=0)


def test_a_changed_number_of_lines_counts(sim: simulator.InProcess) -> None:
    assert len(lines(sim)) == 3 * 40
    sim.lines(least=1, most=1)
    assert {line["userInterfaceNumber"] for line in lines(sim)} == {1}
    sim.lines(least=200, most=200)
    assert len(lines(sim)) == 200 * 40
    note = sim.credit(sim.ledger.numbers[0])
    assert sum(line.get("totalNetAmount", 0) for line in lines(sim, filter=f"documentId$eq:{note}")) == (
        -sim.ledger.item(sim.ledger.numbers[0])["netAmount"]
    )
