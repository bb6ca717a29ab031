"""What a fault makes of an answer before it goes out."""

from __future__ import annotations

import json
from collections.abc import Callable

from simulator.answers import Answer, packed
from simulator.faults import Fault
from simulator.refusals import Refusal, error_headers
from simulator.spoiling import Literal, write_json

GATEWAY_PAGE = "<html><head><title>{0} Bad Gateway</title></head><body><h1>{0} Bad Gateway</h1></body></html>"
NO_GZIP = b"\x1f\x8b\x08\x00" + b"this is no deflated text" * 10


def broken(answer: Answer, fault: Fault, path: str) -> Answer:
    """Return the answer as the fault changes it."""
    breaks = _BREAKS.get(fault.kind)
    if fault.kind == "status":
        answer = _status(answer, fault, path)
    elif breaks:
        answer = breaks(answer, fault)
    headers = {name: value for name, value in (answer.headers | fault.headers).items() if value is not None}
    return Answer(answer.status, headers, answer.body)


def _status(answer: Answer, fault: Fault, path: str) -> Answer:
    status = fault.status or 500
    body = fault.body.encode() if fault.body is not None else Refusal(status).body(path)
    return Answer(status, answer.headers | error_headers(path), body)


def _html(answer: Answer, fault: Fault) -> Answer:
    status = fault.status or 502
    body = (fault.body or GATEWAY_PAGE.format(status)).encode()
    return Answer(status, {"Content-Type": "text/html"}, body)


def _redirect(answer: Answer, fault: Fault) -> Answer:
    return Answer(fault.status or 302, answer.headers | {"Location": fault.location}, b"")


def _body(answer: Answer, fault: Fault) -> Answer:
    return Answer(fault.status or 200, answer.headers, (fault.body or "").encode("utf-8", "surrogatepass"))


def _edit(answer: Answer, fault: Fault) -> Answer:
    document = json.loads(answer.body, parse_float=Literal, parse_int=Literal)
    if fault.edit is not None:
        fault.edit(document)
    # A lone surrogate of U+DC80 to U+DCFF goes out as the one byte it stands for, which is no UTF-8.
    return Answer(answer.status, answer.headers, write_json(document).encode(errors="surrogateescape"))


def _recoded(answer: Answer, fault: Fault) -> Answer:
    return Answer(answer.status, answer.headers, answer.body.decode().encode(fault.charset, "replace"))


def _half_json(answer: Answer, fault: Fault) -> Answer:
    return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])


def _as_gzip(answer: Answer, body: bytes, encoding: str = "gzip") -> Answer:
    return Answer(answer.status, answer.headers | {"Content-Encoding": encoding}, body)


def _bad_gzip(answer: Answer, fault: Fault) -> Answer:
    return _as_gzip(answer, NO_GZIP)


def _bad_checksum(answer: Answer, fault: Fault) -> Answer:
    whole = packed(answer.body)
    checksum = bytes(255 - byte for byte in whole[-8:-4])
    return _as_gzip(answer, whole[:-8] + checksum + whole[-4:])


def _half_gzip(answer: Answer, fault: Fault) -> Answer:
    whole = packed(answer.body)
    return _as_gzip(answer, whole[: len(whole) // 2])


def _layers(answer: Answer, fault: Fault) -> Answer:
    body = answer.body
    for _ in range(fault.layers):
        body = packed(body)
    named = (fault.headers or {}).get("Content-Encoding") or ", ".join(["gzip"] * fault.layers)
    return _as_gzip(answer, body, named)


_BREAKS: dict[str, Callable[[Answer, Fault], Answer]] = {
    "html": _html,
    "redirect": _redirect,
    "body": _body,
    "edit": _edit,
    "recoded": _recoded,
    "half_json": _half_json,
    "bad_gzip": _bad_gzip,
    "bad_checksum": _bad_checksum,
    "half_gzip": _half_gzip,
    "layers": _layers,
}
