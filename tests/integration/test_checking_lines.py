"""How lines stand, for monitoring and on a terminal: `check --lines`, `status`."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Company, economic
from tests.integration.test_lines import read_lines


@pytest.fixture
def read(company: Company) -> Company:
    """Return a company whose lines were read and are all proven."""
    company.sync()
    read_lines(company)
    return company


def change(company: Company, columns: str) -> None:
    company.connection.execute(b"update economic.line_reading set " + columns.encode())


def test_proven_lines_are_ok(read: Company, database: str) -> None:
    done = economic(database, "check", "--lines")
    assert done.returncode == 0
    assert (
        "agreement 1234567 (Prøvefirmaet Æble & Ørsted ApS), lines: 250 of 250 invoices proven, "
        in done.stdout
    )
    assert "e-conomic counts 750 lines too, read 0 s ago\n" in done.stdout
    assert "lines" not in economic(database, "check").stdout
    assert "  lines        250 of 250 invoices proven, " in economic(database, "status").stdout


def test_lines_that_are_off_are_said_so(company: Company, database: str) -> None:
    company.sync()
    done = economic(database, "check", "--lines")
    assert (done.returncode, "lines: off, none was ever read" in done.stdout) == (0, True)
    assert "lines" not in economic(database, "status").stdout


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        ("differing = 2, proven = 248", 1, "248 of 250 invoices proven, 2 differing"),
        ("rejected = 1, proven = 248", 1, "1 rejected, 1 not read yet"),
        ("proven = 240", 0, "10 not read yet"),
        ("counted = 749", 1, "e-conomic COUNTS 749 lines, the copy holds 750"),
        ("status = 'failed', message = 'e-conomic fails.'", 2, "the last run FAILED: e-conomic fails."),
        ("status = 'skipped', message = 'Role?'", 1, "the last run was SKIPPED: Role?"),
        ("status = 'skipped', completed_at = null", 2, "not read completely yet, the last run was SKIPPED"),
        ("status = 'running', attempt = 'a', expires_at = now() - interval '1 s'", 1, "the run has STALLED"),
        (
            "status = 'running', expires_at = now() + interval '1 h', current = 60, total = 250, completed_at = null",
            0,
            "not read completely yet, reading 60 of 250",
        ),
        ("completed_at = now() - interval '49 h'", 2, "NOT read for 2 d 1 h"),
        ("completed_at = now() - interval '47 h'", 0, "read 1 d 23 h ago"),
    ],
)
def test_check_judges_how_lines_stand(
    read: Company, database: str, columns: str, code: int, words: str
) -> None:
    change(read, columns)
    done = economic(database, "check", "--lines")
    assert (done.returncode, words in done.stdout, done.stdout.count("\n")) == (code, True, 1), done.stdout
    assert economic(database, "check").returncode == 0


def test_age_of_lines_is_limited_as_asked(read: Company, database: str) -> None:
    change(read, "completed_at = now() - interval '5 h'")
    assert economic(database, "check", "--lines", "4h").returncode == 2
    assert economic(database, "check", "--lines=6h").returncode == 0
    assert economic(database, "check", "--lines=soon").returncode == 3


def test_status_shows_progress_and_reason(read: Company, database: str) -> None:
    change(
        read,
        "status = 'running', expires_at = now() + interval '1 h', current = 60, total = 250,"
        " started_at = now() - interval '70 s'",
    )
    assert "lines        reading for 1 min 10 s: 60 of 250 invoices" in economic(database, "status").stdout
    change(read, "status = 'skipped', message = 'e-conomic answered 403. Give the app a role.'")
    shown = economic(database, "status").stdout
    assert "lines        the last run was SKIPPED: e-conomic answered 403. Give the app a role." in shown


def test_status_needs_no_tables_of_lines(read: Company, database: str) -> None:
    """The command may be newer than the tables."""
    read.connection.execute("drop table economic.line_reading, economic.line_check cascade")
    for command in ("status", "check"):
        done = economic(database, command)
        assert (done.returncode, "lines" in done.stdout) == (0, False), done
