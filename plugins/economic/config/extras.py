"""Reads the extra of an Airflow connection."""

from __future__ import annotations

import json
from typing import Any

from economic.errors import ConfigurationError


def read_extra(text: str | None, where: str) -> dict[str, Any]:
    """Return a connection's extra: a JSON object, empty when there is none.

    Airflow's own way logs a traceback and goes on without what it could not read, and warns of values too short to be masked.

    :param where: which connection it is, for the error: ``connection economic_default``.
    :raises ConfigurationError: it is not a JSON object; its text is not shown.
    """
    if not (text or "").strip():
        return {}
    try:
        extra = json.loads(text or "")
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise ConfigurationError(
            f"The extra of {where} is not a JSON object.",
            hint='Write it as {"name": "value"}, or leave it empty.',
        )
    return extra
