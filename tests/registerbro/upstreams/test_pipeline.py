"""The pipeline: what is called again, how often, when, and with which request id."""

import asyncio
import gc
import re
import time
import weakref
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from config.settings import AdmissionSettings
from domain.service_windows import Once
from registerbro.telemetry import metrics, trace
from registerbro.telemetry.trace import Kind
from registerbro.upstreams import deadline, errors
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.messages import Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from tests.registerbro.upstreams.conftest import answering, hang, reset
from tests.support import ProcessAdmission


def read(answer):
    refusal = answer.refusal()
    if refusal:
        raise refusal
    return answer.json()


EXCHANGE = Exchange(lambda _: Question("GET", "/"), read)


def always(error):
    def fail(_):
        raise error

    return Exchange(lambda _: Question("GET", "/"), fail)


async def test_an_answer_is_given_after_one_call(upstream, server):
    server.answers = [answering(body=b'{"a": 1}')]
    assert await upstream.ask(EXCHANGE) == {"a": 1}
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answers", "error", "calls"),
    [
        ([answering(500)], errors.UpstreamUnavailable, 3),
        ([answering(503)], errors.UpstreamUnavailable, 3),
        ([reset], errors.ConnectionLost, 3),
        ([answering(429)], errors.RateLimited, 3),
        ([answering(body=b"{")], errors.InvalidResponse, 2),
        ([answering(401)], errors.NotAuthorised, 1),
        ([answering(400)], errors.BadRequest, 1),
        ([answering(404)], errors.NotFound, 1),
        ([answering(412)], errors.RequestIdUsed, 2),
        ([answering(body=b" " * (2 * 1024**2 + 1))], errors.TooLong, 1),
        ([answering(500), answering(body=b"{"), answering(body=b"{")], errors.InvalidResponse, 3),
    ],
)
async def test_each_error_is_called_again_as_the_table_says(upstream, server, answers, error, calls):
    server.answers = answers
    with pytest.raises(error):
        await upstream.ask(EXCHANGE)
    assert len(server.requests) == calls


async def test_a_call_by_hand_is_made_once_under_its_own_admission_and_changes_nothing_of_the_others(
    upstream, server, breaker
):
    other = ProcessAdmission("other", AdmissionSettings(consecutive_failures=1))
    server.answers = [answering(500)]
    with pytest.raises(errors.UpstreamUnavailable):
        await upstream.by_hand(other).ask(EXCHANGE)
    assert (len(server.requests), breaker.state, other.state) == (1, "closed", "open")
    with pytest.raises(errors.UpstreamUnavailable):
        await upstream.ask(EXCHANGE)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("answer", "sent", "status"),
    [(answering(503), True, 503), (answering(body=b"{"), True, 200), (reset, True, None)],
)
async def test_an_error_says_how_far_the_call_came(upstream, server, answer, sent, status):
    server.answers = [answer]
    with pytest.raises(errors.CallFailed) as caught:
        await upstream.ask(EXCHANGE)
    assert (caught.value.sent, caught.value.status) == (sent, status)


async def test_an_answer_after_a_failure_is_given(upstream, server):
    server.answers = [answering(503), answering(body=b"7")]
    assert await upstream.ask(EXCHANGE) == 7


async def test_another_persons_answer_is_never_asked_for_again_and_closes_the_upstream(upstream, server):
    server.answers = [answering()]
    with pytest.raises(errors.WrongPerson):
        await upstream.ask(always(errors.WrongPerson()))
    with pytest.raises(errors.CircuitOpen) as caught:
        await upstream.ask(EXCHANGE)
    assert caught.value.retry_after is None
    assert len(server.requests) == 1


@pytest.mark.parametrize("first", [reset, answering(503), answering(body=b"{"), answering(429)])
async def test_each_call_of_a_read_has_a_request_id_of_its_own(upstream, server, first):
    server.answers = [first, answering()]
    await upstream.ask(EXCHANGE)
    assert len(set(server.request_ids)) == 2
    assert all(0 < len(request_id) <= 46 for request_id in server.request_ids)


WRITE = Exchange(lambda _: Question("POST", "/"), read, is_write=True)


@pytest.mark.parametrize("first", [reset, answering(503), answering(body=b"{")])
async def test_a_write_keeps_its_request_id_while_it_is_not_known_whether_it_was_done(upstream, server, first):
    server.answers = [first, answering()]
    await upstream.ask(WRITE)
    assert len(server.requests) == 2
    assert len(set(server.request_ids)) == 1


async def test_a_write_that_was_spared_gets_another_request_id(upstream, server):
    server.answers = [answering(429), answering()]
    await upstream.ask(WRITE)
    assert len(set(server.request_ids)) == 2


@pytest.mark.parametrize("exchange", [EXCHANGE, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_request_id_that_was_used_is_replaced_by_a_new_one_once(
    http, upstream_settings, server, breaker, exchange, attempts
):
    settings = upstream_settings.model_copy(update={"max_attempts": attempts})
    upstream = Upstream("test", settings, http, breaker, NoTrail())
    server.answers = [answering(412), answering(body=b"7")]
    assert await upstream.ask(exchange) == 7
    assert len(set(server.request_ids)) == 2
    server.answers, server.requests = [answering(412)], []
    with pytest.raises(errors.RequestIdUsed):
        await upstream.ask(exchange)
    assert len(server.requests) == 2


@pytest.mark.parametrize("first", [reset, answering(503)])
async def test_a_write_that_may_be_done_is_never_sent_with_a_new_id(upstream, server, first):
    server.answers = [first, answering(412), answering()]
    with pytest.raises(errors.AlreadyReceived):
        await upstream.ask(WRITE)
    assert len(set(server.request_ids)) == 1
    assert len(server.requests) == 2


async def test_a_read_whose_answer_was_lost_is_asked_again_after_412(upstream, server):
    server.answers = [reset, answering(412), answering(body=b"7")]
    assert await upstream.ask(EXCHANGE) == 7
    assert len(set(server.request_ids)) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [(answering(412), errors.RequestIdUsed), (answering(body=b" " * (2 * 1024**2 + 1)), errors.TooLong)],
    ids=["used", "too long"],
)
async def test_what_says_nothing_of_an_upstreams_health_leaves_its_breaker_closed(
    upstream, server, breaker, answer, error
):
    server.answers = [answer]
    for _ in range(20):
        with pytest.raises(error):
            await upstream.ask(EXCHANGE)
    assert breaker.state == "closed"


async def test_each_call_of_one_fetch_is_of_one_trace(upstream, server):
    server.answers = [answering(503), answering()]
    await upstream.ask(EXCHANGE)
    traces = [re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", r.headers["traceparent"]) for r in server.requests]
    assert traces[0][1] == traces[1][1]
    assert traces[0][2] != traces[1][2]


async def test_the_question_is_given_the_request_id_that_is_sent(upstream, server):
    given = []
    server.answers = [answering()]
    await upstream.ask(Exchange(lambda request_id: given.append(request_id) or Question("GET", "/"), read))
    assert given == server.request_ids


async def test_waits_grow_and_are_jittered_from_nothing(upstream, server, waits):
    server.answers = [answering(500)]
    with pytest.raises(errors.UpstreamUnavailable):
        await upstream.ask(EXCHANGE)
    assert 0 <= waits[0] <= 0.2
    assert 0 <= waits[1] <= 0.4


async def test_what_the_upstream_asks_for_is_waited_at_least(upstream, server, waits):
    server.answers = [answering(503, **{"Retry-After": "7"}), answering()]
    await upstream.ask(EXCHANGE)
    assert 7 <= waits[0] <= 7.2


async def test_a_wait_past_the_deadline_is_not_begun_and_the_page_is_told(upstream, server, waits):
    server.answers = [answering(429, **{"Retry-After": "60"})]
    with pytest.raises(errors.RateLimited) as caught:
        await upstream.ask(EXCHANGE)
    assert caught.value.retry_after == timedelta(minutes=1)
    assert (len(server.requests), waits) == (1, [])


async def test_a_deadline_around_several_calls_holds_for_each(upstream, server):
    server.answers = [hang]
    with deadline.within(timedelta(seconds=0.2)), pytest.raises(errors.UpstreamTimeout):
        await upstream.ask(EXCHANGE)
    assert len(server.requests) == 1


async def test_when_the_time_is_used_up_no_call_is_made(upstream, server):
    with deadline.within(timedelta(0)), pytest.raises(errors.DeadlinePassed):
        await upstream.ask(EXCHANGE)
    assert server.requests == []


async def test_our_own_defect_is_raised_as_it_is_and_not_repeated(upstream, server):
    server.answers = [answering()]
    with pytest.raises(ZeroDivisionError):
        await upstream.ask(always(ZeroDivisionError()))
    assert len(server.requests) == 1


async def test_a_cancelled_call_says_nothing_of_the_upstream(upstream, server, breaker):
    for _ in range(10):
        arrived = asyncio.Event()

        async def arrive(request, arrived=arrived):
            arrived.set()
            return await hang(request)

        server.answers = [arrive]
        task = asyncio.create_task(upstream.ask(EXCHANGE))
        await arrived.wait()
        task.cancel()
        await asyncio.wait([task])
    assert breaker.state == "closed"


class Counted:
    """How far counters have gone on since this was made, for the upstream of these tests."""

    def __init__(self):
        self._before = {}
        self._before = self.now()

    def now(self):
        counters = (metrics.CALLS, metrics.NOT_ADMITTED, metrics.ALARMS, metrics.RETRIES)
        return {
            (family.name, *sample.labels.values()): sample.value
            - self._before.get((family.name, *sample.labels.values()), 0)
            for counter in counters
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def changed(self):
        return {key[0].removeprefix("registerbro_"): key[1:] for key, value in self.now().items() if value}


def calls_timed():
    """How many calls of the upstream of these tests were timed."""
    return REGISTRY.get_sample_value("registerbro_upstream_call_seconds_count", {"upstream": "test"}) or 0


@pytest.mark.parametrize(
    ("answer", "level", "event", "outcome", "detail"),
    [
        (answering(), "debug", "upstream_called", "answered", None),
        (answering(404), "warning", "upstream_call_failed", "not_found", "HTTP 404"),
        (answering(400), "critical", "upstream_alarm", "bad_request", "HTTP 400"),
    ],
    ids=["answered", "failed", "alarm"],
)
async def test_each_call_is_told_with_its_outcome(upstream, server, answer, level, event, outcome, detail):
    server.answers = [answer]
    counted, timed, began = Counted(), calls_timed(), time.monotonic()
    with capture_logs() as lines, suppress(errors.UpstreamError):
        await upstream.ask(EXCHANGE)
    (line,) = lines
    seconds = line.pop("seconds")
    assert 0 < seconds == round(seconds, 3) <= time.monotonic() - began + 0.001
    assert calls_timed() == timed + 1
    told = {"log_level": level, "event": event, "upstream": "test", "outcome": outcome}
    assert line == told | {"request_id": server.request_ids[0]} | ({"detail": detail} if detail else {})
    alarm = {"alarms": ("test", outcome)} if level == "critical" else {}
    assert counted.changed() == {"upstream_calls": ("test", outcome)} | alarm


async def test_a_call_that_is_not_made_is_counted_as_such_and_is_no_call(upstream):
    counted = Counted()
    with capture_logs() as lines, deadline.within(timedelta(0)), pytest.raises(errors.DeadlinePassed):
        await upstream.ask(EXCHANGE)
    assert (lines, counted.changed()) == ([], {})


async def test_a_call_that_the_record_forbids_is_counted_by_why(http, upstream_settings, server, breaker):
    class Full(NoTrail):
        def look_up(self, upstream):
            return self

        async def call(self, request_id, trace_id):
            raise errors.NotAudited

        def answered(self, outcome):
            ended.append(outcome)

        def end(self):
            ended.append("end")

    ended, counted = [], Counted()
    with capture_logs() as lines, pytest.raises(errors.NotAudited):
        await Upstream("test", upstream_settings, http, breaker, Full()).ask(EXCHANGE)
    assert (server.requests, lines, ended) == ([], [], ["not_audited", "end"])
    assert counted.changed() == {"upstream_not_admitted": ("test", "not_audited")}


async def test_a_defect_and_a_call_that_was_cancelled_are_told_as_such(upstream, server):
    server.answers = [answering()]
    counted = Counted()
    with pytest.raises(ZeroDivisionError):
        await upstream.ask(always(ZeroDivisionError()))
    assert counted.changed() == {"upstream_calls": ("test", "defect")}
    counted = Counted()
    with pytest.raises(asyncio.CancelledError):
        await upstream.ask(always(asyncio.CancelledError()))
    assert counted.changed() == {"upstream_calls": ("test", "cancelled")}


async def test_a_call_that_is_not_admitted_is_counted_by_why(upstream, server, http, upstream_settings, breaker):
    server.answers = [answering()]
    with pytest.raises(errors.WrongPerson):
        await upstream.ask(always(errors.WrongPerson()))
    counted = Counted()
    with pytest.raises(errors.CircuitOpen):
        await upstream.ask(EXCHANGE)
    assert counted.changed() == {"upstream_not_admitted": ("test", "circuit_open")}
    closed = Once(datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1))
    settings, counted = upstream_settings.model_copy(update={"service_windows": (closed,)}), Counted()
    with pytest.raises(errors.ServiceWindow):
        await Upstream("test", settings, http, breaker, NoTrail()).ask(EXCHANGE)
    assert counted.changed() == {"upstream_not_admitted": ("test", "service_window")}


async def test_when_too_many_calls_are_repeats_the_first_error_stands(upstream, server, breaker, monkeypatch):
    enter = breaker.enter

    async def no_repeat(*, is_retry):
        if is_retry:
            raise errors.RetryBudgetSpent
        return await enter(is_retry=is_retry)

    monkeypatch.setattr(breaker, "enter", no_repeat)
    server.answers = [answering(503)]
    with pytest.raises(errors.UpstreamUnavailable, match="HTTP 503"):
        await upstream.ask(EXCHANGE)
    assert len(server.requests) == 1


async def test_how_each_call_ended_and_how_long_it_took_is_told_to_all_who_keep_count(
    server, http, upstream_settings, breaker, waits, monkeypatch
):
    class Kept(NoTrail):
        def look_up(self, upstream):
            told.append(upstream)
            return self

        async def call(self, request_id, trace_id):
            told.append((request_id, trace_id))

        def answered(self, outcome):
            told.append(outcome)

        def end(self):
            told.append("end")

    async def record(permit, error, took):
        recorded.append((type(error), took))

    async def sleep(seconds):
        waits.append(seconds)

    told, recorded = [], []
    monkeypatch.setattr(breaker, "record", record)
    server.answers = [answering(503), answering()]
    await Upstream("test", upstream_settings, http, breaker, Kept(), sleep=sleep).ask(EXCHANGE)
    traces = [request.headers["traceparent"].split("-")[1] for request in server.requests]
    first, second = zip(server.request_ids, traces, strict=True)
    assert told == ["test", first, "unavailable", second, "answered", "end"]
    assert [kind for kind, _ in recorded] == [errors.UpstreamUnavailable, type(None)]
    assert all(timedelta(0) < took < timedelta(minutes=1) for _, took in recorded)


@pytest.fixture
def spans():
    """The spans that are opened, each with its kind and what is noted of it."""
    opened = []

    @contextmanager
    def record(name, kind, parent):
        with trace._unrecorded(name, kind, parent) as it:
            span = SimpleNamespace(context=it.context, told={}, kind=kind, title=name)
            span.set_attributes = span.told.update
            opened.append(span)
            yield span

    trace.record_with(record)
    yield opened
    trace.record_with(None)


async def test_a_question_is_a_span_and_each_call_one_within_it(upstream, server, spans):
    server.answers = [answering(503), answering()]
    await upstream.ask(EXCHANGE)
    assert [(span.title, span.kind) for span in spans] == [
        ("ask test", Kind.INTERNAL),
        ("call test", Kind.CLIENT),
        ("call test", Kind.CLIENT),
    ]
    assert [span.told for span in spans] == [
        {},
        {"upstream": "test", "outcome": "unavailable", "request_id": server.request_ids[0]},
        {"upstream": "test", "outcome": "answered", "request_id": server.request_ids[1]},
    ]


async def test_what_is_called_again_is_counted_by_why(upstream, server):
    server.answers = [answering(503), answering()]
    counted = Counted()
    await upstream.ask(EXCHANGE)
    assert counted.now()["registerbro_upstream_retries", "test", "unavailable"] == 1
    assert counted.now()["registerbro_upstream_calls", "test", "unavailable"] == 1
    assert counted.now()["registerbro_upstream_calls", "test", "answered"] == 1


async def test_an_outage_opens_the_breaker_and_ends_the_calls(upstream, server):
    server.answers = [answering(500)]
    for _ in range(20):
        with pytest.raises(errors.UpstreamError):
            await upstream.ask(EXCHANGE)
    assert len(server.requests) == 5


async def test_an_upstream_that_is_closed_as_planned_is_not_called(http, upstream_settings, server, breaker):
    now = datetime.now(UTC)
    closed = Once(now - timedelta(hours=1), now + timedelta(hours=1))
    settings = upstream_settings.model_copy(update={"service_windows": (closed,)})
    with pytest.raises(errors.ServiceWindow) as caught:
        await Upstream("test", settings, http, breaker, NoTrail()).ask(EXCHANGE)
    assert timedelta(minutes=59) < caught.value.retry_after <= timedelta(hours=1)
    assert server.requests == []


class Large:
    """What an answer is read into."""


@pytest.mark.parametrize("error", [errors.InvalidResponse, errors.TooLong, errors.WrongPerson])
async def test_nothing_of_an_answer_that_was_refused_is_kept_with_the_refusal(upstream, server, error):
    held = []

    def refuse(_):
        large = Large()
        held.append(weakref.ref(large))
        raise error

    server.answers = [answering()]
    gc.disable()
    try:
        with pytest.raises(error) as refused:
            await upstream.ask(Exchange(lambda _: Question("GET", "/"), refuse))
        assert [one() for one in held] == [None] * len(held)
        assert held
        assert refused.traceback
    finally:
        gc.enable()


async def test_what_a_defect_held_can_still_be_looked_at(upstream, server):
    def fail(_):
        large = Large()
        raise ZeroDivisionError(large)

    server.answers = [answering()]
    with pytest.raises(ZeroDivisionError) as failed:
        await upstream.ask(Exchange(lambda _: Question("GET", "/"), fail))
    assert isinstance(failed.traceback[-1].frame.f_locals["large"], Large)
