"""The newer service of invoice lines, which the real API has on another host and version path."""

from __future__ import annotations
