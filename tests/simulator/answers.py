"""An answer before it goes out."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

GZIP = 31  # zlib's word for the gzip format


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers and a body; compressed only when a header says so."""

    status: int
    headers: dict[str, str]
    body: bytes


@lru_cache(maxsize=48)
def packed(body: bytes) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, GZIP)
    return squeezer.compress(body) + squeezer.flush()
