"""Hostile HTTP/1.1: heads, framings and codings. The body, where there is one, is a good answer of Ungedatabasen."""

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from config.settings import UpstreamSettings
from tests.system.fuzz.bombs import ITEMS, TEMPLATES
from tests.system.hostile.cases import INVALID, OK, PLAIN, TOO_LONG, Case, head

MAX_BODY = UpstreamSettings().max_body
LOST, REFUSED_CODING = "unavailable", INVALID
GOOD = TEMPLATES["udb"].replace("@", f"[{ITEMS['udb'].replace('#', '1')}]").encode()
JSON = "application/json"
PIECE = 64 * 1024

Pieces = Callable[[], Iterable[bytes]]


def cases() -> Iterator[Case]:
    """All of them."""
    for kind, name, expected, pieces, *quick in (*_heads(), *_framings(), *_codings()):
        yield Case(
            f"http: {kind}", name, "udb", lambda _, pieces=pieces: pieces(), {PLAIN: expected}, quick=bool(quick)
        )


def _told(*fields: bytes, status: bytes = b"200 OK", body: bytes = GOOD) -> Pieces:
    return lambda: [head(JSON, *fields, status=status), body]


def _heads() -> Iterator[tuple]:
    many = [b"X-Field-%d: x" % at for at in range(10_000)]
    yield "fields", "ten thousand fields", LOST, _told(*many), "quick"
    yield "fields", "a hundred fields", OK, _told(*many[:100])
    yield "fields", "a field of 60 KB", LOST, _told(b"X-Field: " + b"x" * 60_000)
    yield "fields", "a hundred fields of 7 KB", LOST, _told(*[b"X-%d: " % at + b"x" * 7_000 for at in range(100)])
    yield "fields", "a field's name of 60 KB", LOST, _told(b"x" * 60_000 + b": x")
    yield "fields", "a field without end", LOST, lambda: _endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * PIECE)
    yield "fields", "fields without end", LOST, lambda: _endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 10_000), "quick"
    yield "fields", "a status line without end", LOST, lambda: _endless(b"HTTP/1.1 200 ", b"x" * PIECE)
    yield "fields", "a folded field without end", LOST, lambda: _endless(b"HTTP/1.1 200 OK\r\nX: x", b"\r\n x" * 10_000)
    yield (
        "fields",
        "a hundred cookies of 7 KB",
        LOST,
        _told(*[b"Set-Cookie: a%d=" % n + b"x" * 7_000 for n in range(100)]),
    )
    yield "fields", "ten thousand cookies", LOST, _told(*[b"Set-Cookie: a%d=x" % at for at in range(10_000)])
    yield "fields", "a cookie of many attributes", OK, _told(b"Set-Cookie: a=b" + b"; a=b" * 1_500)
    yield "fields", "a cookie of quotes", OK, _told(b'Set-Cookie: a="' + b"\\" * 7_000)
    for name, value in {
        "nines": b"9" * 7_000,
        "a date of the year 9999": b"Fri, 31 Dec 9999 23:59:59 GMT",
        "letters": b"a" * 7_000,
        "white space": b"\t" * 7_000 + b"a",
        "commas": b"Fri," + b" " * 7_000 + b"31",
        "below nought": b"-1",
    }.items():
        unavailable = _told(b"Retry-After: " + value, status=b"503 Service Unavailable")
        yield "retry-after", name, "unavailable", unavailable, *(["quick"] if name == "nines" else [])
    for name, value, expected in (
        ("semicolons", b"application/json" + b";" * 7_000, OK),
        ("quotes", b"application/json; " + b'"' * 7_000, OK),
        ("quoted pairs", b'application/json; a="' + b"\\" * 7_001 + b'"', OK),
        ("charsets", b"application/json" + b";charset=utf-8" * 500, OK),
        ("white space", b"application/json" + b" \t" * 3_500 + b";", OK),
        ("letters", b"a" * 3_500 + b"/" + b"a" * 3_500, INVALID),
    ):
        yield (
            "content-type",
            name,
            expected,
            lambda value=value: [head(value.decode()), GOOD],
            *(["quick"] if name == "quotes" else []),
        )
    for status in (b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"):
        yield "redirect", status.decode(), INVALID, _told(b"Location: /again", status=status)
    yield (
        "redirect",
        "to a URL of 7 KB",
        INVALID,
        _told(b"Location: http://a/" + b"a" * 7_000, status=b"302 Found"),
        "quick",
    )
    continued = b"HTTP/1.1 100 Continue\r\n\r\n"
    yield "interim", "a thousand interim answers", OK, lambda: [continued * 1_000, *_told()()]
    yield "interim", "interim answers without end", LOST, lambda: _endless(b"", continued * 1_000), "quick"


def _framings() -> Iterator[tuple]:
    chunked = head(JSON, b"Transfer-Encoding: chunked")
    spaces = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    yield "chunks", "chunks without end", TOO_LONG, lambda: _endless(chunked, spaces), "quick"
    yield (
        "chunks",
        "a chunk for each of 2 MiB",
        LOST,
        lambda: [chunked, *_singly(MAX_BODY - len(GOOD)), *_last()],
        "quick",
    )
    yield "chunks", "a chunk for each byte, without end", LOST, lambda: _endless(chunked, b"1\r\n \r\n" * 10_000)
    extension = b"1;" + b"x" * 4_000 + b"\r\n \r\n"
    yield "chunks", "extensions of 4 KB", LOST, lambda: _endless(chunked, extension * 10), "quick"
    yield "chunks", "an extension without end", LOST, lambda: _endless(chunked + b"1;", b"x" * PIECE)
    yield "chunks", "a size of zeros without end", LOST, lambda: _endless(chunked, b"0" * PIECE)
    yield "chunks", "a size of many digits", LOST, lambda: [chunked, b"F" * 1_000 + b"\r\n", b"x" * PIECE]
    yield "chunks", "a size below nought", LOST, lambda: [chunked, b"-1\r\nx\r\n"]
    trailers = b"".join(b"X-%d: x\r\n" % at for at in range(1_000))
    yield "chunks", "trailers without end", LOST, lambda: _endless(chunked + b"0\r\n", trailers)
    yield "length", "far longer than it says it may be", TOO_LONG, lambda: _endless(head(JSON), b" " * PIECE), "quick"
    yield "length", "a length of many digits", LOST, _told(b"Content-Length: " + b"9" * 1_000)
    yield "length", "two lengths", LOST, _told(b"Content-Length: 1", b"Content-Length: 2")
    yield "length", "shorter than it says", LOST, _told(b"Content-Length: 2000000")
    yield (
        "length",
        "a length of two gigabytes",
        TOO_LONG,
        lambda: _endless(head(JSON, b"Content-Length: 2000000000"), b" " * PIECE),
    )
    yield "no HTTP", "a megabyte of noughts", LOST, lambda: [b"\0" * 1_000_000]
    yield "no HTTP", "line ends without end", LOST, lambda: _endless(b"", b"\r\n" * 30_000)
    yield "no HTTP", "a body alone", LOST, lambda: [GOOD], "quick"


def _singly(count: int) -> Iterator[bytes]:
    """So many spaces, each a chunk of its own."""
    block = b"1\r\n \r\n" * 10_000
    for _ in range(count // 10_000):
        yield block
    yield b"1\r\n \r\n" * (count % 10_000)


def _last() -> list[bytes]:
    return [b"%x\r\n" % len(GOOD), GOOD, b"\r\n0\r\n\r\n"]


def _codings() -> Iterator[tuple]:
    gzipped = b"Content-Encoding: gzip"
    once = gzip.compress(GOOD)
    yield "coding", "a gigabyte of spaces", TOO_LONG, lambda: [head(JSON, gzipped), _spaces()], "quick"
    yield "coding", "gzip in gzip in gzip", INVALID, _told(b"Content-Encoding: gzip, gzip, gzip", body=once)
    yield "coding", "a thousand codings", INVALID, _told(b"Content-Encoding: " + b"gzip," * 1_000, body=once)
    yield "coding", "deflate", INVALID, _told(b"Content-Encoding: deflate", body=zlib.compress(GOOD))
    yield "coding", "br", INVALID, _told(b"Content-Encoding: br", body=once)
    yield "coding", "zstd", INVALID, _told(b"Content-Encoding: zstd", body=once)
    yield "coding", "a gzip of a gzip of a gigabyte", INVALID, _told(gzipped, body=gzip.compress(_spaces(), 1))
    yield (
        "coding",
        "members of nothing, without end",
        INVALID,
        lambda: _endless(head(JSON, gzipped), gzip.compress(b"") * 1_000),
        "quick",
    )
    yield "coding", "999 members of nothing", OK, _told(gzipped, body=gzip.compress(b"") * 999 + once)
    yield (
        "coding",
        "empty blocks without end",
        TOO_LONG,
        lambda: _endless(head(JSON, gzipped) + b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\0\0\0\xff\xff" * 10_000),
        "quick",
    )
    named = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"
    yield "coding", "a file's name without end", TOO_LONG, lambda: _endless(head(JSON, gzipped) + named, b"x" * PIECE)
    yield "coding", "what follows is no member", INVALID, _told(gzipped, body=once + b"x" * 1_000_000)
    yield (
        "coding",
        "spaces that are compressed and chunked singly",
        TOO_LONG,
        lambda: [
            head(JSON, gzipped, b"Transfer-Encoding: chunked"),
            b"".join(b"1\r\n%c\r\n" % byte for byte in _spaces()[:400_000]),
        ],
    )


@cache
def _spaces() -> bytes:
    compressor = zlib.compressobj(9, wbits=31)
    block = b" " * (1 << 20)
    return b"".join(compressor.compress(block) for _ in range(1024)) + compressor.flush()


def _endless(first: bytes, block: bytes) -> Iterator[bytes]:
    """As much as the client takes; a backstop ends it, since a client that takes a gigabyte has failed anyway."""
    yield first
    yield from itertools.repeat(block, (1 << 30) // max(1, len(block)))
