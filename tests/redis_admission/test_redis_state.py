"""Admission in Redis: the scripts and the local state decide alike, step by step, whatever happens in which order."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from redis_admission.local_state import LocalState
from redis_admission.model import Admitted, Limits, Outcome, Override, OverrideOrder, Refused, Rules, State, Wait
from redis_admission.protocols import one_by_one
from redis_admission.redis_state import RedisState, UnknownUpstream

LIMITS = Limits(
    window=timedelta(seconds=10), minimum_calls=4, failure_rate=0.5, slow_call_rate=0.75, consecutive_failures=3,
    open_for=timedelta(seconds=2), open_at_most=timedelta(seconds=7), probes=2, max_in_flight=4, calls_per_second=8,
    recovery=timedelta(seconds=5),
)  # fmt: skip
RULES = Rules.of("udb", LIMITS)
LEASE, WAITER_TTL = 1500, 400
SECOND = 1000
STEPS = (3, SECOND, 20 * SECOND, 60 * SECOND, 3600 * SECOND, 86_400 * SECOND, 8 * 86_400 * SECOND)


def in_one_turn(send):
    """Batching that sends what is asked for in one turn of the event loop as one command."""
    asked = []

    async def flush():
        items, answers = zip(*asked, strict=True)
        asked.clear()
        try:
            found = await send(list(items))
        except Exception as error:  # noqa: BLE001 - everybody's
            found = [error] * len(items)
        for answer, what in zip(answers, found, strict=True):
            (answer.set_exception if isinstance(what, Exception) else answer.set_result)(what)

    def ask(item):
        asked.append((item, asyncio.get_running_loop().create_future()))
        if len(asked) == 1:
            ask.flushing = asyncio.create_task(flush())
        return asked[-1][1]

    return ask


class Machines(RuleBasedStateMachine):
    """Both states are told the same; the shared one runs in Redis, with the same clock."""

    path = ""

    def __init__(self):
        super().__init__()
        self.now = 1_700_000_000_000
        self.passed = 0
        """Milliseconds that have passed, which nobody can set; a step of the clock ahead counts as passed."""
        self.runner = asyncio.Runner()
        self.redis = Redis(unix_socket_path=self.path)
        self.run(self.redis.flushall())
        self.shared = RedisState(self.redis, RULES, lambda: self.now, batching=in_one_turn)
        self.local = LocalState(RULES, lambda: self.now)
        self.run(self.shared.create(None))
        self.permits = {}
        self.names = iter(range(10**9))
        self.waiting = []
        self.opened = 0

    def run(self, coroutine):
        return self.runner.run(_awaited(coroutine))

    async def keep(self):
        """Takes the expiry off the keys: the server counts real time, of which a busy machine loses seconds."""
        for key in await self.redis.keys():
            await self.redis.persist(key)

    def teardown(self):
        self.run(self.redis.aclose())
        self.runner.close()

    def enter_as(self, name, is_retry):
        return self.entered(name, is_retry, self.enter_all([(name, is_retry)])[0])

    def enter_all(self, asking):
        """What Redis answers to all that ask in one command."""

        async def ask():
            asked = (
                self.shared.enter(name, LEASE, is_retry=is_retry, waiter_ttl=WAITER_TTL) for name, is_retry in asking
            )
            return await asyncio.gather(*asked)

        before = self.shared.answers
        answers = self.run(ask())
        assert self.shared.answers == before + 1
        self.run(self.keep())
        return answers

    def entered(self, name, is_retry, ours):
        theirs = self.local.enter(name, LEASE, is_retry=is_retry, waiter_ttl=WAITER_TTL)
        assert ours == theirs
        if isinstance(ours, Admitted):
            assert self.local.override is not Override.FORCED_OPEN
            assert self.local.override or self.local.state is not State.OPEN
            self.permits[name] = (ours.generation, ours.at, self.passed + LEASE)
        if isinstance(ours, Refused) and ours.by is State.OPEN:
            assert ours.wait <= RULES.open_at_most
            assert self.passed < self.opened + RULES.open_at_most
        if isinstance(ours, Wait):
            # Whoever waits before it has a turn of its own, at the slowest that 429 makes it.
            turn = 1000 / (RULES.rate * RULES.least_factor)
            assert ours.milliseconds <= (len(self.waiting) + 1) * turn + 1
        return ours

    @rule(is_retry=st.booleans())
    def enter(self, is_retry):
        name = f"p{next(self.names)}"
        entry = self.enter_as(name, is_retry)
        if not isinstance(entry, Admitted | Refused):
            self.waiting.append(name)

    @rule(retries=st.lists(st.booleans(), min_size=2, max_size=6))
    def enter_together(self, retries):
        asking = [(f"p{next(self.names)}", is_retry) for is_retry in retries]
        for (name, is_retry), ours in zip(asking, self.enter_all(asking), strict=True):
            entry = self.entered(name, is_retry, ours)
            if not isinstance(entry, Admitted | Refused):
                self.waiting.append(name)

    @precondition(lambda self: len(self.permits) > 1)
    @rule(data=st.data())
    def record_together(self, data):
        """Each with an outcome of its own, in one command."""
        names = data.draw(st.lists(st.sampled_from(sorted(self.permits)), min_size=2, unique=True))
        ended = [(name, *self.permits.pop(name)[:2], data.draw(st.sampled_from(Outcome))) for name in names]

        async def record():
            return await asyncio.gather(*(self.shared.record(*one, reason="reason") for one in ended))

        before = self.shared.answers
        ours = self.run(record())
        assert self.shared.answers == before + 1
        assert ours == [self.local.record(*one) for one in ended]
        assert self.shared.override_seen == self.local.override
        if State.OPEN in ours:
            self.opened = self.passed

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), gives_up=st.booleans())
    def ask_again(self, data, gives_up):
        name = data.draw(st.sampled_from(self.waiting))
        if gives_up:
            self.run(self.shared.leave(name))
            self.local.leave(name)
        if gives_up or isinstance(self.enter_as(name, False), Admitted):
            self.waiting.remove(name)

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), outcome=st.sampled_from([*Outcome, Outcome.OK, Outcome.FAILURE, Outcome.FAILURE]))
    def record(self, data, outcome):
        name = data.draw(st.sampled_from(sorted(self.permits)))
        generation, at, _ = self.permits.pop(name)
        before = self.local.generation
        ours = self.run(self.shared.record(name, generation, at, outcome, reason="reason"))
        assert ours == self.local.record(name, generation, at, outcome)
        assert self.shared.override_seen == self.local.override
        if ours is State.OPEN:
            self.opened = self.passed
        if generation != before and outcome is not Outcome.FORCE_OPEN:
            assert self.local.generation == before

    @rule(override=st.sampled_from([None, None, *Override]))
    def operator(self, override):
        self.run(self.shared.set_override(OverrideOrder(override, "me", self.now, "why") if override else None))
        self.local.set_override(override)

    @rule(ms=st.integers(min_value=1, max_value=3000))
    def time_passes(self, ms):
        self.now += ms
        self.passed += ms

    @rule(step=st.sampled_from(STEPS), ahead=st.booleans())
    def the_clock_is_set(self, step, ahead):
        """By seconds to days. Who begins just then knows of no other time; see test_steady.py for who does."""
        self.now += step if ahead else -step
        self.passed += step if ahead else 0

    @rule()
    def scripts_are_flushed(self):
        self.run(self.redis.script_flush())

    @invariant()
    def they_look_alike_and_no_permit_is_leaked(self):
        seen = self.run(self.shared.status())
        assert (seen["state"], seen.get("override")) == (self.local.state, self.local.override)
        assert int(seen["generation"]) == self.local.generation
        alive = sum(until > self.passed for _, _, until in self.permits.values())
        assert int(seen["in_flight"]) == self.local.in_flight == alive <= RULES.max_in_flight


async def _awaited(awaitable):
    return await awaitable


@pytest.mark.parametrize("half", [1, 2])
def test_the_scripts_and_the_local_state_decide_alike(redis_server, half):
    """Twice 100 runs of 60 steps."""
    steps = hypothesis_settings(max_examples=100, stateful_step_count=60, deadline=None)
    machine = type("Machines", (Machines,), {"path": redis_server.path})
    machine.TestCase.settings = steps
    machine.TestCase("runTest").runTest()


async def test_an_upstream_that_redis_does_not_know_is_told_by_name(client):
    with pytest.raises(UnknownUpstream, match=r"^udb$"):
        await RedisState(client, RULES).enter("p", LEASE, is_retry=False, waiter_ttl=WAITER_TTL)


async def test_a_malformed_value_is_the_error_of_its_call_and_of_no_other(client):
    state = RedisState(client, RULES, batching=in_one_turn)
    await state.create(None)
    leases = [LEASE, "no number", LEASE]
    calls = [state.enter(f"p{n}", lease, is_retry=False, waiter_ttl=WAITER_TTL) for n, lease in enumerate(leases)]
    one, wrong, other = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(one, Admitted)
    assert isinstance(wrong, ResponseError)
    assert isinstance(other, Admitted)
    assert (await state.status())["in_flight"] == "2"


@pytest.mark.parametrize("batching", [one_by_one, in_one_turn])
async def test_a_key_of_another_type_is_the_error_of_the_calls_that_need_it(client, batching):
    state = RedisState(client, RULES, batching=batching)
    await state.create(None)
    entries = [await state.enter(f"p{n}", LEASE, is_retry=False, waiter_ttl=WAITER_TTL) for n in range(3)]
    await client.set("admission:{udb}:window", "no hash")
    outcomes = [Outcome.IGNORED, Outcome.FAILURE, Outcome.THROTTLED]
    calls = [
        state.record(f"p{n}", entry.generation, entry.at, outcome)
        for n, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True))
    ]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, ResponseError) for one in found] == [False, True, False]
    assert await client.zcard("admission:{udb}:permits") == 0


async def test_many_who_find_redis_empty_are_each_told(client):
    state = RedisState(client, RULES, batching=in_one_turn)
    calls = [state.enter(f"p{n}", LEASE, is_retry=False, waiter_ttl=WAITER_TTL) for n in range(3)]
    assert [type(one) for one in await asyncio.gather(*calls, return_exceptions=True)] == [UnknownUpstream] * 3


async def test_every_answer_of_redis_is_counted_as_a_sign_of_life(client):
    state = RedisState(client, RULES)
    commands = [
        lambda: state.create(None), lambda: state.set_override(None), state.override, state.status,
        lambda: state.leave("p"), lambda: state.enter("p", LEASE, is_retry=False, waiter_ttl=WAITER_TTL),
        lambda: state.record("p", 1, 0, Outcome.OK),
    ]  # fmt: skip
    for answers, command in enumerate(commands, start=1):
        await command()
        assert state.answers == answers


async def test_keys_and_fields_are_those_that_a_fleet_of_several_releases_shares(client):
    """A change of any of them is a change that a running fleet of the release before does not know."""
    now = [1_700_000_000_000]
    state = RedisState(client, RULES, lambda: now[0])
    await state.create(None)
    for n, outcome in enumerate([Outcome.THROTTLED, Outcome.SLOW, *[Outcome.FAILURE] * 3]):
        now[0] += 1000
        entry = await state.enter(f"p{n}", LEASE, is_retry=n == 1, waiter_ttl=WAITER_TTL)
        await state.record(f"p{n}", entry.generation, entry.at, outcome, reason="timeout")
    kept = {key.decode(): value.decode() for key, value in (await client.hgetall("admission:{udb}")).items()}
    opened = "1700000005000"
    assert kept == {
        "generation": "2", "state": "open", "since": opened, "consecutive": "0", "successes": "0", "opened": "1",
        "open_until": "1700000007000", "succeeded_at": "1700000002000", "failed_at": opened, "failure": "timeout",
        "halved_at": "1700000001000", "factor": "0.5", "tat": kept["tat"],
    }  # fmt: skip
    seconds = [f"{kind}{1_700_000_000 + n}" for n, kind in enumerate("crccc", start=1)]
    assert sorted(await client.hkeys("admission:{udb}:budget")) == sorted(second.encode() for second in seconds)
    assert sorted(await client.hkeys("admission:{udb}:clock")) == [b"ahead", b"seen", b"which"]
    await state.set_override(OverrideOrder(Override.METRICS_ONLY, "me", 7, "why", "user"))
    entry = await state.enter("p", LEASE, is_retry=False, waiter_ttl=WAITER_TTL)
    await state.record("p", entry.generation, entry.at, Outcome.SLOW)
    assert sorted(await client.hkeys("admission:{udb}:window")) == [b"c1700000005", b"s1700000005"]
    found = await client.hmget("admission:{udb}", "override", "override_by", "override_at", "override_reason")
    assert found == [b"metrics_only", b"me", b"7", b"why"]
    for name in ("one", "two", "three", "four", "five"):
        await state.enter(name, LEASE, is_retry=False, waiter_ttl=WAITER_TTL)
    assert await client.zrange("admission:{udb}:permits", 0, -1, withscores=True) == [
        (name, 1_700_000_005_000.0 + LEASE) for name in (b"four", b"one", b"three", b"two")
    ]
    assert await client.zrange("admission:{udb}:waiting", 0, -1, withscores=True) == [(b"five", 1.0)]
    assert await client.zrange("admission:{udb}:alive", 0, -1, withscores=True) == [
        (b"five", 1_700_000_005_000.0 + WAITER_TTL)
    ]
