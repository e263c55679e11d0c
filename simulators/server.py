"""One upstream's HTTP server: understands a call, counts it, and answers as the contract or as a fault says."""

import asyncio
import gzip
import re
import socket
import struct
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from domain.cpr import LOOKS_LIKE_CPR
from simulators import contact_groups, tokens
from simulators.booking_vendor import BookingVendor
from simulators.dfdg_services import Kontaktforloeb, Visitering
from simulators.faults import FAULTS, Broken, Fault, FaultSet, Huge, NotFound, Status
from simulators.protocol import Asked, Breach, Protocol, Reply
from simulators.ungedata import Ungedata

KEPT_CALLS = 10_000
MEBIBYTE = 1024 * 1024
CHUNK_BYTES = 64 * 1024
LONGEST_REQUEST_ID = 46
_GUID = re.compile(r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")


class UpstreamServer:
    """Serves one protocol on a port of its own, with the control endpoint beside it."""

    def __init__(self, protocol: Protocol, host: str, port: int) -> None:
        self.protocol = protocol
        self.faults = FaultSet()
        self.tokens = tokens.TokenEndpoint()
        self._host = host
        self._port = port
        self._total = 0
        self._by_citizen: Counter[str] = Counter()
        self._calls: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)
        self._writes: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)
        self._site: web.TCPSite | None = None
        self._reserved: socket.socket | None = None
        app = web.Application(client_max_size=64 * 1024)
        app.add_routes(control_routes("/__sim__", self))
        app.router.add_post(tokens.PATH, self.tokens.serve)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # Nothing here is worth finishing: what hangs is ended with its connection, and at once when we stop.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)

    @property
    def url(self) -> str:
        """The upstream's address, with what of its path is a part of that."""
        return f"http://{self._host}:{self._port}{self.protocol.base}"

    async def start(self) -> None:
        """Starts listening; on a free port, if none was given. Raises OSError when the port is taken."""
        await self._runner.setup()
        await self._listen()

    async def stop(self) -> None:
        """Stops listening and ends every connection."""
        self._release()
        await self._runner.cleanup()

    async def set_faults(self, faults: list[Fault]) -> None:
        """Sets these and no others; refuses connections while one of them says so.

        Raises ValueError when one of them cannot happen to this upstream.
        """
        misfits = [misfit for misfit in map(self.protocol.misfit, faults) if misfit]
        if misfits:
            raise ValueError("; ".join(misfits))
        self.faults.replace(faults)
        if self.faults.gone and self._site is not None:
            await self._site.stop()
            self._site = None
            self._reserve()
        elif not self.faults.gone and self._site is None:
            self._release()
            await self._listen()

    def received(self) -> dict[str, Any]:
        """The calls received since the last reset; those that change something are `writes`, and not counted."""
        return {
            "total": self._total,
            "by_citizen": dict(self._by_citizen),
            "calls": list(self._calls),
            "writes": list(self._writes),
        }

    def forget(self) -> None:
        """Forgets the received calls."""
        self._total = 0
        self._by_citizen.clear()
        self._calls.clear()
        self._writes.clear()
        self.tokens.forget()
        self.protocol.forget()

    async def _listen(self) -> None:
        site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True, backlog=1024)
        await site.start()
        self._site = site
        if self._port == 0:
            self._port = self._runner.addresses[0][1]

    def _reserve(self) -> None:
        """Keeps the port while no server listens there, so that the system gives it to no client's connection."""
        self._reserved = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((self._host, self._port))

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.faults.gone:
            return _reset(request)
        call = self._record(request)
        body = await request.read()
        if not self.tokens.admits(request):
            call["status"] = 401
            return tokens.refusal()
        try:
            asked = self._understood(request, body)
        except Breach as breach:
            call["broke_contract"] = breach.what
            return self._sent(call, self.protocol.refusal(breach.status, breach.what))
        call["operation"] = asked.operation
        if asked.citizen is not None:
            call["citizen"] = asked.citizen
            if asked.operation is None:
                self._by_citizen[asked.citizen] += 1
        wait, fault = self.faults.draw(asked.citizen, asked.operation)
        if wait:
            await asyncio.sleep(wait)
        if fault is None or not self.protocol.concerns(fault, asked):
            return self._sent(call, self.protocol.answer(asked))
        return await self._broken(request, call, asked, fault)

    def _record(self, request: web.Request) -> dict[str, Any]:
        call: dict[str, Any] = {
            "at": time.time(),
            "request_id": request.headers.get("x-requestId"),
            "citizen": None,
            "traceparent": request.headers.get("traceparent"),
            "status": None,
            "broke_contract": None,
            "operation": None,
        }
        if self.protocol.writes(request):
            self._writes.append(call)
        else:
            self._total += 1
            self._calls.append(call)
        return call

    def _understood(self, request: web.Request, body: bytes) -> Asked:
        # In a GUID, such digits are chance.
        if LOOKS_LIKE_CPR.search(_GUID.sub("", request.path_qs)):
            raise Breach("a CPR number in the URL")
        if not self.protocol.has(request.method, request.path):
            raise Breach(f"not {self.protocol.method} {self.protocol.path}", 404)
        if not 0 < len(request.headers.get("x-requestId", "")) <= LONGEST_REQUEST_ID:
            raise Breach("x-requestId is missing or too long")
        return self.protocol.understand(request, body)

    def _sent(self, call: dict[str, Any], reply: Reply, **headers: str) -> web.Response:
        call["status"] = reply.status
        return web.Response(
            status=reply.status, body=reply.body, headers={"Content-Type": reply.content_type, **headers}
        )

    async def _broken(
        self, request: web.Request, call: dict[str, Any], asked: Asked, fault: Fault
    ) -> web.StreamResponse:
        """Applies a fault to a call: to the connection, the HTTP answer, or the answer's content."""
        match fault:
            case Broken(kind="reset"):
                return _reset(request)
            case Broken(kind="reset_after"):
                self.protocol.answer(asked)
                return _reset(request)
            case Broken(kind="hang_before_headers"):
                await _hang()
            case Broken(kind="hang_after_headers" | "truncated" as kind):
                return await self._half(request, call, self.protocol.answer(asked), hang=kind == "hang_after_headers")
            case Huge():
                return await self._padded(request, call, self.protocol.answer(asked), fault)
            case Status(answered=True):
                answer = self.protocol.answer(asked)
                return self._sent(call, Reply(answer.body, answer.content_type, fault.status))
        reply, headers = self._http_fault(fault) or (self.protocol.broken(fault, asked), {})
        return self._sent(call, reply, **headers)

    def _http_fault(self, fault: Fault) -> tuple[Reply, dict[str, str]] | None:
        """An answer that no register gave, as a gateway's; None for a fault of another sort."""
        match fault:
            case Status(answered=False):
                headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                body = b"simulated" if fault.body is None else fault.body.encode()
                kind = "text/plain" if fault.body is None else self.protocol.content_type
                return Reply(body, kind, fault.status), headers
            case NotFound(kode=None):
                return Reply(b"<html>Not found</html>", "text/html", 404), {}
            case Broken(kind="redirect"):
                return Reply(b"", "text/plain", 302), {"Location": "/elsewhere"}
            case Broken(kind="wrong_content_type"):
                return Reply(b"<html><body>Velkommen</body></html>", "text/html"), {}
        return None

    async def _half(
        self, request: web.Request, call: dict[str, Any], reply: Reply, *, hang: bool
    ) -> web.StreamResponse:
        """Promises the whole answer and sends half of it, then nothing more, or the end of the connection.

        Of an empty answer it promises one byte.
        """
        call["status"] = reply.status
        headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body) or 1)}
        response = web.StreamResponse(status=reply.status, headers=headers)
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
        if hang:
            await _hang()
        if request.transport is not None:
            request.transport.close()
        return response

    async def _padded(
        self, request: web.Request, call: dict[str, Any], reply: Reply, fault: Huge
    ) -> web.StreamResponse:
        """Streams the answer and a great deal of white space, without saying beforehand how much it will be."""
        call["status"] = reply.status
        body = reply.body + b" " * (fault.mebibytes * MEBIBYTE)
        headers = {"Content-Type": reply.content_type}
        if fault.compressed:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        # A client that has had enough hangs up, as it should.
        with suppress(ConnectionResetError):
            for start in range(0, len(body), CHUNK_BYTES):
                await response.write(body[start : start + CHUNK_BYTES])
            await response.write_eof()
        return response


async def _hang() -> None:
    """Never answers; ends with the connection."""
    await asyncio.Event().wait()


def _reset(request: web.Request) -> web.Response:
    """Ends the connection with a TCP reset, before any byte of an answer."""
    if request.transport is not None:
        linger = struct.pack("ii", 1, 0)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.transport.abort()
    return web.Response()


def control_routes(prefix: str, server: UpstreamServer) -> list[web.RouteDef]:
    """The control endpoint of one upstream: its faults and its calls."""

    async def faults(_: web.Request) -> web.Response:
        return web.json_response([fault.model_dump() for fault in server.faults.all()])

    async def set_faults(request: web.Request) -> web.Response:
        try:
            wanted = FAULTS.validate_json(await request.read())
        except ValidationError as error:
            problems = [
                {"at": ".".join(map(str, problem["loc"])), "problem": problem["msg"]}
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            ]
            return web.json_response(problems, status=422)
        try:
            await server.set_faults(wanted)
        except ValueError as misfit:
            return web.json_response([{"at": "", "problem": str(misfit)}], status=422)
        return web.Response(status=204)

    async def mend(_: web.Request) -> web.Response:
        await server.set_faults([])
        return web.Response(status=204)

    async def calls(_: web.Request) -> web.Response:
        return web.json_response(server.received())

    async def forget(_: web.Request) -> web.Response:
        server.forget()
        return web.Response(status=204)

    return [
        web.get(f"{prefix}/faults", faults),
        web.put(f"{prefix}/faults", set_faults),
        web.delete(f"{prefix}/faults", mend),
        web.get(f"{prefix}/calls", calls),
        web.delete(f"{prefix}/calls", forget),
        *tokens.control_routes(prefix, server.tokens),
        *_vendor_routes(prefix, server.protocol),
        *_udb_routes(prefix, server.protocol),
        *_booking_routes(prefix, server.protocol),
        *contact_groups.control_routes(
            prefix, server.protocol.groups if isinstance(server.protocol, Visitering) else None
        ),
    ]


def _vendor_routes(prefix: str, protocol: Protocol) -> list[web.RouteDef]:
    """The booking vendor's reports."""

    async def reports(_: web.Request) -> web.Response:
        if not isinstance(protocol, BookingVendor):
            raise web.HTTPNotFound
        return web.json_response(protocol.reports)

    async def knows_keys(request: web.Request) -> web.Response:
        if not isinstance(protocol, BookingVendor):
            raise web.HTTPNotFound
        protocol.knows_keys = await request.json() is True
        return web.Response(status=204)

    return [
        web.get(f"{prefix}/reports", reports),
        web.put(f"{prefix}/knows_keys", knows_keys),
    ]


def _booking_routes(prefix: str, protocol: Protocol) -> list[web.RouteDef]:
    """The meetings that are booked at Kontaktforloeb."""

    async def bookings(_: web.Request) -> web.Response:
        if not isinstance(protocol, Kontaktforloeb):
            raise web.HTTPNotFound
        return web.json_response(protocol.bookings())

    return [web.get(f"{prefix}/bookings", bookings)]


def _udb_routes(prefix: str, protocol: Protocol) -> list[web.RouteDef]:
    """Ungedatabasen's subscriptions, and how long after one the events come."""

    def service() -> Ungedata:
        if not isinstance(protocol, Ungedata):
            raise web.HTTPNotFound
        return protocol

    async def subscriptions(_: web.Request) -> web.Response:
        return web.json_response(service().subscribed())

    async def unsubscribe(_: web.Request) -> web.Response:
        service().unsubscribe_all()
        return web.Response(status=204)

    async def events_after(request: web.Request) -> web.Response:
        service().events_after = float(await request.json())
        return web.Response(status=204)

    return [
        web.get(f"{prefix}/subscriptions", subscriptions),
        web.delete(f"{prefix}/subscriptions", unsubscribe),
        web.put(f"{prefix}/events-after", events_after),
    ]
