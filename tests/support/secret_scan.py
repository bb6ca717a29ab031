"""Finds the tests' tokens wherever they turn up: every token a test treats as secret begins with the same word.

:func:`find_canaries` looks through texts, files and folders; :class:`CanaryWatch` through everything that a whole test session wrote.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

WORD = "CANARY"
APP_SECRET = f"{WORD}app+secret/4711==0123456789"
AGREEMENT_GRANT = f"{WORD}grant+token/0815==9876543210"
SHOWN_ON_PURPOSE = "shows_canaries"
"""Marker of tests that write one to prove that it would be found."""


@cache
def spelled(word: str = WORD) -> tuple[bytes, ...]:
    """The word as it may stand in a text (URLs, JSON and Python write letters as they are), in hex and within base64."""
    plain = word.encode()
    found = [plain, plain.hex().encode(), plain.hex().upper().encode()]
    for before in range(3):
        # Within a longer text its base64 depends on where it starts; the ends mix with the neighbours.
        text = base64.b64encode(b"\0" * before + plain)
        found.append(text[-(-8 * before // 6) : 8 * (before + len(plain)) // 6])
    return tuple(found)


def find_canaries(*where: str | bytes | Path, words: Iterable[str] = (WORD,)) -> list[str]:
    """Where secrets are: one line each, with the place and what stands around it, the secret itself left out.

    :param where: texts, and files or folders to search.
    :param words: how the secrets begin; a secret of another shape is given whole.
    """
    return [
        f"{place}, at {at}: {_around(content, at, len(needle))}"
        for place, content in _contents(where)
        for word in words
        for needle in spelled(word)
        if (at := content.find(needle)) >= 0
    ]


def shown(error: BaseException, *, variables: bool = True) -> str:
    """Return an error as any log could show it.

    :param variables: with the local variables, as a developer's log would show them; Airflow's does not.
    """
    lines = traceback.TracebackException.from_exception(error, capture_locals=variables).format()
    return "".join(lines) + repr(error) + repr(vars(error))


def _contents(where: Iterable[str | bytes | Path]) -> Iterator[tuple[str, bytes]]:
    for number, one in enumerate(where, start=1):
        if isinstance(one, Path):
            files = sorted(one.rglob("*")) if one.is_dir() else [one]
            yield from ((str(file), file.read_bytes()) for file in files if file.is_file())
        else:
            yield f"text {number}", one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one


def _around(content: bytes, at: int, length: int) -> str:
    before = content[max(0, at - 40) : at].decode("utf-8", "replace")
    after = content[at + length :][:3].decode("utf-8", "replace")
    return repr(f"{before}***{after}...")


class CanaryWatch:
    """Searches what the session wrote: the output and log of every test, and folders and files at the end.

    :param folder: what Airflow wrote, with its logs and its database.
    """

    def __init__(self, folder: Path) -> None:
        self.found: list[str] = []
        self._folder = folder

    def look(self, name: str, *where: str | bytes | Path) -> None:
        """Search something now that will be gone at the end."""
        self.found += [f"{name}: {line}" for line in find_canaries(*where)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test that failed shows its values; it has failed anyway.
        if report.passed and SHOWN_ON_PURPOSE not in report.keywords:
            for title, text in report.sections:
                self.look(f"{report.nodeid} ({title})", text)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.look("Airflow's folder", self._folder)
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.found:
            terminalreporter.section("tokens where none may be", red=True)
            for line in self.found:
                terminalreporter.line(line)
