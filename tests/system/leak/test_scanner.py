"""The scanner finds every spelling that real encoders make, wherever it stands, and shows none of what it found."""

import base64
import html
import json
import pickle
import struct
import urllib.parse

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from simulators.citizens import CITIZENS
from tests.system.leak import scanner as scanner_module
from tests.system.leak.scanner import Scanner, spellings_of, spellings_of_number

NUMBER = CITIZENS[0].cpr
HYPHEN, SPACE = f"{NUMBER[:6]}-{NUMBER[6:]}", f"{NUMBER[:6]} {NUMBER[6:]}"
WORD = "Kvartsfløjter"


@pytest.fixture
def scanner():
    return Scanner({**{one.cpr: spellings_of_number(one.cpr) for one in CITIZENS}, WORD: spellings_of(WORD)})


ENCODERS = {
    "as it is": lambda text: text.encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, one on": lambda text: base64.b64encode(b"x" + text.encode() + b"y"),
    "base64, two on": lambda text: base64.urlsafe_b64encode(b"{}" + text.encode() + b"~~~"),
    "a token": lambda text: base64.urlsafe_b64encode(json.dumps({"sub": "abc", "cpr": text}).encode()).rstrip(b"="),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "URL": lambda text: urllib.parse.quote(text).encode(),
    "form": lambda text: urllib.parse.urlencode({"a": text}).encode(),
    "every byte of a URL": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})).encode(),
    "HTML": lambda text: html.escape(f"<b>{text}</b>").encode(),
    "HTML, references": lambda text: text.encode("ascii", "xmlcharrefreplace"),
    "Python": lambda text: repr([text.encode()]).encode(),
    "a pickle": lambda text: pickle.dumps({"a": text}),
}


@pytest.mark.parametrize("text", [NUMBER, HYPHEN, SPACE, WORD])
@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS.keys())
def test_what_an_encoder_makes_is_found(scanner, encode, text):
    encoded = encode(text)
    hits = scanner.scan("logs", "here", b"before " + encoded + b" after")
    assert {hit.secret for hit in hits} == {WORD if text == WORD else NUMBER}
    for hit in hits:
        assert NUMBER not in hit.excerpt
        assert "before" in hit.excerpt or len(encoded) > 40


@pytest.mark.parametrize(
    "encoded",
    [struct.pack("<q", int(NUMBER)), AnyValue(int_value=int(NUMBER)).SerializeToString(), str(float(NUMBER)).encode()],
)
def test_a_number_that_is_kept_as_a_number_is_found(scanner, encoded):
    assert [hit.secret for hit in scanner.scan("logs", "here", b"x" + encoded + b"y")] == [NUMBER]


def test_every_spelling_is_found_by_its_own_name(scanner):
    for spelling, spelt in spellings_of_number(NUMBER).items():
        assert [hit.spelling for hit in scanner.scan("logs", "here", b"(" + spelt + b")")] == [spelling]


@pytest.mark.parametrize("innocent", [b"", b"6102991235", b"610299--1234", bytes(range(256)) * 50, b"176388336" * 9])
def test_nothing_is_found_where_nothing_is(scanner, innocent):
    assert scanner.scan("logs", "here", innocent) == []


def test_what_lies_across_two_pieces_of_a_file_is_found_once(tmp_path, monkeypatch):
    monkeypatch.setattr(scanner_module, "CHUNK_BYTES", 256)
    path = tmp_path / "file"
    for before in range(240, 260):
        path.write_bytes(b"." * before + HYPHEN.encode() + b"." * 300)
        scanner = Scanner({NUMBER: spellings_of_number(NUMBER)})
        assert len(scanner.scan_file("logs", "file", path)) == 1
        assert scanner.bytes == {"logs": path.stat().st_size}
