"""A chunk of invoices: all their lines read, stored, and compared with the invoices' net amounts.

The order of a cursor's pages is not promised, so only a whole chunk is stored, in one transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psycopg

from economic.errors import BrokenResponse, LinesNotFound, RecordError, RequestRefused
from economic.lines import store
from economic.lines.invoice_line import InvoiceLine, invoice_of_line, parse_line
from economic.lines.store import Place, Rejected
from economic.records.agreement import Agreement
from economic.records.decoder import LinePage, RawItem

log = logging.getLogger(__name__)

MOST_NUMBERS = 200
"""e-conomic refuses a longer list of numbers."""
MOST_LINES = 50_000
"""A chunk of more is read again in halves, so that it fits into memory."""
_WHOLE_CHUNK = 10
_RENEW_SECONDS = 60.0


class _Traffic(Protocol):
    requests: int


class LineClient(Protocol):
    """What a run needs of e-conomic; the hook implements it."""

    while_waiting: Callable[[], None]

    @property
    def traffic(self) -> _Traffic: ...
    def agreement(self) -> Agreement: ...
    def lines_page(self, invoices: Sequence[int], cursor: str | None = None) -> LinePage: ...
    def count_lines(self, invoices: range, without: Sequence[int] = ()) -> int: ...


@dataclass(slots=True)
class Statistics:
    """What a run did: invoices read, how their lines stand, lines stored, and whether e-conomic's
    count agrees (None: it was not asked).
    """

    agreement_number: int
    invoices: int = 0
    proven: int = 0
    differing: int = 0
    rejected: int = 0
    lines: int = 0
    unnumbered: int = 0
    requests: int = 0
    count_agrees: bool | None = None


@dataclass(slots=True)
class LineRun:
    """One run at work."""

    place: Place
    client: LineClient
    statistics: Statistics
    renewed: float = field(default_factory=time.monotonic)

    def keep_place(self) -> None:
        """Renew the place when it was not renewed lately."""
        if time.monotonic() - self.renewed > _RENEW_SECONDS:
            store.renew(self.place)
            self.renewed = time.monotonic()

    def note(self, message: str, done: int = 0) -> None:
        self.place.current = min(self.place.current + done, self.place.total)
        self.place.message = message


@dataclass(slots=True)
class _Answer:
    """What e-conomic returned for a chunk: lines to store, rejected ones by their invoice, and what
    shows that others came.
    """

    others: set[object] = field(default_factory=set)
    lines: dict[tuple[int, int], InvoiceLine] = field(default_factory=dict)
    rejected: dict[int, Rejected] = field(default_factory=dict)

    @property
    def distinct(self) -> int:
        """How many different items came, whether they are wanted or not."""
        return len(self.lines) + len(self.others)


class _TooMany(Exception):
    """A chunk has more lines than fit into memory."""


def read_chunk(run: LineRun, numbers: Sequence[int], unread: frozenset[int] = frozenset()) -> dict[int, str]:
    """Read and store the lines of some invoices; return each one's status.

    :param unread: those that were not read before. Of ten some must add up.
    """
    answer = _Answer()
    wanted = frozenset(numbers)
    try:
        for query in _queries(run, numbers):
            for page in _pages(run, query, answer):
                _sort(page, query, wanted, answer, run.statistics)
                # Lines that are not wanted count too: their keys are held as well.
                if answer.distinct > MOST_LINES:
                    raise _TooMany
    except _TooMany:
        half = len(numbers) // 2
        if half:
            return read_chunk(run, numbers[:half], unread) | read_chunk(run, numbers[half:], unread)
        message = f"The invoice has more than {MOST_LINES:,} lines."
        refused = Rejected("(invoice)", "too_many_lines", message, "", answer.distinct)
        answer = _Answer(rejected={numbers[0]: refused})
    run.note("Reading lines", len(numbers))
    return _write(run, numbers, answer, unread)


def _queries(run: LineRun, numbers: Sequence[int]) -> list[Sequence[int]]:
    """Return what to ask for: a range when most lines in it are wanted, else lists of numbers."""
    if len(numbers) > MOST_NUMBERS:
        between = range(numbers[0], numbers[-1] + 1)
        known, _ = store.held_lines(run.place, between)
        if len(known) < len(numbers):
            return [between]
    return [numbers[at : at + MOST_NUMBERS] for at in range(0, len(numbers), MOST_NUMBERS)]


def _pages(run: LineRun, query: Sequence[int], answer: _Answer) -> Iterator[LinePage]:
    cursor = None
    while True:
        before = answer.distinct
        try:
            page = run.client.lines_page(query, cursor)
        except LinesNotFound:
            raise
        except RequestRefused as error:
            if cursor is None:
                raise
            # The first page was answered, so the cursor has expired: a retry reads the chunk again.
            raise BrokenResponse(f"A cursor is not accepted any more: {error.message}") from None
        yield page
        cursor = page.cursor
        if cursor is None:
            return
        if answer.distinct == before:
            raise BrokenResponse("A page of lines has brought no new line: reading would never end.")
        run.keep_place()


def _sort(
    page: LinePage,
    query: Sequence[int],
    wanted: frozenset[int],
    answer: _Answer,
    statistics: Statistics,
) -> None:
    """Parse the lines of wanted invoices. Of one with an unusable line nothing is proven.

    :raises BrokenResponse: a line's invoice was not asked for.
    """
    for item in page.items:
        try:
            line = parse_line(item)
        except RecordError as error:
            answer.others.add(item.encoded)
            number = invoice_of_line(item)
            if number is None:
                # Its invoice does not add up, or the count differs.
                statistics.unnumbered += 1
                log.warning("A line without a number of its invoice is left out: %s", error.message)
            elif number in wanted:
                _reject(answer, number, error, item)
            continue
        key = line.invoice_number, line.line_number
        if line.invoice_number in wanted:
            answer.lines[key] = line
        elif isinstance(query, range) and line.invoice_number in query:
            answer.others.add(key)
        else:
            # With an ignored filter each chunk would read all lines of the company.
            raise BrokenResponse("A page holds a line of an invoice that was not asked for.")


def _reject(answer: _Answer, number: int, error: RecordError, item: RawItem) -> None:
    before = answer.rejected.get(number)
    if before is not None:
        answer.rejected[number] = before._replace(lines=before.lines + 1)
        return
    text = item.raw.encode("utf-8", "backslashreplace").decode().replace("\0", "")
    answer.rejected[number] = Rejected(error.field, error.reason, error.message, text, 1)


def _write(
    run: LineRun, numbers: Sequence[int], answer: _Answer, unread: frozenset[int] = frozenset()
) -> dict[int, str]:
    """Store the lines of some invoices; when PostgreSQL refuses a value, of each half by itself."""
    chosen = frozenset(numbers)
    new = unread & chosen
    lines = [line for line in answer.lines.values() if line.invoice_number in chosen]
    rejected = {number: answer.rejected[number] for number in numbers if number in answer.rejected}
    try:
        statuses = store.write_lines(
            run.place,
            numbers,
            lines,
            rejected,
            must_prove=new if len(new) >= _WHOLE_CHUNK else frozenset(),
        )
    except psycopg.DataError:
        if len(numbers) == 1:
            refused = Rejected(
                "(item)", "refused_by_database", "PostgreSQL rejects a value of the lines.", "", len(lines)
            )
            return _write(run, numbers, _Answer(rejected={numbers[0]: refused}))
        half = len(numbers) // 2
        return _write(run, numbers[:half], answer, unread) | _write(run, numbers[half:], answer, unread)
    run.statistics.invoices += len(statuses)
    run.statistics.lines += len(lines)
    return statuses
