"""What `./run test --matrix` tries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dev.release import matrix


def test_on_the_oldest_packages_everything_that_touches_airflow_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def tested(what: str, environment: Path, folders: Sequence[str], **variables: str) -> matrix.Row:
        tried.extend(folders)
        return matrix.Row(what, "", True)

    # Making the environment takes minutes.
    monkeypatch.setattr(matrix, "find_python", lambda version: Path("python"))
    monkeypatch.setattr(matrix, "make_environment", lambda *given: Path("environment"))
    monkeypatch.setattr(matrix, "tested", tested)
    assert list(matrix.on_oldest())
    assert set(tried) == {"tests/unit", "tests/integration", "tests/dags/tasks", "tests/web/page"}
