"""Reads what a user may set: settings, DAGs, schedules, callbacks. Opens no connection."""

from __future__ import annotations
