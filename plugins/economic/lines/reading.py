"""A run that reads lines: what is not read yet, chunk by chunk, each proven when it is stored.

The copy is compared with itself: an invoice without proven lines is read, whatever woke the run. So
a lost event or a killed run loses nothing. The order of a cursor's pages is not promised, so only a
whole chunk of invoices is stored: all their lines and whether they add up, in one transaction. What
adding up cannot show, such as a lost text line, e-conomic's count of all lines shows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import psycopg

from economic.db import agreements, schema
from economic.db.sql import Connection, transaction, translate_errors
from economic.errors import (
    AgreementMismatch,
    BrokenResponse,
    EconomicError,
    LeaseLost,
    LinesForbidden,
    LinesNotFound,
    RecordError,
    RequestRefused,
    SyncSkipped,
)
from economic.lines import store
from economic.lines.invoice_line import InvoiceLine, invoice_of_line, parse_line
from economic.lines.store import Place, Progress, Rejected, Work
from economic.records.agreement import Agreement
from economic.records.decoder import LinePage, RawItem
from economic.records.fitting import LARGEST_NUMBER

log = logging.getLogger(__name__)

MOST_NUMBERS = 200
"""e-conomic refuses a longer list of numbers."""
MOST_INVOICES = 5_000
CHUNK_LINES = 10_000
"""About as many lines are read, and stored, at once; a killed run loses no more."""
MOST_LINES = 50_000
"""A chunk of more is read again in halves, so that it fits into memory."""
FIRST_CHUNK = 300
"""Invoices of the first chunk, which shows how many lines an invoice has."""
MOST_ALONE = 20
"""Invoices that do not add up and are read again alone in the same run."""
MOST_COUNTS = 60
"""Counts that a run asks for to find the invoices whose lines e-conomic counts otherwise."""
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


@dataclass(slots=True)
class _Run:
    """One run at work."""

    place: Place
    client: LineClient
    statistics: Statistics
    progress: Progress = field(default_factory=Progress)
    renewed: float = field(default_factory=time.monotonic)

    def keep_place(self) -> None:
        """Renew the place when it was not renewed lately."""
        if time.monotonic() - self.renewed > _RENEW_SECONDS:
            store.renew(self.place, self.progress)
            self.renewed = time.monotonic()

    def note(self, message: str, done: int = 0) -> None:
        current = min(self.progress.current + done, self.progress.total)
        self.progress = self.progress._replace(current=current, message=message)


def read_lines(connection: Connection, client: LineClient, conn_id: str, attempt: str) -> dict[str, Any]:
    """Read the lines that the copy lacks; return the statistics.

    :param attempt: names the DAG run; a later try of it takes over at once.
    :raises SyncSkipped: no sync has reached an agreement through this connection, another run reads
        lines, or the app may not read them.
    """
    schema.migrate(connection)
    with transaction(connection):
        number = agreements.bound_agreement(connection, conn_id)
    if number is None:
        raise SyncSkipped(f"No sync has read invoices through the connection {conn_id} yet.")
    statistics = Statistics(number)
    work = store.work(connection, number)
    count_due = store.is_count_due(connection, number)
    if not work and not count_due:
        return asdict(statistics)
    place = store.take_place(connection, number, attempt)
    if place is None:
        raise SyncSkipped("Another run reads the lines of this company.")
    run = _Run(place, client, statistics)
    client.while_waiting = run.keep_place
    try:
        with translate_errors():
            _read(run, work, count_due=count_due)
    except LeaseLost:
        raise
    except LinesForbidden as error:
        _end(place, "skipped", statistics, str(error))
        raise SyncSkipped(str(error)) from None
    except Exception as error:
        known = isinstance(error, EconomicError)
        # The failure may have broken the connection, and is the one to report.
        with suppress(psycopg.Error, LeaseLost):
            message = str(error) if known else f"Failed unexpectedly ({type(error).__name__})."
            _end(place, "failed", statistics, message)
        raise
    return asdict(statistics)


def _read(run: _Run, work: Sequence[Work], *, count_due: bool) -> None:
    if run.client.agreement().agreement_number != run.place.agreement_number:
        raise AgreementMismatch(
            "The connection reaches another company than its invoices belong to. No line was read.",
            hint="Put the right tokens into the connection.",
        )
    run.progress = Progress(total=len(work), message="Reading lines")
    for number in _read_chunks(run, work)[:MOST_ALONE]:
        _read_chunk(run, [number])
    if count_due or len(work) > MOST_NUMBERS:
        _compare_counts(run)
    run.statistics.requests = run.client.traffic.requests
    _end(run.place, "completed", run.statistics)


def _end(place: Place, status: str, statistics: Statistics, message: str = "") -> None:
    counts = store.end(place, status, message, asdict(statistics))
    statistics.proven, statistics.differing, statistics.rejected = counts
    log.info("Reading lines ended: %s", asdict(statistics))


def _read_chunks(run: _Run, work: Sequence[Work]) -> list[int]:
    """Read chunk after chunk; return the invoices whose lines do not add up."""
    doubtful: list[int] = []
    size, at = FIRST_CHUNK, 0
    while at < len(work):
        chunk = work[at : at + size]
        unread = frozenset(each.invoice_number for each in chunk if not each.again)
        statuses = _read_chunk(run, [each.invoice_number for each in chunk], unread)
        doubtful += [number for number, status in statuses.items() if status == "differing"]
        at += len(chunk)
        average = max(1.0, run.statistics.lines / at)
        size = min(MOST_INVOICES, max(1, int(CHUNK_LINES / average)))
    return doubtful


def _read_chunk(run: _Run, numbers: Sequence[int], unread: frozenset[int] = frozenset()) -> dict[int, str]:
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
            return _read_chunk(run, numbers[:half], unread) | _read_chunk(run, numbers[half:], unread)
        message = f"The invoice has more than {MOST_LINES:,} lines."
        refused = Rejected("(invoice)", "too_many_lines", message, "", answer.distinct)
        answer = _Answer(rejected={numbers[0]: refused})
    run.note("Reading lines", len(numbers))
    return _write(run, numbers, answer, unread)


def _queries(run: _Run, numbers: Sequence[int]) -> list[Sequence[int]]:
    """Return what to ask for: a range when most lines in it are wanted, else lists of numbers."""
    if len(numbers) > MOST_NUMBERS:
        between = range(numbers[0], numbers[-1] + 1)
        known, _ = store.held_lines(run.place.connection, run.place.agreement_number, between)
        if len(known) < len(numbers):
            return [between]
    return [numbers[at : at + MOST_NUMBERS] for at in range(0, len(numbers), MOST_NUMBERS)]


def _pages(run: _Run, query: Sequence[int], answer: _Answer) -> Iterator[LinePage]:
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
    run: _Run, numbers: Sequence[int], answer: _Answer, unread: frozenset[int] = frozenset()
) -> dict[int, str]:
    """Store the lines of some invoices; when PostgreSQL refuses a value, of each half by itself."""
    chosen = frozenset(numbers)
    new = unread & chosen
    lines = [line for line in answer.lines.values() if line.invoice_number in chosen]
    rejected = {number: answer.rejected[number] for number in numbers if number in answer.rejected}
    try:
        statuses = store.write_lines(
            run.place,
            run.progress,
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


def _compare_counts(run: _Run) -> None:
    """Compare e-conomic's count of all lines with ours; read again where they differ."""
    store.forget_missing(run.place, run.progress)
    known, _ = store.held_lines(run.place.connection, run.place.agreement_number, range(1, LARGEST_NUMBER))
    if not known:
        store.note_count(run.place, run.progress, None, None)
        return
    everything = range(known[0], known[-1] + 1)
    without = store.numbers_without(
        run.place.connection, run.place.agreement_number, known[-1], MOST_NUMBERS + 1
    )
    if len(without) > MOST_NUMBERS:
        log.warning("More than %d invoices have no lines here: lines are not counted.", MOST_NUMBERS)
        # Otherwise each run would ask for it again, also one without any work.
        store.note_count(run.place, run.progress, None, None)
        return
    run.note("Comparing with e-conomic's count")
    counting = _Counting(run, without)
    counted, held, _ = counting.compare(everything)
    if counted != held:
        strange = counting.differing(everything)
        log.warning("e-conomic counts other lines of %d invoices. They are read again.", len(strange))
        for at in range(0, len(strange), MOST_NUMBERS):
            _read_chunk(run, strange[at : at + MOST_NUMBERS])
        counted, held, _ = counting.compare(everything)
    run.statistics.count_agrees = counted == held
    store.note_count(run.place, run.progress, counted, held)


@dataclass(slots=True)
class _Counting:
    """Counts lines in ranges of invoices, here and at e-conomic.

    :param without: invoices that are not counted.
    """

    run: _Run
    without: Sequence[int]
    asked: int = 0

    def compare(self, invoices: range) -> tuple[int, int, list[int]]:
        """Return e-conomic's count and ours, and the invoices that ours is of."""
        self.asked += 1
        known, held = store.held_lines(self.run.place.connection, self.run.place.agreement_number, invoices)
        return self.run.client.count_lines(invoices, self.without), held, known

    def differing(self, invoices: range) -> list[int]:
        """Return the invoices of the smallest ranges in which the counts differ."""
        counted, held, known = self.compare(invoices)
        if counted == held or self.asked >= MOST_COUNTS:
            return []
        if len(known) <= MOST_NUMBERS:
            return known
        middle = known[len(known) // 2]
        return self.differing(range(invoices[0], middle)) + self.differing(range(middle, invoices[-1] + 1))
