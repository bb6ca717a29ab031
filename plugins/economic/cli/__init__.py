"""Implements `python -m economic` for owners of the database and for monitoring. Works without
Airflow.
"""

from __future__ import annotations
