"""The functions that a user hooks up to failed and late syncs, by their path."""

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
    """The function (or notifier) at a path such as ``my_alerts.sync_failed``.

    :param variable: where the path was set, for the error.
    :raises ConfigurationError: there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{variable} is {quoted(path, 200)}, which cannot be imported ({bounded(str(error), 200)}).",
            hint="Set it to the path of a function that the DAG processor and the workers can import.",
        ) from None
    if not callable(found):
        raise ConfigurationError(
            f"{variable} is {quoted(path, 200)}, which is no function.", hint="Name a function."
        )
    return found  # type: ignore[no-any-return]  # callable, as was just seen


def log_late(context: dict[str, Any], **_: Any) -> None:
    """Say in the log that a sync is late: what happens when no other function is set.

    :param context: of Airflow 3.3, in which ``dag_run`` is what its REST API answers of a run.
    """
    log.error(
        "The invoice sync is late: run %s has not ended well in time.", context["dag_run"]["dag_run_id"]
    )
