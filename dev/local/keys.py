"""Secrets of a local Airflow: random, made once, in files that only their owner reads."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADMIN = "admin"


@dataclass(frozen=True)
class Keys:
    """What Airflow encrypts, signs and lets in with.

    :param passwords_file: where Airflow looks the admin's password up.
    """

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    admin_password: str
    passwords_file: Path


def keys(home: Path) -> Keys:
    """The secrets of the Airflow in that folder, made at its first use."""
    kept, passwords = home / "keys.json", home / "passwords.json"
    if not kept.exists():
        write_private(
            kept,
            {
                "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
                "jwt_secret": secrets.token_urlsafe(64),
                "api_secret_key": secrets.token_urlsafe(32),
            },
        )
    if not passwords.exists():
        write_private(passwords, {ADMIN: secrets.token_urlsafe(12)})
    admin_password = json.loads(passwords.read_text())[ADMIN]
    return Keys(**json.loads(kept.read_text()), admin_password=admin_password, passwords_file=passwords)


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2))
    draft.rename(path)
