"""One simulation for all tests, healthy at the start of each, in which all citizens are subscribed."""

import httpx
import pytest

from simulators import Simulation, citizens
from tests.simulators import calls


@pytest.fixture(scope="session")
def simulation():
    with Simulation() as running:
        for citizen in citizens.BY_CPR.values():
            calls.subscribe(citizen.cpr).send(running.urls["udb"])
        yield running


@pytest.fixture(scope="session")
def http():
    with httpx.Client(verify=False) as client:
        yield client


@pytest.fixture
def control(simulation):
    simulation.control.reset()
    return simulation.control


@pytest.fixture
def send(simulation, control):
    """Sends a call of the contract to an upstream, or the call that is given."""

    def send(upstream, a_call=None, **about):
        return (a_call or calls.call(upstream, **about)).send(simulation.urls[upstream])

    return send
