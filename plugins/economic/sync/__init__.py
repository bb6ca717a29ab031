"""Runs one sync from begin to end. Sees e-conomic through a protocol; imports neither Airflow nor the client."""

from __future__ import annotations
