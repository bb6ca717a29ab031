"""e-conomic's count of lines beside ours, which shows what adding up cannot: a lost text line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from economic.lines import chunk, store
from economic.lines.chunk import LineRun, read_chunk
from economic.records.fitting import LARGEST_NUMBER

log = logging.getLogger(__name__)

MOST_COUNTS = 60
"""Counts that a run asks for to find the invoices whose lines e-conomic counts otherwise."""


def compare_counts(run: LineRun) -> None:
    """Compare e-conomic's count of all lines with ours; read again where they differ."""
    store.forget_missing(run.place)
    known, _ = store.held_lines(run.place, range(1, LARGEST_NUMBER))
    if not known:
        store.note_count(run.place, None, None)
        return
    everything = range(known[0], known[-1] + 1)
    without = store.numbers_without(run.place, known[-1], chunk.MOST_NUMBERS + 1)
    if len(without) > chunk.MOST_NUMBERS:
        log.warning("More than %d invoices have no lines here: lines are not counted.", chunk.MOST_NUMBERS)
        # Otherwise each run would ask for it again, also one without any work.
        store.note_count(run.place, None, None)
        return
    run.note("Comparing with e-conomic's count")
    counting = _Counting(run, without)
    counted, held, _ = counting.compare(everything)
    if counted != held:
        strange = counting.differing(everything)
        log.warning("e-conomic counts other lines of %d invoices. They are read again.", len(strange))
        for at in range(0, len(strange), chunk.MOST_NUMBERS):
            read_chunk(run, strange[at : at + chunk.MOST_NUMBERS])
        counted, held, _ = counting.compare(everything)
    run.statistics.count_agrees = counted == held
    store.note_count(run.place, counted, held)


@dataclass(slots=True)
class _Counting:
    """Counts lines in ranges of invoices, here and at e-conomic.

    :param without: invoices that are not counted.
    """

    run: LineRun
    without: Sequence[int]
    asked: int = 0

    def compare(self, invoices: range) -> tuple[int, int, list[int]]:
        """Return e-conomic's count and ours, and the invoices that ours is of."""
        self.asked += 1
        known, held = store.held_lines(self.run.place, invoices)
        return self.run.client.count_lines(invoices, self.without), held, known

    def differing(self, invoices: range) -> list[int]:
        """Return the invoices of the smallest ranges in which the counts differ."""
        counted, held, known = self.compare(invoices)
        if counted == held or self.asked >= MOST_COUNTS:
            return []
        if len(known) <= chunk.MOST_NUMBERS:
            return known
        middle = known[len(known) // 2]
        return self.differing(range(invoices[0], middle)) + self.differing(range(middle, invoices[-1] + 1))
