"""docker-compose.yaml: what can be said without an engine, and the real thing on an engine of our own."""

from __future__ import annotations
