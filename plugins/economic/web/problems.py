"""Reasons why the page has nothing to show, and the answer that gives them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PROBLEMS = {
    "no_tables": (
        "Nothing was synced yet: the database has no tables of this package.",
        "The first sync creates them.",
    ),
    "old_tables": (
        "The tables are of an older version than this page.",
        "The next sync upgrades them; their owner can do it now with: python -m economic migrate",
    ),
    "new_tables": (
        "The tables are of a newer version than this page.",
        "Upgrade the package airflow-provider-economic where Airflow's API server runs, and restart it.",
    ),
    "other_tables": (
        "The tables are not the ones this version works with: one is missing, or was changed.",
        "Undo the change, then let their owner run: python -m economic migrate",
    ),
    "no_right": (
        "The page's database role may not read the tables.",
        "Grant it the right to read the schema economic, or use the role that the sync uses.",
    ),
    "no_connection": (
        "Airflow's connection to the invoice database is missing or wrong.",
        "Add the Postgres connection that ECONOMIC_POSTGRES_CONN_ID names (economic_postgres), or correct "
        "its host, database, login and password.",
    ),
    "unreachable": (
        "The invoice database cannot be reached.",
        "The page retries automatically. If it lasts, check whether the database runs and whether "
        "Airflow's Postgres connection to it is right.",
    ),
    "too_slow": (
        "The invoice database takes too long to answer.",
        "The page retries automatically. If it lasts, check what else the database is doing.",
    ),
    "bad_setting": (
        "A setting of the sync is not usable where Airflow's API server runs.",
        "Airflow's list of import errors names it; correct it and restart the API server.",
    ),
    "unexpected": (
        "The page failed because of an unexpected error.",
        "The log of Airflow's API server shows where it happened.",
    ),
}
"""The text and the advice for each code. Error texts of the driver are never shown: they may name
hosts and roles."""

_HTTP_STATUS = {"no_tables": 200, "unexpected": 500}

_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>e-conomic sync</title></head><body>{paragraphs}</body></html>
"""


class DatabaseProblem(Exception):
    """The page cannot read what it shows.

    :param code: a key of :data:`PROBLEMS`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.text, self.todo = PROBLEMS[code]
        self.http_status = _HTTP_STATUS.get(code, 503)

    def to_json(self) -> dict[str, str]:
        """Return the problem as the page's scripts read it."""
        return {"code": self.code, "text": self.text, "todo": self.todo}


def error_response(request: Request, body: dict[str, Any], status: int, *paragraphs: str) -> Response:
    """Return an error as JSON, or as a page to a browser that asks for one.

    :param paragraphs: what the page shows instead of the JSON.
    """
    if "text/html" in request.headers.get("accept", ""):
        shown = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
        return HTMLResponse(_HTML.format(paragraphs=shown), status)
    return JSONResponse(body, status)


def problem_response(request: Request, problem: DatabaseProblem) -> Response:
    """Return a problem as an answer."""
    body = {"problem": problem.to_json()}
    return error_response(request, body, problem.http_status, problem.text, problem.todo)
