"""The SQL in the documents runs, and does what they state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.conftest import Company
from tests.integration.test_lines import read_lines

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    pytest.param(block, id=f"{document.stem}-{number}")
    for document in sorted(DOCS.glob("*.md"))
    if document.stem != "questions"  # run on the books they are answered with, in test_dictionary.py
    for number, block in enumerate(re.findall(r"```sql\n(.*?)```", document.read_text(), re.S), start=1)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_sql_in_the_documents_runs(company: Company, block: str) -> None:
    company.sync()
    company.connection.execute(block.encode())


def test_erasing_a_person_leaves_nothing_of_them(company: Company) -> None:
    company.sync()
    customer = company.value("select customer_number from economic.invoice order by invoice_number limit 1")
    his, another = sorted(company.books.ledger.items())[-2:]
    for number, whose in ((his, customer), (another, int(f"{customer}9"))):
        company.books.spoil(number, "customer", raw=f'{{"customerNumber" : {whose}}}')
        company.books.spoil(number, "date", raw="NaN")
    company.books.spoil(min(company.books.ledger.items()), "recipient.name", value="New Name")
    company.books.spoil(min(company.books.ledger.items()), "remainder", value=0.5)
    assert company.sync()["failed"] == 2
    first = min(company.books.ledger.items())
    company.books.spoil_line(first, 0, "quantity", value="for Jens Hansen")
    assert read_lines(company)["rejected"] == 1
    block = next(p.values[0] for p in BLOCKS if p.id == "privacy-2")
    company.connection.execute(str(block).replace("1001", str(customer)).encode())
    left = company.rows(
        "select * from economic.invoice where customer_number = %s or raw_data #>> '{customer,customerNumber}' = %s",
        customer,
        str(customer),
    )
    assert left
    assert company.rows("select invoice_number from economic.rejected_invoice") == [
        {"invoice_number": another}
    ]
    (history,) = company.rows(
        "select old_values - 'remainder_base' as o, new_values - 'remainder_base' as n from economic.invoice_history"
    )
    assert [set(values) for values in history.values()] == [{"remainder"}] * 2
    for row in left:
        assert (row["customer_name"], row["recipient_address"], set(row["raw_data"])) == (
            None,
            None,
            {"bookedInvoiceNumber"},
        )
    theirs = """ from economic.{} join economic.invoice using (agreement_number, invoice_number)
        where customer_number = %s and ({})"""
    for table, holds_a_text in {
        "invoice_line": "description is not null or invoice_line.raw_data - 'documentId' - 'number' <> '{}'",
        "line_check": "message is not null or rejected_item is not null",
        "degraded_field": "true",
    }.items():
        assert company.value("select count(*)" + theirs.format(table, holds_a_text), customer) == 0
    others = "select count(*) from economic.invoice_line where description is not null"
    assert company.value(others) > 300
    assert company.sync()["updated"] == len(left)
