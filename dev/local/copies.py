"""The note of what the data folder of demo and start holds: the copy of a real account, of a
simulated one, or both.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

from dev.local.ownership import write_private

_REAL, _SIMULATED, _LAST_DAY = "real account", "simulated invoices", "last simulated day"
_USUAL_SIZE = 22_500


def note_real(home: Path) -> None:
    """Note that the real account is copied."""
    write_private(_note(home), _noted(home) | {_REAL: 1})


def note_simulated(home: Path, wanted: int | None) -> int:
    """Note that a simulated account is copied, and return how many invoices it has.

    :raises RuntimeError: the copy there is of another size: most of its invoices would turn up as missing, or as new.
    """
    known = _noted(home).get(_SIMULATED)
    size = wanted or known or _USUAL_SIZE
    if known not in (None, size):
        raise RuntimeError(
            f"{home} holds the copy of a simulated account with {known:,} invoices, not {size:,}. Leave --invoices out, "
            f"choose another folder (ECONOMIC_DEMO_DATA=/some/folder), or delete this one (./run clean)."
        )
    write_private(_note(home), _noted(home) | {_SIMULATED: size})
    return size


def last_simulated_day(home: Path, chosen: date | None = None) -> date:
    """Return the day of the simulated account's last invoice at first: the chosen day, or that of its first start."""
    day = _noted(home).get(_LAST_DAY) or (chosen or datetime.now(UTC).date()).toordinal()
    write_private(_note(home), _noted(home) | {_LAST_DAY: day})
    return date.fromordinal(day)


def holds_real(home: Path) -> bool:
    """Return whether the real account was copied there."""
    return _REAL in _noted(home)


def describe(home: Path) -> str:
    """Return what is there as text."""
    noted = _noted(home)
    kinds = []
    if _REAL in noted:
        kinds.append("the copy of the real account, with the history of its invoices")
    if _SIMULATED in noted:
        kinds.append(f"the copy of a simulated account ({noted[_SIMULATED]:,} invoices)")
    return " and ".join(kinds) or "no copy"


def _noted(home: Path) -> dict[str, int]:
    noted: dict[str, int] = json.loads(_note(home).read_text()) if _note(home).exists() else {}
    return noted


def _note(home: Path) -> Path:
    return home / "copies.json"
