"""Admission controller: one decision for all processes, overrides that last, and a life without Redis."""

import asyncio
import signal
import time
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from redis_admission import (
    AdmissionController,
    Outcome,
    Override,
    OverrideOrder,
    Rejected,
    RejectionKind,
    SilentListener,
    State,
)
from redis_admission.local_state import LocalState
from redis_admission.redis_state import RedisState

QUICK = timedelta(milliseconds=1)
AT = 1_700_000_000_000
FAILURE, OK, FORCE_OPEN = Outcome.FAILURE, Outcome.OK, Outcome.FORCE_OPEN


async def call(controller, outcome=OK, took=QUICK, reason=""):
    permit = await controller.enter()
    await controller.record(permit, outcome, took, reason)
    return permit


async def fail(controller, times=5):
    for _ in range(times):
        await call(controller, FAILURE, reason="timeout")


async def rejected(controller, **how):
    with pytest.raises(Rejected) as caught:
        await controller.enter(**how)
    return caught.value


async def retry_after(controller):
    rejection = await rejected(controller)
    assert rejection.kind in {RejectionKind.OPEN, RejectionKind.FORCED_OPEN}
    return rejection.retry_after


async def test_failures_that_one_process_sees_spare_the_upstream_all_others(make_controller, told):
    one, other = make_controller(), make_controller()
    await fail(one)
    rejection = await rejected(other)
    assert (rejection.kind, str(rejection)) == (RejectionKind.OPEN, "open")
    assert timedelta(0) < rejection.retry_after <= timedelta(seconds=5)
    assert told.events == [("state_change", "udb", State.OPEN), ("refused", "udb", RejectionKind.OPEN)]
    assert (await other.status())["failure"] == "timeout"


async def test_a_call_that_is_refused_learns_by_which_state(make_controller):
    controller = make_controller(probes=1, open_for=timedelta(milliseconds=1), lease=timedelta(minutes=2))
    await fail(controller)
    await asyncio.sleep(0.01)
    await controller.enter()
    rejection = await rejected(controller)
    assert rejection.kind is RejectionKind.HALF_OPEN
    assert timedelta(0) < rejection.retry_after <= timedelta(minutes=2)


async def test_slow_answers_open_it_too(make_controller):
    controller = make_controller(minimum_calls=4, slow_call_rate=0.75, slow_call=timedelta(seconds=4))
    for took in (QUICK, *[timedelta(seconds=4)] * 3):
        await call(controller, took=took)
    assert (await rejected(controller)).kind is RejectionKind.OPEN


async def test_an_outcome_that_says_nothing_of_the_upstreams_health_never_opens_it(make_controller):
    controller = make_controller()
    for _ in range(20):
        await call(controller, Outcome.IGNORED, timedelta(hours=1))
    await call(controller)


async def test_an_outcome_that_forces_it_open_keeps_every_process_away_at_once(make_controller, told):
    one, other = make_controller(), make_controller()
    await call(other)
    await call(one, FORCE_OPEN)
    rejection = await rejected(other)
    assert (rejection.kind, rejection.retry_after) == (RejectionKind.FORCED_OPEN, None)
    assert await other.is_forced_open()
    assert told.named("state_change") == [("state_change", "udb", Override.FORCED_OPEN)]


async def test_a_process_learns_at_the_end_of_a_call_that_it_was_forced_open_meanwhile(make_controller):
    one, other = make_controller(), make_controller()
    permits = [await other.enter() for _ in range(3)]
    await other.record(permits[0], OK)
    assert not other.was_forced_open
    await call(one, FORCE_OPEN)
    assert one.was_forced_open
    assert not other.was_forced_open
    await other.record(permits[1], OK)
    assert other.was_forced_open
    await one.set_override(None)
    await other.record(permits[2], Outcome.IGNORED)
    assert not other.was_forced_open
    await one.set_override(OverrideOrder(Override.DISABLED, "me", AT, "why"))
    await call(other)
    assert not other.was_forced_open


async def test_a_process_learns_from_a_refusal_too(make_controller):
    one, other = make_controller(), make_controller()
    await call(one, FORCE_OPEN)
    await rejected(other)
    assert other.was_forced_open
    await one.set_override(None)
    await call(other)
    assert not other.was_forced_open


async def test_without_redis_a_process_knows_of_its_own_forced_opening(make_controller, redis_server):
    controller = make_controller()
    permit = await controller.enter()
    redis_server.kill()
    await call(controller)
    assert not controller.was_forced_open
    await controller.record(permit, FORCE_OPEN)
    assert controller.was_forced_open


async def test_a_forced_opening_says_by_whom_when_and_why_wherever_it_is_kept(make_controller, store):
    controller = make_controller()
    before = time.time_ns() // 10**6
    await call(controller, FORCE_OPEN, reason="another person's")
    after = time.time_ns() // 10**6
    seen = await controller.status()
    assert (seen["override_by"], seen["override_reason"]) == ("redis_admission", "another person's")
    kept = store.orders["udb"]
    assert (kept.override, kept.by, kept.reason) == (Override.FORCED_OPEN, "redis_admission", "another person's")
    assert before <= kept.at <= after + 1


async def test_a_forced_opening_that_the_store_does_not_take_is_told_and_in_force(make_controller, store, told):
    controller = make_controller()
    permit = await controller.enter()
    store.is_away = True
    await controller.record(permit, FORCE_OPEN)
    store.is_away = False
    assert told.events == [
        ("override_not_stored", "udb", ConnectionError),
        ("state_change", "udb", Override.FORCED_OPEN),
    ]
    assert await retry_after(make_controller()) is None


async def test_only_an_operator_lifts_it(make_controller, client, store):
    controller = make_controller()
    await call(controller, FORCE_OPEN)
    await client.flushall()
    assert await retry_after(controller) is None
    await controller.set_override(None)
    assert store.orders["udb"] is None
    await call(controller)
    assert not await controller.is_forced_open()


async def test_an_override_outlives_an_empty_redis_and_every_process(make_controller, client, store):
    store.orders["udb"] = OverrideOrder(Override.FORCED_OPEN, "me", AT, "maintenance")
    await client.flushall()
    assert await retry_after(make_controller()) is None
    seen = await make_controller().status()
    assert (seen["override_by"], seen["override_at"], seen["override_reason"]) == ("me", str(AT), "maintenance")


@pytest.mark.parametrize("override", [Override.DISABLED, Override.METRICS_ONLY])
async def test_a_breaker_that_is_switched_off_admits_every_call(make_controller, override):
    controller = make_controller()
    await controller.set_override(OverrideOrder(override, "me", AT, "why"))
    await fail(controller, 20)
    await call(controller)
    assert not await controller.is_forced_open()


async def test_metrics_only_still_counts(make_controller):
    controller = make_controller()
    await controller.set_override(OverrideOrder(Override.METRICS_ONLY, "me", AT, "why"))
    await fail(controller, 3)
    assert (await controller.status())["failures"] == "3"


async def test_throttling_halves_what_is_allowed_once_and_it_grows_back(make_controller):
    now = [AT]
    controller = make_controller(server_time=lambda: now[0], max_in_flight=40)
    permits = [await controller.enter() for _ in range(10)]
    now[0] += 1
    for permit in permits:
        await controller.record(permit, Outcome.THROTTLED)
    limits = []
    for _ in range(3):
        limits.append((await controller.status())["limit"])
        now[0] += 15_000
    assert limits == ["20", "30", "40"]


async def test_calls_that_find_no_permit_wait_for_one_in_order(make_controller):
    controller = make_controller(max_in_flight=1)
    first = await controller.enter()
    order = []

    async def wait(name):
        permit = await controller.enter()
        order.append(name)
        await controller.record(permit, OK)

    waiters = [asyncio.create_task(wait(0))]
    while not controller._queue.locked():  # noqa: ASYNC110 - a controller announces no waiter
        await asyncio.sleep(0.001)
    for name in range(1, 5):
        waiters.append(asyncio.create_task(wait(name)))
        await asyncio.sleep(0)
    await controller.record(first, OK)
    await asyncio.gather(*waiters)
    assert order == [0, 1, 2, 3, 4]


async def test_no_call_waits_longer_than_its_limit_allows(make_controller, told):
    controller = make_controller(max_in_flight=1, wait_limit=lambda: 0.2)
    await controller.enter()
    rejection = await rejected(controller)
    assert (rejection.kind, rejection.retry_after) == (RejectionKind.WAIT_LIMIT, None)
    assert told.events == [("refused", "udb", RejectionKind.WAIT_LIMIT)]
    assert (await controller.status())["waiting"] == "0"


async def test_calls_per_second_are_kept_over_all_processes(make_controller):
    controllers = [make_controller(calls_per_second=20), make_controller(calls_per_second=20)]

    async def twenty_calls(controller):
        for _ in range(20):
            await call(controller)

    began = time.monotonic()
    await asyncio.gather(*map(twenty_calls, controllers))
    assert time.monotonic() - began >= 0.95


async def test_retries_have_a_budget_over_all_processes(make_controller):
    controllers = [make_controller(), make_controller()]
    for n in range(50):
        await call(controllers[n % 2])
    allowed, refused = 0, []
    for n in range(30):
        try:
            permit = await controllers[n % 2].enter(is_retry=True)
        except Rejected as rejection:
            refused.append((rejection.kind, rejection.retry_after))
            continue
        allowed += 1
        await controllers[n % 2].record(permit, OK)
    assert set(refused) == {(RejectionKind.RETRY_BUDGET, None)}
    assert allowed == 10


async def test_a_client_that_decodes_answers_does_as_well(make_controller, redis_server):
    async with Redis(unix_socket_path=redis_server.path, decode_responses=True) as decoding:
        controller = make_controller(redis=decoding)
        await fail(controller)
        assert timedelta(0) < await retry_after(controller) <= timedelta(seconds=5)
        await controller.set_override(OverrideOrder(Override.FORCED_OPEN, "me", AT, "why"))
        assert await controller.is_forced_open()
        assert (await controller.status())["override"] == "forced_open"


async def test_without_listener_and_store_it_does_its_work(client):
    controller = AdmissionController(client, "udb", redis_timeout=20.0)
    await fail(controller)
    await rejected(controller)
    await controller.set_override(None)
    await call(controller, FORCE_OPEN)
    await client.flushall()
    await call(controller)
    assert isinstance(controller._listener, SilentListener)


# --- Without Redis ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_without_redis_the_process_decides_alone_and_tells_so_once(make_controller, redis_server, told, number):
    controller = make_controller()
    await call(controller)
    controller._redis_timeout = 0.05
    redis_server.signal(number)
    if number is signal.SIGKILL:
        redis_server.process.wait()
    await fail(controller)
    assert timedelta(0) < await retry_after(controller) <= timedelta(seconds=5)
    permit, _ = await controller._decide("p", is_retry=False)
    assert isinstance(permit, LocalState)
    assert [event[0] for event in told.events] == ["redis_lost", "state_change", "refused"]


@pytest.mark.parametrize("of", ["enter", "record", "is_forced_open", "leave"])
async def test_whichever_command_finds_redis_lost_tells_by_which_error(make_controller, redis_server, told, of):
    controller = make_controller(max_in_flight=1, wait_limit=lambda: 0.1)
    permit = await controller.enter()
    redis_server.kill()
    if of == "enter":
        await controller._decide("p", is_retry=False)
    elif of == "record":
        await controller.record(permit, OK)
    elif of == "is_forced_open":
        assert not await controller.is_forced_open()
    else:
        await controller._leave("p")
    assert [(name, error.__name__) for name, _, error in told.events] == [("redis_lost", "ConnectionError")]
    assert not await controller.is_forced_open()


async def test_a_redis_that_goes_in_the_moment_in_which_it_was_found_empty_is_one_that_is_away(
    make_controller, monkeypatch
):
    async def gone(_):
        raise ConnectionError

    controller = make_controller(max_in_flight=1)
    monkeypatch.setattr(controller._redis_state, "create", gone)
    for _ in range(2):
        assert (await call(controller)).shared_generation is None
        controller._ask_redis_at = 0.0


async def test_while_the_store_is_away_a_new_redis_decides_nothing(make_controller, store):
    controller = make_controller()
    store.is_away = True
    assert (await call(controller)).shared_generation is None
    store.is_away = False
    controller._ask_redis_at = 0.0
    assert (await call(controller)).shared_generation == 1


async def test_without_redis_a_call_that_finds_no_permit_waits_for_one(make_controller, redis_server):
    controller = make_controller(max_in_flight=1)
    redis_server.kill()
    first = await controller.enter()
    second = asyncio.create_task(controller.enter())
    await asyncio.sleep(0.05)
    assert not second.done()
    await controller.record(first, OK)
    assert (await second).shared_generation is None


async def test_when_redis_is_back_all_decide_together_again(make_controller, redis_server, told):
    controller = make_controller()
    await call(controller)
    redis_server.kill()
    await fail(controller)
    redis_server.start()
    controller._ask_redis_at = 0.0
    state, _ = await controller._decide("p", is_retry=False)
    assert isinstance(state, RedisState)
    assert [event[0] for event in told.events] == ["redis_lost", "state_change", "redis_restored"]


async def test_a_lost_redis_is_asked_again_after_its_time_and_not_before(make_controller, redis_server):
    controller = make_controller()
    await call(controller)
    redis_server.kill()
    await call(controller)
    redis_server.start()
    assert (await call(controller)).shared_generation is None
    assert 0 < controller._ask_redis_at - time.monotonic() <= 1.0
    await asyncio.sleep(1.0)
    assert (await call(controller)).shared_generation == 1


async def test_a_forced_opening_without_redis_is_in_force_for_all_when_it_is_back(make_controller, redis_server):
    controller = make_controller()
    permit = await controller.enter()
    redis_server.kill()
    await controller.record(permit, FORCE_OPEN)
    assert await retry_after(controller) is None
    redis_server.start()
    controller._ask_redis_at = 0.0
    assert await retry_after(controller) is None
    assert await retry_after(make_controller()) is None


async def test_a_process_knows_of_a_forced_opening_as_far_as_it_can(make_controller, redis_server):
    one, other, third = make_controller(), make_controller(), make_controller()
    for controller in (one, other, third):
        await call(controller)
        assert not await controller.is_forced_open()
    await one.set_override(OverrideOrder(Override.FORCED_OPEN, "me", AT, "why"))
    assert await other.is_forced_open()
    await one.set_override(None)
    assert not await other.is_forced_open()
    redis_server.kill()
    assert not await third.is_forced_open()
    await other.record(await other.enter(), FORCE_OPEN)
    assert await other.is_forced_open()


async def test_an_order_is_stored_and_in_force_until_it_is_lifted(make_controller, store):
    controller, order = make_controller(), OverrideOrder(Override.FORCED_OPEN, "Åse", AT, "påske")
    await controller.set_override(order)
    assert store.orders["udb"] == order
    assert await retry_after(make_controller()) is None
    await controller.set_override(None)
    assert store.orders["udb"] is None
    await call(make_controller())


async def test_a_process_that_knows_the_breaker_open_keeps_it_open_without_redis(make_controller, redis_server):
    knows, knows_not = make_controller(), make_controller()
    await call(knows_not)
    await fail(knows)
    before = await retry_after(knows)
    redis_server.kill()
    assert timedelta(0) < await retry_after(knows) <= before
    await call(knows_not)


async def test_a_process_that_knows_of_an_operators_override_obeys_it_without_redis(make_controller, redis_server):
    knows, knows_not = make_controller(), make_controller()
    await call(knows_not)
    await knows.set_override(OverrideOrder(Override.FORCED_OPEN, "me", AT, "why"))
    assert await retry_after(knows) is None
    redis_server.kill()
    assert (await rejected(knows)).kind is RejectionKind.FORCED_OPEN
    assert await knows.is_forced_open()
    await call(knows_not)


async def test_a_process_that_knows_of_a_lifted_override_admits_calls_without_redis(make_controller, redis_server):
    controller = make_controller()
    await call(controller, FORCE_OPEN)
    await controller.set_override(None)
    await call(controller)
    redis_server.kill()
    await call(controller)
    assert not await controller.is_forced_open()


async def test_a_breaker_that_has_closed_stays_closed_without_redis(make_controller, redis_server):
    controller = make_controller(open_for=timedelta(milliseconds=1), probes=1)
    await fail(controller)
    controller._last_refused = (time.monotonic(), 60_000)
    await asyncio.sleep(0.01)
    await call(controller)
    redis_server.kill()
    await call(controller)


async def test_without_redis_for_the_second_time_the_process_decides_by_the_same_rules(
    make_controller, redis_server, told
):
    controller = make_controller()
    await call(controller)
    for _ in range(2):
        redis_server.kill()
        await fail(controller)
        assert timedelta(0) < await retry_after(controller) <= timedelta(seconds=5)
        redis_server.start()
        controller._ask_redis_at = 0.0
        await call(controller)
    once = ["redis_lost", "state_change", "refused", "redis_restored"]
    assert [event[0] for event in told.events] == once * 2
    assert {event[1] for event in told.events} == {"udb"}


async def test_under_load_a_redis_that_dies_and_returns_empty_costs_no_call(make_controller, redis_server, told):
    controller = make_controller(max_in_flight=500)
    for n in range(300):
        if n == 100:
            redis_server.kill()
        if n == 200:
            redis_server.start()
            controller._ask_redis_at = 0.0
        await call(controller)
    assert len(told.events) <= 4


async def test_a_client_that_repeats_commands_itself_is_given_up_in_time(make_controller, redis_server):
    """redis-py's own client waits and tries again for longer than a call may wait for admission."""
    async with Redis(unix_socket_path=redis_server.path, retry=Retry(NoBackoff(), 100)) as patient:
        controller = make_controller(redis=patient, redis_timeout=0.05)
        await call(controller)
        redis_server.signal(signal.SIGSTOP)
        began = time.monotonic()
        assert (await call(controller)).shared_generation is None
        assert time.monotonic() - began < 5


async def test_a_ten_minute_outage_at_fifty_refreshes_a_second_costs_half_a_percent_of_calls(make_controller):
    now = [AT]
    controller = make_controller(server_time=lambda: now[0])
    asked = called = 0
    while now[0] < AT + 600_000:
        now[0] += 20
        asked += 1
        for attempt in range(3):
            try:
                permit = await controller.enter(is_retry=attempt > 0)
            except Rejected:
                break
            called += 1
            await controller.record(permit, FAILURE)
    assert asked == 30_000
    assert 0 < called <= 0.005 * asked


async def test_a_guarded_call_costs_little_more_than_an_unguarded_one(make_controller, capsys):
    """The two figures are printed side by side; a busy machine decides how large they are, so nothing is asserted."""
    controller = make_controller()

    async def unguarded():
        await asyncio.sleep(0)

    async def guarded():
        permit = await controller.enter()
        await unguarded()
        await controller.record(permit, OK)

    taken = {unguarded: [], guarded: []}
    for _ in range(300):
        for what, times in taken.items():
            began = time.perf_counter()
            await what()
            times.append(time.perf_counter() - began)
    middle = {what.__name__: sorted(times)[150] * 1000 for what, times in taken.items()}
    with capsys.disabled():
        print(f"\n  per call, median: unguarded {middle['unguarded']:.3f} ms, guarded {middle['guarded']:.3f} ms")
