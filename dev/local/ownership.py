"""Files and folders that root can trust although PostgreSQL works beside them as `nobody`."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

MOVED = "moved-to"
"""File in a data folder that names the folder its data really is in; see :func:`home`."""
_HOMES, _HOME_PREFIX = Path("/var/tmp"), "economic-postgres-"  # noqa: S108  # names come from mkdtemp


def home(work: Path) -> Path:
    """Return where root keeps the server's data: the folder asked for, or one that it can reach.

    The parents are not opened up: that would be a change to folders that are not ours.

    :raises RuntimeError: the folder belongs to somebody else, who could exchange what root runs there.
    """
    if not _is_ours(work):
        raise RuntimeError(f"{work} belongs to another user: delete it, or run this as that user.")
    home = work if reachable(work.parent) else moved(work)
    if home is None:
        home = Path(tempfile.mkdtemp(prefix=_HOME_PREFIX, dir=_HOMES))
        write(work / MOVED, str(home))
    home.chmod(0o711)
    return home


def moved(work: Path) -> Path | None:
    """Return the folder that a data folder's data was moved to; None when it was not.

    :raises RuntimeError: the note or the folder it names was not made here.
    """
    note = work / MOVED
    if not note.is_symlink() and not note.exists():
        return None
    if _is_ours(work) and _is_ours(note):
        with os.fdopen(opened(note, os.O_RDONLY)) as file:
            home = Path(file.read())
        if not home.exists() and not home.is_symlink():
            return None
        if home.parent == _HOMES and home.name.startswith(_HOME_PREFIX) and _is_ours(home):
            return home
    raise RuntimeError(f"{note} names a folder that was not made here. Look at it, then delete it.")


def remove(data: Path) -> None:
    """Delete a data folder, and the one that its data was moved to.

    :raises RuntimeError: it names a folder that was not made here; nothing was deleted.
    """
    for folder in filter(None, (moved(data.absolute()), data)):
        # Symbolic links are deleted, not followed, also where the server's user makes them meanwhile.
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    """Return whether this user owns it and nobody else may change it; never for a symbolic link."""
    found = path.lstat()
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def opened(path: Path, flags: int) -> int:
    """Open a file; one that is a symbolic link fails."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def write(path: Path, text: str) -> None:
    """Write a file anew that only its owner can read; what was there is replaced, not followed."""
    path.unlink(missing_ok=True)
    with os.fdopen(opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
        file.write(text)


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2))
    draft.rename(path)


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def group() -> str:
    import grp
    import pwd

    return grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name


def reachable(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))
