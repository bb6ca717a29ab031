"""Answers brought badly: late, in pieces, in part, without end, or not at all."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

from simulator.answers import GZIP, Answer
from simulator.faults import Fault

PIECES = 20
BLANKS = b" " * 65536
UNANSWERED = frozenset({"reset", "silence", "wire"})


def head(handler: BaseHTTPRequestHandler, answer: Answer, length: int | None) -> bytes:
    """Return the status line and the headers; without a length the body ends with the connection."""
    reason = handler.responses.get(answer.status, ("", ""))[0]
    lines = [f"HTTP/1.1 {answer.status} {reason}", f"Date: {handler.date_time_string()}"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if handler.close_connection or length is None:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def _silence(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    # A client that gives up makes its side readable.
    select.select([handler.connection], [], [], float(fault.seconds))
    _reset(handler, answer, fault)


def _slow(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    time.sleep(float(fault.seconds))
    handler.wfile.write(head(handler, answer, len(answer.body)) + answer.body)


def _drip(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.wfile.write(head(handler, answer, len(answer.body)))
    size = max(1, -(-len(answer.body) // PIECES))
    for start in range(0, len(answer.body), size):
        time.sleep(float(fault.seconds) / PIECES)
        handler.wfile.write(answer.body[start : start + size])


def _drip_head(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    text = head(handler, answer, len(answer.body))
    for byte in text:
        time.sleep(float(fault.seconds) / len(text))
        handler.wfile.write(bytes([byte]))
    handler.wfile.write(answer.body)


def _half_body(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    handler.wfile.write(head(handler, answer, len(answer.body)) + answer.body[: len(answer.body) // 2])


def _half_open_ended(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    handler.wfile.write(head(handler, answer, None) + answer.body[: len(answer.body) // 2])


def _half_chunked(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    chunked = Answer(answer.status, answer.headers | {"Transfer-Encoding": "chunked"}, b"")
    half = answer.body[: len(answer.body) // 2]
    handler.wfile.write(head(handler, chunked, None) + b"%x\r\n%b\r\n" % (len(half), half))


def _half_reset(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    _half_body(handler, answer, fault)
    time.sleep(0.05)  # what was sent should arrive before the reset takes it away
    _reset(handler, answer, fault)


def _headers(answer: Answer, fault: Fault) -> dict[str, str]:
    return answer.headers | {name: value for name, value in fault.headers.items() if value is not None}


def _flood(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    plain = _headers(answer, fault) | {"Content-Encoding": "identity"}
    handler.wfile.write(head(handler, Answer(fault.status or answer.status, plain, b""), fault.size))
    for piece in _blanks(fault.size):
        handler.wfile.write(piece)


def _packed_flood(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    headers = _headers(answer, fault) | {"Content-Encoding": "gzip"}
    handler.wfile.write(head(handler, Answer(fault.status or answer.status, headers, b""), None))
    squeezer = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    for piece in _blanks(fault.size):
        handler.wfile.write(squeezer.compress(piece))
    handler.wfile.write(squeezer.flush())


def _blanks(size: int) -> Iterator[bytes]:
    for _ in range(size // len(BLANKS)):
        yield BLANKS
    yield BLANKS[: size % len(BLANKS)]


def _wire(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault) -> None:
    handler.close_connection = True
    handler.wfile.write((fault.body or "").encode("utf-8", "surrogatepass"))


BADLY: dict[str, Callable[[BaseHTTPRequestHandler, Answer, Fault], None]] = {
    "reset": _reset,
    "silence": _silence,
    "slow": _slow,
    "drip": _drip,
    "drip_head": _drip_head,
    "half_body": _half_body,
    "half_open_ended": _half_open_ended,
    "half_chunked": _half_chunked,
    "half_reset": _half_reset,
    "flood": _flood,
    "packed_flood": _packed_flood,
    "wire": _wire,
}
