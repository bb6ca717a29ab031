"""A stand-in for the e-conomic REST API, over real HTTP, on the loopback interface only.

It is written from the description of the API alone: it shares no code with the package under test and never imports
it. In tests::

    with simulator.running(invoices=2500) as sim:
        requests.get(f"{sim.base_url}/invoices/booked", headers=sim.headers)
        sim.pay(10007)

As a program: ``python -m simulator --port 0 --invoices 22500 --moves-per-minute 30``.
"""

from __future__ import annotations

from simulator.running import (
    AGREEMENT_GRANT_TOKEN,
    APP_SECRET_TOKEN,
    InProcess,
    OwnProcess,
    Simulator,
    process,
    running,
)

__all__ = [
    "AGREEMENT_GRANT_TOKEN",
    "APP_SECRET_TOKEN",
    "InProcess",
    "OwnProcess",
    "Simulator",
    "process",
    "running",
]
