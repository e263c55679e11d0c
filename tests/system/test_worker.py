"""The whole bridge as processes: real workers, beat, Redis and simulators, and what is left when one is killed."""

import asyncio
import signal
import time
from datetime import date

import pytest

from demo.installation import installation, wait_for
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import refresh
from registerbro.fault_reports import submit
from registerbro.pages.reader import Reader, SectionState
from registerbro.refresh.request import Reason
from registerbro.services import Services
from registerbro.storage.keys import entry_key
from simulators import citizens
from tests.support import app_for_environment

pytestmark = pytest.mark.xdist_group("processes")

TODAY = date(2026, 11, 23)
ME = Citizen(Cpr.parse(citizens.EXAMPLE.cpr), frozenset({12}), education_order=False)
SHORT = {f"{name}__{limit}_TIMEOUT": "PT2S" for name in ("UDB", "SU") for limit in ("ATTEMPT", "TOTAL")}


@pytest.fixture(scope="module")
def here(tmp_path_factory, redis_servers):
    for server in redis_servers.values():
        with server.client() as client:
            client.flushall()
    with installation(tmp_path_factory.mktemp("installation"), SHORT) as it:
        yield it.use_redis(redis_servers).start_simulators().start_workers()


@pytest.fixture
async def portal(here, clean_environment):
    """What a portal has: it asks for refreshes and reads pages."""
    from config import settings as module

    for name, value in here.environment.items():
        clean_environment.setenv(name, value)
    app_for_environment()
    settings = module.settings()
    services, reader = Services(settings), Reader(settings)
    await services.cache.flushall()
    yield Portal(services, reader)
    await services.close()
    await reader.close()
    module.settings.cache_clear()


class Portal:
    def __init__(self, services, reader):
        self.services = services
        self.reader = reader

    async def request(self, *registers, citizen=ME):
        return await refresh.request_due(self.services, citizen, registers or None, reason=Reason.OPERATOR, today=TODAY)

    async def page(self, citizen=ME):
        return await self.reader.read_page(citizen.cpr)

    async def until(self, condition, within=60.0):
        """The first page for which `condition` holds."""
        ends = time.monotonic() + within
        while not condition(page := await self.page()):
            assert time.monotonic() < ends, f"not in {within} s: {page.json_text()}"
            await asyncio.sleep(0.05)
        return page


def states(page, register):
    return {view.state for view in page.sections() if view.register_ == register}


async def test_from_the_request_to_a_full_page(portal, control):
    await portal.request()
    page = await portal.until(lambda page: page.complete)
    assert {view.state for view in page.sections()} <= {SectionState.READY, SectionState.EMPTY}
    assert {name: control.calls(name).total for name in ("udb", "su", "eindkomst", "ydelse")} == dict.fromkeys(
        ("udb", "su", "eindkomst", "ydelse"), 1
    )


async def test_a_hundred_requests_at_once_cause_one_call_per_register(portal, control):
    await asyncio.gather(*(portal.request() for _ in range(100)))
    await portal.until(lambda page: page.complete)
    assert {name: control.calls(name).total for name in ("udb", "su", "eindkomst", "ydelse")} == dict.fromkeys(
        ("udb", "su", "eindkomst", "ydelse"), 1
    )


async def test_a_register_that_hangs_leaves_the_other_sections_alone(portal, control):
    control.fault("udb", {"kind": "hang_before_headers"})
    await portal.request()
    page = await portal.until(lambda page: states(page, "udb") == {SectionState.UNAVAILABLE})
    assert states(page, "eindkomst") == {SectionState.READY}


async def test_after_a_worker_was_killed_the_page_is_right_again_by_itself(portal, control, here):
    control.fault("udb", {"kind": "hang_before_headers"})
    await portal.request("udb")
    wait_for(lambda: control.calls("udb").total > 0, "the call")
    here.processes["worker-udb"].kill()
    control.mend("udb")
    here.start_worker("udb")
    page = await portal.until(lambda page: SectionState.READY in states(page, "udb"))
    assert states(page, "udb") <= {SectionState.READY, SectionState.EMPTY}


async def test_without_any_worker_nothing_stays_pending_past_its_limit(portal, here):
    here.processes["worker-su"].stop()
    try:
        await portal.request("su")
        limit = int(
            await portal.services.cache.hget(entry_key(portal.services.citizens.id_of(ME.cpr), "su"), "pending_until")
        )
        seconds, microseconds = await portal.services.cache.time()
        pending_for = portal.services.settings.su.total_timeout.total_seconds() + 5
        assert limit / 1000 - (seconds + microseconds / 1e6) <= pending_for
        page = await portal.until(lambda page: states(page, "su") != {SectionState.PENDING}, within=pending_for + 30)
        assert states(page, "su") == {SectionState.UNAVAILABLE}
    finally:
        worker = here.start_worker("su")
        wait_for(lambda: worker.has_logged("worker_ready"), "worker-su")
    page = await portal.until(lambda page: states(page, "su") == {SectionState.READY})


async def test_a_worker_that_is_stopped_finishes_what_runs(portal, control, here):
    control.fault("ydelse", {"kind": "latency", "seconds": 1.0})
    await portal.request("ydelse")
    wait_for(lambda: control.calls("ydelse").total > 0, "the call")
    here.processes["worker-ydelse"].signal(signal.SIGTERM)
    page = await portal.until(lambda page: states(page, "ydelse") != {SectionState.PENDING})
    assert states(page, "ydelse") == {SectionState.READY}
    assert control.calls("ydelse").total == 1
    assert here.processes["worker-ydelse"].popen.wait(60) == 0


async def test_a_fault_report_goes_from_the_portal_to_the_vendor(portal, control, here):
    await submit.submit(portal.services, ME.cpr, "Zebrafinken sang", idempotency_key="k")
    wait_for(control.reports, "the report")
    assert control.reports()[0]["report"]["Fejltekst"] == "Zebrafinken sang"
    assert "Zebra" not in "".join(path.read_text(errors="replace") for path in here.directory.rglob("*.log"))


async def test_no_process_wrote_a_cpr_number(portal, control, here):
    await portal.request()
    await portal.until(lambda page: page.complete)
    written = "".join(path.read_text(errors="replace") for path in here.directory.rglob("*.log"))
    assert "refresh_ended" in written
    for citizen in citizens.CITIZENS:
        assert citizen.cpr not in written
        assert f"{citizen.cpr[:6]}-{citizen.cpr[6:]}" not in written
