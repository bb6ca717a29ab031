"""Looks at the running parts from outside, every few seconds: connections, CPU, memory, the scheduler's heartbeat."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import psutil
import psycopg

from dev.airflow_settings import INVOICES, METADATA
from dev.bench.measure import postgres_cpu
from dev.embedded_postgres import Server
from dev.scale.stand import Stand

_EVERY_SECONDS = 1.0
_MEMORY_EVERY = 10
"""Looks: adding up the shared pages of all processes costs too much for each of them."""
_MB = 1024**2


class Watch:
    """What was seen while it looked. Use it as a context manager."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._done = Event()
        self._thread = Thread(target=self._look_again_and_again, daemon=True)
        self._before = self._cpu()
        self.most_connections: dict[str, int] = {}
        self.most_backends_at_work: dict[str, int] = {}
        self.most_rss: dict[str, float] = {}
        self.most_pss: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.longest_heartbeat_gap = 0.0
        self.most_staged_rows = 0
        self.most_begun_syncs = 0
        self.most_syncs_without_lease = 0
        self.load: list[float] = []
        self.least_free_mb = float("inf")
        self.failure: BaseException | None = None

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        after = self._cpu()
        self.cpu = {name: after[name] - before for name, before in self._before.items()}
        if self.failure is not None:
            raise RuntimeError("The watch broke off.") from self.failure

    def _look_again_and_again(self) -> None:
        try:
            with (
                _connect(self._stand.metadata, METADATA) as metadata,
                _connect(self._stand.invoices, INVOICES) as invoices,
            ):
                looks = 0
                while not self._done.wait(_EVERY_SECONDS):
                    self._look_at_databases({"metadata database": metadata, "invoice database": invoices})
                    self._look_at_scheduler(metadata)
                    self._look_at_syncs(invoices)
                    if looks % _MEMORY_EVERY == 0:
                        self._look_at_memory()
                    looks += 1
        except BaseException as error:  # told by the thread that waits for this one
            self.failure = error

    def _look_at_databases(self, connections: Mapping[str, psycopg.Connection]) -> None:
        query = """select count(*), count(*) filter (where state <> 'idle') from pg_stat_activity
            where backend_type = 'client backend' and pid <> pg_backend_pid()"""
        for name, connection in connections.items():
            every, at_work = connection.execute(query).fetchone() or (0, 0)
            _raise(self.most_connections, name, every)
            _raise(self.most_backends_at_work, name, at_work)

    def _look_at_scheduler(self, metadata: psycopg.Connection) -> None:
        query = """select extract(epoch from now() - max(latest_heartbeat)) from job where job_type = 'SchedulerJob'"""
        (gap,) = metadata.execute(query).fetchone() or (0,)
        self.longest_heartbeat_gap = max(self.longest_heartbeat_gap, float(gap or 0))

    def _look_at_syncs(self, invoices: psycopg.Connection) -> None:
        (known,) = invoices.execute("select to_regclass('economic.sync_status') is not null").fetchone() or (
            False,
        )
        if not known:
            return
        # By what the syncs say: counting a million staged rows each second would be a load of its own.
        query = """select
            (select coalesce(sum(rows), 0) from economic.sync_run, unnest(staged_rows) as rows where status = 'running'),
            (select count(*) from economic.sync_run where status = 'running'),
            (select count(*) from economic.sync_lease where holder is not null and expires_at < clock_timestamp())"""
        staged, begun, expired = invoices.execute(query).fetchone() or (0, 0, 0)
        self.most_staged_rows = max(self.most_staged_rows, int(staged))
        self.most_begun_syncs = max(self.most_begun_syncs, begun)
        self.most_syncs_without_lease = max(self.most_syncs_without_lease, expired)

    def _look_at_memory(self) -> None:
        for part in self._stand.parts.running:
            resident = shared_out = 0
            for process in _family(part.process):
                with suppress(psutil.NoSuchProcess, OSError):
                    resident += process.memory_info().rss
                    shared_out += _pss(process.pid)
            _raise(self.most_rss, part.name, resident / _MB)
            _raise(self.most_pss, part.name, shared_out / _MB)
        self.load.append(os.getloadavg()[0])
        self.least_free_mb = min(self.least_free_mb, psutil.virtual_memory().available / _MB)

    def _cpu(self) -> dict[str, float]:
        servers = self._stand.servers
        return {
            part.name: postgres_cpu(servers[part.name].pid)
            if part.name in servers
            else sum(_seconds(process) for process in _family(part.process))
            for part in self._stand.parts.running
        }


def _connect(server: Server, database: str) -> psycopg.Connection:
    return psycopg.connect(server.dsn(database), autocommit=True)


def _family(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _seconds(process: psutil.Process) -> float:
    """CPU seconds of a process and of the children it has seen end."""
    with suppress(psutil.NoSuchProcess):
        used = process.cpu_times()
        return float(used.user + used.system + used.children_user + used.children_system)
    return 0.0


def _pss(pid: int) -> int:
    """Its memory in bytes, each shared page divided by those who share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _raise(most: dict[str, float] | dict[str, int], name: str, value: float) -> None:
    most[name] = max(most.get(name, 0), value)  # type: ignore[assignment]
