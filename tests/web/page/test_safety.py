"""Access rights, hostile requests and load: the rows W01 to W18 of the catalogue of faults.

W03, W07 and W17 have a second half in a real browser. W15 has one in `test_states.py`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import jwt
import psycopg
import pytest
import requests
from psycopg import sql

from economic.errors import CredentialsRefused
from economic.sync import lifecycle
from economic.web.coalescing import CoalescedReads
from economic.web.middleware import HEADERS
from simulator import InProcess
from tests.integration.conftest import Company
from tests.support.secret_scan import AGREEMENT_GRANT, APP_SECRET, find_canaries
from tests.web.page import history
from tests.web.page.conftest import page_app
from tests.web.page.servers import PAGE, SECRET, Site

DAG = "api/agreements/economic_invoice_sync"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' or 1=1 --",
    "'); drop table economic.invoice; --",
    "%27%20union%20select%20raw_data%20from%20economic.rejected_invoice--",
    "economic_invoice_sync' and pg_sleep(5)--",
    "{{7*7}}",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%00",
    "%%%_\\",
    "(a+)+$" + "a" * 60,
    "~",
    "*",
    "Ø\u202e\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
)


def routes() -> list[str]:
    """Return the path of every route, with a real value for each parameter."""
    from economic.web.assets import page_files

    app = page_app()
    found: list[str] = []
    # Only what is mounted by this package may be there: nothing that FastAPI adds by itself.
    for route in app.routes:
        assert type(route).__name__ == "APIRoute", route
        path = route.path.lstrip("/").replace("{dag_id}", "economic_invoice_sync")
        found += [path.replace("{name}", name) for name in page_files()] if "{name}" in path else [path]
    assert len(found) > 12
    return found


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("S09")
def test_no_route_shows_a_token(
    site: Site,
    connection: psycopg.Connection,
    simulated: InProcess,
    economic_default: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """e-conomic repeats the tokens in its refusal; the connection that holds them is this server's own."""
    company = Company(simulated, connection, economic_default)
    company.books.spoil(min(company.books.ledger.items()), "date", value="2026-02-30")
    company.sync()
    echo = json.dumps({"message": f"{APP_SECRET} and {AGREEMENT_GRANT}", "developerHint": quote(APP_SECRET)})
    company.books.fault("/self", "status", at="all", status=401, body=echo)
    with pytest.raises(CredentialsRefused) as caught:
        company.sync()
    lifecycle.close(connection, 2, "failed", str(caught.value))
    for amounts in ("false", "true"):
        monkeypatch.setenv("ECONOMIC_PAGE_AMOUNTS", amounts)
        shown = {path: site.page(path, "admin") for path in routes()}
        assert "e-conomic answered 401" in shown[DAG].text
        for path, answer in shown.items():
            assert find_canaries(answer.text, str(answer.headers)) == [], path


# -- who gets in ------------------------------------------------------------------------------------------------------

DEFAULT = "economic_invoice_sync"
NORTH, SOUTH = f"{DEFAULT}__north", f"{DEFAULT}__south"
ALL = {DEFAULT, NORTH, SOUTH}
NORTH_QUICK = "economic_invoice_quick_sync__north"
RIGHTS: dict[str, tuple[int, set[str], set[str]]] = {
    "not logged in": (401, set(), set()),
    "paula": (403, set(), set()),
    "nobody": (403, set(), set()),
    "dora": (403, set(), set()),
    "norma": (200, {NORTH}, set()),
    "nils": (200, {NORTH}, {NORTH}),
    "quinn": (403, set(), set()),
    "nora": (200, {NORTH}, {NORTH_QUICK}),
    "vera": (200, ALL, set()),
    "ursula": (200, ALL, ALL | {NORTH_QUICK}),
    "admin": (200, ALL, ALL | {NORTH_QUICK}),
}
"""By user: the status of the shell and of the files, the DAGs that they see, and those they may trigger."""


@pytest.mark.parametrize("user", RIGHTS)
@pytest.mark.fault("W01")
@pytest.mark.fault("W06")
def test_rights_decide_what_every_route_answers(site: Site, fab_server: Site, user: str) -> None:
    status, readable, triggerable = RIGHTS[user]
    name = None if user == "not logged in" else user
    for server in (site, fab_server):
        if name is not None and name not in server.passwords:
            continue
        for path in routes():
            hidden = path == "static/page.html" or (path.startswith(DAG) and DEFAULT not in readable)
            answer = server.page(path, name)
            assert answer.status_code == (404 if status == 200 and hidden else status), path
            assert status == 200 or DEFAULT not in answer.text
    for dag in ALL if status == 200 else ():
        for path in ("", "/syncs", "/rejections"):
            answer = fab_server.page(f"api/agreements/{dag}{path}", name)
            assert answer.status_code == (200 if dag in readable else 404), (dag, path)
        if dag in readable:
            agreement = fab_server.told(f"api/agreements/{dag}", user)["agreement"]
            assert agreement["may_trigger"] == (dag in triggerable)
            assert agreement["quick_dag_id"] == (NORTH_QUICK if dag == NORTH else None)
            assert agreement["may_trigger_quick"] == (dag == NORTH and NORTH_QUICK in triggerable)
    for dag in ALL | {NORTH_QUICK} if status == 200 else ():
        if dag not in triggerable:
            run = {"logical_date": None, "conf": {"force": True}}
            answer = fab_server.ask(f"/api/v2/dags/{dag}/dagRuns", user, "POST", json=run)
            assert answer.status_code == 403


@pytest.mark.fault("W01")
def test_bearer_token_counts_like_the_cookie(site: Site, fab_server: Site) -> None:
    for server in (site, fab_server):
        headers = {"Authorization": f"Bearer {server.token('vera')}"}
        assert server.page(DAG, user=None, headers=headers).status_code == 200


@pytest.mark.fault("W14")
def test_reader_of_one_company_sees_no_other_row(fab_server: Site) -> None:
    listed = fab_server.told("api/agreements", "norma")["agreements"]
    assert [one["dag_id"] for one in listed] == [NORTH]
    foreign = ("south", "default", "Company default", "run_of_south", '"invoice":103', '"agreement":3')
    for path in ("", "/syncs", "/rejections"):
        own = fab_server.page(f"api/agreements/{NORTH}{path}", "norma").text
        for text in (own, json.dumps(listed)):
            assert not [word for word in foreign if word in text.replace("economic_default", "")]
        for name in (SOUTH, f"{DEFAULT}__nothing"):
            assert fab_server.page(f"api/agreements/{name}{path}", "norma").json() == {
                "error": "There is nothing here."
            }
    assert fab_server.page(f"api/agreements?after={SOUTH}", "norma").status_code == 404
    seen_by_all = fab_server.told("api/agreements", "vera")["agreements"]
    assert {one["standing"]["agreement"] for one in seen_by_all} == {1, 2, 3, None}


@pytest.mark.fault("W01")
def test_errors_are_html_for_browsers_json_for_programs(site: Site, fab_server: Site) -> None:
    page = site.page(user=None, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "Log in" in page.text
    assert "may not read the runs" in fab_server.page("", "nobody", headers={"Accept": "text/html"}).text
    assert site.page(user=None).json() == {
        "error": "You are not logged in to Airflow. Log in, then come back to this page."
    }


@pytest.mark.fault("W02")
def test_fastapi_adds_no_pages(site: Site) -> None:
    pages = ("docs", "redoc", "openapi.json", "docs/oauth2-redirect", "static/", "static", "api", "api/")
    for path in pages:
        assert site.page(path, user=None).status_code in {401, 404}, path
        assert site.page(path, user="admin").status_code == 404, path


def base64_of(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


@pytest.mark.fault("W01")
@pytest.mark.fault("W13")
def test_forged_expired_and_roleless_tokens_are_rejected(site: Site) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    good = jwt.decode(site.token("admin"), SECRET, algorithms=["HS512"], options={"verify_aud": False})

    def signed(secret: str = SECRET, **changes: object) -> str:
        return jwt.encode(good | changes, secret, algorithm="HS512")

    head, body, mark = site.token("vera").split(".")
    raised = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "admin", "role": "ADMIN"}
    assert site.page(DAG, cookies={"_token": signed()}).status_code == 200
    for token in (
        "garbage",
        signed(secret="another-secret-of-the-same-length-that-airflow-does-not-know-of-at-all"),
        signed(exp=int(time.time()) - 3600),
        signed(aud="somebody-else"),
        f"{head}.{base64_of(raised)}.{mark}",
        f"{base64_of({'alg': 'none', 'typ': 'JWT'})}.{base64_of(raised)}.",
        get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="nobody", role=None)),
    ):
        for path in routes():
            assert site.page(path, cookies={"_token": token}).status_code in {401, 403}, path


@pytest.mark.fault("W12")
def test_rights_are_checked_off_the_event_loop(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.models.dag import DagModel

    asked: list[str] = []
    on_the_loop: list[str] = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*given: Any, **named: Any) -> Any:
            asked.append(real.__name__)
            with suppress(RuntimeError):
                asyncio.get_running_loop()
                on_the_loop.append(real.__name__)
            return real(*given, **named)

        return ask

    monkeypatch.setattr("economic.web.permissions.get_auth_manager", watched(get_auth_manager))
    teams = "get_dag_id_to_team_name_mapping"
    monkeypatch.setattr(DagModel, teams, watched(getattr(DagModel, teams)))
    for path in routes():
        asked.clear()
        site.page(path, "admin")
        assert {"get_auth_manager", teams} <= set(asked), path
        assert on_the_loop == [], path


# -- what it lets nobody do -------------------------------------------------------------------------------------------


@pytest.mark.fault("W07")
def test_only_get_is_answered(site: Site) -> None:
    for path in routes():
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            answer = site.page(path, "admin", method=method, headers={"Origin": "http://evil.example"})
            assert answer.status_code in {405, 404}, (method, path)
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.fault("W08")
def test_get_changes_nothing(site: Site, past: psycopg.Connection) -> None:
    def everything() -> dict[str, list[Any]]:
        names = past.execute(
            "select table_name from information_schema.tables where table_schema = 'economic' and table_type = 'BASE TABLE'"
        ).fetchall()
        rows = sql.SQL("select xmin::text, t::text from economic.{} as t order by 1, 2")
        return {name: past.execute(rows.format(sql.Identifier(name))).fetchall() for (name,) in names}

    before = everything()
    assert len(before) > 8
    for path in routes():
        site.page(path, "admin")
    assert everything() == before


@pytest.mark.fault("W08")
def test_page_transactions_are_read_only(connection: psycopg.Connection) -> None:
    from economic.db.sql import reading

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), reading(connection):
        history.add_agreement(connection)


@pytest.mark.fault("W18")
def test_no_answer_redirects(site: Site) -> None:
    for path in (
        "",
        "?next=//evil.example",
        "api/agreements/",
        f"{DAG}/",
        "//evil.example",
        "static/page.js/",
        "/%2e%2e//evil.example",
    ):
        answer = site.page(path, "admin", headers={"Host": "evil.example"})
        assert not 300 <= answer.status_code < 400, path
        assert "evil" not in answer.text
        assert "location" not in answer.headers


# -- hostile requests -------------------------------------------------------------------------------------------------


@pytest.mark.fault("W04")
@pytest.mark.fault("W09")
@pytest.mark.fault("W10")
def test_no_answer_repeats_a_hostile_request(site: Site, past: psycopg.Connection) -> None:
    for text in HOSTILE:
        quoted = quote(text, safe="%")
        paths = [f"api/agreements/{quoted}{part}" for part in ("", "/syncs", "/rejections")]
        for path in (*paths, f"api/agreements?after={quoted}", f"static/{quoted}", quoted):
            answer = site.page(path, headers={"Accept": "text/html"})
            assert answer.status_code in {404, 422}, path
            assert text not in answer.text or len(text) == 1


@pytest.mark.fault("W09")
@pytest.mark.fault("W11")
def test_unknown_parameters_have_no_effect(site: Site, past: psycopg.Connection) -> None:
    history.add_rejection(past, 7)
    path = f"{DAG}/rejections"
    plain = site.page(path).json()
    for name in ("sort", "order_by", "filter", "q", "page", "limit", "offset", "fields", "dag_id", "conn_id"):
        for value in ("-1", "status; drop table economic.sync_run"):
            assert site.page(f"{path}?{name}={quote(value)}").json() == plain, (name, value)
    too_long = site.page(f"api/agreements?after={'x' * 5000}")
    assert (too_long.status_code, too_long.json()) == (422, {"error": "A parameter is not usable."})


# -- what the browser is told -----------------------------------------------------------------------------------------


@pytest.mark.fault("W05")
def test_every_answer_has_security_headers(
    site: Site, past: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = site.page()
    answers = [
        shell,
        site.page("static/page.js"),
        site.page("static/page.js", headers={"If-None-Match": site.page("static/page.js").headers["etag"]}),
        site.page(DAG, headers={"Accept": "text/html"}),
        site.page(DAG, user=None),
        site.page("nothing"),
        site.page("api/agreements?after=" + "x" * 500),
        site.page("", "admin", method="POST"),
    ]
    monkeypatch.delenv("AIRFLOW_CONN_ECONOMIC_POSTGRES")
    answers.append(site.page(DAG))
    assert [answer.status_code for answer in answers] == [200, 200, 304, 200, 401, 404, 422, 405, 503]
    assert answers[3].headers["Content-Type"] == "application/json"
    for answer in answers:
        for name, value in HEADERS.items():
            if name != "Cache-Control":
                assert answer.headers[name] == value
        expected = "private, no-cache" if "static" in answer.url else "no-store"
        if answer is not shell:
            assert answer.headers["Cache-Control"] == expected
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    none = {"default-src", "base-uri", "form-action"}
    own = {"script-src", "style-src", "connect-src", "font-src", "frame-ancestors"}
    assert policy == dict.fromkeys(none, "'none'") | dict.fromkeys(own, "'self'") | {
        "img-src": "'self' data:"
    }


@pytest.mark.fault("W03")
@pytest.mark.fault("W05")
def test_files_need_nothing_the_policy_forbids() -> None:
    from economic.web.assets import page_files

    for name, file in page_files().items():
        text = file.content.decode()
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|<style|javascript:", text)
            assert not re.search(r"""(?:src|href)="(?:/|https?:)""", text)
        elif name != "chart.js":
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|\.style\s*=|setAttribute\(\"style",
                text,
            ), name
            assert not re.search(r"https?://(?!www\.w3\.org)", text), name
    assert b"sourceMappingURL" not in page_files()["chart.js"].content


@pytest.mark.fault("W15")
def test_unexpected_error_shows_no_details(
    site: Site,
    past: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says where it happened, by frames; neither it nor the answer has a message or a value."""
    from economic.web import serializers

    def broken(*_: object, **__: object) -> None:
        try:
            int("a value of a row")
        except ValueError as error:
            raise RuntimeError("host=secret.example password=hunter2") from error

    monkeypatch.setattr(serializers, "status_to_json", broken)
    answer = site.page(DAG)
    assert (answer.status_code, answer.json()["problem"]["code"]) == (500, "unexpected")
    page = site.page(DAG, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "<p>The page failed because of an unexpected error.</p>" in page.text
    for each in (answer, page):
        assert "secret.example" not in each.text
        assert each.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    logged = "\n".join(record.getMessage() for record in caplog.records if "economic" in record.name)
    assert re.search(r"builtins\.ValueError\n.*\nwhich led to:\nbuiltins\.RuntimeError\n", logged)
    assert re.search(r"^  economic\.web\.routes, line \d+, in _agreements$", logged, re.MULTILINE)
    for value in ("secret.example", "hunter2", "a value of a row"):
        assert value not in caplog.text


# -- where it stands --------------------------------------------------------------------------------------------------


@pytest.mark.fault("W16")
def test_address_is_not_reserved_by_airflow() -> None:
    from airflow.api_fastapi.app import RESERVED_URL_PREFIXES

    from economic.web.ui_plugin import EconomicPlugin

    (app,) = EconomicPlugin().fastapi_apps
    assert app["url_prefix"] == "/economic"
    assert not any(app["url_prefix"].startswith(prefix) for prefix in RESERVED_URL_PREFIXES)
    (view,) = EconomicPlugin.external_views
    assert view["href"] == "economic/"


@pytest.mark.fault("W17")
def test_page_is_served_only_below_the_prefix(fab_server: Site) -> None:
    assert fab_server.url.endswith("/team-a")
    shell = fab_server.page("", "vera")
    assert shell.status_code == 200
    for link in re.findall(r'(?:src|href)="([^"]+)"', shell.text):
        if not link.startswith("data:"):
            assert fab_server.page(link, "vera").status_code == 200
    bare = fab_server.url.removesuffix("/team-a")
    outside = requests.get(
        f"{bare}{PAGE}api/agreements", cookies={"_token": fab_server.token("vera")}, timeout=30
    )
    assert outside.status_code == 404


def test_airflow_starts_without_a_broken_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from economic.web import routes as page
    from economic.web.ui_plugin import EconomicPlugin

    def broken() -> None:
        raise ImportError("no such module")

    monkeypatch.setattr(page, "create_app", broken)
    assert EconomicPlugin().fastapi_apps == []


# -- a crowd ----------------------------------------------------------------------------------------------------------


def connections_of_the_page(connection: psycopg.Connection) -> int:
    query = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'airflow-provider-economic'"
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.fault("W12")
def test_fifty_blocked_viewers_hold_four_connections(
    site: Site, companies: psycopg.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"c{place}" for place in range(50)]
    monkeypatch.setenv("ECONOMIC_AGREEMENTS", json.dumps([{"name": name} for name in names]))
    page_app().state.reads = CoalescedReads(good_for=0.0, patience=1.5)
    site.token("vera")
    with psycopg.connect(database) as locking, ThreadPoolExecutor(50) as viewers:
        locking.execute("lock table economic.sync_run in access exclusive mode")
        asked = [viewers.submit(site.page, f"api/agreements/economic_invoice_sync__{name}") for name in names]
        most, slowest = 0, timedelta(0)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            most = max(most, connections_of_the_page(companies))
            slowest = max(slowest, site.ask("/api/v2/version", user=None).elapsed)
            time.sleep(0.1)
        answers = [answer.result() for answer in asked]
        locking.rollback()
    assert most == 4
    assert slowest < timedelta(seconds=2)
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["problem"]["code"] for answer in answers} == {"too_slow"}
    assert max(answer.elapsed for answer in answers) < timedelta(seconds=9)
