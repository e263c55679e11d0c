"""What a process sees of admission: one decision for all, overrides that last, and a life without Redis."""

import asyncio
import signal
import time
from datetime import timedelta

import pytest

from workers import metrics
from workers.resilience import admission, deadline, errors
from workers.resilience.admission import Ordered, Override
from workers.resilience.admission.local import LocalMachine
from workers.resilience.admission.shared import SharedMachine

QUICK = timedelta(milliseconds=1)
REDIS_WITHIN = admission.REDIS_WITHIN


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A busy machine's Redis is waited for, so that what is decided is what all processes decide together."""
    monkeypatch.setattr(admission, "REDIS_WITHIN", 20.0)


async def call(guard, error=None, took=QUICK):
    permit = await guard.enter(is_retry=False)
    await guard.record(permit, error, took)
    return permit


async def fail(guard, times=5):
    for _ in range(times):
        await call(guard, errors.UpstreamTimeout())


async def refused(guard):
    with pytest.raises(errors.CircuitOpen) as caught:
        await guard.enter(is_retry=False)
    return caught.value.retry_after


async def test_what_one_process_sees_fail_spares_the_upstream_all_others(make_guard, logged):
    one, other = make_guard(), make_guard()
    opened = metrics.BREAKER_CHANGES.labels("udb", "open")
    before = opened._value.get()
    await fail(one)
    assert timedelta(0) < await refused(other) <= timedelta(seconds=5)
    assert opened._value.get() == before + 1
    assert logged == [{"event": "breaker_changed", "log_level": "warning", "upstream": "udb", "state": "open"}]
    assert (await other.shared.look())["failure"] == "timeout"


async def test_who_is_refused_is_told_by_which_state(make_guard):
    guard = make_guard(probes=1, open_for=timedelta(milliseconds=1))
    await fail(guard)
    await asyncio.sleep(0.01)
    await guard.enter(is_retry=False)
    with pytest.raises(errors.CircuitOpen, match=r"^half_open$"):
        await guard.enter(is_retry=False)


async def test_slow_answers_open_it_too(make_guard):
    guard = make_guard(minimum_calls=4, slow_call_rate=0.75, slow_call=timedelta(seconds=4))
    for took in (QUICK, *[timedelta(seconds=4)] * 3):
        await call(guard, took=took)
    await refused(guard)


@pytest.mark.parametrize("error", [errors.BadRequest(), errors.NotAuthorised(), ValueError(), asyncio.CancelledError()])
async def test_what_says_nothing_of_the_upstreams_health_never_opens_it(make_guard, error):
    guard = make_guard()
    for _ in range(20):
        await call(guard, error)
    await call(guard)


async def test_another_persons_answer_cuts_everybody_off_at_once(make_guard, logged):
    one, other = make_guard(), make_guard()
    await call(other)
    await call(one, errors.WrongPerson())
    with pytest.raises(errors.CircuitOpen, match=r"^forced open until a person lifts it$") as caught:
        await other.enter(is_retry=False)
    assert caught.value.retry_after is None
    with pytest.raises(errors.CircuitOpen):
        await other.check()
    assert [line["log_level"] for line in logged if line["event"] == "breaker_changed"] == ["critical"]


async def test_a_cut_says_who_made_it_when_and_why_wherever_it_is_kept(make_guard):
    guard = make_guard()
    before = time.time_ns() // 10**6
    await call(guard, errors.WrongPerson())
    after = time.time_ns() // 10**6
    seen = await guard.shared.look()
    assert (seen["override_by"], seen["override_reason"]) == ("registerbro", "wrong_person")
    kept = await guard._overrides.get("udb")
    assert (kept.override, kept.by, kept.reason) == (Override.FORCED_OPEN, "registerbro", "wrong_person")
    assert before <= kept.at <= after + 1


async def test_an_operator_is_told_when_a_cut_cannot_be_kept_on_the_ledger(make_guard, empty_redis, logged):
    guard = make_guard()
    permit = await guard.enter(is_retry=False)
    empty_redis["ledger"].process.kill()
    await guard.record(permit, errors.WrongPerson(), QUICK)
    empty_redis["ledger"].start()
    told = [line for line in logged if line["event"] == "override_not_on_ledger"]
    assert [(line["log_level"], line["upstream"]) for line in told] == [("critical", "udb")]
    assert told[0]["detail"] in {"ConnectionError", "TimeoutError"}
    assert await refused(make_guard()) is None


async def test_only_a_person_lifts_that(make_guard, coordination, ledger):
    guard = make_guard()
    await call(guard, errors.WrongPerson())
    await coordination.flushall()
    assert await refused(guard) is None
    await guard.shared.set_override(None)
    await guard._overrides.put("udb", None)
    await call(guard)
    await guard.check()


async def test_an_operators_override_outlives_an_empty_redis_and_every_process(make_guard, coordination):
    ordered = Ordered(Override.FORCED_OPEN, "me", 1_700_000_000_000, "maintenance")
    await make_guard()._overrides.put("udb", ordered)
    await coordination.flushall()
    assert await refused(make_guard()) is None
    seen = await make_guard().shared.look()
    assert (seen["override_by"], seen["override_reason"]) == ("me", "maintenance")


@pytest.mark.parametrize("override", [Override.DISABLED, Override.METRICS_ONLY])
async def test_a_breaker_that_is_switched_off_lets_everything_through(make_guard, override):
    guard = make_guard()
    await call(guard)
    await guard.shared.set_override(Ordered(override, "me", 0, "why"))
    await fail(guard, 20)
    await call(guard)


async def test_metrics_only_still_counts(make_guard):
    guard = make_guard()
    await call(guard)
    await guard.shared.set_override(Ordered(Override.METRICS_ONLY, "me", 0, "why"))
    await fail(guard, 3)
    assert (await guard.shared.look())["failures"] == "3"


async def test_too_many_requests_halve_what_is_allowed_once_and_it_grows_back(make_guard):
    now = [1_700_000_000_000]
    guard = make_guard(clock=lambda: now[0], max_in_flight=40)
    permits = [await guard.enter(is_retry=False) for _ in range(10)]
    now[0] += 1
    for permit in permits:
        await guard.record(permit, errors.RateLimited(), QUICK)
    limits = []
    for _ in range(3):
        limits.append((await guard.shared.look())["limit"])
        now[0] += 15_000
    assert limits == ["20", "30", "40"]


async def test_who_finds_no_place_waits_for_one_in_order(make_guard):
    guard = make_guard(max_in_flight=1)
    first = await guard.enter(is_retry=False)
    order = []

    async def wait(name):
        permit = await guard.enter(is_retry=False)
        order.append(name)
        await guard.record(permit, None, QUICK)

    waiters = [asyncio.create_task(wait(0))]
    while not guard._turnstile.locked():  # noqa: ASYNC110 - a guard tells nobody that somebody waits
        await asyncio.sleep(0.001)
    for name in range(1, 5):
        waiters.append(asyncio.create_task(wait(name)))
        await asyncio.sleep(0)
    await guard.record(first, None, QUICK)
    await asyncio.gather(*waiters)
    assert order == [0, 1, 2, 3, 4]


async def test_nobody_waits_longer_than_the_deadline_allows(make_guard):
    guard = make_guard(max_in_flight=1)
    await guard.enter(is_retry=False)
    with (
        deadline.within(timedelta(milliseconds=200)),
        pytest.raises(errors.DeadlinePassed, match=r"^no place came free"),
    ):
        await guard.enter(is_retry=False)
    assert (await guard.shared.look())["waiting"] == "0"


async def test_calls_per_second_are_kept_over_all_processes(make_guard):
    guards = [make_guard(calls_per_second=20), make_guard(calls_per_second=20)]

    async def twenty_calls(guard):
        for _ in range(20):
            await call(guard)

    began = time.monotonic()
    await asyncio.gather(*map(twenty_calls, guards))
    assert time.monotonic() - began >= 0.95


async def test_retries_have_a_budget_over_all_processes(make_guard):
    guards = [make_guard(), make_guard()]
    for n in range(50):
        await call(guards[n % 2])
    allowed = 0
    for n in range(30):
        try:
            permit = await guards[n % 2].enter(is_retry=True)
        except errors.RetryBudgetSpent:
            continue
        allowed += 1
        await guards[n % 2].record(permit, None, QUICK)
    assert allowed == 10


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_without_redis_the_process_decides_alone_and_says_so_once(
    make_guard, empty_redis, logged, number, monkeypatch
):
    guard = make_guard()
    await call(guard)
    monkeypatch.setattr(admission, "REDIS_WITHIN", REDIS_WITHIN)
    empty_redis["broker"].process.signal(number)
    try:
        await fail(guard)
        assert timedelta(0) < await refused(guard) <= timedelta(seconds=5)
        assert isinstance((await guard._ask("p", is_retry=False))[0], LocalMachine)
    finally:
        empty_redis["broker"].process.signal(signal.SIGCONT)
        if number is signal.SIGKILL:
            empty_redis["broker"].process.popen.wait()
            empty_redis["broker"].start()
    assert [line["event"] for line in logged] == ["admission_without_redis", "breaker_changed"]


async def test_a_redis_that_goes_in_the_moment_in_which_it_was_found_empty_is_one_that_is_away(make_guard, monkeypatch):
    async def gone(_):
        raise ConnectionError

    guard = make_guard(max_in_flight=1, open_for=timedelta(minutes=1))
    monkeypatch.setattr(guard.shared, "create", gone)
    with deadline.within(timedelta(seconds=20)):
        for _ in range(2):
            assert isinstance((await call(guard)).machine, LocalMachine)
            guard._down_until = 0.0


async def test_without_redis_who_finds_no_place_waits_for_one(make_guard, empty_redis):
    guard = make_guard(max_in_flight=1, open_for=timedelta(minutes=1))
    empty_redis["broker"].process.kill()
    try:
        with deadline.within(timedelta(seconds=20)):
            first = await guard.enter(is_retry=False)
            second = asyncio.create_task(guard.enter(is_retry=False))
            await asyncio.sleep(0.05)
            assert not second.done()
            await guard.record(first, None, QUICK)
            assert isinstance((await second).machine, LocalMachine)
    finally:
        empty_redis["broker"].start()


async def test_when_redis_is_back_all_decide_together_again(make_guard, empty_redis, logged):
    guard = make_guard()
    await call(guard)
    empty_redis["broker"].process.kill()
    await fail(guard)
    empty_redis["broker"].start()
    guard._down_until = 0.0
    machine, _ = await guard._ask("p", is_retry=False)
    assert isinstance(machine, SharedMachine)
    assert [line["event"] for line in logged] == [
        "admission_without_redis",
        "breaker_changed",
        "admission_with_redis_again",
    ]


async def test_what_was_cut_off_without_redis_is_cut_off_for_all_when_it_is_back(make_guard, empty_redis):
    guard = make_guard()
    permit = await guard.enter(is_retry=False)
    empty_redis["broker"].process.kill()
    await guard.record(permit, errors.WrongPerson(), QUICK)
    assert await refused(guard) is None
    empty_redis["broker"].start()
    guard._down_until = 0.0
    assert await refused(guard) is None
    assert await refused(make_guard()) is None


async def test_nothing_is_kept_of_what_came_while_anybody_was_cut_off(make_guard, empty_redis):
    one, other, third = make_guard(), make_guard(), make_guard()
    for guard in (one, other, third):
        await call(guard)
        await guard.check()
    await one.order(Ordered(Override.FORCED_OPEN, "me", 0, "why"))
    with pytest.raises(errors.CircuitOpen, match="forced open until a person lifts it"):
        await other.check()
    await one.order(None)
    await other.check()
    empty_redis["broker"].process.kill()
    await third.check()
    await other.record(await other.enter(is_retry=False), errors.WrongPerson(), QUICK)
    with pytest.raises(errors.CircuitOpen):
        await other.check()
    empty_redis["broker"].start()


async def test_what_an_operator_orders_is_on_the_ledger_and_in_force_until_it_is_lifted(make_guard):
    guard, ordered = make_guard(), Ordered(Override.FORCED_OPEN, "Åse", 1_700_000_000_000, "påske")
    await guard.order(ordered)
    assert await guard._overrides.get("udb") == ordered
    assert await refused(make_guard()) is None
    await guard.order(None)
    assert await guard._overrides.get("udb") is None
    await call(make_guard())


async def test_a_process_that_knows_the_breaker_open_keeps_it_open_without_redis(make_guard, empty_redis):
    knows, knows_not = make_guard(), make_guard()
    await call(knows_not)
    await fail(knows)
    before = await refused(knows)
    empty_redis["broker"].process.kill()
    assert timedelta(0) < await refused(knows) <= before
    await call(knows_not)
    empty_redis["broker"].start()


async def test_without_redis_for_the_second_time_the_process_decides_by_the_same_rules(make_guard, empty_redis, logged):
    guard = make_guard()
    await call(guard)
    for _ in range(2):
        empty_redis["broker"].process.kill()
        await fail(guard)
        assert timedelta(0) < await refused(guard) <= timedelta(seconds=5)
        empty_redis["broker"].start()
        guard._down_until = 0.0
        await call(guard)
    told = {"upstream": "udb", "log_level": "warning"}
    once = [
        told | {"event": "admission_without_redis", "detail": "ConnectionError"},
        told | {"event": "breaker_changed", "state": "open"},
        told | {"event": "admission_with_redis_again"},
    ]
    assert logged == once * 2


async def test_under_load_a_redis_that_dies_and_returns_empty_costs_no_call(make_guard, empty_redis, logged):
    guard = make_guard(max_in_flight=500)
    done = []

    async def load(n):
        await call(guard)
        done.append(n)

    for n in range(300):
        if n == 100:
            empty_redis["broker"].process.kill()
        if n == 200:
            empty_redis["broker"].start()
            guard._down_until = 0.0
        await load(n)
    assert len(done) == 300
    assert len(logged) <= 4


async def test_a_ten_minute_outage_at_fifty_refreshes_a_second_costs_half_a_percent_of_calls(make_guard):
    now = [1_700_000_000_000]
    guard = make_guard(clock=lambda: now[0])
    asked = called = 0
    while now[0] < 1_700_000_000_000 + 600_000:
        now[0] += 20
        asked += 1
        for attempt in range(3):
            try:
                permit = await guard.enter(is_retry=attempt > 0)
            except errors.NotCalled:
                break
            called += 1
            await guard.record(permit, errors.UpstreamUnavailable(), QUICK)
    assert asked == 30_000
    assert 0 < called <= 0.005 * asked


async def test_a_guarded_call_costs_little_more_than_an_unguarded_one(make_guard, capsys):
    """The two figures are printed side by side; a busy machine decides how large they are, so nothing is asserted."""
    guard = make_guard()

    async def unguarded():
        await asyncio.sleep(0)

    async def guarded():
        permit = await guard.enter(is_retry=False)
        await unguarded()
        await guard.record(permit, None, QUICK)

    taken = {unguarded: [], guarded: []}
    for _ in range(300):
        for what, times in taken.items():
            began = time.perf_counter()
            await what()
            times.append(time.perf_counter() - began)
    middle = {what.__name__: sorted(times)[150] * 1000 for what, times in taken.items()}
    with capsys.disabled():
        print(f"\n  per call, median: unguarded {middle['unguarded']:.3f} ms, guarded {middle['guarded']:.3f} ms")
