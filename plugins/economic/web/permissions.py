"""Who may see an agreement and who may start a sync, by the rights on its DAGs in Airflow.

The DAG of full syncs decides who sees; a right on that of quick syncs alone shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel

from economic.config.dags import SyncDag

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser


def may_read(user: BaseUser, dags: Sequence[SyncDag]) -> Iterator[SyncDag]:
    """Yield the DAGs whose runs the user may read."""
    by_id = {dag.dag_id: dag for dag in dags}
    return (by_id[dag_id] for dag_id in _allowed(user, list(by_id), "GET"))


def may_trigger(user: BaseUser, dags: Sequence[SyncDag]) -> frozenset[str]:
    """Return the ids of the DAGs that the user may trigger, those of quick syncs too."""
    quick = [dag.quick_dag_id for dag in dags if dag.quick_schedule]
    return frozenset(_allowed(user, [dag.dag_id for dag in dags] + quick, "POST"))


def _allowed(user: BaseUser, dag_ids: list[str], method: Literal["GET", "POST"]) -> Iterator[str]:
    teams = DagModel.get_dag_id_to_team_name_mapping(dag_ids)
    manager = get_auth_manager()
    for dag_id in dag_ids:
        details = DagDetails(id=dag_id, team_name=teams.get(dag_id))
        if manager.is_authorized_dag(
            method=method, access_entity=DagAccessEntity.RUN, details=details, user=user
        ):
            yield dag_id
