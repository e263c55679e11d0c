"""All upstreams together: each on its own port, and one control endpoint over all of them."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Self

from aiohttp import web

from simulators.booking_vendor import BookingVendor
from simulators.citizens import CITIZENS
from simulators.control import Control
from simulators.cvr import Cvr
from simulators.dfdg import Su, Ydelse
from simulators.dfdg_services import services
from simulators.eindkomst import Eindkomst
from simulators.server import UpstreamServer, control_routes
from simulators.signatures import Signatures
from simulators.ungedata import Ungedata

CONTROL = "control"


class Servers:
    """The upstreams' servers, within one event loop. `ports` are by upstream, or `control`; any free one by default.

    `events_after` is how many seconds after a subscription Ungedatabasen has events.
    """

    def __init__(
        self, host: str = "127.0.0.1", ports: Mapping[str, int] | None = None, events_after: float = 0.0
    ) -> None:
        self._host = host
        self._ports = dict(ports or {})
        self.eindkomst = Eindkomst()
        protocols = (
            Ungedata(events_after), Su(), self.eindkomst, Cvr(), Ydelse(), *services(), BookingVendor(),
        )  # fmt: skip
        self.upstreams = {
            protocol.name: UpstreamServer(protocol, host, self._ports.get(protocol.name, 0)) for protocol in protocols
        }
        app = web.Application()
        app.router.add_get("/__sim__/citizens", _citizens)
        app.router.add_post("/__sim__/reset", self._reset)
        app.router.add_delete("/__sim__/faults", self._mend)
        for name, server in self.upstreams.items():
            app.add_routes(control_routes(f"/__sim__/{name}", server))
        self._control = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)

    @property
    def urls(self) -> dict[str, str]:
        """Where each upstream is, and `control`."""
        control = f"http://{self._host}:{self._control.addresses[0][1]}"
        return {**{name: server.url for name, server in self.upstreams.items()}, CONTROL: control}

    async def start(self) -> None:
        """Starts all of them. Raises OSError when a port is taken."""
        try:
            for server in self.upstreams.values():
                await server.start()
            await self._control.setup()
            await web.TCPSite(self._control, self._host, self._ports.get(CONTROL, 0)).start()
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops all of them."""
        for server in self.upstreams.values():
            await server.stop()
        await self._control.cleanup()

    async def _reset(self, request: web.Request) -> web.Response:
        """Mends all faults, and forgets the received calls."""
        for server in self.upstreams.values():
            server.forget()
        return await self._mend(request)

    async def _mend(self, _: web.Request) -> web.Response:
        for server in self.upstreams.values():
            await server.set_faults([])
        return web.Response(status=204)


class Simulation:
    """The same on an event loop in a thread of its own, as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulators", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._servers = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._end_thread()
            raise
        self.urls = self._servers.urls
        self.control = Control(self.urls)
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        asyncio.run_coroutine_threadsafe(self._servers.stop(), self._loop).result()
        self._end_thread()

    @contextmanager
    def signing(self, signatures: Signatures) -> Iterator[None]:
        """Meanwhile eIndkomst expects signatures and signs its answers, as is said."""
        self._servers.eindkomst.signatures = signatures
        try:
            yield
        finally:
            self._servers.eindkomst.signatures = Signatures()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> Servers:
        servers = Servers()
        await servers.start()
        return servers


async def _citizens(_: web.Request) -> web.Response:
    """The constructed citizens, as the log-in page needs them."""
    shown = ("cpr", "name", "about", "contact_groups", "education_order", "known_to")
    return web.json_response([{name: asdict(citizen)[name] for name in shown} for citizen in CITIZENS])
