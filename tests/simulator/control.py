"""What a test or a demonstration may do to the running simulator, by name and with JSON values."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from simulator.faults import Hook, Script
from simulator.journal import Journal
from simulator.ledger import Ledger
from simulator.routes import Routes
from simulator.spoiling import Spoil


class Control:
    """The actions behind `/__control__/<action>`; each takes keyword values and returns JSON values."""

    def __init__(self, ledger: Ledger, script: Script, journal: Journal, routes: Routes) -> None:
        self._ledger, self._script, self._journal = ledger, script, journal
        self._lines = routes.lines.book
        self._actions: dict[str, Callable[..., Any]] = {
            "pay": ledger.pay,
            "unpay": ledger.unpay,
            "book": self._book,
            "credit": lambda number: {"number": ledger.credit(number)},
            "match": ledger.match,
            "unmatch": ledger.unmatch,
            "remove": ledger.remove,
            "restore": ledger.restore,
            "budget": routes.budget.change,
            "moves": routes.mover.set_rate,
            "move": routes.mover.move,
            "unpaid": ledger.read_unpaid,
            "rename_employee": ledger.rename_employee,
            "add_employee": lambda name, number=None, **how: ledger.add_employee(number, name, **how),
            "remove_employee": ledger.remove_employee,
            "spoil": self._spoil,
            "heal": self._heal,
            "lines": self._lines.choose,
            "spoil_line": self._spoil_line,
            "lose": self._lines.lose,
            "differ": lambda number, by: self._lines.differ(number, Decimal(str(by))),
            "faults": script.set_faults,
            "when": self._when,
            "agreement": self._agreement,
            "clock": self._clock,
            "requests": lambda: {"requests": journal.entries()},
            "reset": journal.reset,
        }

    def perform(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Do the action; a ValueError or TypeError says what was wrong with it."""
        if action not in self._actions:
            raise ValueError(f"there is no action {action}; there are {', '.join(sorted(self._actions))}")
        result = self._actions[action](**payload)
        return result if isinstance(result, dict) else {}

    def after(self, path: str) -> None:
        """Do whatever is scripted to happen after this request."""
        for step in self._script.due_after(path):
            if callable(step):
                step()
            else:
                self.perform(step["action"], {key: value for key, value in step.items() if key != "action"})

    def _book(self, count: int = 1, date: str | None = None, **chosen: Any) -> dict[str, Any]:
        return {"numbers": self._ledger.book(count, day=_day(date), **chosen)}

    def _spoil(
        self, number: int, path: str, value: Any = None, raw: str | None = None, absent: bool = False
    ) -> None:  # fmt: skip
        self._ledger.spoil(number, path, _text(value, raw, absent))

    def _spoil_line(
        self, number: int, line: int, path: str, value: Any = None, raw: str | None = None, absent: bool = False
    ) -> None:  # fmt: skip
        self._lines.spoil(number, line, Spoil(path, _text(value, raw, absent)))

    def _heal(self, number: int) -> None:
        self._ledger.heal(number)
        self._lines.heal(number)

    def _when(self, clear: bool = False, **hook: Any) -> None:
        if clear:
            self._script.clear_hooks()
        if hook:
            self._script.add_hook(Hook(**hook))

    def _agreement(self, number: int, company: str | None = None) -> None:
        with self._ledger.lock:
            self._ledger.agreement = number
            self._ledger.company = company or self._ledger.company
            self._ledger.version += 1

    def _clock(self, date: str | None = None) -> None:
        with self._ledger.lock:
            self._ledger.day = _day(date)
            self._ledger.version += 1


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _text(value: Any, raw: str | None, absent: bool) -> str | None:
    """Return the JSON text to deliver, None for none."""
    if absent:
        return None
    return raw if raw is not None else json.dumps(value, default=str)
