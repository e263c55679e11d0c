"""What one consumer holds: signs of life, lapse, acknowledgements, and its end."""

import logging
from collections.abc import Callable, Iterator

import pytest
import redis

from redis_transport.consumer import Holding
from redis_transport.options import ALONE_AFTER
from tests.redis_transport.conftest import Connect, MakeStore
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.servers import wait_for

Publish = Callable[..., str]


def test_a_consumer_that_was_cut_off_says_so_once_and_harms_no_other(
    connect: Connect, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off = Inbox(connect(redelivery_time=2), "q")
    publish_with(connect(), 1)
    (late,) = cut_off.wait(1)
    cut_off.channel.qos.holding.store.restore(-1)  # what another worker does when it sees no sign of life
    other = Inbox(connect(redelivery_time=60), "q")
    (current,) = other.wait(1)
    wait_for(lambda: "Cut off from Redis" in caplog.text, "the log line")
    late.ack()
    assert client.hexists("unacked", current.delivery_tag), "the acknowledgement of the late one does nothing"
    current.ack()
    assert not client.exists("unacked")
    lines = [record for record in caplog.records if record.name == "redis_transport" and record.levelno > logging.INFO]
    assert len(lines) == 1


def test_holding_on_takes_a_heartbeat_and_nothing_from_the_main_thread(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(redelivery_time=1), "q")
    publish_with(connect(), 1)
    (message,) = inbox.wait(1)
    seen = client.zscore("unacked_index", message.delivery_tag)
    wait_for(lambda: client.zscore("unacked_index", message.delivery_tag) > seen + 2, "signs of life")
    message.ack()
    assert not client.exists("unacked")


def test_a_message_of_a_dead_consumer_comes_to_another(connect: Connect, client: redis.Redis) -> None:
    dead = Inbox(connect(redelivery_time=1), "q")
    publish_with(connect(), 1)
    dead.wait(1)
    dead.channel.qos.holding._ended = True  # as its process would be
    other = Inbox(connect(redelivery_time=1), "q")
    (message,) = other.wait(1)
    assert message.headers["redelivered"]
    message.ack()


def test_a_lost_fetch_is_found_again(connect: Connect, client: redis.Redis) -> None:
    """Redis did it, and the answer did not arrive: the messages go back when the channel ends."""
    inbox = Inbox(connect(redelivery_time=1), "q")
    publish_with(connect(), 1, 2)
    (first, *_) = inbox.wait(1)
    holding = inbox.channel.qos.holding
    publish_with(connect(), 3)
    holding.store.fetch(holding.name, ["q"], 10)
    inbox.connection.collect()
    wait_for(lambda: client.llen("q") == 2, "the messages of the lost fetch")
    assert first.delivery_tag.encode() in client.hkeys("unacked")
    for message in inbox.messages:
        message.ack()
    wait_for(lambda: not client.exists("unacked"), "the acknowledgements")


@pytest.fixture
def holding(make_store: MakeStore) -> Iterator[Holding]:
    """A consumer without a channel."""
    holding = Holding(make_store(), redelivery_time=60)
    yield holding
    holding.close()


def take(holding: Holding, limit: int = 10) -> list[str]:
    messages = holding.fetch(["q"], limit).messages
    for message in messages:
        holding.hold(message.tag, message.redeliveries)
    return [message.tag for message in messages]


def test_acknowledgements_go_with_the_next_fetch(holding: Holding, publish: Publish, client: redis.Redis) -> None:
    first, second = publish(), publish()
    assert take(holding, 1) == [first]
    holding.ack(first)
    assert client.hexists("unacked", first)
    assert take(holding, 1) == [second]
    assert client.hkeys("unacked") == [second.encode()]


def test_an_acknowledgement_whose_answer_was_lost_is_sent_again_and_no_reason_to_warn(
    holding: Holding, publish: Publish, client: redis.Redis, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tag = publish()
    take(holding)
    holding.ack(tag)
    settle = holding.store.settle

    def lose_the_answer(*arguments: object) -> None:
        settle(*arguments)
        raise redis.ConnectionError

    with monkeypatch.context() as context:
        context.setattr(holding.store, "settle", lose_the_answer)
        with pytest.raises(redis.ConnectionError):
            holding.flush()
    holding.flush()
    assert not client.exists("unacked")
    assert caplog.records == []


def test_an_end_without_redis_is_logged_and_leaves_the_rest_to_others(
    holding: Holding, publish: Publish, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    take(holding)

    def refuse(*arguments: object) -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(holding.store, "release", refuse)
    holding.close()
    (record,) = caplog.records
    assert record.getMessage().startswith("Messages of this worker go back when it has lapsed: ")


def test_room_for_a_suspect_is_made_by_acknowledging_one(holding: Holding, publish: Publish) -> None:
    tags = [publish() for _ in range(2)]
    for _ in range(ALONE_AFTER):
        holding.store.fetch("dead", ["q"], 2)
        holding.store.restore(-1)
    (suspect,) = take(holding)
    assert take(holding) == []
    assert holding.ack(suspect)
    holding.flush()
    assert take(holding) == [tag for tag in tags if tag != suspect]


def test_a_dead_letter_is_logged_by_its_names_alone(
    holding: Holding, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    tag = publish()
    take(holding)
    holding.dead_letter(tag, "raised ValueError")
    assert [record.getMessage() for record in caplog.records] == [
        f"Dead letter after 0 deliveries (raised ValueError): workers.do[id-{tag}] of queue q"
    ]
