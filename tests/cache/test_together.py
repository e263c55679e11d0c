"""Many reads as one: everybody gets their own answer, and nobody waits for another's mistake."""

import asyncio

import pytest

from workers.cache.together import MOST_KEYS, Together


class Store:
    """Answers each key with itself, when it is let; notes the commands."""

    def __init__(self):
        self.commands = []
        self.open = asyncio.Event()
        self.open.set()
        self.error = None

    async def read(self, keys):
        self.commands.append(list(keys))
        await self.open.wait()
        if self.error:
            raise self.error
        return 42, [f"held by {key}" for key in keys]


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def together(store):
    return Together(store.read)


async def test_a_read_alone_goes_out_at_once(store, together):
    assert await together.read(["a", "b"]) == (42, ["held by a", "held by b"])
    assert store.commands == [["a", "b"]]


async def test_reads_while_another_is_under_way_are_one_command_and_everybody_gets_their_own(store, together):
    store.open.clear()
    first = asyncio.create_task(together.read(["first"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(together.read([f"{n}a", f"{n}b"])) for n in range(20)]
    await asyncio.sleep(0)
    store.open.set()
    assert await first == (42, ["held by first"])
    assert await asyncio.gather(*others) == [(42, [f"held by {n}a", f"held by {n}b"]) for n in range(20)]
    assert [len(keys) for keys in store.commands] == [1, 40]


async def test_a_command_is_never_longer_than_is_good_for_redis(store, together):
    answers = await asyncio.gather(*(together.read([str(n)] * 4) for n in range(MOST_KEYS)))
    assert answers == [(42, [f"held by {n}"] * 4) for n in range(MOST_KEYS)]
    assert max(map(len, store.commands)) <= MOST_KEYS


async def test_an_error_is_told_to_all_who_asked_and_is_over_with_them(store, together):
    store.error = ConnectionError("gone")
    answers = await asyncio.gather(*(together.read([str(n)]) for n in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError] * 3
    store.error = None
    assert await together.read(["a"]) == (42, ["held by a"])


async def test_who_gives_up_holds_nobody_up(store, together):
    store.open.clear()
    first = asyncio.create_task(together.read(["first"]))
    await asyncio.sleep(0)
    impatient = asyncio.create_task(together.read(["impatient"]))
    patient = asyncio.create_task(together.read(["patient"]))
    await asyncio.sleep(0)
    impatient.cancel()
    first.cancel()
    await asyncio.sleep(0)
    store.open.set()
    assert await patient == (42, ["held by patient"])
    assert store.commands[-1] == ["patient"]


async def test_a_short_answer_is_an_error_and_not_somebody_elses_data(together):
    async def short(keys):
        return 42, ["held by somebody"]

    with pytest.raises(ValueError, match="one for each key"):
        await Together(short).read(["a", "b"])
