"""Metrics of syncs, sent as Airflow's own are: to StatsD, Datadog or OpenTelemetry, or nowhere.

docs/metrics.md lists names and tags. Kept light at import: every task process imports this through
the DAG file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, AirflowSkipException

from economic.config.settings import Settings
from economic.db.connection import connect

if TYPE_CHECKING:
    from economic.client.transport import Traffic

log = logging.getLogger(__name__)

INVOICES = ("created", "updated", "unchanged", "failed", "missing", "returned")
PHASES = {"fetch_seconds": "fetch", "upsert_seconds": "upsert", "names_seconds": "names"}
LINES = ("proven", "differing", "rejected")
_SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")


@dataclass(slots=True)
class Watch:
    """What one task attempt tells: its traffic as long as it lasts, its statistics at the end."""

    dag_id: str
    traffic: Traffic | None = None
    outcome: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def sync_ended(self, statistics: Mapping[str, Any]) -> None:
        """Note what a sync did.

        :param statistics: as in its XCom.
        """
        self.outcome = statistics["status"]
        self.counts |= {f"invoices.{kind}": statistics[kind] for kind in INVOICES}
        self.seconds |= {f"duration.{name}": statistics[key] for key, name in PHASES.items()}
        self.seconds["duration.total"] = statistics["duration_seconds"]

    def lines_read(self, statistics: Mapping[str, Any]) -> None:
        """Note what a run has read that reads lines, and how all lines stand."""
        self.outcome = "completed"
        self.counts["lines.read"] = statistics["lines"]
        if statistics["requests"]:
            self.gauges |= {f"lines.{kind}": statistics[kind] for kind in LINES}


@contextmanager
def watch(conn_id: str) -> Iterator[Watch]:
    """Send the metrics of one task attempt at its end, however it ends; nothing where Airflow sends
    none.

    :param conn_id: the agreement's connection, for the age of its copy.
    """
    context = get_current_context()
    watched = Watch(str(context["dag_run"].dag_id))
    ti: Any = context["ti"]
    try:
        yield watched
    except AirflowRescheduleException:
        raise
    except AirflowSkipException:
        watched.outcome = "skipped"
        raise
    except Exception as error:
        if isinstance(error, AirflowFailException) or ti.try_number > ti.max_tries:
            watched.outcome = "failed"
        raise
    finally:
        if any(conf.getboolean("metrics", switch, fallback=False) for switch in _SWITCHES):
            try:
                _send(watched, conn_id)
            except Exception as error:
                # No sync fails for its metrics.
                log.warning("Metrics could not be sent (%s).", type(error).__name__)


def _send(watched: Watch, conn_id: str) -> None:
    # The path is Airflow 3.3's.
    from airflow.sdk.observability import stats

    counts, gauges = watched.counts, watched.gauges
    if watched.outcome:
        counts[f"runs.{watched.outcome}"] = 1
        gauges |= _copy(conn_id)
    if (used := watched.traffic) is not None:
        counts |= {"requests": used.requests, "retries": used.retries, "rate_limited": used.rate_limited}
        if used.limit:
            gauges["budget.used"] = round(used.used / used.limit, 4)
    tags = {"dag_id": watched.dag_id}
    for name, count in counts.items():
        if count:
            stats.incr(f"economic.{name}", count, tags=tags)
    for name, value in gauges.items():
        stats.gauge(f"economic.{name}", value, tags=tags)
    for name, duration in watched.seconds.items():
        stats.timing(f"economic.{name}", 1000 * duration, tags=tags)


def _copy(conn_id: str) -> dict[str, float]:
    """Return how the copy stands, also after a run that failed before it had a connection."""
    from economic.db import agreements

    with connect(Settings.from_environment().postgres_conn_id, within=5) as connection:
        (found,) = agreements.statuses(connection, [conn_id])
    gauges = {"rejections.open": found["rejected"] or 0}
    if (synced := found["last_synced_at"]) is not None:
        gauges |= {"copy.synced_at": int(synced.timestamp()), "copy.age": round(found["age_seconds"])}
    return gauges
