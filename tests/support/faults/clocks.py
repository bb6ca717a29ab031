"""Programs that are told another time than it is, by libfaketime (Debian's package faketime). Only their wall clock is wrong: waits stay waits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.faults.clusters import Cluster

_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


def library() -> Path | None:
    """The library that lies about the time, for programs with threads; None where it is not installed."""
    found = (path for folder in _FOLDERS for path in Path(folder).glob("**/faketime/libfaketimeMT.so.1"))
    return next(found, None)


def told(time: str) -> dict[str, str]:
    """The environment of a program that is to believe it is another time.

    :param time: as faketime writes it: ``+1h``, ``-1h``, ``@2038-01-19 03:14:08``.
    """
    return {"LD_PRELOAD": str(library()), "FAKETIME": time, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Clock:
    """The clock of a server, which can be set while it runs. The server is restarted for it, once."""

    def __init__(self, cluster: Cluster) -> None:
        server = cluster.server
        # Beside its data, where its user can read it.
        self._file = server.data.parent / "clock"
        self.set("+0")
        self._file.chmod(0o644)
        lies = {name: value for name, value in told("").items() if name != "FAKETIME"}
        environment = lies | {
            "PATH": os.environ["PATH"],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
        }
        subprocess.run(
            [server.bin / "pg_ctl", "-D", server.data, "-w", "-l", server.log, "restart", "-m", "fast"],
            check=True,
            cwd="/",
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **server.identity,
        )

    def set(self, offset: str) -> None:
        """From now on it is that much later or earlier than it is: ``+1h``, ``-1h``, ``+0``."""
        self._file.write_text(offset)
