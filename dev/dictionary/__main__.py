"""`./run check --dictionary`: write docs/data.md and docs/questions.md anew."""

from __future__ import annotations

import logging
import sys

from dev.dictionary import documents
from dev.local import embedded_postgres
from dev.local.terminal import say

_DATABASE = "dictionary"


def main() -> int:
    """Write both documents."""
    logging.disable(logging.WARNING)
    with embedded_postgres.server([_DATABASE], durable=False) as server:
        for path, text in documents.written(server.dsn(_DATABASE)).items():
            path.write_text(text)
            say(f"Wrote {path}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
