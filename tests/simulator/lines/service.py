"""The service `q2capi`: pages of lines by a cursor, and their count."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from simulator.filtering import Comparison, Field, comparisons
from simulator.ledger import Ledger
from simulator.lines.book import LineBook
from simulator.paging import Request
from simulator.refusals import NEWER_SERVICES, Refusal, bad_query

DOCUMENT = "documentId"
FIELDS = {DOCUMENT: Field(int, lambda number: number)}


class LinesService:
    """Answers requests for lines out of a line book."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self.book = ledger, LineBook(ledger)

    def answer(self, request: Request) -> bytes:
        """Return the document, or raise a Refusal; `sort` and `pagesize` are ignored without a word."""
        habits = self.book.habits
        own = f"{NEWER_SERVICES}v{habits.version}/invoices/booked/lines"
        if request.path not in {own, f"{own}/count"}:
            raise Refusal(404)
        if habits.forbidden:
            raise Refusal(403, "Access denied.", errorCode="AccessDeniedMissingRole")
        text = request.parameters.get("filter", "")
        wanted = comparisons(text, FIELDS)
        if request.path == own:
            return self._page(request, text, wanted)
        return str(sum(map(self.book.count, self._selected(wanted)))).encode()

    def _page(self, request: Request, text: str, wanted: list[Comparison]) -> bytes:
        habits = self.book.habits
        asked = request.parameters.get("cursor")
        skip = _place(asked) if asked else 0
        # One more, which shows whether there is a next page.
        lines = self.book.page(text, lambda: self._selected(wanted), skip, habits.page + 1)
        cursor = _cursor(skip + habits.page) if len(lines) > habits.page else None
        if habits.cursor == "endless":
            cursor = _cursor(skip + habits.page)
        elif habits.cursor == "repeats":
            cursor = asked or cursor
        tail = b"" if cursor is None else b',"cursor":"%b"' % cursor.encode()
        return b'{"items":[%b]%b}' % (b",".join(lines[: habits.page]), tail)

    def _selected(self, wanted: list[Comparison]) -> Sequence[int]:
        numbers: Sequence[int] = self._ledger.numbers
        # A range is cut out at once: a copy of a million is read by it.
        first = max((bisect_left(numbers, one.value) for one in wanted if one.operator == "gte"), default=0)
        ends = (bisect_right(numbers, one.value) for one in wanted if one.operator == "lte")
        numbers = numbers[first : min(ends, default=len(numbers))]
        rest = [one for one in wanted if one.operator not in {"gte", "lte"}]
        return [number for number in numbers if all(one.matches(number) for one in rest)] if rest else numbers


def _cursor(place: int) -> str:
    return base64.b64encode(f"lines:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        name, _, place = base64.b64decode(cursor, validate=True).decode().partition(":")
        if name != "lines":
            raise ValueError(cursor)
        return int(place)
    except (ValueError, binascii.Error):
        raise bad_query("cursor", f"'{cursor}' is not a cursor.") from None
