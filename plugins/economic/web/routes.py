"""The page's routes in Airflow's web UI. They only read.

Airflow does not authenticate what a plugin serves: each route depends on :func:`_visible_dag`,
:func:`_visible_dags` or :func:`_require_any_dag`, which ask for the right to read a DAG's runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from economic.config.dags import SyncDag
from economic.config.settings import Settings
from economic.errors import ConfigurationError
from economic.web import permissions, queries, serializers
from economic.web.assets import PageFile, page_files
from economic.web.coalescing import CoalescedReads
from economic.web.middleware import SecurityHeaders
from economic.web.problems import DatabaseProblem, error_response, problem_response

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

Result = TypeVar("Result")
Wanted = TypeVar("Wanted")

_ERRORS = {
    HTTPStatus.UNAUTHORIZED: "You are not logged in to Airflow. Log in, then come back to this page.",
    HTTPStatus.FORBIDDEN: (
        "Your Airflow role may not read the runs of the e-conomic sync. "
        "Ask an administrator for the right to read its DAG runs."
    ),
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This page only reads.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A parameter is not usable.",
}

routes = APIRouter()


def create_app() -> FastAPI:
    """Return the page as an application for Airflow to mount."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.reads = CoalescedReads()
    app.state.files = page_files()
    app.include_router(routes)
    app.add_middleware(SecurityHeaders)
    for kind in (StarletteHTTPException, RequestValidationError, DatabaseProblem):
        app.add_exception_handler(kind, _handle)
    return app


def _handle(request: Request, error: Exception) -> Response:
    if isinstance(error, DatabaseProblem):
        return problem_response(request, error)
    # The details of an invalid parameter are not shown: they repeat what was sent.
    code = error.status_code if isinstance(error, StarletteHTTPException) else HTTPStatus.UNPROCESSABLE_ENTITY
    text = _ERRORS.get(HTTPStatus(code), HTTPStatus(code).phrase)
    return error_response(request, {"error": text}, code, text)


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except ConfigurationError:
        raise DatabaseProblem("bad_setting") from None


SettingsDep = Annotated[Settings, Depends(_settings)]


def _require_any_dag(user: GetUserDep, settings: SettingsDep) -> None:
    """Let in users who may read the runs of at least one of the DAGs."""
    if next(permissions.may_read(user, settings.agreements), None) is None:
        raise HTTPException(HTTPStatus.FORBIDDEN)


def _visible_dags(user: GetUserDep, settings: SettingsDep) -> list[SyncDag]:
    """Return the DAGs whose runs the user may read."""
    dags = list(permissions.may_read(user, settings.agreements))
    if not dags:
        raise HTTPException(HTTPStatus.FORBIDDEN)
    return dags


def _visible_dag(dag_id: str, user: GetUserDep, settings: SettingsDep) -> SyncDag:
    """Return the DAG of the path. 404, not 403, for DAGs whose runs the user may not read."""
    for dag in permissions.may_read(user, [dag for dag in settings.agreements if dag.dag_id == dag_id]):
        return dag
    _require_any_dag(user, settings)
    raise HTTPException(HTTPStatus.NOT_FOUND)


DagDep = Annotated[SyncDag, Depends(_visible_dag)]
DagsDep = Annotated[list[SyncDag], Depends(_visible_dags)]


@routes.get("/", dependencies=[Depends(_require_any_dag)])
async def shell(request: Request) -> Response:
    return _file(request, request.app.state.files["page.html"])


@routes.get("/static/{name}", dependencies=[Depends(_require_any_dag)])
async def static(request: Request, name: str) -> Response:
    file = request.app.state.files.get(name)
    if file is None or name == "page.html":
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _file(request, file)


@routes.get("/api/agreements")
async def agreements(
    request: Request,
    user: GetUserDep,
    settings: SettingsDep,
    dags: DagsDep,
    after: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Return up to 200 agreements that the user may see, in the order of the settings.

    :param after: the DAG id that ``next`` of the previous answer named.
    """
    ids = [dag.dag_id for dag in dags]
    if after and after not in ids:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    first = ids.index(after) + 1 if after else 0
    page = dags[first : first + queries.MOST_ROWS]
    more = first + len(page) < len(dags)
    shown, problem = await _agreements(request, user, settings, page, months=len(dags) == 1)
    body = {"agreements": shown, "next": page[-1].dag_id if more else None}
    return _with_problem(body, problem)


@routes.get("/api/agreements/{dag_id}")
async def agreement(request: Request, user: GetUserDep, settings: SettingsDep, dag: DagDep) -> Response:
    """Return one agreement's status."""
    (shown,), problem = await _agreements(request, user, settings, [dag], months=True)
    return _with_problem({"agreement": shown}, problem)


@routes.get("/api/agreements/{dag_id}/syncs")
async def syncs(request: Request, settings: SettingsDep, dag: DagDep) -> Response:
    """Return the latest 50 syncs of an agreement, newest first, without quick ones that changed
    nothing, and what was used of e-conomic in the last 24 hours.
    """
    rows, usage = await _read(request, settings, queries.latest_syncs, dag.conn_id)
    return JSONResponse(
        {"syncs": [serializers.sync_to_json(row, dag) for row in rows], "usage": usage._asdict()}
    )


@routes.get("/api/agreements/{dag_id}/rejections")
async def rejections(request: Request, settings: SettingsDep, dag: DagDep) -> Response:
    """Return up to 200 rejected items, the open ones first."""
    rows = await _read(request, settings, queries.rejections, dag.conn_id)
    shown = [serializers.rejection_to_json(row, amounts=settings.page_amounts) for row in rows]
    return JSONResponse({"rejections": shown, "most": queries.MOST_ROWS})


@routes.get("/api/agreements/{dag_id}/lines")
async def lines(request: Request, settings: SettingsDep, dag: DagDep) -> Response:
    """Return up to 200 invoices whose lines are not proven, null when the role may not read
    them.
    """
    rows = await _read(request, settings, queries.unproven_lines, dag.conn_id)
    shown = rows and [serializers.unproven_to_json(row, amounts=settings.page_amounts) for row in rows]
    return JSONResponse({"lines": shown, "most": queries.MOST_ROWS})


async def _agreements(
    request: Request, user: BaseUser, settings: Settings, dags: Sequence[SyncDag], *, months: bool
) -> tuple[list[dict[str, Any]], DatabaseProblem | None]:
    """Return the DAGs as JSON: with their agreements' status, or
    with the reason why there is none.
    """
    # In a thread, because Airflow reads its own database for it.
    triggerable = await run_in_threadpool(permissions.may_trigger, user, dags)
    shown = [serializers.dag_to_json(dag, triggerable) for dag in dags]
    conn_ids = tuple(dag.conn_id for dag in dags)
    try:
        rows = await _read(request, settings, queries.agreement_statuses, conn_ids)
    except DatabaseProblem as problem:
        return shown, problem
    by_conn_id = {row["conn_id"]: row for row in rows}
    for dag, json in zip(dags, shown, strict=True):
        json["standing"] = serializers.status_to_json(
            by_conn_id[dag.conn_id], dag, amounts=settings.page_amounts, months=months
        )
    return shown, None


async def _read(
    request: Request, settings: Settings, query: Callable[[str, Wanted], Result], wanted: Wanted
) -> Result:
    """Return what a query finds; viewers who want the same share it.

    :param wanted: the connection, or several.
    """
    reads: CoalescedReads = request.app.state.reads
    try:
        return await reads.get((query, wanted), lambda: query(settings.postgres_conn_id, wanted))
    except TimeoutError:
        raise DatabaseProblem("too_slow") from None


def _with_problem(body: dict[str, Any], problem: DatabaseProblem | None) -> Response:
    if problem is None:
        return JSONResponse(body | {"problem": None})
    return JSONResponse(body | {"problem": problem.to_json()}, problem.http_status)


def _file(request: Request, file: PageFile) -> Response:
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=file.headers)
    return Response(file.content, media_type=file.media_type, headers=file.headers)
