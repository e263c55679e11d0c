"""Prefetch, acknowledgements and rejections, and what dead consumers leave."""

import gc

import pytest
import redis

from tests.redis_transport.conftest import Connect
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.servers import wait_for


def test_the_prefetch_count_is_respected(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q", prefetch=3)
    publish_with(connect(), *range(5))
    inbox.wait(3)
    assert inbox.nothing_comes()
    assert client.hlen("unacked") == 3
    inbox.messages[0].ack()
    assert len(inbox.wait(4)) == 4


def test_an_acknowledged_message_is_gone(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1)
    inbox.wait(1)[0].ack()
    assert not client.exists("q", "unacked", "unacked_index")


def test_a_rejected_message_is_gone_and_a_requeued_one_comes_again(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), "gone", "again")
    gone, again = inbox.wait(2)
    gone.reject()
    again.requeue()
    repeated = inbox.wait(3)[2]
    assert repeated.payload == "again"
    assert repeated.headers["redelivered"]
    repeated.ack()
    assert not client.exists("q", "unacked", "unacked_index", "unacked_deliveries")


def test_a_message_that_is_rejected_again_and_again_is_a_dead_letter(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox(connect(max_deliveries=2), "q")
    publish_with(connect(), "secret")
    for times in (1, 2):
        inbox.wait(times)[-1].requeue()
    assert inbox.nothing_comes()
    (letter,) = inbox.channel.qos.holding.store.dead_letters()
    assert (letter.deliveries, letter.reason) == (2, "rejected")
    assert "Dead letter after 2 deliveries" in caplog.text
    assert "secret" not in caplog.text


def test_closing_in_order_puts_the_rest_back_at_once(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2)
    inbox.wait(2)[0].ack()
    inbox.consumer.cancel()
    inbox.channel.close()
    assert client.llen("q") == 1
    assert not client.exists("unacked", "unacked_index", "unacked_consumers")


def test_acknowledgements_outlive_a_lost_connection(connect: Connect, client: redis.Redis) -> None:
    """A channel that is closed while it consumes has lost its connection, and its tasks still run."""
    inbox = Inbox(connect(redelivery_time=2), "q")
    publish_with(connect(), 1, 2)
    running, other = inbox.wait(2)
    inbox.connection.collect()
    assert client.hlen("unacked") == 2, "nothing is put back while it runs"
    running.ack()
    wait_for(lambda: client.hlen("unacked") == 1, "the acknowledgement")
    assert client.llen("q") == 0
    other.ack()
    wait_for(lambda: not client.exists("unacked", "unacked_consumers"), "the end of what outlived its channel")


def test_a_message_whose_object_is_gone_goes_back(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(redelivery_time=2), "q")
    publish_with(connect(), 1, 2)
    kept, _ = inbox.wait(2)
    inbox.connection.collect()
    del inbox.messages[:], _
    gc.collect()
    wait_for(lambda: client.llen("q") == 1, "the other message")
    assert client.hkeys("unacked") == [kept.delivery_tag.encode()]
    kept.ack()
    wait_for(lambda: not client.exists("unacked"), "the acknowledgement")


def test_what_a_dead_stock_worker_held_comes_back_after_the_visibility_timeout(
    connect: Connect, client: redis.Redis
) -> None:
    stock = Inbox(connect(transport="kombu.transport.redis:Transport"), "q")
    publish_with(connect(), 1)
    stock.wait(1)
    client.zadd("unacked_index", {stock.messages[0].delivery_tag: 1000})
    stock.channel.qos._delivered.clear()
    ours = Inbox(connect(redelivery_time=1, visibility_timeout=30), "q")
    ours.wait(1)[0].ack()
    assert not client.exists("q", "unacked", "unacked_index")


def test_what_our_dead_held_comes_to_a_stock_worker_after_the_visibility_timeout(
    connect: Connect, client: redis.Redis
) -> None:
    dead = Inbox(connect(), "q")
    publish_with(connect(), "x")
    tag = dead.wait(1)[0].delivery_tag
    dead.channel.qos.holding._ended = True
    client.zadd("unacked_index", {tag: 1000})
    stock = Inbox(connect(transport="kombu.transport.redis:Transport", visibility_timeout=30), "q")
    stock.channel.qos.restore_visible(interval=1)
    (message,) = stock.wait(1)
    assert message.payload == "x"
    message.ack()
    assert not client.exists("q", "unacked", "unacked_index")
