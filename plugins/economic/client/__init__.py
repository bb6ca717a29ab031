"""Reads one e-conomic agreement over HTTP. Knows nothing of the database."""

from __future__ import annotations
