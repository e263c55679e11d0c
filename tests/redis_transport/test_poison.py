"""Messages that are none, without a worker: each is a dead letter or is delivered, and the next one comes."""

import json
import os

import pytest
import redis

from redis_transport.store import Store
from tests.redis_transport.conftest import Connect
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.messages import GOOD, POISON, SECRET, changed, task_message, with_headers


@pytest.mark.parametrize("text", POISON.values(), ids=POISON)
def test_a_consumer_of_kombus_meets_poison_and_gets_the_next_message(
    connect: Connect, client: redis.Redis, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What kombu can read is delivered; all else is a dead letter."""
    connection = connect()
    inbox = Inbox(connection, "q")
    client.lpush("q", text)
    publish_with(connect(), "good")
    while not any(
        message.properties.get("delivery_tag") and "good" in repr(message.body) for message in inbox.messages
    ):
        connection.drain_events(timeout=20)
    store = Store(client)
    assert len(inbox.messages) - 1 + len(store.dead_letters()) == 1
    for message in inbox.messages:
        message.ack()
    assert not client.exists("q", "unacked", "unacked_index")
    assert SECRET not in caplog.text


def test_getting_one_message_passes_over_poison(connect: Connect, client: redis.Redis) -> None:
    client.lpush("q", b"none", b"\xff", json.dumps(task_message("good")))
    channel = connect().default_channel
    message = channel.basic_get("q")
    assert message.delivery_tag == "tag-good"
    assert channel.basic_get("q", no_ack=True) is None
    assert len(Store(client).dead_letters()) == 2
    message.ack()


def test_poison_among_messages_that_need_no_acknowledgement_is_a_dead_letter(
    connect: Connect, client: redis.Redis
) -> None:
    inbox = Inbox(connect(), "q", no_ack=True)
    client.lpush("q", b"none", changed(body="a"), json.dumps(task_message("good")))
    inbox.wait(1)
    assert [message.delivery_tag for message in inbox.messages] == ["tag-good"]
    assert len(Store(client).dead_letters()) == 2
    assert not client.exists("q", "unacked")


@pytest.mark.parametrize("half", [json.loads('"\\ud83d"'), os.fsdecode(b"\xff")], ids=["an emoji's", "a file name's"])
def test_half_a_surrogate_pair_in_an_argument_is_delivered_and_comes_back(
    connect: Connect, client: redis.Redis, half: str
) -> None:
    inbox = Inbox(connect(max_deliveries=2), "q")
    publish_with(connect(), half, priority=6, headers={"task": "t", "id": "i"})
    inbox.wait(1)[0].requeue()
    assert client.llen("q\x06\x166") == 1, "in the list of its priority"
    inbox.wait(2)[1].requeue()
    store = Store(client)
    (letter,) = store.dead_letters()
    assert (letter.task, letter.id) == ("t", "i")
    assert store.replay(letter.tag)
    again = inbox.wait(3)[2]
    assert again.payload == half
    again.ack()
    assert not client.exists("q\x06\x166", "unacked")


@pytest.mark.parametrize("text", [bytes(range(256)), b'"\\u0000\x00/\x7f', "æøå\u2028".encode()])
def test_a_dead_letter_keeps_the_message_to_the_byte(store: Store, client: redis.Redis, text: bytes) -> None:
    client.lpush("q", text)
    store.fetch("a", ["q"], 1)
    (letter,) = store.dead_letters()
    assert store.text(letter.tag) == text


def test_two_messages_of_one_tag_are_two_messages(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    for _ in range(3):
        client.lpush("q", GOOD)
    for message in inbox.wait(3):
        message.ack()
    assert len({message.delivery_tag for message in inbox.messages}) == 3
    assert not client.exists("q", "unacked", "unacked_index")


def test_a_name_that_may_be_personal_data_is_not_logged(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.lpush(
        "q", with_headers(task=f"for {SECRET}\n", id=f"{SECRET} is mine").replace(b'"base64"', b'"base64"\xff')
    )
    store.fetch("a", ["q"], 1)
    (letter,) = store.dead_letters()
    assert (letter.task, letter.id) == (None, None)


def test_old_dead_letters_are_kept_and_leave_their_key_to_a_queue(
    connect: Connect, store: Store, client: redis.Redis
) -> None:
    old = {"tag": "t", "queue": "q", "deliveries": 5, "since": 1, "died": 2, "reason": "worker lost",
           "message": GOOD.decode()}  # fmt: skip
    client.hset("dead_letters", "t", json.dumps(old))
    assert [letter.tag for letter in store.dead_letters()] == ["t"]
    inbox = Inbox(connect(), "dead_letters")
    publish_with(connect(), "x", queue="dead_letters")
    inbox.wait(1)[0].ack()
    assert store.replay("t")
