"""The e-conomic account that is read: that of the tokens in the environment, or a simulated one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev import ROOT
from dev.local import copies
from dev.local.parts import PartFailed, Parts

REAL_TOKENS = ("ECONOMIC_APP_SECRET_TOKEN", "ECONOMIC_AGREEMENT_GRANT_TOKEN")
REAL_CONN_ID = "economic_live"
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Account:
    """An account and how it is reached.

    :param conn_id: Airflow's connection id. The real account's differs from the simulated one's: an id is bound to
        its first agreement.
    :param base_url: scheme, host and, unless it is the usual one, port.
    :param description: for people.
    """

    conn_id: str
    base_url: str
    app_secret_token: str
    agreement_grant_token: str
    description: str

    @property
    def is_simulated(self) -> bool:
        return self.conn_id != REAL_CONN_ID

    @property
    def connection(self) -> dict[str, Any]:
        """The connection's fields, with a port: the form's Test button fails without one."""
        parts = urlsplit(self.base_url)
        tokens = {
            "app_secret_token": self.app_secret_token,
            "agreement_grant_token": self.agreement_grant_token,
        }
        return {
            "conn_type": "economic",
            "host": f"{parts.scheme}://{parts.hostname}",
            "port": parts.port or {"http": 80, "https": 443}[parts.scheme],
            "extra": json.dumps(tokens),
        }


def account(
    parts: Parts,
    home: Path,
    invoices: int | None,
    moves_per_minute: int = 0,
    last_day: date | None = None,
) -> Account:
    """Return the real account if both of its tokens are set; else start a simulator as a part.

    :param home: the folder of the copy, where it is noted.
    :param invoices: the simulator's number; None for as many as it had, or the usual number.
    :param moves_per_minute: how often the simulator's books move by themselves.
    :param last_day: of the simulator's books at its first start; None for the day of that.
    :raises PartFailed: only one token is set.
    :raises RuntimeError: the copy is of a simulated account of another size.
    """
    tokens = {name: os.environ[name] for name in REAL_TOKENS if os.environ.get(name)}
    if len(tokens) == 1:
        (given,), (absent,) = tokens, set(REAL_TOKENS) - set(tokens)
        raise PartFailed(
            f"{given} is set, but {absent} is not: set both for the real account, or none for the simulator."
        )
    if tokens:
        base_url = os.environ.get("ECONOMIC_BASE_URL", "https://restapi.e-conomic.com")
        copies.note_real(home)
        described = f"the real account behind {REAL_TOKENS[0]} and {REAL_TOKENS[1]}"
        secret, grant = (tokens[name] for name in REAL_TOKENS)
        return Account(REAL_CONN_ID, base_url, secret, grant, described)
    number = copies.note_simulated(home, invoices)
    words = ["--invoices", str(number), "--until", copies.last_simulated_day(home, last_day).isoformat()]
    words += ["--moves-per-minute", str(moves_per_minute), "--moves-kept-in", str(home / "moves.json")]
    return start_simulator(parts, words, _PATIENCE_SECONDS)


def start_simulator(parts: Parts, words: Sequence[str], patience: float) -> Account:
    """Start the simulator with these options as a part; return its first company.

    :raises PartFailed: it does not start.
    """
    tests = str(ROOT / "tests")
    sys.path.insert(0, tests)
    from simulator.running import AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, READY

    path = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
    part = parts.start(
        "simulator", [sys.executable, "-m", "simulator", *words], os.environ | {"PYTHONPATH": path}
    )
    parts.wait_until(lambda: part.said().startswith(READY), "the simulator answers", patience)
    base_url = part.said().removeprefix(READY).split()[0]
    described = f"a simulator of e-conomic with {int(words[1]):,} invoices ({base_url})"
    return Account("economic_default", base_url, APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN, described)
