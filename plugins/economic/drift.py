"""What e-conomic's invoices hold that is not as documented and is stored all the same, told once a scan."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from msgspec import Struct, structs

from economic.documented import BookedInvoice
from economic.envelope import Item
from economic.errors import RecordError
from economic.models import NUL_ESCAPE, invoice_number
from economic.outside_text import bounded

log = logging.getLogger(__name__)

_MOST_SHOWN = 20
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class _Known:
    """An object's documented fields, and those of them that are objects."""

    path: str
    fields: frozenset[str]
    objects: dict[str, _Known]


def _known(path: str, kind: type[Struct]) -> _Known:
    objects = {}
    for field in structs.fields(kind):
        inner = next(
            (each for each in get_args(field.type) if isinstance(each, type) and issubclass(each, Struct)),
            None,
        )
        if inner is not None:
            objects[field.encode_name] = _known(f"{path}.{field.encode_name}".lstrip("."), inner)
    return _Known(path, frozenset(kind.__struct_encode_fields__), objects)


_INVOICE = _known("", BookedInvoice)


class Drift:
    """Collects over a scan; :meth:`tell` says it all in a few lines."""

    def __init__(self) -> None:
        self._fields: Counter[str] = Counter()
        self._repeated: list[int | None] = []
        self._nul: list[int | None] = []

    def look(self, items: Iterable[Item]) -> None:
        """Note what is odd about some items."""
        for item in items:
            self._look(item)

    def _look(self, item: Item) -> None:
        raw = item.raw
        try:
            members = self._note_fields(item.value)
        except RecordError:
            return
        # A key that comes twice is one member less than there are keys in the text; a text may hold `":` too.
        if raw.count('":') != members and _repeats_a_key(raw):
            self._repeated.append(invoice_number(item))
        if "\\u0000" in raw and NUL_ESCAPE.search(raw):
            self._nul.append(invoice_number(item))

    def tell(self) -> None:
        """Write it to the log, if there is something."""
        if self._fields:
            often = sorted(self._fields.items(), key=lambda field: (-field[1], field[0]))
            shown = [f"{bounded(name, _LONGEST_NAME)} ({n})" for name, n in often[:_MOST_SHOWN]]
            log.info(
                "e-conomic delivers fields that this version does not know; they are kept in raw_data: %s%s.",
                ", ".join(shown),
                _and_more(len(self._fields)),
            )
        for numbers, what in (
            (self._nul, "NUL characters were taken out of"),
            (self._repeated, "Keys came twice in one object, and the last one counts, in"),
        ):
            if numbers:
                shown = [str(number or "(no number)") for number in numbers[:_MOST_SHOWN]]
                log.warning("%s invoices %s%s.", what, ", ".join(shown), _and_more(len(numbers)))

    def _note_fields(self, item: Any) -> int:
        """Count unknown fields by path; how many members all objects of the item have together."""
        members = 0
        todo: list[tuple[_Known | None, Any]] = [(_INVOICE, item)]
        while todo:
            known, value = todo.pop()
            if type(value) is dict:
                members += len(value)
                if known is not None and not known.fields.issuperset(value):
                    self._fields.update(
                        f"{known.path}.{key}".lstrip(".") for key in value.keys() - known.fields
                    )
                objects = {} if known is None else known.objects
                todo += [
                    (objects.get(key), inner)
                    for key, inner in value.items()
                    if type(inner) is dict or type(inner) is list
                ]
            elif type(value) is list:
                todo += [(None, inner) for inner in value]
        return members


def _repeats_a_key(raw: str) -> bool:
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({key for key, _ in pairs}) != len(pairs)

    try:
        json.loads(raw, object_pairs_hook=look, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        # It was read before with a little more room; what it repeats stays unsaid.
        return False
    return found


def _and_more(count: int) -> str:
    return f" and {count - _MOST_SHOWN} more" if count > _MOST_SHOWN else ""
