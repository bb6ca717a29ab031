"""Runs one sync, seeing e-conomic through a protocol. Imports neither Airflow nor the client."""

from __future__ import annotations
