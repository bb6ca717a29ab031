"""Answers on the wire, whole or broken in the way a fault says."""

from __future__ import annotations

import os
import socket
import struct
import time
import zlib
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler

from simulator.faults import Fault
from simulator.journal import Entry
from simulator.refusals import Refusal

GATEWAY_PAGE = "<html><head><title>{0} Bad Gateway</title></head><body><h1>{0} Bad Gateway</h1></body></html>"
JSON = "application/json; charset=utf-8"  # with a charset: unconfirmed
PIECES = 20
SMALLEST_WORTH_PACKING = 500


@dataclass(slots=True)
class Answer:
    """A status, headers and a body, not yet compressed."""

    status: int
    headers: dict[str, str]
    body: bytes


def healthy_headers(cost: str, used: int, request_id: str) -> dict[str, str]:
    """Return the headers of an ordinary answer of the API."""
    return {
        "Content-Type": JSON,
        "X-EconomicVersion": "simulated",
        "X-RequestId": request_id,
        "X-CallCost": cost,
        "X-RateLimiting": f"token-limit-10000-per-60-seconds: {used}/10000",
    }


@lru_cache(maxsize=48)
def packed(body: bytes) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return squeezer.compress(body) + squeezer.flush()


def deliver(
    handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault | None = None, entry: Entry | None = None
) -> None:
    """Send the answer, or what the fault makes of it, and note the status."""
    if fault and fault.kind == "reset":
        return cut(handler)
    if fault and fault.kind == "slow":
        time.sleep(float(fault.seconds))
    if fault:
        answer = faulty(answer, fault)
    if entry:
        entry.status = answer.status
    body = answer.body
    if (
        "Content-Encoding" not in answer.headers
        and len(body) >= SMALLEST_WORTH_PACKING
        and accepts_gzip(handler)
    ):
        body = packed(body)
        answer.headers["Content-Encoding"] = "gzip"
    head = head_of(handler, answer, len(body))
    if handler.command == "HEAD":
        body = b""
    if fault and fault.kind == "half_body":
        handler.wfile.write(head + body[: len(body) // 2])
        return cut(handler, politely=True)
    if fault and fault.kind == "drip":
        return drip(handler, head, body, float(fault.seconds))
    handler.wfile.write(head + body)
    return None


def faulty(answer: Answer, fault: Fault) -> Answer:
    """Return the answer as the fault changes it."""
    headers = dict(answer.headers)
    status, body = answer.status, answer.body
    if fault.kind == "status":
        status = fault.status or 500
        body = fault.body.encode() if fault.body is not None else Refusal(status).body()
    elif fault.kind == "html":
        status = fault.status or 502
        body = (fault.body or GATEWAY_PAGE.format(status)).encode()
        headers = {"Content-Type": "text/html"}
    elif fault.kind == "body":
        status = fault.status or 200
        body = (fault.body or "").encode()
    elif fault.kind == "redirect":
        status, body = fault.status or 302, b""
        headers["Location"] = fault.location
    elif fault.kind == "bad_gzip":
        headers["Content-Encoding"] = "gzip"
        body = b"\x1f\x8b\x08\x00" + b"this is no deflated text" * 10
    elif fault.kind == "half_json":
        body = body[: len(body) // 2]
    for name, value in fault.headers.items():
        if value is None:
            headers.pop(name, None)
        else:
            headers[name] = value
    return Answer(status, headers, body)


def accepts_gzip(handler: BaseHTTPRequestHandler) -> bool:
    offers = (handler.headers.get("Accept-Encoding") or "").split(",")
    return any(offer.strip().lower().replace(" ", "") in ("gzip", "gzip;q=1.0", "*") for offer in offers)


def head_of(handler: BaseHTTPRequestHandler, answer: Answer, length: int) -> bytes:
    reason = handler.responses.get(answer.status, ("", ""))[0]
    lines = [
        f"HTTP/1.1 {answer.status} {reason}",
        f"Date: {handler.date_time_string()}",
        f"Content-Length: {length}",
    ]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if handler.close_connection:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def drip(handler: BaseHTTPRequestHandler, head: bytes, body: bytes, seconds: float) -> None:
    handler.wfile.write(head)
    size = max(1, -(-len(body) // PIECES))
    for start in range(0, len(body), size):
        time.sleep(seconds / PIECES)
        handler.wfile.write(body[start : start + size])


def cut(handler: BaseHTTPRequestHandler, *, politely: bool = False) -> None:
    """End the connection: with a reset, or politely once what was sent has arrived."""
    handler.close_connection = True
    if not politely:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(handler.connection.detach())
