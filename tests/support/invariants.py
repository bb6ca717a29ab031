"""What must hold after every fault, whatever it was: nine invariants, and one :func:`check` for all of them.

==  =====================================================================================================================
I1  after one healthy sync the table equals the books, in every column
I2  no invoice is there twice
I3  no row ever goes back to an older state of its invoice
I4  nothing is marked missing but by a proven complete full scan
I5  every sync that ended adds up, and so do all of them together; every sync ends
I6  the lease is free, or becomes free by itself within its time
I7  no token is anywhere: not in the log, an error, an XCom, the database, or at a foreign host
I8  it took no longer and no more memory than the test allows
I9  it healed without a person
==  =====================================================================================================================

What the books hold comes from the simulator's ledger and from nothing of the package (:mod:`tests.support.expected_rows`).
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from simulator import InProcess
from tests.support.expected_rows import expected_row
from tests.support.secret_scan import find_canaries

TTL_SECONDS = 300
LONGEST_SILENCE = "1 hour"
BOOKKEEPING = {"agreement_number", "raw_data", "digest", "first_seen_at", "last_changed_at", "missing_since"}
ENDED = {"completed", "completed_with_errors", "failed", "skipped", "superseded", "abandoned"}
FACTS = tuple(expected_row({}, {}))
DONE = ("completed", "completed_with_errors")
Row = dict[str, Any]


@dataclass(frozen=True)
class Bounds:
    """How long the whole of it may take, and by how much this process may grow."""

    seconds: float = 20.0
    memory_mb: float = 128.0


class Memory:
    """How much memory this process holds at most, from now on, as the kernel notes it."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
        self._start = _held_mb("VmRSS")

    @property
    def grown_mb(self) -> float:
        return _held_mb("VmHWM") - self._start


@lru_cache(maxsize=20_000)
def plain(text: str | bytes) -> Any:
    """JSON as plain values, amounts as Decimal. The same texts are compared again and again; nobody may change what they hold."""
    return json.loads(text, parse_float=Decimal)


@lru_cache(maxsize=20_000)
def _state(text: str) -> Row:
    """The row of an invoice that is so in the books, but for the name of its employee."""
    return expected_row(plain(text), {})


def _held_mb(what: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0]) / 1024


@dataclass
class Witness:
    """Looks on while a sync is mistreated, and remembers what was true and what was said.

    :param books: the simulator, whose ledger is the truth.
    :param dsn: a superuser's way to the copy, past any proxy.
    :param log: gives all that was logged so far. The tokens are canaries (:mod:`tests.support.secret_scan`), which must never be seen anywhere.
    """

    books: InProcess
    dsn: str
    log: Callable[[], str]
    said: list[str] = field(default_factory=list)
    _states: dict[int, list[Row]] = field(default_factory=dict)
    _version: int = -1
    _newest: dict[int, int] = field(default_factory=dict)
    _kept: psycopg.Connection | None = None
    _began: float = field(default_factory=time.monotonic)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.look()

    def heard(self, *things: Any) -> None:
        """Keep what a test met: return values, errors, what a foreign host received."""
        for thing in things:
            if isinstance(thing, BaseException):
                self.said += traceback.format_exception(thing)
                self.said.append(repr(vars(thing)))
            elif isinstance(thing, bytes):
                self.said.append(thing.decode("latin-1"))
            else:
                self.said.append(thing if isinstance(thing, str) else json.dumps(thing, default=repr))

    def look(self) -> None:
        """Compare the copy with every state the books were in so far: I2, I3 and I4. Call it around each change of the books."""
        self._remember()
        no_row_is_there_twice(self)
        only_proven_scans_mark_missing(self)
        self._no_row_goes_back(self.rows(f"select {', '.join(FACTS)} from economic.invoice"))  # noqa: S608  # names from this folder

    def connect(self) -> psycopg.Connection:
        """Open a connection of one's own, to change something."""
        return psycopg.connect(self.dsn, autocommit=True)

    def close(self) -> None:
        """Close the connection that it asks on."""
        if self._kept is not None:
            self._kept.close()

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        with self.asking() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), parameters).fetchall()

    @contextmanager
    def asking(self) -> Iterator[psycopg.Connection]:
        """The connection that it keeps; another one when the server has ended that."""
        try:
            if self._kept is None:
                raise psycopg.OperationalError
            self._kept.execute("select")
        except psycopg.OperationalError:
            self.close()
            # The tables may change between two questions, so no statement is prepared.
            self._kept = psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None)
        yield self._kept

    def value(self, query: str, *parameters: Any) -> Any:
        return next(iter(self.rows(query, *parameters)[0].values()))

    def seconds(self) -> float:
        """How long it has watched."""
        return time.monotonic() - self._began

    def last_known(self) -> dict[int, Row]:
        """The last state of every invoice that was ever booked, as rows of the copy."""
        return {number: states[-1] for number, states in self._states.items()}

    def note(self, number: int) -> None:
        """Remember the state that an invoice is in. Who changes the books while they are read does it with each change, under the ledger's lock."""
        state = _state(self.books.ledger.healthy(number))
        states = self._states.setdefault(number, [])
        if not states or states[-1] != state:
            states.append(state)

    def _remember(self) -> None:
        ledger = self.books.ledger
        with ledger.lock:
            if ledger.version != self._version:
                self._version = ledger.version
                for number in ledger.numbers:
                    self.note(number)

    def _no_row_goes_back(self, rows: Iterable[Row]) -> None:
        for facts in rows:
            number = facts["invoice_number"]
            facts["employee_name"] = None
            when = [at for at, state in enumerate(self._states.get(number, [])) if state == facts]
            assert when, f"I3: invoice {number} was never as it is stored: {facts}"
            assert when[-1] >= self._newest.get(number, 0), (
                f"I3: invoice {number} went back to an older state"
            )
            # The earliest state it may be of, no later than what is already known of it: states repeat when a payment is taken back.
            self._newest[number] = next(at for at in when if at >= self._newest.get(number, 0))


def check(
    witness: Witness, heal: Callable[[], dict[str, Any]], *, bounds: Bounds = Bounds(), refused: Collection[int] = ()
) -> dict[str, Any]:  # fmt: skip
    """Check everything that must hold after a fault, let one sync heal it, and check again.

    :param heal: runs one sync, as the next one due would be, and gives its statistics. The fault is over by now.
    :param refused: invoices that e-conomic still delivers in a shape that cannot be stored.
    :return: the healing sync's statistics.
    """
    seconds, grown = witness.seconds(), witness.memory.grown_mb
    statistics = healed(witness, heal, refused)
    assert seconds <= bounds.seconds, f"I8: it took {seconds:.1f} s"
    assert grown <= bounds.memory_mb, f"I8: this process grew by {grown:.0f} MB"
    return statistics


def healed(
    witness: Witness, heal: Callable[[], dict[str, Any]], refused: Collection[int] = ()
) -> dict[str, Any]:
    """All of it but I8, which is not about a sync that goes on for as long as somebody likes; the witness may look on afterwards."""
    witness.look()
    the_lease_frees_itself(witness)
    let_time_pass(witness)
    statistics = heal()
    witness.heard(statistics)
    expected = "completed_with_errors" if refused else "completed"
    assert (statistics["status"], statistics["complete"]) == (expected, True), f"I9: {statistics}"
    witness.look()
    the_table_equals_the_books(witness, refused)
    every_sync_ended_and_adds_up(witness, statistics)
    the_lease_is_free(witness)
    no_token_is_anywhere(witness)
    return statistics


def the_table_equals_the_books(witness: Witness, refused: Collection[int] = ()) -> None:
    """I1: every column of every row; what was once shown and is gone keeps its last state; what is refused keeps its last good one."""
    rows = _invoices(witness)
    ledger = witness.books.ledger
    employees = ledger.employees()
    last_known = witness.last_known()
    with ledger.lock:
        books = {number: ledger.healthy(number) for number in ledger.numbers}
    gone = set(rows) - set(books)
    assert set(books) - set(rows) <= set(refused), f"I1: not stored: {sorted(set(books) - set(rows))[:10]}"
    assert gone <= set(last_known), f"I1: never booked: {sorted(gone - set(last_known))[:10]}"
    for number, row in sorted(rows.items()):
        columns = set(row) - BOOKKEEPING
        expected = dict(last_known[number] if number in gone else _state(books[number]))
        expected["employee_name"] = employees.get(expected["employee_number"], {}).get("name")
        assert columns == set(expected), f"I1: columns without an expectation: {columns ^ set(expected)}"
        if number in gone or number in refused or _unlisted(row, employees):
            # A name is never taken away, so an employee who has left keeps the one that was written.
            expected["employee_name"] = row["employee_name"]
        if number in refused:
            continue
        differing = {key: (row[key], value) for key, value in expected.items() if row[key] != value}
        assert not differing, f"I1: invoice {number} (stored, booked): {differing}"
        if number not in gone:
            assert row["raw_data"] == plain(ledger.written(number)), (
                f"I1: invoice {number}: raw_data is another item"
            )
            assert row["agreement_number"] == ledger.agreement, f"I1: invoice {number}: another agreement"
            assert row["missing_since"] is None, f"I1: invoice {number} is booked, but marked missing"


def no_row_is_there_twice(witness: Witness) -> None:
    """I2, whatever became of the primary key."""
    twice = witness.rows(
        "select invoice_number, count(*) from economic.invoice group by agreement_number, invoice_number having count(*) > 1"
    )
    assert not twice, f"I2: {twice[:10]}"


def only_proven_scans_mark_missing(witness: Witness) -> None:
    """I4: whatever is marked missing was marked while a full sync ended that is proven complete."""
    unproven = witness.rows(
        "select invoice_number, missing_since from economic.invoice where missing_since is not null and not exists ("
        " select 1 from economic.sync_run where complete and scope = 'full' and sync_run.agreement_number = invoice.agreement_number"
        " and missing_since between started_at and coalesce(finished_at, 'infinity'))"
    )
    assert not unproven, f"I4: {unproven[:10]}"


def every_sync_ended_and_adds_up(witness: Witness, last: dict[str, Any]) -> None:
    """I5: each sync that went through adds up by itself, and all that was ever counted is what is there."""
    runs = witness.rows(
        "select sync_id, status, finished_at, statistics from economic.sync_run order by sync_id"
    )
    going_on = [run["sync_id"] for run in runs if run["status"] not in ENDED or run["finished_at"] is None]
    assert not going_on, f"I5: syncs {going_on} have not ended"
    for run in runs:
        counted = run["statistics"]
        if run["status"] in DONE:
            parts = ("created", "updated", "unchanged", "failed", "duplicates", "discarded")
            assert counted["fetched"] == sum(counted[part] for part in parts), f"I5: {counted}"
    assert runs[-1]["statistics"] == last, "I5: the row of the sync says something else than its XCom"
    created = sum(run["statistics"].get("created", 0) for run in runs)
    updated = sum(run["statistics"].get("updated", 0) for run in runs)
    assert created == witness.value("select count(*) from economic.invoice"), (
        "I5: created is not what is there"
    )
    assert updated == witness.value(
        "select count(*) from economic.invoice_history where new_values <> '{\"missing_since\": null}'"
    ), "I5: updated is not the history"


def the_lease_frees_itself(witness: Witness) -> None:
    """I6, before anything healed: nobody has to unlock anything."""
    held = witness.rows(
        "select holder, expires_at - clock_timestamp() as left from economic.sync_lease where holder is not null"
    )
    for lease in held:
        left = lease["left"].total_seconds()
        assert left <= TTL_SECONDS, f"I6: sync {lease['holder']} keeps the lease for {left:.0f} s"


def the_lease_is_free(witness: Witness) -> None:
    """I6, in the end."""
    assert witness.value("select count(*) from economic.sync_lease where holder is not null") == 0, "I6"


def let_time_pass(witness: Witness) -> None:
    """Make it an hour later for whatever was left behind: leases run out, silent syncs are old."""
    with witness.asking() as connection:
        connection.execute(
            "update economic.sync_lease set expires_at = expires_at - %s::interval where holder is not null",
            (LONGEST_SILENCE,),
        )
        connection.execute(
            "update economic.sync_run set updated_at = updated_at - later, scan_started_at = scan_started_at - later,"
            " scan_advanced_at = scan_advanced_at - later from (select %s::interval as later) as passed where status = 'running'",
            (LONGEST_SILENCE,),
        )


def no_token_is_anywhere(witness: Witness) -> None:
    """I7: the tokens in every spelling, in everything that was logged, said, stored or sent elsewhere."""
    places = {"the log": witness.log(), "what was said": "\n".join(witness.said)}
    for place, text in (places | dict(_everything_stored(witness))).items():
        found = find_canaries(text)
        assert not found, f"I7: a token is in {place}: {found}"


def _everything_stored(witness: Witness) -> Iterator[tuple[str, str]]:
    tables = witness.rows(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    for name in (table["name"] for table in tables):
        rows = witness.rows(f"select t::text as text from {name} as t")  # noqa: S608  # names from the catalogue of the database
        yield f"table {name}", "\n".join(row["text"] for row in rows)


def _invoices(witness: Witness) -> dict[int, Row]:
    with witness.asking() as connection, connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(plain, cursor)
        rows = cursor.execute("select * from economic.invoice order by invoice_number").fetchall()
    return {row["invoice_number"]: row for row in rows}


def _unlisted(row: Row, employees: dict[int, Any]) -> bool:
    return row["employee_number"] is not None and row["employee_number"] not in employees
