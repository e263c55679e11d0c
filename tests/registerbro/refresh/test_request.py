"""Asking for a refresh: who may, what is due, and one call however many ask. Nothing here waits for a register."""

import asyncio
import base64
import json
import signal
from datetime import date, timedelta

import pytest
from kombu.utils.json import loads
from redis.exceptions import ResponseError

from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import REGISTERS
from registerbro import refresh
from registerbro.refresh import request as request_module
from registerbro.refresh.request import OutsideTargetGroup, Reason, State, UnknownRegister
from registerbro.storage.coordination.leases import CITIZENS_WISH
from tests.system.chaos import refusing

TODAY = date(2023, 3, 13)
HOUR, NOW = timedelta(hours=1), timedelta(0)
YOUNG = Citizen(Cpr.parse("6102991234"), frozenset({12}), education_order=False)


@pytest.fixture
def me(services):
    return services.citizens.id_of(YOUNG.cpr)


@pytest.fixture
def queued(empty_redis):
    """The arguments of the messages in a queue, oldest first."""

    def arguments(queue):
        with empty_redis["broker"].client() as client:
            messages = [json.loads(message) for message in reversed(client.lrange(queue, 0, -1))]
        return [loads(base64.b64decode(message["body"]))[0] for message in messages]

    return arguments


async def request(services, *registers, citizen=YOUNG, reason=Reason.CITIZEN):
    return await refresh.request_due(services, citizen, registers or None, reason=reason, today=TODAY)


async def test_every_register_is_asked_for_with_the_opaque_id_alone(services, queued, me):
    answers = await request(services)
    assert {name: answer.state for name, answer in answers.items()} == dict.fromkeys(REGISTERS, State.PENDING)
    assert {name: queued(name) for name in REGISTERS} == {name: [[me]] for name in REGISTERS}


async def test_no_message_holds_the_cpr_number(services, empty_redis):
    await request(services)
    with empty_redis["broker"].client() as client:
        everything = b"".join(client.dump(key) for key in client.scan_iter())
    assert YOUNG.cpr.digits.encode() not in everything


async def test_a_hundred_requests_at_once_send_one_message_per_register(services, queued):
    await asyncio.gather(*(request(services) for _ in range(100)))
    assert {name: len(queued(name)) for name in REGISTERS} == dict.fromkeys(REGISTERS, 1)


async def test_only_what_was_named_is_asked_for(services, queued):
    assert list(await request(services, "su", "su")) == ["su"]
    assert (len(queued("su")), len(queued("udb"))) == (1, 0)


@pytest.mark.parametrize(
    "citizen",
    [
        Citizen(YOUNG.cpr, frozenset(), education_order=True),
        Citizen(YOUNG.cpr, frozenset({2, 7}), education_order=True),
        Citizen(YOUNG.cpr, frozenset({1}), education_order=False),
        Citizen(Cpr.parse("7303980000"), frozenset({1}), education_order=True),
    ],
    ids=["no group", "other groups", "no education order", "25 today"],
)
async def test_nothing_is_asked_for_outside_the_target_group(services, empty_redis, citizen):
    with pytest.raises(OutsideTargetGroup):
        await request(services, citizen=citizen)
    for server in empty_redis.values():
        with server.client() as client:
            assert [key for key in client.scan_iter() if b"_kombu" not in key] == []


async def test_an_unknown_register_is_named_with_those_there_are(services, queued):
    with pytest.raises(
        UnknownRegister,
        match=r"no such register: nemid, pas \(there are udb, su, eindkomst, ydelse, "
        r"visitering, kontaktforloeb, jobsearch, borgerindsats\)",
    ):
        await request(services, "udb", "pas", "nemid")
    assert queued("udb") == []


async def test_what_is_fresh_is_left_alone(services, queued, me):
    await services.entries.store(me, "su", {"su_attempts": []}, age=NOW, fresh_for=HOUR, usable_for=HOUR)
    assert (await request(services, "su"))["su"].state is State.FRESH
    assert queued("su") == []


async def test_what_is_stale_is_asked_for(services, queued, me):
    await services.entries.store(me, "su", {"su_attempts": []}, age=HOUR, fresh_for=HOUR, usable_for=9 * HOUR)
    assert (await request(services, "su"))["su"].state is State.PENDING
    assert len(queued("su")) == 1


async def test_what_failed_a_moment_ago_is_not_asked_for_again(services, queued, me):
    await services.entries.fail(me, "su", "unavailable", age=NOW, retry_after=HOUR)
    answer = (await request(services, "su"))["su"]
    assert answer.state is State.UNAVAILABLE
    assert answer.retry_after <= HOUR
    assert queued("su") == []


async def test_an_operator_may_ask_again_at_once(services, queued, me):
    await services.entries.fail(me, "su", "unavailable", age=NOW, retry_after=HOUR)
    assert (await request(services, "su", reason=Reason.OPERATOR))["su"].state is State.PENDING
    assert len(queued("su")) == 1


async def test_without_the_cache_nothing_is_promised(services, empty_redis, queued):
    empty_redis["cache"].process.kill()
    try:
        answers = await request(services)
    finally:
        empty_redis["cache"].start()
    assert {answer.state for answer in answers.values()} == {State.UNAVAILABLE}
    assert queued("udb") == []


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_without_the_broker_nothing_is_promised_and_nobody_waits_for_ever(services, empty_redis, number):
    empty_redis["broker"].process.signal(number)
    try:
        answers = await request(services, "su")
    finally:
        empty_redis["broker"].process.signal(signal.SIGCONT)
        if number is signal.SIGKILL:
            empty_redis["broker"].process.popen.wait()
            empty_redis["broker"].start()
    assert answers["su"].state is State.UNAVAILABLE


async def test_when_the_cache_refuses_as_it_is_told_the_next_sweep_sends_it(services, empty_redis, queued, me):
    from workers.su.tasks import REGISTER

    with refusing.replica(empty_redis["cache"]), pytest.raises(ResponseError, match=r"READONLY|read only replica"):
        await request_module._ask(services, me, ["su"], CITIZENS_WISH)
    assert queued("su") == []
    await REGISTER.sweep(services)
    assert queued("su") == [[me]]


async def test_when_the_broker_refuses_as_it_is_told_the_page_does_not_wait(services, empty_redis, me):
    await request_module._ask(services, me, ["su"], CITIZENS_WISH)
    assert (await services.entries.read(me, ["su"]))["su"].pending
    with refusing.replica(empty_redis["broker"]):
        assert await request_module._send(services, me, "su") is False
    assert not (await services.entries.read(me, ["su"]))["su"].pending


async def test_whatever_publishing_fails_with_nothing_is_promised_and_the_next_sweep_sends_it(
    services, app, monkeypatch, queued, me
):
    from workers.su.tasks import REGISTER

    def lose_connection(*_, **__):
        # So kombu fails when its connection is lost while another thread publishes.
        raise AttributeError("'NoneType' object has no attribute 'client'")

    with monkeypatch.context() as patch:
        patch.setattr(app, "send_task", lose_connection)
        assert (await request(services, "su"))["su"].state is State.UNAVAILABLE
    await REGISTER.sweep(services)
    assert queued("su") == [[me]]


async def test_a_message_that_was_lost_is_sent_again_by_the_sweep(services, empty_redis, queued, me):
    from workers.su.tasks import REGISTER

    await request(services, "su")
    with empty_redis["broker"].client() as client:
        client.delete("su")
        client.zadd("wanted:{su}", {me: 0})
    await REGISTER.sweep(services)
    assert queued("su") == [[me]]


async def test_what_never_comes_is_told_as_a_failure(services, empty_redis, me):
    from workers.su.tasks import REGISTER

    await request(services, "su")
    with empty_redis["broker"].client() as client:
        for _ in range(5):
            client.zadd("wanted:{su}", {me: 0})
            await REGISTER.sweep(services)
    assert (await services.entries.read(me, ["su"]))["su"].failure == "given_up"
