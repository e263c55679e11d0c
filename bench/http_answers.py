"""HTTP server of one answer: `python -m bench.http_answers PORT CERTIFICATE ENCODING`; the last two may be empty.

It answers each request, which must be one segment without a body, with the same 2 KB of JSON, and looks at none of it.
"""

import asyncio
import gzip
import json
import signal
import ssl
import sys
from typing import cast

BODY = json.dumps(
    {"forloeb": [{"uddannelse": f"Uddannelse {n}", "startdato": f"20{10 + n}-08-01", "id": n**9} for n in range(27)]}
).encode()


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's."""
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(self._answer)


async def serve(port: int, certificate: str, encoding: str) -> None:
    """Serves until it is told to end."""
    body, field = (gzip.compress(BODY), b"Content-Encoding: gzip\r\n") if encoding == "gzip" else (BODY, b"")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n" % (field, len(body))
    secure = None
    if certificate:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Connection(head + body), "127.0.0.1", port, ssl=secure)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:4]))
