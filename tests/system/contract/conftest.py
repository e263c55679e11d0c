"""The registers as they are, against the simulators over real sockets, with a real cache; only waits are left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module

import pytest

from config.celery import REGISTERS
from demo.installation import DEMO_CREDENTIALS
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import refresh
from registerbro.pages.reader import Reader
from registerbro.refresh.register import Register
from registerbro.refresh.request import Reason
from registerbro.services import Services
from registerbro.upstreams import admission
from simulators import Simulation

TODAY = date(2026, 11, 23)
SECOND = {
    "visitering": "absences",
    "kontaktforloeb": "deadlines",
    "jobsearch": "history",
    "borgerindsats": "joblog",
}
"""The registers that are asked two questions, and the second one, as an operation of the simulator."""


@pytest.fixture(scope="session")
def simulation() -> Iterator[Simulation]:
    with Simulation() as running:
        yield running


@pytest.fixture
def control(simulation):
    simulation.control.reset()
    yield simulation.control
    simulation.control.reset()


@dataclass
class Bridge:
    """One register between a portal and its simulator: ask, let the task run, read the page."""

    services: Services
    reader: Reader
    register: Register

    async def refresh(self, digits):
        """What the portal and then the worker do. Returns the entry and the register's sections on the page."""
        cpr = Cpr.parse(digits)
        citizen = Citizen(cpr, frozenset({12}), education_order=False)
        await refresh.request_due(self.services, citizen, [self.register.name], reason=Reason.OPERATOR, today=TODAY)
        await self.register.refresh(self.services, self.services.citizens.id_of(cpr))
        return await self.entry(cpr), await self.sections(cpr)

    async def entry(self, cpr):
        entries = await self.services.entries.read(self.services.citizens.id_of(cpr), [self.register.name])
        return entries[self.register.name]

    async def sections(self, cpr):
        return (await self.reader.read_sections(cpr, self.register.name)).by_id


@pytest.fixture
def attempt_timeout():
    """How long one call may take: long, but where a test is about just that."""
    return "PT20S"


@pytest.fixture
def own_settings():
    """What a test's settings have beside everybody's."""
    return {}


@pytest.fixture
def settings(app, make_settings, simulation, attempt_timeout, own_settings):
    called = [name.upper() for name in (*REGISTERS, "cvr")]
    urls = {f"{name}__BASE_URL": simulation.urls[name.lower()] for name in called}
    times = {f"{name}__ATTEMPT_TIMEOUT": attempt_timeout for name in called}
    totals = {f"{name}__TOTAL_TIMEOUT": "PT60S" for name in called}
    return make_settings(**(urls | own_settings), **times, **totals, **DEMO_CREDENTIALS)


@pytest.fixture(autouse=True)
def patient_admission(monkeypatch):
    """These tests count calls, which is not about how soon a busy machine's Redis decides: the process never has to."""
    monkeypatch.setattr(admission, "REDIS_TIMEOUT", 20.0)


@pytest.fixture
async def bridge(register, settings):
    async def no_wait(_):
        return None

    services, reader = Services(settings, sleep=no_wait), Reader(settings)
    yield Bridge(services, reader, import_module(f"workers.{register}.tasks").REGISTER)
    await services.close()
    await reader.close()
