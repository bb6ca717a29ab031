"""What goes wrong: on e-conomic's side, on the network, in PostgreSQL, with the processes. Each trouble is over after a while."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from tests.soak.ground import NAME, Ground, dice_of
from tests.soak.traffic import Traffic
from tests.support.faults.postgres import Fate
from tests.support.faults.proxy import Proxy

ANSWERS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "3600"}},
    {"kind": "status", "status": 408},
    {"kind": "html"},
    {"kind": "body", "body": '{"collection": []}'},
    {"kind": "body", "body": "[]"},
    {"kind": "reset"},
    {"kind": "silence", "seconds": 1.5},
    {"kind": "slow", "seconds": 0.8},
    {"kind": "drip", "seconds": 2.0},
    {"kind": "drip_head", "seconds": 4.0},
    {"kind": "half_body"},
    {"kind": "half_reset"},
    {"kind": "half_chunked"},
    {"kind": "half_json"},
    {"kind": "half_gzip"},
    {"kind": "bad_gzip"},
    {"kind": "bad_checksum"},
)
REFUSALS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 403},
    {"kind": "redirect"},
)


class Troubles:
    """Makes trouble, one after the other.

    :param inside: with the processes; else with all that is around them.
    """

    def __init__(self, ground: Ground, traffic: Traffic, seed: int, *, inside: bool) -> None:
        self.done: Counter[str] = Counter()
        self._ground, self._traffic = ground, traffic
        self._dice = dice_of(seed, f"troubles {inside}")
        self._frozen: list[threading.Timer] = []
        weights: dict[Callable[[], str | None], int] = {self._kill: 2, self._freeze: 2, self._lose: 1}
        if not inside:
            weights = {self._answer: 8, self._refusal: 1, self._http: 4, self._postgres: 3, self._commit: 3}
            weights |= {self._backend: 4, self._restart: 1, self._lock: 1, self._freeze_in_a_page: 2}
        self._weights = weights

    def make(self) -> None:
        """Make some trouble; it is over when this returns, but for the frozen, who are woken in their time."""
        (trouble,) = self._dice.choices(list(self._weights), weights=list(self._weights.values()))
        if done := trouble():
            self.done[done] += 1

    def end(self) -> None:
        """Wait until all who were frozen are awake."""
        for timer in self._frozen:
            timer.join()

    def _answer(self) -> str:
        where = self._dice.choice(
            ("/invoices/booked",) * 2 + ("/", "/employees", "/self", "/invoices/totals")
        )
        times = self._dice.choice((1, 1, 2, 5, 30))
        return self._faulty("API: broken or late answers", ANSWERS, where, self._dice.randrange(1, 6), times)

    def _refusal(self) -> str:
        return self._faulty("API: refusals", REFUSALS, "/", self._dice.randrange(1, 20), 1)

    def _faulty(self, what: str, faults: tuple[dict[str, Any], ...], where: str, at: int, times: int) -> str:
        self._ground.books.fault(where, at=at, times=times, **self._dice.choice(faults))
        self._pause(0.5, 2.0)
        self._ground.books.faults()
        return what

    def _http(self) -> str:
        return self._network("HTTP", self._ground.http)

    def _postgres(self) -> str:
        return self._network("PostgreSQL", self._ground.postgres)

    def _network(self, what: str, proxy: Proxy) -> str:
        breaks: dict[str, Callable[[], object]] = {
            "resets": proxy.reset,
            "black holes": proxy.blackhole,
            "stalls": proxy.stall,
            "delays": lambda: setattr(proxy, "latency", self._dice.uniform(0.01, 0.1)),
            "refused connections": proxy.down,
            "cut streams": lambda: proxy.limit(self._dice.randrange(100, 100_000)),
        }
        kind = self._dice.choice(list(breaks))
        breaks[kind]()
        self._pause(0.2, 2.5)
        if kind == "black holes":
            # Whoever lost bytes in it waits for an answer that never comes: nothing but a reset frees both sides.
            proxy.reset()
        proxy.heal()
        return f"network to {what}: {kind}"

    def _commit(self) -> str:
        """The connection breaks at a commit: before it arrives, or after it is done and before anybody hears of it."""
        fates: tuple[Fate, ...] = ("held back", "unanswered")
        fate, proxy = self._dice.choice(fates), self._ground.postgres
        proxy.trip(b"commit\0", proxy.reset, at=self._dice.randrange(1, 20), fate=fate)
        self._pause(0.3, 1.0)
        proxy.heal()
        return f"network to PostgreSQL: cut at a COMMIT, {fate}"

    def _backend(self) -> str | None:
        ended = (
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like %s order by random() limit 1"
        )
        with suppress(psycopg.Error), psycopg.connect(self._ground.cluster.dsn, autocommit=True) as admin:
            if admin.execute(ended, [f"{NAME} %"]).fetchall():
                return "PostgreSQL: backends ended"
        return None

    def _restart(self) -> str:
        cluster = self._ground.cluster
        stop, said = self._dice.choice(((cluster.crash, "crashes"), (cluster.stop, "restarts")))
        stop()
        self._pause(0.0, 1.0)
        cluster.start()
        return f"PostgreSQL: {said}"

    def _lock(self) -> str | None:
        with suppress(psycopg.Error), psycopg.connect(self._ground.cluster.dsn) as admin:
            admin.execute(b"set local lock_timeout = '300ms'")
            admin.execute("lock table economic.invoice in access exclusive mode")
            self._pause(0.1, 1.5)
            return "PostgreSQL: the table locked by somebody"
        return None

    def _kill(self) -> str | None:
        for process in self._some_processes():
            process.kill()
            return "processes: killed (SIGKILL)"
        return None

    def _freeze(self) -> str | None:
        for process in self._some_processes():
            process.freeze()
            # From much shorter than the lease to much longer.
            self._later(self._dice.choice((0.1, 0.5, 1.5, 4.0, 6.0)), process.wake)
            return "processes: frozen and woken (SIGSTOP)"
        return None

    def _freeze_in_a_page(self) -> str | None:
        """The process that sends the next page freezes before it has sent all of it, with the lease's row locked."""
        struck: list[str] = []

        def freeze() -> None:
            for process in self._traffic.at_work():
                process.freeze()
                self._later(2.5, process.wake)
            struck.append("processes: all frozen, one of them in the middle of a page")

        self._ground.postgres.trip(b'"bookedinvoicenumber":', freeze)
        self._pause(0.5, 1.5)
        self._ground.postgres.heal()
        return struck[0] if struck else None

    def _lose(self) -> str | None:
        """Airflow gives a process up that lives on, as when its supervisor was killed; sometimes it sleeps through it."""
        for process in self._some_processes():
            frozen = self._dice.random() < 0.5
            if frozen:
                process.freeze()
                self._later(self._dice.uniform(0.5, 4.0), process.wake)
            self._traffic.give_up(process)
            return "processes: tried again beside the one that lives" + (", frozen" if frozen else "")
        return None

    def _some_processes(self) -> list[Any]:
        found = self._traffic.at_work()
        self._dice.shuffle(found)
        return found

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, do)
        timer.start()
        self._frozen = [*(one for one in self._frozen if one.is_alive()), timer]

    def _pause(self, least: float, most: float) -> None:
        time.sleep(self._dice.uniform(least, most))
