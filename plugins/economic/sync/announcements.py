"""Which syncs' changes no event has announced yet.

An event reaches Airflow only when the last task has succeeded there. So changes count as announced
once Airflow has recorded that. What a failed sync had stored is announced by the next one that
ends. An event may come twice, and none is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from economic.db.runs import Owner
from economic.db.sql import Connection, row, rows, run, transaction


def pending(connection: Connection, agreement_number: int) -> tuple[int, ...]:
    """Return the syncs whose changes no recorded event has announced."""
    found = rows(connection, "select_unannounced_syncs", agreement_number=agreement_number)
    return tuple(each["sync_id"] for each in found)


def confirm(connection: Connection, sync_ids: Sequence[int]) -> None:
    """Note that Airflow has recorded the event that announces these syncs."""
    with transaction(connection):
        run(connection, "update_sync_run_announced", sync_ids=list(sync_ids))


def statistics_of(
    connection: Connection, sync_id: int, owner: Owner, clear_number: int
) -> dict[str, Any] | None:
    """Return the statistics of a sync that this DAG run has ended, None when it has not.

    The last task may die between that end and Airflow's recording of it. Then the retry finds
    everything done, and only the event is left to raise.

    :param clear_number: the DAG run's; a run that was cleared since works again.
    """
    found = row(
        connection, "select_ended_sync", sync_id=sync_id, clear_number=clear_number, **owner._asdict()
    )
    return None if found is None else dict(found["statistics"])
