"""What one citizen may take: so often within a minute, whatever the clock of Redis is set to, and so much at a time."""

import asyncio
import contextlib

import pytest

from domain.citizen import Citizen
from domain.cpr import Cpr
from portal.api.citizen_limits import OneAtATime, Places, Rate
from portal.api.problems import Problem, Type

ME, OTHER = (Citizen(Cpr.parse(cpr), frozenset(), education_order=False) for cpr in ("6102991234", "7003012345"))
SECOND, HOUR, DAYS = 1000, 3_600_000, 8 * 86_400_000


class World:
    def __init__(self, services):
        self.server, self.passed = 1_700_000_000_000, 0
        self.limit = Rate(
            services,
            "refresh",
            services.settings.refreshes_per_minute,
            "refreshes",
            clock=lambda: self.server,
            monotonic=lambda: self.passed,
        )
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


class Call:
    """A call that goes on until it is let go."""

    def __init__(self, answer):
        self.answer, self.made, self.ends = answer, 0, asyncio.Event()

    async def __call__(self):
        self.made += 1
        await self.ends.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_who_asks_the_same_has_the_answer_of_the_call_that_is_under_way():
    calls, call = OneAtATime(), Call("free")
    asking = [asyncio.create_task(calls.ask(ME, "frist-1", call)) for _ in range(70)]
    await asyncio.sleep(0)
    asking[0].cancel()
    call.ends.set()
    assert await asyncio.gather(*asking[1:]) == ["free"] * 69
    assert call.made == 1
    assert await calls.ask(ME, "frist-1", call) == "free"
    assert call.made == 2


async def test_a_call_for_something_else_is_refused_meanwhile_and_another_citizens_is_not():
    calls, call, other = OneAtATime(), Call("free"), Call("other")
    asking = asyncio.create_task(calls.ask(ME, "frist-1", call))
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="under way") as refused:
        await calls.ask(ME, "frist-2", other)
    assert (refused.value.kind, refused.value.headers["Retry-After"]) == (Type.RATE_LIMITED, "1")
    other.ends.set()
    assert await calls.ask(OTHER, "frist-2", other) == "other"
    call.ends.set()
    assert await asking == "free"
    assert await calls.ask(ME, "frist-2", other) == "other"


async def test_an_error_is_shared_and_the_next_call_is_made():
    calls, call = OneAtATime(), Call(ValueError("no contact"))
    asking = [asyncio.create_task(calls.ask(ME, "frist-1", call)) for _ in range(3)]
    await asyncio.sleep(0)
    call.ends.set()
    assert [str(one) for one in await asyncio.gather(*asking, return_exceptions=True)] == ["no contact"] * 3
    with pytest.raises(ValueError, match="no contact"):
        await calls.ask(ME, "frist-1", call)
    assert call.made == 2


def test_places_are_so_many_for_each_and_so_many_in_all_and_free_when_they_are_left():
    places = Places(in_all=3, each=2)
    with contextlib.ExitStack() as held:
        for who in ("a", "a", "b"):
            held.enter_context(places.taken(who))
        for who, kind in (("a", Type.RATE_LIMITED), ("b", Type.TEMPORARILY_UNAVAILABLE)):
            with pytest.raises(Problem) as refused, places.taken(who):
                pass
            assert refused.value.kind is kind
            assert "Retry-After" in refused.value.headers
    with places.taken("a"), places.taken("a"), places.taken("c"):
        pass
    assert not places._taken
