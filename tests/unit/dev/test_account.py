"""Which account the demo reads: the real one needs both of its tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.local.account import REAL_TOKENS, account
from dev.local.interruption import Interruption
from dev.local.parts import PartFailed, Parts


@pytest.mark.parametrize("given", REAL_TOKENS)
def test_one_token_alone_is_no_reason_for_a_simulator(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has set one of them means the real account, and would take the simulator's invoices for his own."""
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


def test_with_both_tokens_it_is_the_real_account_under_an_id_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
