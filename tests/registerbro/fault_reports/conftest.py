"""The outbox over a real ledger, with a clock that only moves when it is told to."""

import asyncio

import pytest

from config.settings import BookingVendorSettings
from demo.installation import DEMO_CREDENTIALS
from domain.cpr import Cpr
from registerbro.fault_reports import submit as reports
from registerbro.fault_reports.model import Content
from registerbro.fault_reports.outbox import Outbox
from registerbro.services import Services
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.sealing.sealer import Sealer
from simulators import Simulation
from tests.support import SteppedClock
from workers.booking_vendor import tasks

CITIZEN = Cpr.parse("6102991234")
STRANGER = Cpr.parse("7003012345")

ME, OTHER = "a" * 52, "b" * 52


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
async def ledger(empty_redis):
    it = Ledger(empty_redis["ledger"].url)
    yield it
    await it.close()


@pytest.fixture
def make_outbox(ledger):
    def make(clock=None, **settings):
        return Outbox(
            ledger,
            Sealer([b"k" * 32]),
            lambda: (b"a pepper for tests alone",),
            BookingVendorSettings(**settings),
            clock,
        )

    return make


@pytest.fixture
def outbox(make_outbox, clock):
    return make_outbox(clock)


@pytest.fixture
def accept(outbox):
    """Hands in a report; every one has a key of its own unless one is named."""
    count = iter(range(10_000))

    async def accept(text="Kan ikke booke", key=None, citizen=ME):
        return await outbox.accept((citizen,), Content(text), key or f"key-{next(count)}")

    return accept


@pytest.fixture(scope="session")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
def control(simulation):
    simulation.control.reset()
    simulation.control.reset()
    yield simulation.control
    simulation.control.reset()


@pytest.fixture
def settings(app, make_settings, simulation):
    return make_settings(BOOKING_VENDOR__BASE_URL=simulation.urls["booking_vendor"], **DEMO_CREDENTIALS)


class Bridge:
    """A portal that hands in reports, and workers that deliver them, each in a process that has just begun."""

    def __init__(self, settings, clock, empty_redis):
        self.settings = settings
        self.clock = clock
        self._broker = empty_redis["broker"]
        self._keys = iter(range(10_000))
        self.portal = Services(settings, clock=clock)
        self.outbox = self.portal.outbox

    async def submit(self, text="Kan ikke booke", key=None, citizen=CITIZEN, **context):
        key = key or f"key-{next(self._keys)}"
        return await reports.submit(self.portal, citizen, text, idempotency_key=key, **context)

    async def deliver(self, report_id, **settings):
        """What a new worker with these settings does with the message; it knows nothing of earlier calls."""
        with self._broker.client() as client:
            client.flushall()
        vendor = self.settings.booking_vendor.model_copy(update=settings)
        worker = Services(self.settings.model_copy(update={"booking_vendor": vendor}), clock=self.clock)
        try:
            await tasks.deliver(worker, report_id)
        finally:
            await worker.close()
        return await self.outbox.record(report_id)

    async def until_called(self, control):
        """Returns when the vendor has received a call."""
        while control.calls("booking_vendor").total == 0:  # noqa: ASYNC110 - the vendor is another loop's
            await asyncio.sleep(0.01)

    async def deliver_when_due(self, report_id, **settings):
        """Lets the time pass until the report is due."""
        self.clock.now = round((await self.outbox.record(report_id)).due_at.timestamp() * 1000)
        return await self.deliver(report_id, **settings)


@pytest.fixture
async def bridge(settings, clock, empty_redis):
    it = Bridge(settings, clock, empty_redis)
    yield it
    await it.portal.close()
