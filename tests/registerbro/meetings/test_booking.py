"""Bookings as one process makes them at the simulator; `tests/portal/api/test_booking.py` has all that they promise."""

from datetime import timedelta

import pytest

from domain.cpr import Cpr
from domain.service_windows import danish_today
from registerbro.meetings import booking, errors
from registerbro.services import Services
from simulators import Simulation, citizens

ME = Cpr(citizens.EXAMPLE.cpr)
DEADLINE = f"7-{danish_today() + timedelta(days=9)}"


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
def control(simulation):
    simulation.control.reset()
    return simulation.control


@pytest.fixture
def process(make_settings, simulation, control):
    """Makes the services of a process with these settings beside the address."""

    def process(**own):
        return Services(make_settings(KONTAKTFORLOEB__BASE_URL=simulation.urls["kontaktforloeb"], **own))

    return process


@pytest.fixture
async def services(process):
    it = process()
    yield it
    await it.close()


async def first(services):
    """The first time that nobody else takes meanwhile."""
    return next(one for one in await booking.times(services, ME, DEADLINE) if one.place == "Digitalt møde")


async def test_the_same_key_is_the_same_meeting_after_a_change_of_the_pepper(services, process, control):
    chosen = await first(services)
    booked = await booking.book(services, ME, DEADLINE, chosen.id, "key")
    before = services.settings.pepper.get_secret_value()
    after = process(PEPPER="another pepper, of the time after", OTHER_PEPPERS=before)
    try:
        assert await booking.book(after, ME, DEADLINE, chosen.id, "key") == booked
    finally:
        await after.close()
    assert len(control.bookings()) == 1


async def test_a_meetings_id_is_a_uuid_that_tells_neither_citizen_nor_key(services, control):
    booked = await booking.book(services, ME, DEADLINE, (await first(services)).id, "610299-1234")
    (kept,) = control.bookings()
    assert (kept["id"], len(booked.id), booked.id[14]) == (booked.id, 36, "4")


async def test_each_call_is_made_once_however_often_a_register_may_be_called(process, control):
    services = process(KONTAKTFORLOEB__MAX_ATTEMPTS="5")
    control.fault("kontaktforloeb", {"kind": "status", "status": 503, "operation": "offers"})
    try:
        with pytest.raises(errors.SystemUnreachable):
            await booking.times(services, ME, DEADLINE)
    finally:
        await services.close()
    assert control.calls("kontaktforloeb").total == 1


async def test_no_more_offers_are_asked_for_their_times_than_can_be_asked_at_once(
    services, control, monkeypatch, logged
):
    whole = await booking.times(services, ME, DEADLINE)
    control.reset()
    monkeypatch.setattr(booking, "MOST_OFFERS", 1)
    some = await booking.times(services, ME, DEADLINE)
    assert {one.place for one in some} == {"Jobcenter Ærø, Vestergade 1"}
    assert set(some) < set(whole)
    assert control.calls("kontaktforloeb").total == 2
    assert [event["count"] for event in logged if event["event"] == "booking_offers_left_out"] == [1]


async def test_when_the_times_of_one_offer_cannot_be_had_no_times_are_told(services, control):
    control.fault("kontaktforloeb", {"kind": "status", "status": 500, "operation": "times", "times": 1})
    with pytest.raises(errors.SystemUnreachable):
        await booking.times(services, ME, DEADLINE)


@pytest.mark.parametrize("code", ["90036", "4770"])
async def test_an_offer_that_is_gone_meanwhile_has_no_times_and_the_others_have(services, control, code):
    body = f'{{"kode": {code}}}'
    control.fault("kontaktforloeb", {
        "kind": "status", "status": 400, "body": body, "operation": "times", "times": 1,
    })  # fmt: skip
    found = await booking.times(services, ME, DEADLINE)
    assert len({one.place for one in found}) == 1


async def test_without_an_address_there_is_no_contact(make_settings):
    services = Services(make_settings())
    try:
        with pytest.raises(errors.SystemUnreachable):
            await booking.times(services, ME, DEADLINE)
    finally:
        await services.close()
