"""The page's own files: its shell, scripts, style and the chart library, read once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, as it is sent."""

    content: bytes
    media_type: str
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers that let the browser keep the file, but ask each time whether it has changed."""
        return {"ETag": self.etag, "Cache-Control": "private, no-cache"}


def page_files() -> dict[str, PageFile]:
    """Return the files by name. No other file is ever sent."""
    files = {}
    for folder in ("templates", "static"):
        for path in sorted((_HERE / folder).iterdir()):
            if path.suffix in _MEDIA_TYPES:
                content = path.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                files[path.name] = PageFile(content, _MEDIA_TYPES[path.suffix], etag)
    return files
