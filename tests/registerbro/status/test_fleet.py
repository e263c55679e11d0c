"""What all processes share, as operators and Prometheus see it: complete, soon, and whole without a server."""

import asyncio
import signal
import time
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.celery import QUEUES, REGISTERS, SUBSCRIBED
from config.settings import ADMISSIONS
from domain.cpr import Cpr
from redis_admission import Override, OverrideOrder
from registerbro.fault_reports import submit
from registerbro.status import fleet, prometheus
from registerbro.storage.coordination import partial_answers, queue_liveness

ME = Cpr.parse("6102991234")
HOUR = timedelta(hours=1)


@pytest.fixture
def scrape(app, make_settings):
    """What Prometheus would be given now, as (name, values of the labels by their names' order) → value."""
    registry = CollectorRegistry()
    end = prometheus.expose(make_settings(), registry)

    def read():
        families = text_string_to_metric_families(generate_latest(registry).decode())
        return {
            (sample.name.removeprefix("registerbro_"), *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }

    yield read
    end()


async def test_every_upstream_and_every_queue_is_there_before_anything_happened(services, scrape):
    seen = await asyncio.to_thread(scrape)
    assert {seen["breaker_state", "closed", name] for name in ADMISSIONS} == {1.0}
    assert {seen["queue_messages", queue] for queue in QUEUES} == {0.0}
    assert {seen["queue_oldest_seconds", queue] for queue in QUEUES} == {0.0}
    assert {seen["queue_consumed", queue] for queue in QUEUES} == {0.0}
    assert {seen["schedule_lag_seconds", name] for name in REGISTERS} == {0.0}
    assert {seen["register_partial", name] for name in REGISTERS} == {0.0}
    assert {seen["quarantined_citizens", name] for name in REGISTERS} == {0.0}
    gauges = ("subscriptions", "subscriptions_ending", "subscriptions_oldest_ending_seconds")
    assert {seen[gauge, name] for gauge in gauges for name in SUBSCRIBED} == {0.0}
    assert seen["fault_reports_oldest_undelivered_seconds",] == 0.0
    assert (seen["fault_reports_undecided",], seen["fault_reports_sent_again",]) == (0.0, 0.0)
    assert seen["dead_letters",] == 0.0
    assert {seen["redis_up", server] for server in ("broker", "coordination", "ledger", "cache")} == {1.0}


async def test_what_changes_is_seen(services, scrape, app):
    await services.admission("udb").set_override(OverrideOrder(Override.FORCED_OPEN, "somebody", 0, "planned work"))
    await services.quarantine.put("udb", "a" * 52, 1_700_000_000_000)
    await services.quarantine.put("udb", "b" * 52, 1_700_000_000_000)
    await queue_liveness.mark(services.coordination, "su")
    await partial_answers.record(services.coordination, "eindkomst", {"period": 1})
    await services.timetable.record_activity("a" * 52, HOUR, None, {"ydelse": -HOUR})
    app.send_task("eindkomst.refresh", args=["a" * 52], queue="eindkomst")
    await submit.submit(services, ME, "Zebrafinken sang", idempotency_key="k")
    for citizen in ("a" * 52, "b" * 52):
        await services.subscriptions.begin("udb", ME, (citizen,), within=HOUR, keep_for=HOUR)
    await services.subscriptions.end("udb", ["a" * 52])
    seen = await asyncio.to_thread(scrape)
    assert (seen["subscriptions", "udb"], seen["subscriptions_ending", "udb"]) == (2.0, 1.0)
    assert (seen["breaker_state", "forced_open", "udb"], seen["breaker_state", "closed", "udb"]) == (1.0, 0.0)
    assert (seen["quarantined_citizens", "udb"], seen["quarantined_citizens", "su"]) == (2.0, 0.0)
    assert (seen["queue_consumed", "su"], seen["queue_consumed", "udb"]) == (1.0, 0.0)
    assert (seen["register_partial", "eindkomst"], seen["register_partial", "udb"]) == (1.0, 0.0)
    assert seen["schedule_lag_seconds", "ydelse"] >= 3600
    assert (seen["schedule_due", "ydelse"], seen["schedule_active", "ydelse"]) == (1.0, 1.0)
    assert seen["queue_messages", "eindkomst"] == 1.0
    assert (seen["fault_reports", "accepted"], seen["fault_reports", "delivered"]) == (1.0, 0.0)
    assert seen["fault_reports_oldest_undelivered_seconds",] > 0


async def test_reports_that_the_vendor_may_have_are_seen(services, scrape):
    report = await submit.submit(services, ME, "Zebrafinken sang", idempotency_key="k")
    box, lease = services.outbox, timedelta(seconds=10)
    await box.leave_unknown(await box.begin_delivery(report.id, lease), "timeout")
    await box.replay(report.id)
    assert (await asyncio.to_thread(scrape))["fault_reports", "unknown_outcome"] == 1.0
    assert (await asyncio.to_thread(scrape))["fault_reports_undecided",] == 0.0
    await box.leave_unknown(await box.begin_delivery(report.id, lease), "timeout")
    seen = await asyncio.to_thread(scrape)
    assert (seen["fault_reports", "unknown_outcome"], seen["fault_reports", "accepted"]) == (1.0, 0.0)
    assert (seen["fault_reports_undecided",], seen["fault_reports_sent_again",]) == (1.0, 1.0)


async def test_a_cache_that_drops_what_it_should_keep_is_seen(services, scrape, empty_redis):
    with empty_redis["cache"].client() as cache:
        before = (await asyncio.to_thread(scrape))["cache_evicted_total",]
        most = cache.config_get("maxmemory")["maxmemory"]
        for number in range(20):
            cache.set(f"page:{number}", "x" * 100_000, ex=3600)
        try:
            cache.config_set("maxmemory", cache.info("memory")["used_memory"] - 1_000_000)
            cache.set("another", "y")
            seen = await asyncio.to_thread(scrape)
        finally:
            cache.config_set("maxmemory", most)
            cache.flushall()
    assert seen["cache_evicted_total",] > before


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
@pytest.mark.parametrize(
    ("server", "gone", "left"),
    [
        ("cache", ["cache"], "breaker_state"),
        ("ledger", ["ledger"], "queue_messages"),
        ("broker", ["broker", "coordination"], "fault_reports"),
    ],
)
async def test_a_server_that_is_away_is_told_of_and_leaves_the_rest_alone(
    services, scrape, empty_redis, server, gone, left, number
):
    await asyncio.to_thread(scrape)
    empty_redis[server].process.signal(number)
    try:
        began = time.monotonic()
        seen = await asyncio.to_thread(scrape)
        took = time.monotonic() - began
    finally:
        empty_redis[server].process.signal(signal.SIGCONT)
        if number is signal.SIGKILL:
            empty_redis[server].process.popen.wait()
            empty_redis[server].start()
    up = {name: seen["redis_up", name] for name in ("broker", "coordination", "ledger", "cache")}
    assert up == {name: float(name not in gone) for name in up}
    assert [key for key in seen if key[0] == left]
    assert took < 10  # what Prometheus allows by default; the collector's own limit is three


async def test_the_same_is_given_to_operators(services, app):
    await queue_liveness.mark(services.coordination, "udb")
    app.send_task("udb.refresh_many", args=[["a" * 52]], queue="udb.bulk")
    seen = (await fleet.upstreams(services))["udb"]
    assert seen.queues["udb"].consumed
    assert not seen.queues["udb.bulk"].consumed
    assert seen.queues["udb.bulk"].messages == 1
    assert seen.queues["udb.bulk"].oldest_seconds >= 0
    assert (seen.schedule.active, seen.schedule.lag_seconds) == (0, 0)


async def test_a_partial_register_is_told_with_kinds_and_times(services):
    await partial_answers.record(services.coordination, "eindkomst", {"period": 2, "income_type": 1})
    first = (await fleet.upstreams(services))["eindkomst"].partial
    await partial_answers.record(services.coordination, "eindkomst", {"period": 1})
    seen = await fleet.upstreams(services)
    found = seen["eindkomst"].partial
    assert (found.items, found.kinds) == (4, {"income_type": 1, "period": 3})
    assert found.since == first.since <= first.last <= found.last
    assert {name for name, one in seen.items() if one.partial} == {"eindkomst"}


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ({"period": 1}, "1 item (period)"),
        ({"period": 3}, "3 items (period)"),
        ({"period": 2, "income_type": 1}, "3 items (income_type 1, period 2)"),
    ],
)
async def test_a_partial_register_is_told_in_few_words(services, kinds, told):
    await partial_answers.record(services.coordination, "su", kinds)
    assert (await partial_answers.status(services.coordination, ["su"]))["su"].told == told


async def test_when_an_hour_has_passed_a_register_is_partial_no_more_and_begins_anew(services):
    await partial_answers.record(services.coordination, "su", {"period": 7})
    # A moment that has passed: the server does what it does when the hour is over.
    await services.coordination.pexpireat("partial:su", 1)
    assert await partial_answers.status(services.coordination, ["su"]) == {"su": None}
    await partial_answers.record(services.coordination, "su", {"period": 1})
    assert (await partial_answers.status(services.coordination, ["su"]))["su"].items == 1


async def test_each_answer_with_items_left_out_begins_the_hour_anew(services):
    await partial_answers.record(services.coordination, "su", {"period": 1})
    await services.coordination.pexpire("partial:su", 60_000)
    await partial_answers.record(services.coordination, "su", {"period": 1})
    assert await services.coordination.pttl("partial:su") > 3_500_000


async def test_what_is_no_register_has_no_schedule_and_what_has_no_worker_no_queue(services):
    seen = await fleet.upstreams(services)
    assert (seen["booking_vendor"].schedule, list(seen["booking_vendor"].queues)) == (None, ["booking_vendor"])
    assert (seen["cvr"].schedule, seen["cvr"].queues) == (None, {})


async def test_no_gauge_holds_anything_of_a_citizen(services, scrape):
    citizen_id = await services.citizens.remember(ME)
    await services.timetable.record_activity(citizen_id, HOUR, None, {"udb": HOUR})
    await submit.submit(services, ME, "Zebrafinken sang", idempotency_key="k")
    told = repr(await asyncio.to_thread(scrape))
    assert not [secret for secret in (ME.digits, citizen_id, "Zebra") if secret in told]
