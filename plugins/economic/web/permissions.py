"""Who may see an agreement and who may start a sync, by the rights on its DAG in Airflow."""

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
    return _allowed(user, dags, "GET")


def may_trigger(user: BaseUser, dags: Sequence[SyncDag]) -> frozenset[str]:
    """Return the ids of the DAGs that the user may trigger."""
    return frozenset(dag.dag_id for dag in _allowed(user, dags, "POST"))


def _allowed(user: BaseUser, dags: Sequence[SyncDag], method: Literal["GET", "POST"]) -> Iterator[SyncDag]:
    teams = DagModel.get_dag_id_to_team_name_mapping([dag.dag_id for dag in dags])
    manager = get_auth_manager()
    for dag in dags:
        details = DagDetails(id=dag.dag_id, team_name=teams.get(dag.dag_id))
        if manager.is_authorized_dag(
            method=method, access_entity=DagAccessEntity.RUN, details=details, user=user
        ):
            yield dag
