"""The simulator breaks its answers exactly as a fault says."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

import simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[simulator.InProcess]:
    with simulator.running(invoices=60, employees=5) as own:
        yield own


@pytest.fixture(autouse=True)
def healthy(sim: simulator.InProcess) -> None:
    sim.faults()
    sim.control("when", clear=True)
    sim.reset()


def answer(sim: simulator.InProcess, target: str = "/invoices/booked", **options: Any) -> requests.Response:
    return requests.get(sim.base_url + target, headers=sim.headers, timeout=10, **options)


def raw(sim: simulator.InProcess, target: str = "/invoices/booked", encoding: str = "identity") -> bytes:
    """Every byte of an answer, to the end of the connection; as much as came when that was a reset."""
    host, port = sim.base_url.removeprefix("http://").split(":")
    headers = {**sim.headers, "Host": host, "Accept-Encoding": encoding, "Connection": "close"}
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    received = b""
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            received += b"[reset]"
    return received


def parts(received: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines), body


def test_half_of_a_body_can_come_under_the_length_of_the_whole(sim: simulator.InProcess) -> None:
    _, whole = parts(raw(sim))
    for kind, end in (("half_body", b""), ("half_reset", b"[reset]")):
        sim.fault("/", kind)
        headers, half = parts(raw(sim))
        assert int(headers["Content-Length"]) == len(whole)
        assert half == whole[: len(whole) // 2] + end


def test_half_of_a_body_can_come_without_a_length(sim: simulator.InProcess) -> None:
    _, whole = parts(raw(sim))
    sim.fault("/", "half_open_ended")
    headers, half = parts(raw(sim))
    assert "Content-Length" not in headers
    assert half == whole[: len(whole) // 2]


def test_chunks_can_lack_the_last_one(sim: simulator.InProcess) -> None:
    sim.fault("/", "half_chunked")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        answer(sim)
    sim.fault("/", "half_chunked")
    headers, body = parts(raw(sim))
    assert headers["Transfer-Encoding"] == "chunked"
    size, _, rest = body.partition(b"\r\n")
    assert len(rest) == int(size, 16) + 2


def test_gzip_can_be_cut_short_under_its_true_length(sim: simulator.InProcess) -> None:
    sim.fault("/", "half_gzip")
    headers, body = parts(raw(sim, encoding="gzip"))
    assert int(headers["Content-Length"]) == len(body)
    opened = zlib.decompressobj(31)
    assert opened.decompress(body)
    assert not opened.eof


def test_the_checksum_of_gzip_can_be_wrong(sim: simulator.InProcess) -> None:
    sim.fault("/", "bad_checksum")
    _, body = parts(raw(sim, encoding="gzip"))
    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(body)


def test_an_answer_can_be_packed_several_times(sim: simulator.InProcess) -> None:
    sim.fault("/self", "layers", layers=3)
    headers, body = parts(raw(sim, "/self"))
    assert headers["Content-Encoding"] == "gzip, gzip, gzip"
    for _ in range(3):
        body = gzip.decompress(body)
    assert json.loads(body)["agreementNumber"] == 1234567


def test_a_head_can_drip(sim: simulator.InProcess) -> None:
    sim.fault("/self", "drip_head", seconds=0.4)
    began = time.monotonic()
    assert answer(sim, "/self").json()["agreementNumber"] == 1234567
    assert 0.3 < time.monotonic() - began < 3


def test_silence_ends_when_the_client_gives_up(sim: simulator.InProcess) -> None:
    sim.fault("/self", "silence", seconds=60)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sim.base_url}/self", headers=sim.headers, timeout=0.2)
    assert [entry["status"] for entry in sim.requests()] == [None]


@pytest.mark.parametrize("kind", ["flood", "packed_flood"])
def test_a_flood_is_as_long_as_it_says(sim: simulator.InProcess, kind: str) -> None:
    sim.fault("/", kind, size=5_000_001)
    received = answer(sim)
    assert received.content == b" " * 5_000_001


def test_a_flood_stops_when_the_client_does(sim: simulator.InProcess) -> None:
    sim.fault("/", "flood", size=10**10)
    with answer(sim, stream=True) as received:
        assert received.headers["Content-Length"] == str(10**10)
        assert received.raw.read(10) == b" " * 10
    assert answer(sim).status_code == 200


def test_anything_can_be_said_instead_of_http(sim: simulator.InProcess) -> None:
    sim.fault("/", "wire", body="SSH-2.0-OpenSSH_9.2\r\n")
    assert raw(sim) == b"SSH-2.0-OpenSSH_9.2\r\n"


def test_a_body_can_be_in_another_charset(sim: simulator.InProcess) -> None:
    sim.fault("/self", "recoded", charset="utf-16")
    assert json.loads(answer(sim, "/self").content.decode("utf-16"))["agreementNumber"] == 1234567


def test_another_question_can_be_answered(sim: simulator.InProcess) -> None:
    sim.fault("/", "otherwise", parameters={"pagesize": "7", "filter": None})
    page = answer(sim, "/invoices/booked?pagesize=20&filter=bookedInvoiceNumber$gt:10010").json()
    assert len(page["collection"]) == 7
    assert page["collection"][0]["bookedInvoiceNumber"] == 10001
    assert page["pagination"]["pageSize"] == 7


def test_a_document_can_be_edited_and_its_numbers_keep_their_spelling(sim: simulator.InProcess) -> None:
    before = answer(sim).text

    def edit(page: dict[str, Any]) -> None:
        page["collection"].append(page["collection"][3])
        page["pagination"]["results"] = 1000

    sim.fault("/", "edit", edit=edit)
    page = answer(sim).json()
    assert (len(page["collection"]), page["pagination"]["results"]) == (21, 1000)
    assert page["collection"][20] == page["collection"][3]
    sim.fault("/", "edit", edit=lambda page: None)
    assert answer(sim).text == before


def test_an_edit_can_put_in_bytes_that_are_not_utf8(sim: simulator.InProcess) -> None:
    sim.fault("/self", "edit", edit=lambda document: document.update(userName="Bj\udcf8rn"))
    assert b'"Bj\xf8rn"' in answer(sim, "/self").content


def test_an_edit_is_a_function(sim: simulator.InProcess) -> None:
    with pytest.raises(ValueError, match="needs a function"):
        sim.fault("/", "edit", edit="page.clear()")


def test_a_function_can_be_called_between_two_pages(sim: simulator.InProcess) -> None:
    called: list[int] = []
    sim.when(2, lambda: called.append(len(sim.requests())))
    for _ in range(3):
        answer(sim)
    assert called == [2]
    with pytest.raises(ValueError, match="only in this process"):
        sim.control("when", after_request=1, do=["os.abort"])
