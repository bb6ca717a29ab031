"""Everything at once, for a time: the books change, syncs of every kind run, and things go wrong around them and in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import oracle
from tests.soak.bookkeeper import Bookkeeper
from tests.soak.ground import Ground, dice_of, ground
from tests.soak.report import Report
from tests.soak.traffic import Traffic
from tests.soak.troubles import Troubles

INVOICES = 300
JUDGED_EVERY_SECONDS = 15.0
TOLD_EVERY_SECONDS = 60.0
Pace = tuple[float, float]
CHANGES: Pace = (0.02, 0.3)
TROUBLES_AROUND: Pace = (0.1, 1.2)
TROUBLES_INSIDE: Pace = (0.6, 4.0)
LONG_MINUTES = 5.0
"""After so long at least, some of those that never give way, or wait for their turn, must have got through in spite of everything."""
PERSISTENT = ("forced", "backfill")


@dataclass
class _Chaos:
    """What goes on, and who does it."""

    place: Ground
    bookkeeper: Bookkeeper
    traffic: Traffic
    troubles: tuple[Troubles, Troubles]
    seed: int

    def begin(self) -> list[threading.Thread]:
        threads = [self._repeated("bookkeeper", self.bookkeeper.change, CHANGES)]
        threads += [
            self._repeated(
                f"troubles {one.inside}", one.make, TROUBLES_INSIDE if one.inside else TROUBLES_AROUND
            )
            for one in self.troubles
        ]
        self.traffic.start()
        return threads

    def _repeated(self, who: str, do: Callable[[], object], pace: Pace) -> threading.Thread:
        dice = dice_of(self.seed, f"pace of {who}")

        def work() -> None:
            while not self.traffic.stop.wait(dice.uniform(*pace)):
                try:
                    do()
                except Exception as error:
                    self.traffic.failures.append(f"{who}: {type(error).__name__}: {error}")
                    return

        thread = threading.Thread(target=work, name=who, daemon=True)
        thread.start()
        return thread

    def watch(self, seconds: float) -> None:
        """Look on for that long.

        :raises AssertionError: something is as it must never be.
        """
        began = judged = told = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            self.place.look()
            self.traffic.clear_away()
            if now - judged > JUDGED_EVERY_SECONDS:
                judged = now
                self.place.judge()
            if now - told > TOLD_EVERY_SECONDS:
                told = now
                print(f"{(now - began) / 60:5.1f} min  {self._now()}", flush=True)
            assert not self.traffic.failures, self.traffic.failures
            time.sleep(0.5)

    def _now(self) -> str:
        runs = sum(sum(seen.states.values()) for seen in self.traffic.seen.values())
        troubles = sum(sum(one.done.values()) for one in self.troubles)
        return f"{runs} runs have ended, {troubles} troubles, {sum(self.bookkeeper.done.values())} changes of the books"


def run(folder: Path, *, minutes: float, seed: int) -> Report:
    """Let it all happen for that long, then let one healthy sync bring everything into order, and check it.

    :raises AssertionError: something is as it must never be.
    """
    with ground(folder, invoices=INVOICES, seed=seed) as place:
        place.healthy_run("manual__first")
        traffic = Traffic(place, seed)
        troubles = Troubles(place, traffic, seed, inside=True), Troubles(place, traffic, seed, inside=False)
        bookkeeper = Bookkeeper(place.witness, dice_of(seed, "books"))
        chaos = _Chaos(place, bookkeeper, traffic, troubles, seed)
        began = time.monotonic()
        threads = chaos.begin()
        try:
            chaos.watch(minutes * 60)
        finally:
            traffic.stop.set()
            for thread in threads:
                thread.join(30)
            for one in troubles:
                one.end()
            place.put_right()
            traffic.end()
        assert not traffic.failures, traffic.failures
        bookkeeper.heal_all()
        healed = oracle.healed(place.witness, lambda: place.healthy_run("manual__last"))
        place.judge()
        if minutes >= LONG_MINUTES:
            through = {kind: traffic.seen[kind].states["success"] for kind in PERSISTENT}
            assert min(through.values()) > 0, f"too few runs got through: {through}"
        return Report.of(place, traffic, troubles, bookkeeper, healed, seed, time.monotonic() - began)
