"""The page in Airflow's own web UI: its routes. Every one asks for the right to read the runs of the DAG it shows; none changes anything.

Airflow does not authenticate what a plugin serves: no route may do without :func:`_shown` or :func:`_some`.
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
from starlette.exceptions import HTTPException as AnyHTTPException

from economic.config.dags import SyncDag
from economic.config.settings import Settings
from economic.errors import ConfigurationError
from economic.web import permissions as access
from economic.web import queries as reading
from economic.web import serializers as display
from economic.web.assets import PageFile, page_files
from economic.web.coalescing import CoalescedReads, ReadTimeout
from economic.web.middleware import Guard, instead
from economic.web.queries import MOST_ROWS, Unreadable

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

Answer = TypeVar("Answer")

_REFUSALS = {
    HTTPStatus.UNAUTHORIZED: "You are not logged in to Airflow. Log in, then come back to this page.",
    HTTPStatus.FORBIDDEN: "Your Airflow role may not read the runs of the e-conomic sync. Ask an administrator for the right to read its DAG runs.",
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This page only reads.",
}

routes = APIRouter()


def create_app() -> FastAPI:
    """The page as an application of its own, for Airflow to mount."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.reads = CoalescedReads()
    app.state.files = page_files()
    app.include_router(routes)
    app.add_middleware(Guard)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unreadable, _unreadable)
    return app


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except ConfigurationError:
        raise Unreadable(reading.BAD_SETTING) from None


SettingsDep = Annotated[Settings, Depends(_settings)]


def _some(user: GetUserDep, settings: SettingsDep) -> None:
    """Lets in whoever may read the runs of at least one of the DAGs."""
    if next(access.may_read(user, settings.agreements), None) is None:
        raise HTTPException(HTTPStatus.FORBIDDEN)


def _all(user: GetUserDep, settings: SettingsDep) -> list[SyncDag]:
    """The DAGs whose runs the user may read."""
    dags = list(access.may_read(user, settings.agreements))
    if not dags:
        raise HTTPException(HTTPStatus.FORBIDDEN)
    return dags


def _shown(dag_id: str, user: GetUserDep, settings: SettingsDep) -> SyncDag:
    """The DAG of the path. One whose runs the user may not read is no more there than one that does not exist."""
    asked = [dag for dag in settings.agreements if dag.dag_id == dag_id]
    for dag in access.may_read(user, asked):
        return dag
    _some(user, settings)
    raise HTTPException(HTTPStatus.NOT_FOUND)


ShownDep = Annotated[SyncDag, Depends(_shown)]
AllDep = Annotated[list[SyncDag], Depends(_all)]


@routes.get("/", dependencies=[Depends(_some)])
async def shell(request: Request) -> Response:
    return _file(request, request.app.state.files["page.html"])


@routes.get("/static/{name}", dependencies=[Depends(_some)])
async def static(request: Request, name: str) -> Response:
    found = request.app.state.files.get(name)
    if found is None or name == "page.html":
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _file(request, found)


@routes.get("/api/agreements")
async def agreements(
    request: Request,
    user: GetUserDep,
    settings: SettingsDep,
    dags: AllDep,
    after: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Up to 200 agreements that the user may see, in the order of the settings, and after which one the next ones come."""
    ids = [dag.dag_id for dag in dags]
    if after and after not in ids:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    first = ids.index(after) + 1 if after else 0
    shown = dags[first : first + MOST_ROWS]
    triggerable = await _triggerable(user, shown)
    told = [display.dag_json(dag, may_trigger=dag.dag_id in triggerable) for dag in shown]
    more = first + len(shown) < len(dags)
    body: dict[str, Any] = {"agreements": told, "next": shown[-1].dag_id if more else None, "problem": None}
    conn_ids = tuple(dag.conn_id for dag in shown)
    try:
        found = await _standings(request, settings, conn_ids)
    except Unreadable as error:
        return _json(body | {"problem": error.problem.to_json()}, error.problem.http_status)
    for dag, one in zip(shown, told, strict=True):
        one["standing"] = display.standing_json(
            found[dag.conn_id], dag, amounts=settings.page_amounts, months=len(dags) == 1
        )
    return _json(body)


@routes.get("/api/agreements/{dag_id}")
async def agreement(request: Request, user: GetUserDep, settings: SettingsDep, dag: ShownDep) -> Response:
    """How one agreement stands."""
    triggerable = await _triggerable(user, [dag])
    told = display.dag_json(dag, may_trigger=dag.dag_id in triggerable)
    try:
        found = await _standings(request, settings, (dag.conn_id,))
    except Unreadable as error:
        return _json({"agreement": told, "problem": error.problem.to_json()}, error.problem.http_status)
    told["standing"] = display.standing_json(found[dag.conn_id], dag, amounts=settings.page_amounts)
    return _json({"agreement": told, "problem": None})


@routes.get("/api/agreements/{dag_id}/syncs")
async def syncs(request: Request, settings: SettingsDep, dag: ShownDep) -> Response:
    """The latest 50 syncs of an agreement, newest first."""
    found = await _read(
        request, ("syncs", dag.conn_id), lambda: reading.syncs(settings.postgres_conn_id, dag.conn_id)
    )
    return _json({"syncs": [display.sync_json(row, dag) for row in found]})


@routes.get("/api/agreements/{dag_id}/rejections")
async def rejections(request: Request, settings: SettingsDep, dag: ShownDep) -> Response:
    """Up to 200 items that were set aside, the open ones first."""
    found = await _read(
        request,
        ("rejections", dag.conn_id),
        lambda: reading.rejections(settings.postgres_conn_id, dag.conn_id),
    )
    told = [display.rejection_json(row, amounts=settings.page_amounts) for row in found]
    return _json({"rejections": told, "most": MOST_ROWS})


async def _triggerable(user: BaseUser, dags: Sequence[SyncDag]) -> frozenset[str]:
    """The ids of those that the user may trigger; asked in a thread, because Airflow looks into its own database for it."""
    return await run_in_threadpool(access.may_trigger, user, dags)


async def _standings(request: Request, settings: Settings, conn_ids: tuple[str, ...]) -> dict[str, Any]:
    found = await _read(
        request,
        ("standings", conn_ids),
        lambda: reading.standings(settings.postgres_conn_id, conn_ids),
    )
    return {row["conn_id"]: row for row in found}


async def _read(request: Request, key: tuple[Any, ...], read: Callable[[], Answer]) -> Answer:
    reads: CoalescedReads = request.app.state.reads
    try:
        return await reads.get(key, read)
    except ReadTimeout:
        raise Unreadable(reading.TOO_SLOW) from None


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status)


def _file(request: Request, file: PageFile) -> Response:
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=file.headers)
    return Response(file.content, media_type=file.media_type, headers=file.headers)


def _refused(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, AnyHTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    text = _REFUSALS.get(HTTPStatus(code), HTTPStatus(code).phrase)
    return instead(request, {"error": text}, code, text)


def _invalid(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "A parameter is not usable."}, HTTPStatus.UNPROCESSABLE_ENTITY)


def _unreadable(request: Request, error: Exception) -> Response:
    problem = error.problem if isinstance(error, Unreadable) else reading.UNEXPECTED
    return instead(request, {"problem": problem.to_json()}, problem.http_status, problem.text, problem.todo)
