"""S01 to S18: the two tokens are nowhere but in the connection and in the two request headers.

These tests search for them, in every spelling, all that a healthy or a broken sync leaves behind.
"""

from __future__ import annotations

import ast
import base64
import http.client
import json
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import sqlalchemy as sa

from tests.faults.conftest import CONN_ID, Case
from tests.support.faults import hosts
from tests.support.faults.tls import Front, tls_front
from tests.support.secret_scan import (
    AGREEMENT_GRANT,
    APP_SECRET,
    SHOWN_ON_PURPOSE,
    WORD,
    CanaryWatch,
    find_canaries,
    shown,
)

ROOT = Path(__file__).resolve().parents[2]
TOKENS = (APP_SECRET, AGREEMENT_GRANT)
INVOICES = 60
OURS = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "dags").rglob("*.py")]


def nowhere(*where: Any) -> None:
    """Check that no token is in any of these texts, values, files."""
    texts = [one if isinstance(one, str | bytes | Path) else json.dumps(one, default=repr) for one in where]
    assert find_canaries(*texts) == []


# -- the search itself --------------------------------------------------------------------------------------------------


SPELLINGS: list[Callable[[str], str]] = [
    lambda token: token,
    lambda token: quote(token, safe=""),
    lambda token: json.dumps({"token": token}),
    lambda token: base64.b64encode(f"{{'token': '{token}'}}".encode()).decode(),
    lambda token: base64.urlsafe_b64encode(f"x{token}".encode()).decode(),
    lambda token: token.encode().hex(),
]


@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("token", TOKENS)
def test_a_canary_is_found_in_every_spelling(
    tmp_path: Path, spelled: Callable[[str], str], token: str
) -> None:
    text = f"before {spelled(token)} after"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "one.log").write_text(text)
    for where in (text, text.encode(), tmp_path, tmp_path / "logs" / "one.log"):
        (line,) = find_canaries(where)
        assert find_canaries(line) == []
    assert find_canaries("before after", b"", tmp_path / "missing") == []


def test_the_session_watch_searches_output_and_files(tmp_path: Path) -> None:
    watch = CanaryWatch(tmp_path)
    report = pytest.TestReport(
        "a", ("a", 1, "a"), {}, "passed", None, "call", [("Captured log call", APP_SECRET)]
    )
    watch.pytest_runtest_logreport(report)
    assert len(watch.found) == 1
    report.keywords = {SHOWN_ON_PURPOSE: 1}
    watch.pytest_runtest_logreport(report)
    (tmp_path / "x.log").write_text(AGREEMENT_GRANT)
    watch.look("at the end", tmp_path)
    assert len(watch.found) == 2
    nowhere(*watch.found)


# -- logs and errors ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("S01")
def test_debug_logs_hold_no_token(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("", "urllib3", "requests", "economic", "psycopg", "airflow.hooks", "http.client"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    case.synced()
    log = case.witness.log()
    assert "urllib3.connectionpool" in log
    nowhere(log, *capfd.readouterr())
    # that switch prints every header; nobody here may turn it on
    assert http.client.HTTPConnection.debuglevel == 0
    assert not [file for file in OURS if "debuglevel" in file.read_text()]
    case.heals()


ECHO = json.dumps(
    {
        "message": f"Token {APP_SECRET} and {AGREEMENT_GRANT} are no pair.",
        "errorCode": AGREEMENT_GRANT,
        "logId": APP_SECRET,
        "developerHint": APP_SECRET,
        "errors": [f"X-AppSecretToken: {APP_SECRET}", quote(APP_SECRET), quote(AGREEMENT_GRANT, safe="")],
    }
)
FAULTS: list[dict[str, Any]] = [
    *({"kind": "status", "status": status, "body": ECHO} for status in (400, 401, 500)),
    {"kind": "body", "body": f'{{"collection": "{APP_SECRET}"'},
    {"kind": "html", "body": f"<html>{APP_SECRET}</html>", "status": 200},
    {"kind": "headers", "headers": {"Content-Encoding": f"x-{AGREEMENT_GRANT}"}},
    {"kind": "status", "status": 429, "headers": {"Retry-After": APP_SECRET}, "body": ECHO},
    {"kind": "redirect", "location": f"https://elsewhere.example/?token={quote(APP_SECRET, safe='')}"},
    {"kind": "half_reset"},
    {"kind": "drip_head", "seconds": 5},
    {"kind": "bad_gzip"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}")
@pytest.mark.fault("S02")
def test_no_fault_leaves_a_token(case: Case, fault: dict[str, Any]) -> None:
    """The answer repeats the tokens where it can; the error, the log, the sync's row and its statistics do not."""
    case.runs.limit(attempts=2, read=0.5, page=1.0)
    case.books.fault("/invoices/booked", at="all", **fault)
    outcome = case.run(retries=0)
    assert outcome.state == "failed"
    # a body that repeats them is a local variable of whoever reads it
    nowhere(shown(outcome.error, variables="body" not in fault), case.witness.log(), case.last_sync())
    case.heals()


@pytest.mark.parametrize(
    ("key", "spoiled"),
    [
        ("app_secret_token", f"{APP_SECRET}\n"),
        ("agreement_grant_token", f"{APP_SECRET[:12]} {APP_SECRET[12:]}"),
        ("app_secret_token", ""),
        ("app_secret_token", "CANARY-15-chars"),
    ],
)
@pytest.mark.fault("S03", "S17")
def test_an_unusable_token_is_named_not_shown(case: Case, key: str, spoiled: str) -> None:
    """Rejects one that was pasted badly, or is too short for Airflow to mask it."""
    case.reach_books_at(case.books.base_url, **{key: spoiled})
    outcome = case.run()
    assert (outcome.state, len(outcome.tries), case.books.requests()) == ("failed", 1, [])
    assert key in str(outcome.error)
    assert key in case.last_sync()["message"]
    nowhere(shown(outcome.error), case.witness.log(), case.last_sync())
    case.reach_books_at(case.books.base_url)
    case.heals()


# -- what Airflow keeps and shows -----------------------------------------------------------------------------------------


def plain(value: Any) -> bool:
    """Whether a value is made of what JSON has, and nothing that could carry a connection."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(plain(inner) for inner in value)
    return value is None or type(value) in {bool, int, float, str}


@pytest.mark.fault("S04")
def test_xcom_holds_no_token(case: Case) -> None:
    """Airflow masks nothing there."""
    outcome = case.run()
    nowhere(outcome.xcom, outcome.events)
    assert all(plain(value) for value in outcome.xcom.values())
    case.heals()


@pytest.mark.fault("S05")
def test_the_stored_dag_holds_no_token(case: Case) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in DagBag(str(ROOT / "dags")).dags.values():
        nowhere(DagSerialization.to_dict(dag), dag.doc_md or "")
        for task in dag.tasks:
            rendered = {name: getattr(task, name, None) for name in task.template_fields}
            nowhere(rendered)


@pytest.mark.fault("S06")
def test_no_table_holds_a_token(case: Case) -> None:
    """Syncs that went well, that failed on an echo, that were set aside: the oracle reads every row of every table."""
    case.synced()
    number = min(case.books.ledger.items())
    case.books.spoil(number, "date", raw='"never"')
    case.books.fault("/employees", "status", at="all", status=403, body=ECHO)
    with case.witness.connect() as connection:
        connection.execute("update economic.employee set fetched_at = fetched_at - interval '2 hours'")
    assert case.run().statistics["status"] == "completed_with_errors"
    assert "refreshed" in case.last_sync()["message"]
    case.books.fault("/self", "status", at="all", status=401, body=ECHO)
    assert case.run().state == "failed"
    case.books.heal(number)
    case.heals()


@pytest.mark.fault("S07")
def test_api_and_form_mask_the_tokens() -> None:
    from airflow.api_fastapi.core_api.datamodels.connections import ConnectionResponse

    from economic.config.provider_info import get_provider_info

    extra = {"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT, "allow_http": True}
    fields = dict.fromkeys(("description", "login", "schema", "password", "team_name"))
    stored = {
        "conn_id": "x",
        "conn_type": "economic",
        "host": "https://x",
        "port": 443,
        "extra": json.dumps(extra),
    }
    shown = ConnectionResponse.model_validate(fields | stored).model_dump_json()
    nowhere(shown)
    assert shown.count("***") == 2
    # login and host are shown as they are: the form offers no place there for a token, and hides what it does not use
    (form,) = get_provider_info()["connection-types"]
    assert set(form["ui-field-behaviour"]["hidden-fields"]) == {"login", "password", "schema"}
    for key in ("app_secret_token", "agreement_grant_token"):
        assert form["conn-fields"][key]["schema"]["format"] == "password"


@pytest.mark.fault("S08")
def test_clear_connections_on_the_command_line_are_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert "airflow connections get" in text
    assert "connections export" in text


@pytest.mark.parametrize(
    "command", [["info"], ["config", "list"], ["plugins", "--verbose"], ["providers", "list"]]
)
@pytest.mark.fault("S10")
def test_airflow_commands_show_no_token(
    case: Case, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    from airflow.cli import cli_parser

    arguments = cli_parser.get_parser().parse_args(command)
    arguments.func(arguments)
    said = capsys.readouterr()
    assert len(said.out) > 50
    nowhere(said.out, said.err)


@pytest.mark.fault("S10")
def test_tokens_are_read_from_the_connection_only() -> None:
    assert len(OURS) > 30
    for file in OURS:
        names = {node.id for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Name)}
        assert not names & {"Variable", "print"}, file


# -- the wire -------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("S12")
def test_plain_http_elsewhere_is_rejected_before_sending(case: Case) -> None:
    for host in ("http://restapi.e-conomic.com", "http://10.0.0.1:8080", "http://127.0.0.1.example"):
        case.reach_books_at(host)
        outcome = case.run()
        assert (outcome.state, len(outcome.tries)) == ("failed", 1)
        assert "plain http" in str(outcome.error)
        nowhere(shown(outcome.error))
    case.reach_books_at(case.books.base_url)
    case.heals()


@contextmanager
def behind_tls(case: Case, folder: Path, **certificate: Any) -> Iterator[Front]:
    with tls_front(folder, int(case.books.base_url.rpartition(":")[2]), **certificate) as front:
        yield front


@pytest.mark.parametrize("bundle", [None, "/etc/hostname"])
@pytest.mark.fault("S13")
def test_a_trusted_certificate_is_accepted(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: str | None
) -> None:
    """The control: what the next tests refuse is refused for the certificate alone. A bundle of the environment does not replace the connection's."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, bundle) if bundle else monkeypatch.delenv(name, raising=False)
    with behind_tls(case, tmp_path) as front:
        case.reach_books_at(front.url, verify=str(front.authority))
        case.heals()
    assert case.stored() == INVOICES


@pytest.mark.parametrize(
    ("certificate", "trusted", "extra"),
    [
        ({}, False, {}),
        ({"name": "restapi.e-conomic.com"}, True, {}),
        ({"days": 0}, True, {}),
        *(({}, False, {"verify": value}) for value in (False, "false", "no", 0)),
    ],
    ids=["unknown authority", "another host's", "run out", "off", "off as text", "no", "0"],
)
@pytest.mark.fault("S13")
def test_without_a_trusted_certificate_nothing_is_sent(
    case: Case, tmp_path: Path, certificate: dict[str, Any], trusted: bool, extra: dict[str, Any]
) -> None:
    with behind_tls(case, tmp_path, **certificate) as front:
        case.reach_books_at(front.url, **({"verify": str(front.authority)} if trusted else extra))
        outcome = case.run()
        assert (outcome.state, len(outcome.tries), case.books.requests()) == ("failed", 1, [])
        assert ("verification" if extra else "certificate") in str(outcome.error)
        nowhere(shown(outcome.error))
    case.reach_books_at(case.books.base_url)
    case.heals()


@pytest.mark.fault("S14")
def test_a_proxy_of_the_environment_sees_no_token(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows a proxy only the host, over TLS; in plain http, where it would see all, the environment's is not used."""
    case.runs.limit(attempts=1, read=1.0, page=2.0)
    with hosts.foreign_host() as proxy, behind_tls(case, tmp_path) as front:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        case.reach_books_at(front.url, verify=str(front.authority))
        case.run(retries=0)
        assert proxy.received.startswith(f"CONNECT localhost:{front.port} ".encode())
        nowhere(proxy.received)
        connections = proxy.connections
        case.reach_books_at(case.books.base_url)
        case.heals()
        assert proxy.connections == connections


@pytest.mark.fault("S14")
def test_credentials_of_netrc_are_not_sent(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login me password of-somebody\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with behind_tls(case, tmp_path) as front:
        case.reach_books_at(front.url, verify=str(front.authority))
        assert case.run().state == "success"
        assert not [one for one in case.books.requests() if "Authorization" in one["headers"]]
        case.heals()


# -- at rest --------------------------------------------------------------------------------------------------------------

LIKE_A_SECRET = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a key of a cloud or a forge": re.compile(
        r"\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{50,}|xox[abpr]-[\w-]{10,}|glpat-[\w-]{20})"
    ),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{15,}\."),
    "a password in a URL": re.compile(r"[a-z]+://[^\s/:@{}$\"'<]+:(?!password@)[^\s/@{}$\"'<]{3,}@[\w.-]+"),
}
TOKEN_OF_ECONOMIC = re.compile(
    r"(?:app_?secret|agreement_?grant)_?token[\"'`]*\s*[:=,]+\s*[\"'`]?([\w.~+/=-]{16,})", re.IGNORECASE
)
LONG_WORD = re.compile(r"(?<![\w/+.-])[A-Za-z0-9]{36,}(?![\w/+.-])")
LOCKS = re.compile(r"requirements/[\w-]+\.txt")
NOT_REAL = re.compile(rf"{WORD}|simulated|demo|example|xxxx|\.\.\.", re.IGNORECASE)


def suspects(name: str, text: str) -> list[str]:
    """Return what looks like a credential: the kind and the line, never the text."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        kinds = [kind for kind, pattern in LIKE_A_SECRET.items() if pattern.search(line)]
        token = TOKEN_OF_ECONOMIC.search(line)
        if token and not NOT_REAL.search(token[1]) and re.search(r"\d", token[1]):
            kinds.append("a token of e-conomic")
        if not LOCKS.fullmatch(name) and any(_random(word) for word in LONG_WORD.findall(line)):
            kinds.append("a long random word")
        found += [f"{name}, line {number}: {kind}" for kind in kinds]
    return found


def _random(word: str) -> bool:
    return all(re.search(pattern, word) for pattern in ("[a-z]", "[A-Z]", "[0-9]")) and len(set(word)) > 15


@pytest.mark.fault("S15")
def test_no_file_holds_a_credential() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [name for name in listed.split("\0") if name]
    assert len(files) > 100
    found = []
    for name in files:
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            found += suspects(name, content.decode())
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "X-AppSecretToken: " + "kT3vQ9" * 7,
        'app_secret_token="Ab3dEf6hIj9' + "kLmN0pQr" * 4 + '"',
        "ECONOMIC_AGREEMENT_GRANT_TOKEN=f00dBabe" + "1234567890abcdef" * 2,
        "-----BEGIN EC " + "PRIVATE KEY-----",
        "dsn: postgresql://economic:" + "hunter2@db.internal/x",
        "gh" + "p_" + "a1B2" * 9,
        "AK" + "IA" + "ABCDEFGH12345678",
        "ey" + "JhbGciOiJIUzI1NiIs.eyJzdWIiOiIxMjM0NTY3ODkw.abc",
    ],
)
@pytest.mark.fault("S15")
def test_the_scanner_finds_credentials(line: str) -> None:
    assert suspects("x.md", f"harmless\n{line}\n") != []


@pytest.fixture
def fernet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Airflow with a key of its own, as every installation has one."""
    from airflow.models.crypto import get_fernet
    from cryptography.fernet import Fernet

    with monkeypatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        get_fernet.cache_clear()
        yield
    get_fernet.cache_clear()


@pytest.mark.usefixtures("fernet")
@pytest.mark.fault("S16")
def test_the_metadata_database_encrypts_the_tokens(tmp_path: Path) -> None:
    from airflow.models.connection import Connection
    from sqlalchemy.orm import Session

    extra = json.dumps({"app_secret_token": APP_SECRET, "agreement_grant_token": AGREEMENT_GRANT})
    engine = sa.create_engine(f"sqlite:///{tmp_path}/metadata.db")
    metadata = sa.MetaData()
    Connection.__table__.to_metadata(metadata)
    sa.Table("team", metadata, sa.Column("name", sa.String(50), primary_key=True), extend_existing=True)
    metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Connection(conn_id=CONN_ID, conn_type="economic", host="https://x", extra=extra))
        session.commit()
    with Session(engine) as session:
        (found,) = session.query(Connection).all()
        assert found.is_extra_encrypted
        assert json.loads(found.extra)["app_secret_token"] == APP_SECRET
    engine.dispose()
    assert (tmp_path / "metadata.db").stat().st_size > 1000
    nowhere(tmp_path / "metadata.db")


@pytest.mark.fault("S17")
def test_airflow_masks_the_tokens_where_it_masks(case: Case) -> None:
    """The hook registers both, quoted too: whatever prints them in a task's log prints stars."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # from there to the logs

    case.synced()
    text = f"{APP_SECRET} {quote(APP_SECRET, safe='')} {AGREEMENT_GRANT}"
    nowhere(redact({"note": text}), redact([text]), redact(text))
    case.heals()


@pytest.mark.fault("S18")
def test_no_command_line_holds_a_token(case: Case) -> None:
    seen: set[str] = set()

    def look() -> None:
        own = psutil.Process()
        for process in (own, *own.children(recursive=True)):
            seen.add(" ".join(process.cmdline()))

    case.books.when(2, look)
    case.synced()
    case.heals()
    assert seen
    nowhere(*seen)
    # and no process is started that could have one
    for file in OURS:
        text = file.read_text()
        assert not re.search(
            r"^\s*(import|from) (subprocess|multiprocessing)|os\.(system|exec|spawn|popen)", text, re.M
        ), file
