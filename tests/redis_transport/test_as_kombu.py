"""Behaviour of kombu that its users count on: each test would pass on kombu's own transport, or should."""

import json
import os
import socket
import stat
import threading
from contextlib import suppress

import pytest
import redis
from kombu import Consumer, Exchange, Message, Queue
from kombu.asynchronous import Hub
from kombu.common import itermessages
from kombu.mixins import ConsumerMixin

from redis_transport.store import Store
from tests.redis_transport.app import make_app
from tests.redis_transport.conftest import Connect, Crew
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.servers import wait_for


def test_one_wait_brings_one_message(connect: Connect) -> None:
    """Without a prefetch count: the caller looks in between for what it waits for."""
    connection = connect()
    inbox = Inbox(connection, "q")
    publish_with(connect(), *range(50))
    for count in range(1, 51):
        connection.drain_events(timeout=20)
        assert [message.payload for message in inbox.messages] == list(range(count))


def test_one_wait_ends_however_much_is_published_meanwhile(connect: Connect) -> None:
    connection, publisher = connect(), connect()
    publish_with(publisher, "first")
    seen = []

    def publish_another(body: object, message: Message) -> None:
        seen.append(body)
        message.ack()
        publish_with(publisher, "another", "yet another")

    with Consumer(connection, Queue("q", Exchange("q"), routing_key="q"), callbacks=[publish_another]):
        connection.drain_events(timeout=20)
    assert seen == ["first"]


def test_one_turn_of_an_event_loop_is_one_fetch(connect: Connect, client: redis.Redis) -> None:
    connection = connect(fetch_limit=5)
    inbox = Inbox(connection, "q")
    publish_with(connect(), *range(50))
    hub = Hub()
    connection.register_with_event_loop(hub)
    loop = hub.create_loop()
    turns = 0
    while len(inbox.messages) < 50:
        before = len(inbox.messages)
        next(loop)
        turns += 1
        # One when its turn begins, and one for a wake-up.
        assert len(inbox.messages) - before <= 10
    assert turns < 50
    hub.close()


@pytest.mark.xdist_group("transport")
def test_a_worker_without_a_prefetch_count_answers_while_its_queue_is_long(crew: Crew) -> None:
    crew.send("note", *[f"task {number}" for number in range(3000)])
    crew.start("ours", "-P", "solo", "--prefetch-multiplier", "0", redelivery_time=5)
    app = make_app("ours", crew.broker.url)
    try:
        assert app.control.ping(timeout=20, limit=1)
        assert crew.ran() < 3000
    finally:
        app.close()


def test_a_limit_of_messages_is_a_limit(connect: Connect, client: redis.Redis) -> None:
    publish_with(connect(), *range(20))
    connection = connect()

    class Three(ConsumerMixin):
        def __init__(self) -> None:
            self.connection = connection
            self.seen: list[object] = []

        def get_consumers(self, consumer: type[Consumer], channel: object) -> list[Consumer]:
            return [consumer([Queue("q")], callbacks=[self.on_message])]

        def on_message(self, body: object, message: Message) -> None:
            self.seen.append(body)
            message.ack()

    three = Three()
    for _ in three.consume(limit=3):
        pass
    assert three.seen == [0, 1, 2]
    assert client.llen("q") == 17


def test_replies_are_all_collected_and_no_more_than_the_limit(connect: Connect, client: redis.Redis) -> None:
    publish_with(connect(), *range(20))
    connection = connect()
    took = [body for body, _ in itermessages(connection, connection.channel(), Queue("q"), limit=7, timeout=5)]
    assert took == list(range(7))


@pytest.mark.parametrize("end", ["raises", "closes", "cancels", "is satisfied"])
@pytest.mark.parametrize("loop", [False, True], ids=["waiting", "event loop"])
def test_a_consumer_without_acknowledgements_that_ends_early_loses_nothing(
    connect: Connect, client: redis.Redis, end: str, loop: bool
) -> None:
    publish_with(connect(), *range(10))
    connection = connect()
    inbox = Inbox(connection, "q", no_ack=True)
    hub = Hub()

    def on_message(message: Message) -> None:
        inbox.messages.append(message)
        if end == "raises":
            raise KeyboardInterrupt
        if end == "closes":
            inbox.channel.close()
        elif end == "cancels":
            inbox.consumer.cancel()

    inbox.consumer.on_message = on_message
    turns = hub.create_loop()
    if loop:
        connection.register_with_event_loop(hub)
    with suppress(KeyboardInterrupt, OSError, KeyError, AttributeError):
        while not inbox.messages:
            if loop:
                next(turns)
            else:
                connection.drain_events(timeout=20)
    connection.release()
    hub.close()
    waiting = [json.loads(text)["body"] for text in client.lrange("q", 0, -1)]
    assert len(inbox.messages) + len(waiting) == 10
    rest = Inbox(connect(), "q").wait(len(waiting))
    assert [message.payload for message in inbox.messages + rest] == list(range(10)), "in their order"


def test_getting_a_message_or_none_prolongs_a_queue_that_expires(connect: Connect, client: redis.Redis) -> None:
    connection = connect()
    queue = Queue("q", Exchange("q"), routing_key="q", expires=600)(connection.default_channel)
    queue.declare()
    publish_with(connect(), 1, 2)
    for key in ("q", "q\x06\x16bell"):
        client.pexpire(key, 5000)
    queue.get().ack()
    assert client.pttl("q") > 500_000


def test_a_binding_is_kept_under_a_consumer_that_is_always_behind(connect: Connect, client: redis.Redis) -> None:
    connection = connect()
    exchange = Exchange("e", type="topic")
    queue = Queue("q", exchange, routing_key="#", expires=600)
    seen: list[object] = []
    with Consumer(connection, queue, callbacks=[lambda body, message: (seen.append(body), message.ack())]):
        producer = connection.Producer(serializer="json")
        for number in range(5):
            producer.publish(number, exchange=exchange, routing_key="any", declare=[queue])
        connection.drain_events(timeout=20)
        client.delete("_kombu.binding.e")
        connection.default_channel._binding_expiry_refreshed_at = float("-inf")
        connection.drain_events(timeout=20)
        assert client.smembers("_kombu.binding.e"), "while more is waiting"
    assert len(seen) == 2


@pytest.mark.parametrize("how", ["closed", "recovered", "handed back"])
def test_what_was_delivered_before_says_so_after_an_orderly_return(connect: Connect, how: str) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1)
    assert "redelivered" not in inbox.wait(1)[0].headers
    if how == "closed":
        inbox.consumer.cancel()
        inbox.channel.close()
    elif how == "recovered":
        inbox.channel.basic_recover(requeue=True)
    else:
        inbox.channel.qos.holding.give_back([inbox.messages[0].delivery_tag])
    other = inbox if how != "closed" else Inbox(connect(), "q")
    message = other.wait(1 + (other is inbox))[-1]
    assert message.headers["redelivered"]
    assert message.delivery_info["redelivered"]
    message.ack()


@pytest.mark.parametrize("tag", [7, 0, -3, 2**40, 1.5, 10**30, True])
def test_a_delivery_tag_may_be_a_number(connect: Connect, client: redis.Redis, tag: object) -> None:
    inbox = Inbox(connect(), "q")
    for _ in range(2):
        info = {"exchange": "", "routing_key": "q"}
        properties = {"delivery_tag": tag, "body_encoding": "base64", "delivery_info": info}
        message = {"body": "e30=", "content-type": "application/json", "headers": {}, "properties": properties}
        client.lpush("q", json.dumps(message))
    first, second = inbox.wait(2)
    first.ack()
    assert client.hlen("unacked") == 1
    second.requeue()
    again = inbox.wait(3)[2]
    assert again.headers["redelivered"]
    again.reject()
    assert not client.exists("q", "unacked", "unacked_index")


@pytest.mark.parametrize("name", ["dead_letters", "consumers", "bell", 'a", "", "b', "ø", "a:b.c/d"])
def test_a_queue_may_have_any_name(connect: Connect, client: redis.Redis, name: str) -> None:
    inbox = Inbox(connect(max_deliveries=3), name)
    publish_with(connect(), 1, queue=name)
    for times in (1, 2, 3):
        inbox.wait(times)[-1].requeue()
    store = Store(client)
    (letter,) = store.dead_letters()
    assert letter.queue == name
    assert store.replay(letter.tag)
    inbox.wait(4)[3].ack()
    assert not client.exists(name, "unacked")


def test_it_works_without_the_emulation_of_acknowledgements(connect: Connect, client: redis.Redis) -> None:
    connection = connect(ack_emulation=False)
    inbox = Inbox(connection, "q")
    publish_with(connection, 1, 2, 3, 4)
    first, second = inbox.wait(2)
    first.ack()
    second.reject()
    inbox.consumer.cancel()
    channel = connection.default_channel
    got = channel.basic_get("q")
    got.requeue()
    assert channel.basic_get("q", no_ack=True) is not None
    assert channel.basic_get("q", no_ack=True) is not None
    assert channel.basic_get("q") is None
    connection.release()
    assert not client.exists("q", "unacked", "unacked_index", "unacked_consumers")


@pytest.mark.parametrize("end", ["exits", "releases", "collects"])
def test_a_forked_child_puts_nothing_back_that_its_parent_holds(
    connect: Connect, client: redis.Redis, end: str
) -> None:
    connection = connect(redelivery_time=60)
    inbox = Inbox(connection, "q")
    publish_with(connect(), 1, 2)
    running, other = inbox.wait(2)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if end == "releases":
                connection.release()
            elif end == "collects":
                connection.collect()
            else:
                from multiprocessing import util

                inbox.channel.close()
                inbox.channel.qos.holding.close()
                util._exit_function()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert client.hlen("unacked") == 2
    assert client.llen("q") == 0
    running.ack()
    publish_with(connect(), 3)
    assert inbox.wait(3)[2].payload == 3, "its connections are its own still"
    other.ack()
    assert client.hlen("unacked") == 1


def test_a_consumer_that_is_cancelled_in_its_callback_gets_nothing_more(connect: Connect, client: redis.Redis) -> None:
    connection = connect()
    publish_with(connect(), *range(10))
    inbox = Inbox(connection, "q")

    def cancel(message: Message) -> None:
        inbox.messages.append(message)
        message.ack()
        inbox.consumer.cancel()

    inbox.consumer.on_message = cancel
    inbox.wait(1)
    with pytest.raises(socket.timeout):
        connection.drain_events(timeout=0.1)
    assert len(inbox.messages) == 1
    assert client.llen("q") == 9
    assert not client.exists("unacked")


def test_release_ends_the_thread_and_every_connection(connect: Connect, client: redis.Redis) -> None:
    connection = connect()
    inbox = Inbox(connection, "q")
    publish_with(connect(), 1, 2)
    inbox.wait(1)
    names = {thread.name for thread in threading.enumerate()}
    assert inbox.channel.qos.holding.name in " ".join(names)
    mine = {inbox.channel.qos.holding.store.client.client_id()}
    connection.release()
    assert not any(inbox.channel.qos.holding.name in thread.name for thread in threading.enumerate())
    assert not mine & {int(each["id"]) for each in client.client_list()}
    assert client.llen("q") == 2, "what it held is back"


def test_connections_that_are_cut_again_and_again_leave_no_socket_behind(connect: Connect, client: redis.Redis) -> None:
    connection = connect(redelivery_time=1)

    def cut() -> None:
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub", skipme=True)

    def round_trip() -> None:
        inbox = Inbox(connection, "q")
        with suppress(*connection.connection_errors, socket.timeout):
            connection.drain_events(timeout=0.01)
        inbox.channel.qos.holding.store.waiting(["q"])
        cut()
        connection.collect()

    round_trip()
    before = _open_sockets()
    for _ in range(20):
        round_trip()
    wait_for(lambda: _open_sockets() <= before + 2, "the end of the sockets", within=20)


def _open_sockets() -> int:
    count = 0
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            count += stat.S_ISSOCK(os.fstat(int(name)).st_mode)
    return count
