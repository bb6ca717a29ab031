"""Serves the page in Airflow's web UI. Only reads; imports neither sync, client nor records."""

from __future__ import annotations
