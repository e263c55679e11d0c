"""A real worker of each register: it refreshes, it is killed, its broker goes, it is asked to end under load."""

import asyncio
from datetime import date

import pytest

from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import refresh
from registerbro.pages.reader import SectionState
from registerbro.refresh.request import Reason
from simulators import citizens
from tests.system.smoke.conftest import SERVICES

pytestmark = pytest.mark.xdist_group("processes")

TODAY = date(2026, 11, 23)
PATIENCE = 90.0
"""Seconds for what takes a few: containers on a busy machine are slow to start."""
CROWD = 60


def citizen(digits=citizens.EXAMPLE.cpr):
    return Citizen(Cpr.parse(digits), frozenset({12}), education_order=False)


def crowd():
    """Citizens whom no register knows, so that every section comes to be empty; their days are 61 and more."""
    return [citizen(f"6101{n:02}{4000 + n}") for n in range(10, 10 + CROWD)]


async def ask(services, who, *registers):
    """What asking came to; asked again while a Redis is too busy with its start to answer within our half second."""
    asked = {}

    async def is_asked():
        asked.update(await refresh.request_due(services, who, registers or None, reason=Reason.OPERATOR, today=TODAY))
        return "unavailable" not in {answer.state for answer in asked.values()}

    await until(is_asked)
    return asked


async def states(reader, who, register):
    return {view.state for view in (await reader.read_page(who.cpr)).sections() if view.register_ == register}


async def until(is_so):
    """Returns when `is_so` gives true: another process decides that, so that there is no event to wait for."""
    async with asyncio.timeout(PATIENCE):
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def settled(reader, people, *registers):
    """Returns when these registers of all of them have been fetched; raises TimeoutError when they never are."""

    async def all_are():
        found = [await states(reader, who, register) for who in people for register in registers or SERVICES]
        return set().union(*found) <= {SectionState.READY, SectionState.EMPTY}

    await until(all_are)


async def test_a_refresh_goes_through_a_real_worker_of_each_register(celery_setup, services, reader, control):
    asked = await ask(services, citizen())
    await settled(reader, [citizen()])
    assert {name: answer.state for name, answer in asked.items()} == dict.fromkeys(SERVICES, "pending")
    assert control.calls("udb").total == 1


async def test_a_worker_that_is_killed_and_restarted_finishes_what_it_held(celery_setup, services, reader, control):
    control.fault("su", {"kind": "latency", "median": 3, "p99": 3})
    await ask(services, citizen(), "su")

    async def is_called():
        return control.calls("su").total > 0

    await until(is_called)
    worker = celery_setup.node("su")
    await asyncio.to_thread(worker.kill)
    control.mend("su")
    await asyncio.to_thread(worker.restart)
    await settled(reader, [citizen()], "su")


async def test_a_restart_of_the_broker_stops_nobody(celery_setup, services, reader, control):
    await ask(services, citizen(), "udb")
    await settled(reader, [citizen()], "udb")
    await asyncio.to_thread(celery_setup.broker.restart)
    other = citizen(citizens.FOUR_JOBS.cpr)

    async def is_taken():
        return (await ask(services, other, "udb"))["udb"].state != refresh.State.UNAVAILABLE

    await until(is_taken)
    await settled(reader, [other], "udb")


async def test_a_warm_shutdown_under_load_loses_nothing(celery_setup, services, reader, control):
    control.fault("ydelse", {"kind": "latency", "median": 0.5, "p99": 1})
    people = crowd()
    for who in people:
        await ask(services, who, "ydelse")
    worker = celery_setup.node("ydelse")
    await asyncio.to_thread(worker.restart)
    await settled(reader, people, "ydelse")
    assert set(control.calls("ydelse").by_citizen) == {who.cpr.digits for who in people}
