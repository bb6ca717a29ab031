"""Keeps a PostgreSQL copy of a company's booked e-conomic invoices fresh, complete and provably
right.

Airflow imports this package at every start to list its providers: standard library only, and
nothing else imported here.
"""

from __future__ import annotations

__all__ = ["__version__"]
__version__ = "0.1.0"
