"""The page's own files: its shell, scripts, style and the chart library, read once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, as it is sent."""

    content: bytes
    media_type: str
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        """Kept by the browser, which asks each time whether it is still the same."""
        return {"ETag": self.etag, "Cache-Control": "private, no-cache"}


def page_files() -> dict[str, PageFile]:
    """All of them, by name: what is not in here does not exist."""
    found = {}
    for folder in ("templates", "static"):
        for path in sorted((_HERE / folder).iterdir()):
            if path.suffix in _TYPES:
                content = path.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                found[path.name] = PageFile(content, _TYPES[path.suffix], etag)
    return found
