"""A channel: publishing, waiting, fetching and handing over, with real connections and no workers."""

from collections.abc import Callable

import pytest
import redis
from kombu import Exchange, Message, Queue

from redis_transport.store import Store
from tests.redis_transport.conftest import Connect
from tests.redis_transport.inbox import Inbox, publish_with

Publish = Callable[..., str]


def test_what_is_published_arrives(connect: Connect) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2, 3)
    assert [message.payload for message in inbox.wait(3)] == [1, 2, 3]


def test_a_stock_publishers_message_arrives_without_a_wake_up(connect: Connect, publish: Publish) -> None:
    inbox = Inbox(connect(), "q")
    assert inbox.nothing_comes()
    tag = publish()
    assert [message.delivery_tag for message in inbox.wait(1)] == [tag]


def test_a_whole_batch_arrives(connect: Connect) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), *range(50))
    assert [message.payload for message in inbox.wait(50)] == list(range(50))


def test_the_bulk_queue_comes_last_and_still_gets_its_turn(connect: Connect) -> None:
    inbox = Inbox(connect(bulk_share=3), "q.bulk", "q", prefetch=1)
    publisher = connect()
    publish_with(publisher, *["now"] * 6)
    publish_with(publisher, *["later"] * 6, queue="q.bulk")
    order = []
    for count in range(1, 13):
        message = inbox.wait(count)[-1]
        order.append(message.payload)
        message.ack()
    assert 1 <= order[:7].count("later") <= 3
    assert order[-3:] == ["later"] * 3


def test_priorities_are_kept(connect: Connect) -> None:
    publisher = connect()
    publish_with(publisher, "low", priority=9)
    publish_with(publisher, "high", priority=0)
    inbox = Inbox(connect(), "q", prefetch=1)
    inbox.wait(1)[0].ack()
    inbox.wait(2)[1].ack()
    assert [message.payload for message in inbox.messages] == ["high", "low"]


def test_scripts_that_redis_forgot_are_loaded_again(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publisher = connect()
    for count in (1, 2):
        client.script_flush()
        publish_with(publisher, count)
        inbox.wait(count)[-1].ack()
    assert not client.exists("q", "unacked")


def test_copies_of_a_message_in_several_queues_are_settled_each_by_itself(
    connect: Connect, client: redis.Redis
) -> None:
    connection = connect()
    exchange = Exchange("all", type="topic")
    queues = [Queue(name, exchange, routing_key="#") for name in ("one", "two")]
    connection.Producer(serializer="json").publish("x", exchange=exchange, routing_key="any", declare=queues)
    inbox = Inbox(connect(), "one", "two")
    first, _ = inbox.wait(2)
    first.ack()
    assert client.hlen("unacked") == 1


def test_a_consumer_without_acknowledgements_leaves_nothing_noted(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q", no_ack=True)
    publish_with(connect(), 1)
    inbox.wait(1)
    assert not client.exists("q", "unacked", "unacked_index")


def test_one_message_can_be_got_by_itself(connect: Connect, client: redis.Redis) -> None:
    connection = connect()
    publish_with(connection, 1, 2)
    channel = connection.default_channel
    message = channel.basic_get("q")
    assert client.hlen("unacked") == 1
    message.ack()
    assert channel.basic_get("q", no_ack=True) is not None
    assert channel.basic_get("q") is None
    assert not client.exists("q", "unacked")


def test_a_consumer_that_raises_loses_nothing(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2, 3)

    def fail(message: Message) -> None:
        inbox.messages.append(message)
        inbox.consumer.on_message = inbox.messages.append
        raise RuntimeError

    inbox.consumer.on_message = fail
    with pytest.raises(RuntimeError):
        inbox.wait(3)
    for message in inbox.wait(3):
        message.ack()
    assert not client.exists("q", "unacked")


def test_a_consumer_that_stops_amid_a_batch_gives_the_rest_back(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2, 3)

    def stop(message: Message) -> None:
        inbox.messages.append(message)
        inbox.channel._basic_cancel(inbox.consumer._active_tags["q"])

    inbox.consumer.on_message = stop
    inbox.wait(1)[0].ack()
    assert not client.exists("unacked")
    rest = Inbox(connect(), "q").wait(2)
    assert [message.payload for message in rest] == [2, 3]


class Refusing:
    """An inspector that refuses some bodies."""

    def __init__(self) -> None:
        self.dead: list[str] = []

    def inspect(self, message: Message, queue: str) -> None:
        if message.payload == "bad":
            raise ValueError(queue)

    def on_dead_letter(self, message: Message, error: Exception | None) -> None:
        self.dead.append(f"{message.payload}: {error!r}")


@pytest.mark.parametrize("no_ack", [False, True])
def test_what_an_inspector_refuses_is_a_dead_letter_and_the_next_message_comes(
    connect: Connect, client: redis.Redis, no_ack: bool
) -> None:
    connection = connect()
    connection.transport.inspector = inspector = Refusing()
    inbox = Inbox(connection, "q", no_ack=no_ack)
    publish_with(connect(), "bad", "good")
    assert [message.payload for message in inbox.wait(1)] == ["good"]
    assert inspector.dead == ["bad: ValueError('q')"]
    (letter,) = Store(client).dead_letters()
    assert (letter.queue, letter.reason) == ("q", "raised ValueError")
