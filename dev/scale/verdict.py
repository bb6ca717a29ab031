"""Whether every company's copy is complete, reconciled and its own: compared with the books that the simulator drew."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

from dev.airflow_settings import INVOICES
from dev.scale.stand import Stand


def complaints(stand: Stand, rounds: int) -> list[str]:
    """What is wrong with the invoice database, in words.

    :param rounds: how many times every company was synced.
    """
    said: list[str] = []
    with psycopg.connect(stand.invoices.dsn(INVOICES)) as connection:
        numbers = {
            row[0] for row in connection.execute("select distinct agreement_number from economic.invoice")
        }
        if strangers := numbers - {company.agreement for company in stand.companies}:
            said.append(f"There are rows of agreements that nobody has: {sorted(strangers)}.")
        for company in stand.companies:
            said += [
                f"{company.name}: {one}"
                for one in _of_company(connection, company, stand.scale.invoices, rounds)
            ]
    return said


def _of_company(connection: psycopg.Connection, company: Any, invoices: int, rounds: int) -> list[str]:
    said = []
    query = """select status, complete, reconciled, (statistics ->> 'created')::integer, (statistics ->> 'unchanged')::integer
        from economic.sync_run where agreement_number = %s order by sync_id"""
    syncs = connection.execute(query, (company.agreement,)).fetchall()
    unchanged = [("completed", True, True, 0, invoices)] * (rounds - 1)
    if syncs != [("completed", True, True, invoices, 0), *unchanged]:
        said.append(f"its syncs are {syncs}.")
    query = """select invoice_number, net_amount, gross_amount, remainder, customer_number, customer_name
        from economic.invoice where agreement_number = %s and missing_since is null"""
    held = {row[0]: row[1:] for row in connection.execute(query, (company.agreement,))}
    due = _books(company, invoices)
    if held != due:
        wrong = [number for number in held.keys() | due.keys() if held.get(number) != due.get(number)]
        said.append(
            f"{len(wrong)} of its {len(held)} rows are not what its books say, {wrong[:3]} for three."
        )
    return said


def _books(company: Any, invoices: int) -> dict[int, tuple[Any, ...]]:
    from simulator.books import Books

    def money(hundredths: int) -> Decimal:
        return Decimal(hundredths).scaleb(-2)

    return {
        one.number: (
            money(one.net),
            money(one.gross),
            money(one.remainder),
            one.customer.number,
            one.customer.name if one.age >= 2 else one.customer.former_name,
        )
        for one in Books(invoices, 10, company.seed, "DKK").invoices()
    }
