"""Run the simulator until it is told to stop: ``python -m simulator --port 0 --invoices 22500``."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from datetime import date
from pathlib import Path
from types import FrameType

from simulator.books import LAST_DAY, SOLD_EVERY
from simulator.companies import Company, companies
from simulator.routes import Tokens
from simulator.running import AGREEMENT, AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN, COMPANY, READY
from simulator.server import LOOPBACK, Server


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="simulator", description="Simulator of the e-conomic REST API.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--bind", default=LOOPBACK, help="address to listen on; others only where nobody else is"
    )
    parser.add_argument("--invoices", type=int, default=22500)
    parser.add_argument("--companies", type=int, default=1, help="how many, told apart by their grant tokens")
    parser.add_argument(
        "--sold-every", type=int, default=SOLD_EVERY, help="one in this many invoices names a salesperson"
    )
    parser.add_argument("--until", type=date.fromisoformat, default=LAST_DAY, help="day of the last invoice")
    parser.add_argument(
        "--moves-per-minute", type=float, default=0, help="how often each company's books move by themselves"
    )
    parser.add_argument(
        "--moves-kept-in", type=Path, help="where the first company's moves are kept for the next process"
    )
    parser.add_argument("--app-secret-token", default=APP_SECRET_TOKEN)
    parser.add_argument("--agreement-grant-token", default=AGREEMENT_GRANT_TOKEN)
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    chosen = arguments(words)
    tokens = chosen.app_secret_token, chosen.agreement_grant_token
    found = companies(Company(AGREEMENT, COMPANY, 1, *tokens), chosen.companies)
    size = chosen.invoices, chosen.sold_every, chosen.until
    server = Server(chosen.port, found[0].ledger(*size), Tokens(*tokens), chosen.bind)
    for other in found[1:]:
        server.admit(other.ledger(*size), Tokens(other.app_secret_token, other.agreement_grant_token))
    if chosen.moves_kept_in is not None:
        server.routes.mover.keep_in(chosen.moves_kept_in)
    server.move(chosen.moves_per_minute)

    def stop(number: int, frame: FrameType | None) -> None:
        server.stop_soon()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # The books stay: to look through a million invoices at every collection would be most of an answer's time.
    gc.freeze()
    print(f"{READY}{server.base_url}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
