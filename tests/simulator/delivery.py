"""Answers on the wire, whole or broken in the way a fault says."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from simulator import wire
from simulator.answers import Answer, packed
from simulator.breaking import broken
from simulator.faults import Fault
from simulator.journal import Entry

JSON = "application/json; charset=utf-8"  # with a charset: unconfirmed
SMALLEST_WORTH_PACKING = 500


def healthy_headers(request_id: str, limits: dict[str, str]) -> dict[str, str]:
    """Return the headers of an ordinary answer of the API."""
    return {
        "Content-Type": JSON,
        "X-EconomicVersion": "simulated",
        "X-RequestId": request_id,
        **limits,
    }


def deliver(
    handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault | None = None, entry: Entry | None = None
) -> None:
    """Send the answer, or what the fault makes of it, and note the status."""
    if fault:
        answer = broken(answer, fault, handler.path)
    if entry and not (fault and fault.kind in wire.UNANSWERED):
        entry.status = answer.status
    if (
        "Content-Encoding" not in answer.headers
        and len(answer.body) >= SMALLEST_WORTH_PACKING
        and "gzip" in (handler.headers.get("Accept-Encoding") or "")
    ):
        answer = Answer(answer.status, answer.headers | {"Content-Encoding": "gzip"}, packed(answer.body))
    if fault and fault.kind in wire.BADLY:
        wire.BADLY[fault.kind](handler, answer, fault)
    else:
        body = b"" if handler.command == "HEAD" else answer.body
        handler.wfile.write(wire.head(handler, answer, len(answer.body)) + body)
