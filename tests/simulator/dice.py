"""Draws that are the same for the same key, in every Python version and in any order of asking."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Choice = TypeVar("Choice")


class Dice:
    """A supply of 512 bits made from a key, handed out as small numbers."""

    __slots__ = ("_rest",)

    def __init__(self, *key: str | int) -> None:
        self._rest = int.from_bytes(blake2b(repr(key).encode(), digest_size=64).digest(), "little")

    def below(self, bound: int) -> int:
        """Draw one of 0 .. bound - 1."""
        self._rest, value = divmod(self._rest, bound)
        return value

    def chance(self, permille: int) -> bool:
        """Draw true in so many cases of a thousand."""
        return self.below(1000) < permille

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Draw one of the choices."""
        return choices[self.below(len(choices))]
