"""The pipeline: what is called again, how often, when, and with which request id."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from config.windows import Once
from tests.resilience.conftest import answering, hang, reset
from workers.resilience import deadline, errors
from workers.resilience.client import Question
from workers.resilience.trail import NoTrail
from workers.resilience.upstream import Exchange, Upstream


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
        ([answering(500), answering(body=b"{"), answering(body=b"{")], errors.InvalidResponse, 3),
    ],
)
async def test_each_error_is_called_again_as_the_table_says(upstream, server, answers, error, calls):
    server.answers = answers
    with pytest.raises(error):
        await upstream.ask(EXCHANGE)
    assert len(server.requests) == calls


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


async def test_the_same_request_keeps_its_id_and_a_new_one_gets_another(upstream, server):
    server.answers = [reset, answering(503), answering()]
    await upstream.ask(EXCHANGE)
    first, repeated, new = server.request_ids
    assert first == repeated != new
    assert all(len(request_id) <= 46 for request_id in server.request_ids)


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
