"""Loads the functions that a user sets for failed and late syncs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from economic.errors import ConfigurationError
from economic.outside_text import bounded, quoted

log = logging.getLogger(__name__)

LOG_LATE = "economic.config.callbacks.log_late"


def load(path: str, variable: str) -> Callable[..., Any]:
    """Return the function or notifier at a path such as ``my_alerts.sync_failed``.

    :param variable: the variable that holds the path, for the error.
    :raises ConfigurationError: the path cannot be imported, or is not a function.
    """
    module, _, name = path.rpartition(".")
    try:
        callback = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{variable} is {quoted(path, 200)}, which cannot be imported ({bounded(str(error), 200)}).",
            hint="Set it to the path of a function that the DAG processor and the workers can import.",
        ) from None
    if not callable(callback):
        raise ConfigurationError(
            f"{variable} is {quoted(path, 200)}, which is not a function.", hint="Name a function."
        )
    return callback  # type: ignore[no-any-return]  # callable, as was just checked


def log_late(context: dict[str, Any], **_: Any) -> None:
    """Log that a sync is late. It is called when no other function is set.

    :param context: Airflow 3.3 passes the REST API's representation of the run as ``dag_run``.
    """
    log.error("The invoice sync is late: run %s has not succeeded in time.", context["dag_run"]["dag_run_id"])
