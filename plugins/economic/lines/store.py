"""Statements about lines, each in a transaction that proves the run's place.

One run an agreement reads lines. Its place is a row of ``line_reading`` with a token, which grows
with each run: a run that was overtaken can write nothing more. It is not the lease of the syncs, so
that no sync ever waits for lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from economic.db.sql import Connection, one, row, rows, run, statement, transaction
from economic.errors import ContractChanged, LeaseLost
from economic.lines.invoice_line import InvoiceLine

TTL_SECONDS = 300
"""How long a run keeps its place without a commit."""


class Work(NamedTuple):
    """An invoice whose lines are to be read, and whether they were read before."""

    invoice_number: int
    again: bool


class Rejected(NamedTuple):
    """The first unusable line of an invoice, with the reason, and how many there are."""

    field: str
    reason: str
    message: str
    item: str
    lines: int


@dataclass(slots=True)
class Place:
    """The right of one run to write an agreement's lines, and what people see of the run."""

    connection: Connection
    agreement_number: int
    token: int
    current: int = 0
    total: int = 0
    message: str = ""


def work(connection: Connection, agreement_number: int) -> list[Work]:
    """Return the invoices whose lines are to be read, by ascending number."""
    found = rows(connection, "select_line_work", agreement_number=agreement_number)
    return [Work(each["invoice_number"], each["again"]) for each in found]


def is_count_due(connection: Connection, agreement_number: int) -> bool:
    """Return whether e-conomic's count of all lines was not compared for most of a day."""
    return bool(one(connection, "select_line_count_due", agreement_number=agreement_number)["due"])


def take_place(connection: Connection, agreement_number: int, attempt: str) -> Place | None:
    """Take the place of the run that reads lines; None while another one does.

    :param attempt: names the DAG run. A later try of it takes over from an earlier one.
    """
    with transaction(connection):
        taken = row(
            connection,
            "take_line_reading",
            agreement_number=agreement_number,
            attempt=attempt,
            ttl_seconds=TTL_SECONDS,
        )
    return None if taken is None else Place(connection, agreement_number, taken["token"])


@contextmanager
def writing(place: Place) -> Iterator[None]:
    """Open a transaction that first renews the place and notes how far the run has come.

    :raises LeaseLost: another run has taken the place.
    """
    with transaction(place.connection):
        _own(
            place,
            "update_line_reading",
            ttl_seconds=TTL_SECONDS,
            current=place.current,
            total=place.total,
            message=place.message,
        )
        yield


def write_lines(
    place: Place,
    invoices: Sequence[int],
    lines: Iterable[InvoiceLine],
    rejected: Mapping[int, Rejected],
    *,
    must_prove: Collection[int],
) -> dict[int, str]:
    """Store all lines of some invoices in one transaction; return each one's status.

    :param invoices: their numbers; one that is not held is left out.
    :param rejected: by invoice number.
    :param must_prove: of these at least one must be proven, if there are any.
    :raises ContractChanged: none is; nothing was stored.
    """
    connection, agreement_number = place.connection, place.agreement_number
    numbers = list(invoices)
    with writing(place):
        run(connection, "delete_invoice_lines", agreement_number=agreement_number, numbers=numbers)
        with connection.cursor() as cursor, cursor.copy(statement("copy_invoice_lines")) as copy:
            for line in lines:
                copy.write_row((agreement_number, *line))
        found = rows(
            connection,
            "upsert_line_checks",
            agreement_number=agreement_number,
            numbers=numbers,
            rejected_numbers=list(rejected),
            fields=[each.field for each in rejected.values()],
            reasons=[each.reason for each in rejected.values()],
            messages=[each.message for each in rejected.values()],
            items=[each.item for each in rejected.values()],
            line_counts=[each.lines for each in rejected.values()],
        )
        statuses = {each["invoice_number"]: each["status"] for each in found}
        new = [statuses[number] for number in must_prove if number in statuses]
        if new and "proven" not in new:
            raise ContractChanged(
                f"Of {len(new)} invoices not one has lines that add up to its net amount: none was stored.",
                hint="A newer version of this package may be needed.",
            )
    return statuses


def held_lines(place: Place, invoices: range) -> tuple[list[int], int]:
    """Return the invoices of a range whose lines are held, and how many lines that are."""
    held = one(
        place.connection,
        "select_held_lines",
        agreement_number=place.agreement_number,
        first=invoices[0],
        last=invoices[-1],
    )
    return held["numbers"], held["line_count"]


def numbers_without(place: Place, last: int, most: int) -> list[int]:
    """Return up to ``most`` invoices that e-conomic may have and whose lines are not held."""
    found = rows(
        place.connection,
        "select_numbers_without_lines",
        agreement_number=place.agreement_number,
        last=last,
        most=most,
    )
    return [each["invoice_number"] for each in found]


def forget_missing(place: Place) -> None:
    """Leave out the invoices that are missing by now."""
    with writing(place):
        run(place.connection, "delete_missing_line_checks", agreement_number=place.agreement_number)


def note_count(place: Place, counted: int | None, held: int | None) -> None:
    """Note e-conomic's count of lines beside ours; None: they cannot be compared today."""
    with writing(place):
        _own(place, "update_line_reading_counted", counted=counted, held=held)


def renew(place: Place) -> None:
    """Renew the place during many requests."""
    with writing(place):
        pass


def end(place: Place, status: str, message: str, statistics: Mapping[str, Any]) -> tuple[int, int, int]:
    """Free the place; return how many invoices are proven, differing and rejected.

    :param status: ``completed``, ``failed`` or ``skipped``.
    """
    with transaction(place.connection):
        counts = one(place.connection, "update_line_counts", agreement_number=place.agreement_number)
        _own(
            place,
            "update_line_reading_ended",
            status=status,
            message=message,
            statistics=Jsonb(dict(statistics) | counts),
        )
    return counts["proven"], counts["differing"], counts["rejected"]


def _own(place: Place, name: str, **parameters: Any) -> None:
    written = run(
        place.connection,
        name,
        agreement_number=place.agreement_number,
        token=place.token,
        **parameters,
    )
    if not written:
        raise LeaseLost("Another run reads the lines now.", hint="Nothing to do: the newer run goes on.")
