"""Body reading: decompresses an answer as it comes in, and stops at the first byte beyond the limit.

Every byte counts before it is looked at, so that a small bomb stays small.
"""

import zlib
from collections.abc import AsyncIterable

from registerbro.upstreams.errors import InvalidResponse, TooLong

GZIP = frozenset({"gzip", "x-gzip"})
"""The names of the one compression that is offered (RFC 9110, 8.4.1.3)."""
MOST_MEMBERS = 1000
"""How many gzip members a body may have (RFC 1952, 2.2): the finest in use, BGZF, has one per 64 KiB."""


async def read_body(encoding: str, stream: AsyncIterable[bytes], limit: int) -> bytes:
    """Reads and decompresses, and stops at the first byte too many, so that a small bomb stays small.

    Raises TooLong; InvalidResponse when it is compressed in a way that was not offered, or brokenly.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"identity", *GZIP}:
        raise InvalidResponse("the answer is compressed in a way that was not offered")
    body = bytearray()
    inflate = _Gzip() if encoding in GZIP else None
    # Data that do not shrink grow a little; a longer stream may be endless and still decompress to nothing. Every
    # byte counts as it comes in and before it is looked at, so that no form of compression has a way around the limit.
    wire = _longest_compressed(limit)
    async for chunk in stream:
        wire -= len(chunk)
        body += inflate.read(chunk, limit + 1 - len(body)) if inflate else chunk
        if len(body) > limit or wire < 0:
            raise TooLong(f"the answer is longer than {limit} bytes")
    if inflate:
        inflate.end()
    return bytes(body)


def _longest_compressed(length: int) -> int:
    """How long gzip can make so many bytes: zlib's own bound, and a kilobyte for names and comments in its header."""
    return length + (length >> 12) + (length >> 14) + 1024


class _Gzip:
    """The members of a gzip file, one after the other with nothing between or behind them (RFC 1952, 2.2).

    Every method raises InvalidResponse for data that are no gzip. zlib stops at the end of a member and ignores the
    rest; here, the rest begins the next member, and is refused if it does not.
    """

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._members = 0

    def read(self, chunk: bytes, at_most: int) -> bytes:
        """Decompresses the next part of the file, up to `at_most` bytes; after that, nothing more may be read."""
        found = bytearray()
        while chunk and len(found) < at_most:
            if self._member is None:
                self._begin_member()
            found += self._inflated(chunk, at_most - len(found))
            chunk = self._rest()
        return bytes(found)

    def end(self) -> None:
        """Called at the end of the file."""
        if self._member is not None:
            raise InvalidResponse("the answer's compression ends too early")

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise InvalidResponse("the answer is compressed in too many parts")
        self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def _inflated(self, chunk: bytes, at_most: int) -> bytes:
        try:
            return self._member.decompress(chunk, at_most) if self._member else b""
        except zlib.error:
            raise InvalidResponse("the answer's compression is broken") from None

    def _rest(self) -> bytes:
        """The rest of the last chunk behind the member's end; empty while the member goes on."""
        if self._member is None or not self._member.eof:
            return b""
        rest, self._member = self._member.unused_data, None
        return rest
