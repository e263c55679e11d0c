"""The scripts in Redis and the machine in Python decide alike, step by step, whatever happens in which order."""

import asyncio

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis.asyncio import Redis

from config.settings import AdmissionSettings
from workers.resilience.admission.local import LocalMachine
from workers.resilience.admission.shared import Ordered, SharedMachine
from workers.resilience.admission.terms import Admitted, Outcome, Override, Refused, Rules, State, Wait

SETTINGS = AdmissionSettings(
    window="PT10S", minimum_calls=4, failure_rate=0.5, slow_call_rate=0.75, consecutive_failures=3, open_for="PT2S",
    open_at_most="PT7S", probes=2, max_in_flight=4, calls_per_second=8, recovery="PT5S",
)  # fmt: skip
RULES = Rules.of("udb", SETTINGS)
LEASE, BELIEVED = 1500, 400
SECOND = 1000
STEPS = (3, SECOND, 20 * SECOND, 60 * SECOND, 3600 * SECOND, 86_400 * SECOND, 8 * 86_400 * SECOND)


class Machines(RuleBasedStateMachine):
    """Both machines are told the same; the shared one runs in Redis, with the same clock."""

    url = ""

    def __init__(self):
        super().__init__()
        self.now = 1_700_000_000_000
        self.passed = 0
        """Milliseconds that have passed, which nobody can set; a step of the clock ahead counts as passed."""
        self.runner = asyncio.Runner()
        self.redis = Redis.from_url(self.url)
        self.run(self.redis.flushall())
        self.shared = SharedMachine(self.redis, RULES, lambda: self.now)
        self.local = LocalMachine(RULES, lambda: self.now)
        self.run(self.shared.create(None))
        self.permits = {}
        self.names = iter(range(10**9))
        self.waiting = []
        self.opened = 0

    def run(self, coroutine):
        return self.runner.run(_awaited(coroutine))

    def teardown(self):
        self.run(self.redis.aclose())
        self.runner.close()

    def enter_as(self, name, is_retry):
        ours = self.run(self.shared.enter(name, LEASE, is_retry=is_retry, believed=BELIEVED))
        theirs = self.local.enter(name, LEASE, is_retry=is_retry, believed=BELIEVED)
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
        ours = self.run(self.shared.record(name, generation, at, outcome, "reason"))
        assert ours == self.local.record(name, generation, at, outcome)
        if ours is State.OPEN:
            self.opened = self.passed
        if generation != before and outcome is not Outcome.WRONG_PERSON:
            assert self.local.generation == before

    @rule(override=st.sampled_from([None, None, *Override]))
    def operator(self, override):
        self.run(self.shared.set_override(Ordered(override, "me", self.now, "why") if override else None))
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
        seen = self.run(self.shared.look())
        assert (seen["state"], seen.get("override")) == (self.local.state, self.local.override)
        assert int(seen["generation"]) == self.local.generation
        alive = sum(until > self.passed for _, _, until in self.permits.values())
        assert int(seen["in_flight"]) == self.local.in_flight == alive <= RULES.max_in_flight


async def _awaited(awaitable):
    return await awaitable


@pytest.mark.parametrize("half", [1, 2])
def test_the_scripts_and_the_machine_decide_alike(empty_redis, half):
    """Twice 100 runs of 60 steps."""
    steps = hypothesis_settings(max_examples=100, stateful_step_count=60, deadline=None)
    machine = type("Machines", (Machines,), {"url": empty_redis["broker"].url})
    machine.TestCase.settings = steps
    machine.TestCase("runTest").runTest()
