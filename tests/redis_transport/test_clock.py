"""Which consumers are taken for dead, and when, while the server's clock is set and while the server refuses."""

from collections.abc import Callable

import pytest
import redis

from redis_transport import scripts
from redis_transport.options import BEATS_EVERY, LAPSES_AFTER, REDELIVERY_TIME
from redis_transport.store import Store
from tests.redis_transport.app import CLOCK_THAT_CAN_BE_SET
from tests.redis_transport.conftest import Connect, Crew, MakeStore
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.servers import wait_for

Publish = Callable[..., str]

INTERVAL = REDELIVERY_TIME * BEATS_EVERY
LAPSE = REDELIVERY_TIME * LAPSES_AFTER
STEPS = {"a minute ahead": 60, "an hour ahead": 3600, "eight days ahead": 8 * 86400, "a minute back": -60,
         "an hour back": -3600}  # fmt: skip
FROZEN_CLOCK = "local function now() return tonumber(redis.call('GET', 'time')) end"


class Clock:
    """The server's clock, which stands still until it is told."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.now = 1_800_000_000.0
        self.move(0)

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.client.set("time", repr(self.now))


@pytest.fixture
def clock(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(scripts, "CLOCK", FROZEN_CLOCK)
    return Clock(client)


@pytest.fixture
def store(clock: Clock, make_store: MakeStore) -> Store:
    return make_store()


def held_by_a(store: Store, publish: Publish, clock: Clock) -> str:
    """A message that `a` holds, some beats ago."""
    tag = publish()
    store.fetch("a", ["q"], 1)
    for _ in range(3):
        clock.move(INTERVAL)
        store.beat("a")
        store.restore(LAPSE)
    return tag


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("part", [0.1, 0.9], ids=["just after a beat", "just before a beat"])
def test_no_step_of_the_clock_makes_a_living_consumer_dead(
    store: Store, publish: Publish, clock: Clock, step: float, part: float
) -> None:
    held_by_a(store, publish, clock)
    clock.move(part * INTERVAL)
    clock.move(step)
    for _ in range(20):
        assert store.restore(LAPSE).messages == 0, "a look comes first"
        clock.move((1 - part) * INTERVAL)
        assert store.beat("a")
        clock.move(part * INTERVAL)
    assert store.settle("a", [store.client.hkeys("unacked")[0].decode()]) == []


@pytest.mark.parametrize("step", [0, *STEPS.values()], ids=["no step", *STEPS])
@pytest.mark.parametrize("when", range(5), ids=lambda when: f"after {when} looks")
def test_a_dead_consumers_message_is_back_in_time_whatever_the_clock_does(
    store: Store, publish: Publish, clock: Clock, step: float, when: int
) -> None:
    held_by_a(store, publish, clock)
    waited, looks = 0.0, 0
    while not store.restore(LAPSE).messages:
        if looks == when:
            clock.move(step)
        clock.move(INTERVAL)
        looks += 1
        waited += INTERVAL
        assert waited <= REDELIVERY_TIME + 2 * INTERVAL


def test_a_clock_that_is_set_again_and_again_makes_no_living_consumer_dead(
    store: Store, publish: Publish, clock: Clock
) -> None:
    held_by_a(store, publish, clock)
    for step in [*STEPS.values()] * 3:
        clock.move(step)
        assert store.restore(LAPSE).messages == 0
        clock.move(INTERVAL / 2)
        assert store.beat("a")


@pytest.mark.parametrize("outage", [INTERVAL * 2, 60, 3600, 8 * 86400])
def test_after_an_outage_the_living_have_an_interval_to_say_so(
    store: Store, publish: Publish, clock: Clock, outage: float
) -> None:
    """In the outage no consumer beats or looks; then others look all the time before the holder beats."""
    held_by_a(store, publish, clock)
    clock.move(INTERVAL)
    clock.move(outage)
    for _ in range(int(INTERVAL)):
        assert store.restore(LAPSE).messages == 0
        clock.move(1)
    assert store.beat("a")


def test_after_an_outage_the_dead_are_found(store: Store, publish: Publish, clock: Clock) -> None:
    held_by_a(store, publish, clock)
    clock.move(3600)
    waited = 0.0
    while not store.restore(LAPSE).messages:
        clock.move(INTERVAL)
        waited += INTERVAL
        assert waited <= REDELIVERY_TIME


@pytest.mark.parametrize("lost", ["unacked_clock", "unacked_alive"])
def test_a_key_of_the_steady_time_that_is_lost_neither_kills_nor_keeps(
    store: Store, publish: Publish, clock: Clock, client: redis.Redis, lost: str
) -> None:
    held_by_a(store, publish, clock)
    client.delete(lost)
    assert store.restore(LAPSE).messages == 0
    assert store.beat("a")
    waited = 0.0
    while not store.restore(LAPSE).messages:
        clock.move(INTERVAL)
        waited += INTERVAL
        assert waited <= REDELIVERY_TIME + 2 * INTERVAL


def test_a_sign_of_life_from_a_time_to_come_keeps_no_consumer(
    store: Store, publish: Publish, clock: Clock, client: redis.Redis
) -> None:
    held_by_a(store, publish, clock)
    client.zadd("unacked_alive", {"a": 1e12})
    waited = 0.0
    while not store.restore(LAPSE).messages:
        clock.move(INTERVAL)
        waited += INTERVAL
        assert waited <= REDELIVERY_TIME + 2 * INTERVAL


def test_a_consumer_of_a_release_without_steady_time_lives_by_its_token(
    store: Store, publish: Publish, clock: Clock, client: redis.Redis
) -> None:
    held_by_a(store, publish, clock)
    client.delete("unacked_alive")
    for _ in range(9):
        clock.move(INTERVAL)
        (tag,) = client.hkeys("unacked")
        client.zadd("unacked_consumers", {"a": clock.now})
        client.zadd("unacked_index", {tag: clock.now})
        assert store.restore(LAPSE).messages == 0
    clock.move(REDELIVERY_TIME)
    assert store.restore(LAPSE).messages == 1


def test_a_full_server_takes_signs_of_life_and_acknowledgements_and_gives_out_what_it_holds(
    make_store: MakeStore, client: redis.Redis, publish: Publish
) -> None:
    store = make_store()
    first, second = publish(), publish()
    store.fetch("a", ["q"], 1)
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError):
            publish()
        assert store.beat("a")
        assert [message.tag for message in store.fetch("b", ["q"], 1, fresh=60).messages] == [second]
        assert store.settle("a", [first]) == []
        assert store.restore(-1).messages == 1
    finally:
        client.config_set("maxmemory", 0)


@pytest.mark.parametrize("refusing", ["full", "replica"])
def test_a_sign_of_life_and_a_look_are_refused_together_or_not_at_all(
    make_store: MakeStore, client: redis.Redis, publish: Publish, refusing: str
) -> None:
    store = make_store()
    publish()
    store.fetch("a", ["q"], 1)
    if refusing == "full":
        client.config_set("maxmemory", 1)
    else:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        answers = [_answers(lambda: store.beat("a")), _answers(lambda: store.restore(60))]
    finally:
        client.config_set("maxmemory", 0)
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert len(set(answers)) == 1


def _answers(do: Callable[[], object]) -> bool:
    try:
        do()
    except redis.ResponseError:
        return False
    return True


def test_our_own_look_for_what_stock_workers_left_touches_nothing_of_ours(
    connect: Connect, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's clock an hour behind the worker's: by the worker's clock, all that ours hold is old."""
    monkeypatch.setattr(scripts, "CLOCK", CLOCK_THAT_CAN_BE_SET)
    client.set("clock is ahead by", -3600)
    inbox = Inbox(connect(redelivery_time=2, visibility_timeout=30), "q")
    publish_with(connect(), 1)
    (message,) = inbox.wait(1)
    inbox.channel.qos.restore_visible()
    assert client.llen("q") == 0
    message.ack()
    assert not client.exists("unacked")


@pytest.mark.xdist_group("transport")
@pytest.mark.parametrize("step", [60, 8 * 86400, -3600], ids=["a minute ahead", "eight days ahead", "an hour back"])
def test_workers_keep_what_runs_and_bring_back_what_a_dead_one_held_when_the_clock_is_set(
    crew: Crew, step: int
) -> None:
    living = crew.start("ours", clock=True, redelivery_time=2)
    crew.send("long", "living")
    wait_for(lambda: crew.ran("living") == 1, "the task of the living")
    dying = crew.start("ours", clock=True, redelivery_time=2)
    crew.send("long", *[f"task {number}" for number in range(4)])
    wait_for(lambda: crew.ran() == 5, "the other tasks")
    before = crew.ran()
    crew.client.set("clock is ahead by", step)
    held = {key: crew.client.zscore("unacked_alive", key) for key in crew.client.zrange("unacked_alive", 0, -1)}
    wait_for(lambda: all((crew.client.zscore("unacked_alive", key) or 0) > seen + 2 for key, seen in held.items()),
             "two seconds of signs of life")  # fmt: skip
    assert crew.ran() == before, "nothing is run again"
    dying.kill()
    crew.client.set("clock is ahead by", 0)
    again = crew.client.zcard("unacked_consumers")
    wait_for(
        lambda: crew.client.zcard("unacked_consumers") == again - 1 or crew.ran() > before, "the dead one's end", 20
    )
    assert crew.ran("living") == 1
    for name in ("living", *[f"task {number}" for number in range(4)]):
        crew.notes.set(f"end {name}", 1)
    wait_for(crew.is_empty, "empty queues")
    assert crew.ran("living") == 1
    assert living.runs
