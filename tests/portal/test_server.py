"""`registerbro serve` at its end: who listens is told and let go of, and the log tells of no error."""

import asyncio
import json
import signal

import httpx
import pytest

from tests.portal.api.test_overview import Events

pytestmark = pytest.mark.xdist_group("processes")
LISTENERS = 20


@pytest.fixture
def own_settings():
    return {"PORTAL__EVENT_STREAMS_PER_CITIZEN": str(LISTENERS)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_open_event_streams_end_with_a_last_event_that_says_so(portal, signer, number):
    headers = {"Authorization": f"Bearer {signer.token()}"}
    listening = asyncio.Semaphore(0)

    async def listen(http):
        async with http.stream("GET", "/v1/overview/events", headers=headers) as answer:
            listening.release()
            return [event async for event, _ in Events(answer)][-1]

    async with asyncio.timeout(60), httpx.AsyncClient(base_url=portal.url, timeout=60) as http:
        listeners = [asyncio.create_task(listen(http)) for _ in range(LISTENERS)]
        for _ in listeners:
            await listening.acquire()
        portal.send_signal(number)
        assert set(await asyncio.gather(*listeners)) == {"closing"}
    assert await asyncio.to_thread(portal.wait, 60) in {0, -number}
    told = [json.loads(line) for line in portal.written().splitlines()]
    assert "Application shutdown complete." in [one["event"] for one in told]
    assert [one for one in told if one["level"] in {"error", "critical"} or "exception" in one] == []
