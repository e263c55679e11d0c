"""The queues as an operator sees them: how many wait, and since when."""

import signal
import time

import pytest

from config.celery import QUEUES
from registerbro.messaging.inspect import BrokerDown, Queues, Waiting
from registerbro.messaging.publish import PUBLISHED_AT, stamp

ID = "a" * 52


@pytest.fixture
def queues(app, make_settings):
    it = Queues(make_settings())
    yield it
    it.close()


def test_nothing_waits_in_empty_queues(queues):
    found = queues.inspect(QUEUES)
    assert found.queues == dict.fromkeys(QUEUES, Waiting(0, None))
    assert found.dead_letters == 0


def test_messages_are_counted_and_the_oldest_tells_its_age(queues, app):
    before = time.time()
    for _ in range(3):
        app.send_task("udb.refresh", args=[ID], queue="udb")
    app.send_task("su.refresh", args=[ID], queue="su.bulk")
    found = queues.inspect(QUEUES).queues
    assert {name: one.messages for name, one in found.items() if one.messages} == {"udb": 3, "su.bulk": 1}
    assert 0 <= found["udb"].oldest <= time.time() - before


def test_a_message_of_somebody_else_is_counted_and_has_no_age(queues, empty_redis):
    with empty_redis["broker"].client() as client:
        client.lpush("udb", b"not json", b'{"headers": null}')
    assert queues.inspect(["udb"]).queues["udb"] == Waiting(2, None)


def test_dead_letters_are_counted(queues, empty_redis):
    with empty_redis["broker"].client() as client:
        client.hset("unacked_dead", mapping={"a": "{}", "b": "{}"})
    assert queues.inspect(["udb"]).dead_letters == 2


def test_every_message_says_when_it_was_published():
    headers = {}
    stamp(headers)
    assert abs(headers[PUBLISHED_AT] - time.time()) < 60


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_broker_that_does_not_tell_is_an_error_and_is_asked_again_later(queues, empty_redis, number):
    queues.inspect(QUEUES)
    broker = empty_redis["broker"]
    broker.process.signal(number)
    try:
        with pytest.raises(BrokerDown):
            queues.inspect(QUEUES)
    finally:
        broker.process.signal(signal.SIGCONT)
        if number is signal.SIGKILL:
            broker.process.popen.wait()
            broker.start()
    assert queues.inspect(QUEUES).queues["udb"].messages == 0
