"""The portal's limit of refreshes: so many within a minute, whatever the clock of its Redis is set to."""

import pytest

from portal.api.problems import Problem
from portal.api.state import RefreshLimit
from workers.domain.cpr import Cpr
from workers.refresh import Citizen

ME, OTHER = (Citizen(Cpr.parse(cpr), frozenset(), education_order=False) for cpr in ("6102991234", "7003012345"))
SECOND, HOUR, DAYS = 1000, 3_600_000, 8 * 86_400_000


class World:
    def __init__(self, services):
        self.server, self.passed = 1_700_000_000_000, 0
        self.limit = RefreshLimit(services.settings, services, lambda: self.server, lambda: self.passed)
        self.most = services.settings.refreshes_per_minute

    def pass_(self, ms):
        self.server += ms
        self.passed += ms

    async def wait(self, citizen=ME):
        """In how many seconds the citizen may ask again; None when they may now, and did."""
        try:
            await self.limit.check(citizen)
        except Problem as problem:
            return int(problem.headers["Retry-After"])
        return None


@pytest.fixture
def world(services):
    return World(services)


async def test_so_many_are_taken_within_any_minute_and_each_makes_room_after_one(world):
    for _ in range(world.most):
        assert await world.wait() is None
        world.pass_(SECOND)
    assert await world.wait() == 60 - world.most
    assert await world.wait(OTHER) is None
    world.pass_((60 - world.most) * SECOND)
    assert await world.wait() is None
    assert await world.wait() == 1


@pytest.mark.parametrize("step", [-DAYS, -HOUR, HOUR, DAYS])
async def test_a_clock_that_is_set_lengthens_no_wait_and_grants_nothing(world, step):
    assert [await world.wait() for _ in range(world.most)] == [None] * world.most
    world.server += step
    assert 58 <= await world.wait() <= 60
    world.pass_(61 * SECOND)
    assert await world.wait() is None
