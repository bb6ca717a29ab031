"""Reads the extra of an Airflow connection."""

from __future__ import annotations

import json
from typing import Any

from economic.errors import ConfigurationError


def read_extra(text: str | None, where: str) -> dict[str, Any]:
    """Return a connection's extra, empty when there is none.

    Airflow's own reader logs a traceback, ignores what it cannot read, and warns of values too
    short to be masked.

    :param where: the connection's name in errors: ``connection economic_default``.
    :raises ConfigurationError: it is not a JSON object. The message does not show its text.
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
