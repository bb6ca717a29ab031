"""The HTTP client of one e-conomic agreement. Imports nothing of the database."""

from __future__ import annotations
