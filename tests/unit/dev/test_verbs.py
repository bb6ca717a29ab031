"""`./run` before anything is set up: what it needs, how it installs, and what its words mean."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

from dev import clean, demo, installation, start
from dev.local import copies, embedded_postgres, ports, terminal
from dev.local.account import REAL_TOKENS, account
from dev.local.interruption import Interruption
from dev.local.parts import PartFailed, Parts
from dev.release import matrix

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13), (3, 14, 0)])
def test_unsuitable_python_gets_one_sentence(version: tuple[int, ...]) -> None:
    ast.parse((ROOT / "run").read_text(), feature_version=(3, 4))
    name = ".".join(map(str, version))
    real = Path.home() / ".pyenv" / "versions" / name / "bin" / "python"
    pretended = (
        f"import sys, runpy; sys.version_info = {version!r}; sys.version = {name!r}; runpy.run_path('run')"
    )
    command = [str(real), "run", "demo"] if real.exists() else [sys.executable, "-c", pretended]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Python 3.11, 3.12 or 3.13 is needed")
    assert name in line


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 0, "  demo "),
        (["help"], 0, "  demo "),
        (["nosuch"], 2, "'nosuch' is not a verb"),
        (["check", "--nosuch"], 1, "'--nosuch' is not known here: the verb takes --format, --dictionary."),
        (["docs", "nosuch"], 1, "'nosuch' is not known here"),
    ],
)
def test_run_says_what_was_wrong(words: list[str], code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "run", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_uv_gets_the_settings_of_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://file.example/simple\ntimeout = 3\n")
    for name in os.environ:
        if name.startswith(("PIP_", "UV_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/etc/ssl/proxy.pem")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels /more")
    assert installation.uv_settings().items() >= {
        ("UV_DEFAULT_INDEX", "https://file.example/simple"),
        ("SSL_CERT_FILE", "/etc/ssl/proxy.pem"),
        ("UV_FIND_LINKS", "/wheels,/more"),
    }
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    assert installation.uv_settings()["UV_DEFAULT_INDEX"] == "https://variable.example/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert "UV_DEFAULT_INDEX" not in installation.uv_settings()
    assert installation.environment()["UV_DEFAULT_INDEX"] == "https://uv.example/simple"


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("no network", "The first set-up needs the network"),
        ("a $HOME", "a character in its name"),
        ("100 %", "a character in its name"),
    ],
)
def test_install_that_cannot_work_ends_in_words(folder: str, said: str, tmp_path: Path) -> None:
    copy = tmp_path / folder
    for name in ("dev", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    alone = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    done = subprocess.run(
        [sys.executable, "run", "install"], cwd=copy, env=kept | alone, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert len((done.stdout + done.stderr).splitlines()) <= 8


def test_a_port_is_refused_for_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("99999", "0", "-1", "http"):
        with pytest.raises(SystemExit):
            start.main(["--port", wrong])
    assert terminal.tcp_port("8081") == 8081

    def refused(port: int) -> bool:
        raise PermissionError

    monkeypatch.setattr(start, "is_free", refused)
    with pytest.raises(RuntimeError, match="Only root may serve on port 80"):
        start.web_port(80)
    assert ports.is_free(ports.free_port())


def test_another_size_of_the_simulator_is_refused(tmp_path: Path) -> None:
    assert copies.note_simulated(tmp_path, None) == 22_500
    assert copies.note_simulated(tmp_path, None) == 22_500
    with pytest.raises(RuntimeError, match="22,500 invoices, not 500") as refused:
        copies.note_simulated(tmp_path, 500)
    assert "ECONOMIC_DEMO_DATA" in str(refused.value)
    assert copies.note_simulated(tmp_path / "other", 500) == 500
    assert copies.note_simulated(tmp_path / "other", None) == 500


def test_simulated_books_end_on_their_first_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later start finds the same books: otherwise every invoice of the copy would be dated anew."""
    first = copies.last_simulated_day(tmp_path)
    assert abs((datetime.now(UTC).date() - first).days) <= 1

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls(2040, 1, 1, tzinfo=tz)

    monkeypatch.setattr(copies, "datetime", Later)
    copies.note_simulated(tmp_path, None)
    assert copies.last_simulated_day(tmp_path) == first
    assert copies.last_simulated_day(tmp_path / "other").year == 2040


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder that `clean` may clean."""
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    monkeypatch.setattr("builtins.input", lambda question: "no")
    monkeypatch.delenv("ECONOMIC_DEMO_DATA", raising=False)
    (tmp_path / ".venv").mkdir()
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("words", "answer", "code"), [([], "no", 1), ([], "yes", 0), (["--yes"], "no", 0)])
def test_clean_asks_before_a_real_copy_is_lost(
    words: list[str],
    answer: str,
    code: int,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copies.note_real(project / ".demo")
    (project / ".demo" / "airflow").mkdir()
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert clean.main(words) == code
    assert (project / ".venv").exists() == (project / ".demo").exists() == bool(code)
    assert "the copy of the real account, with the history" in capsys.readouterr().out


def test_clean_keeps_what_is_not_its_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = project / "chosen by its user"
    copies.note_simulated(home, 500)
    (home / "letter.txt").touch()
    monkeypatch.setenv("ECONOMIC_DEMO_DATA", str(home))
    assert clean.main([]) == 0
    assert [path.name for path in home.iterdir()] == ["letter.txt"]


def test_clean_refuses_while_a_server_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in project.parents[:2]:
        path.chmod(0o755)
    data = project / ".demo" / "postgres"
    with embedded_postgres.server([], data=data, durable=False, held_by="./run psql"):
        assert clean.main(["--yes"]) == 1
        assert f"in use by ./run psql (process {os.getpid()})" in capsys.readouterr().out
    assert (project / ".venv").exists()
    assert clean.main([]) == 0
    assert not data.exists()


def test_demo_says_when_airflow_tries_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Matters because nothing moves for minutes between two tries."""
    progress = demo.Progress()
    for message in ("Will be tried again: no answer", "Starting", "Will be tried again: no answer"):
        progress.show({"percentage": 0, "message": message})
    assert capsys.readouterr().out.count("after one to ten minutes") == 1


@pytest.mark.parametrize("part", [matrix.on_oldest, matrix.on_newest, matrix.on_next])
def test_other_packages_meet_all_that_touches_airflow(
    part: Callable[[], Iterator[matrix.Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def tested(what: str, environment: Path, folders: Sequence[str], **variables: str) -> matrix.Row:
        tried.extend(folders)
        return matrix.Row(what, "", True)

    # Making the environment takes minutes.
    monkeypatch.setattr(matrix, "find_python", lambda version: Path("python"))
    monkeypatch.setattr(matrix, "make_environment", lambda *given: Path("environment"))
    monkeypatch.setattr(matrix, "airflow_version", lambda environment: "3.3.0")
    monkeypatch.setattr(matrix, "tested", tested)
    assert list(part())
    assert set(tried) == {"tests/unit", "tests/integration", "tests/dags/tasks", "tests/web/page"}


@pytest.mark.parametrize("given", REAL_TOKENS)
def test_one_token_alone_is_refused(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means the real account: the simulator's invoices would be taken for its own."""
    for name in REAL_TOKENS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(given, "CANARY0123456789abcdef")
    with (
        Parts(tmp_path / "logs", Interruption()) as parts,
        pytest.raises(PartFailed, match="set both") as caught,
    ):
        account(parts, tmp_path, 10)
    assert all(name in str(caught.value) for name in REAL_TOKENS)
    assert "CANARY" not in str(caught.value)


def test_both_tokens_mean_the_real_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REAL_TOKENS:
        monkeypatch.setenv(name, f"token-of-{name}")
    monkeypatch.delenv("ECONOMIC_BASE_URL", raising=False)
    with Parts(tmp_path / "logs", Interruption()) as parts:
        found = account(parts, tmp_path, 10)
        assert list(parts.running) == []
    assert (found.conn_id, found.base_url) == ("economic_live", "https://restapi.e-conomic.com")
    assert (found.app_secret_token, found.agreement_grant_token) == tuple(
        f"token-of-{name}" for name in REAL_TOKENS
    )
