"""Documents delivered wrong on purpose: one field replaced or left out, the rest of the text as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from simulator.documents import quoted


class Literal(str):
    """JSON text that is delivered as it stands."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Spoil:
    """What is wrong with one field; `text` None leaves the field out."""

    path: str
    text: str | None

    def apply(self, document: dict[str, Any]) -> None:
        *parents, last = self.path.split(".")
        place: Any = document
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        if isinstance(place, list):
            place[int(last)] = Literal(self.text)
        elif self.text is None:
            place.pop(last, None)
        else:
            place[last] = Literal(self.text)


def spoiled(text: str, spoils: list[Spoil]) -> str:
    """Apply the spoils to a healthy document, keeping every other number as it is spelled."""
    document = json.loads(text, parse_float=Literal, parse_int=Literal)
    for spoil in spoils:
        spoil.apply(document)
    return write_json(document)


def write_json(value: Any) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{write_json(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write_json(member) for member in value) + "]"
    return quoted(value)
