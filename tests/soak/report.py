"""What was injected, what became of the runs, and what was checked, as a table for people."""

from __future__ import annotations

import statistics as maths
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.soak.bookkeeper import Bookkeeper
from tests.soak.ground import Ground
from tests.soak.traffic import Seen, Traffic
from tests.soak.troubles import Troubles

_STATES = ("success", "skipped", "failed", "cut short")


@dataclass(frozen=True)
class Report:
    """A soak that ended well."""

    seed: int
    seconds: float
    troubles: Counter[str]
    books: Counter[str]
    seen: dict[str, Seen]
    syncs: Counter[str]
    forced: list[float]
    """Seconds from the start of a forced run to its lease, for each whose first try succeeded."""
    holds: int
    writes: int
    looks: int
    healed: dict[str, Any]

    @classmethod
    def of(
        cls, place: Ground, traffic: Traffic, troubles: Sequence[Troubles], bookkeeper: Bookkeeper,
        healed: dict[str, Any], seed: int, seconds: float,
    ) -> Report:  # fmt: skip
        rows = place.witness.rows("select sync_id, run_id, status from economic.sync_run")
        ids = {row["run_id"]: row["sync_id"] for row in rows}
        since = {hold.sync_id: hold.since.timestamp() for hold in place.judged.holds}
        return cls(
            seed=seed,
            seconds=seconds,
            troubles=sum((one.done for one in troubles), Counter[str]()),
            books=bookkeeper.done,
            seen=traffic.seen,
            syncs=Counter(row["status"] for row in rows),
            forced=[since[ids[run_id]] - began for run_id, began in traffic.takings],
            holds=len(place.judged.holds),
            writes=place.judged.writes,
            looks=place.looks,
            healed=healed,
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Soak of {self.seconds / 60:.1f} minutes, seed {self.seed}"
        yield ""
        yield f"{'injected':<66}{'times':>7}"
        for name, times in sorted(self.troubles.items()):
            yield f"  {name:<64}{times:>7}"
        yield f"  {'in all':<64}{sum(self.troubles.values()):>7}"
        yield ""
        yield f"{'changes of the books':<66}{'times':>7}"
        for name, times in sorted(self.books.items()):
            yield f"  {name:<64}{times:>7}"
        yield ""
        yield (
            f"{'DAG runs':<20}"
            + "".join(f"{state:>12}" for state in _STATES)
            + f"{'processes':>12}{'killed':>9}{'tried beside':>14}"
        )
        for kind, seen in sorted(self.seen.items()):
            states = "".join(f"{seen.states[state]:>12}" for state in _STATES)
            yield f"  {kind:<18}{states}{sum(seen.tries.values()):>12}{seen.tries['Died']:>9}{seen.tries['Lost']:>14}"
        yield ""
        yield f"syncs: {', '.join(f'{number} {status}' for status, number in sorted(self.syncs.items()))}"
        if self.forced:
            yield (
                f"forced syncs had the lease after {maths.median(self.forced):.2f} s (median), {max(self.forced):.2f} s (longest of "
                f"{len(self.forced)})"
            )
        yield f"looked at the whole copy {self.looks} times: no row twice, none older than before, none marked missing without proof"
        yield f"{self.writes} writing transactions in {self.holds} holds of the lease: never two owners at once"
        yield (
            f"after one healthy sync ({self.healed['created']} created, {self.healed['updated']} updated of {self.healed['fetched']} invoices)"
            " the copy equals the books in every column"
        )
