"""Keeps the copy in PostgreSQL: connections, statements, lease, rows. Knows nothing of HTTP."""

from __future__ import annotations
