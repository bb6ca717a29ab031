"""Which e-conomic account is read: the one whose tokens are in the environment, or a simulated one."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev import copies
from dev.parts import PartFailed, Parts

REAL_TOKENS = ("ECONOMIC_APP_SECRET_TOKEN", "ECONOMIC_AGREEMENT_GRANT_TOKEN")
TESTS = Path(__file__).resolve().parents[1] / "tests"
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Account:
    """An account and how it is reached.

    :param conn_id: Airflow's connection id for it. The real account has another than the simulated one: an id is bound to its first agreement.
    :param base_url: scheme, host and, unless it is the usual one, port.
    :param description: what it is, for people.
    """

    conn_id: str
    base_url: str
    app_secret_token: str
    agreement_grant_token: str
    description: str

    @property
    def connection(self) -> dict[str, Any]:
        """The connection's fields. The port is always named: the connection form's Test button fails without one."""
        parts = urlsplit(self.base_url)
        return {
            "conn_type": "economic",
            "host": f"{parts.scheme}://{parts.hostname}",
            "port": parts.port or {"http": 80, "https": 443}[parts.scheme],
            "extra": json.dumps(
                {
                    "app_secret_token": self.app_secret_token,
                    "agreement_grant_token": self.agreement_grant_token,
                }
            ),
        }


def account(parts: Parts, home: Path, invoices: int | None) -> Account:
    """The real account if both of its tokens are set, else a simulator, which becomes a part.

    :param home: the folder of the copy, where it is noted.
    :param invoices: how many the simulator has; None for as many as it had, or the usual number.
    :raises PartFailed: one of the two is set alone.
    :raises RuntimeError: the copy is of a simulated account of another size.
    """
    given = [name for name in REAL_TOKENS if os.environ.get(name)]
    if len(given) == 1:
        (absent,) = set(REAL_TOKENS) - set(given)
        raise PartFailed(
            f"{given[0]} is set, but {absent} is not: set both for the real account, or none for the simulator."
        )
    if given:
        app_secret, grant = (os.environ[name] for name in REAL_TOKENS)
        base_url = os.environ.get("ECONOMIC_BASE_URL", "https://restapi.e-conomic.com")
        copies.note_real(home)
        described = f"the real account behind {REAL_TOKENS[0]} and {REAL_TOKENS[1]}"
        return Account("economic_live", base_url, app_secret, grant, described)
    return _simulated(parts, copies.note_simulated(home, invoices), copies.last_simulated_day(home))


def _simulated(parts: Parts, invoices: int, last_day: date) -> Account:
    sys.path.insert(0, str(TESTS))
    from simulator.running import AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, READY

    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    books = ["--invoices", str(invoices), "--until", last_day.isoformat()]
    command = [sys.executable, "-m", "simulator", *books]
    part = parts.start("simulator", command, os.environ | {"PYTHONPATH": path})
    parts.wait_until(lambda: part.said().startswith(READY), "the simulator answers", _PATIENCE_SECONDS)
    base_url = part.said().removeprefix(READY).split()[0]
    described = f"a simulator of e-conomic with {invoices:,} invoices ({base_url})"
    return Account("economic_default", base_url, APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN, described)
