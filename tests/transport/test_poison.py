"""Messages that are none: each is a dead letter or is carried out, and nobody who meets one ends or waits for it."""

import base64
import json
import os
import random
from collections.abc import Callable

import pytest
import redis
from celery import Celery

from ops.local import wait_for
from tests.transport.app import make_app
from tests.transport.conftest import Connect, Crew
from tests.transport.test_channel import Inbox, publish_with
from workers.transport import Store

SECRET = "0101701234"


def task_message(name: str, task: str = "note", **properties: object) -> dict:
    """A message as Celery publishes it."""
    body = base64.b64encode(json.dumps([[name], {}, {"callbacks": None, "errbacks": None}]).encode()).decode()
    return {
        "body": body, "content-encoding": "utf-8", "content-type": "application/json",
        "headers": {
            "lang": "py", "task": task, "id": f"id-{name}", "shadow": None, "eta": None, "expires": None, "group": None,
            "retries": 0, "timelimit": [None, None], "root_id": f"id-{name}", "parent_id": None, "argsrepr": SECRET,
            "kwargsrepr": "{}", "origin": "test", "ignore_result": True,
        },
        "properties": {
            "correlation_id": f"id-{name}", "delivery_mode": 2, "priority": 0,
            "delivery_info": {"exchange": "", "routing_key": "check"},
            "body_encoding": "base64", "delivery_tag": f"tag-{name}", **properties,
        },
    }  # fmt: skip


def changed(**parts: object) -> bytes:
    return json.dumps(task_message("x") | parts).encode()


def with_headers(**headers: object) -> bytes:
    message = task_message("x")
    message["headers"].update(headers)
    return json.dumps(message).encode()


def with_body(content: bytes) -> bytes:
    return changed(body=base64.b64encode(content).decode())


GOOD = json.dumps(task_message("x")).encode()
POISON = {
    "a tag and nothing else": b'{"properties": {"delivery_tag": "x"}}',
    "a tag that is a hexadecimal number": b'{"properties": {"delivery_tag": 0x10}}',
    "a byte that is not UTF-8": GOOD.replace(b"id-x", b"id-\xff"),
    "a raw line break in a string": GOOD.replace(b"id-x", b"id-\n"),
    "no JSON": b"no json " + SECRET.encode(),
    "nothing": b" ",
    "a list": b"[]",
    "a number": b"7",
    "properties that are a list": changed(properties=[1]),
    "properties that are text": changed(properties="delivery_tag"),
    "no properties": changed(properties=None),
    "a body that is not base64": changed(body=SECRET + "*"),
    "a body that is a number": changed(body=5),
    "a body of an unknown encoding": json.dumps(task_message("x", body_encoding="rot13")).encode(),
    "an encoding of the body that is a number": json.dumps(task_message("x", body_encoding=7)).encode(),
    "a body that is no JSON": with_body(b"{" + SECRET.encode()),
    "a body that is not UTF-8": with_body(b"\xff\xfe"),
    "a body of two parts": with_body(b"[[], {}]"),
    "arguments that are a number": with_body(b"[1, {}, {}]"),
    "arguments by name that are a list": with_body(b"[[], [], {}]"),
    "a content type that is refused": changed(**{"content-type": "application/x-python-serialize"}),
    "a content type that nobody knows": changed(**{"content-type": "text/secret"}),
    "arguments too many": with_body(b"[[1, 2, 3], {}, {}]"),
    "an argument that nobody knows": with_body(b'[[], {"other": 1}, {}]'),
    "headers that are a list": changed(headers=[1]),
    "headers that are text": changed(headers="task"),
    "no headers": changed(headers=None),
    "no task": with_headers(task=None),
    "a task that is a list": with_headers(task=["note"]),
    "a task that nobody knows": with_headers(task="nobody knows"),
    "an id that is a map": with_headers(id={}),
    "limits that are a number": with_headers(timelimit=3),
    "limits of three parts": with_headers(timelimit=[1, 2, 3]),
    "a time that is none": with_headers(eta="yesterday"),
    "an end that is none": with_headers(expires="never"),
    "a compression that nobody knows": with_headers(compression="zip"),
    "delivery information that is a list": json.dumps(task_message("x", delivery_info=[1])).encode(),
}  # fmt: skip


@pytest.mark.parametrize("pool", ["threads", "solo"])
@pytest.mark.xdist_group("transport")
def test_each_kind_of_poison_is_a_dead_letter_and_the_worker_goes_on(crew: Crew, pool: str) -> None:
    worker = crew.start("ours", "-P", pool, redelivery_time=2)
    for text in POISON.values():
        crew.client.lpush("check", text)
    crew.client.lpush("check", json.dumps(task_message("good")))
    wait_for(lambda: crew.ran("good") == 1, "the good message behind them")
    store = Store(crew.client)
    wait_for(lambda: store.count_dead() == len(POISON) and crew.is_empty(), "all of them among the dead")
    assert worker.runs
    assert {store.text(letter.tag) for letter in store.dead()} == set(POISON.values())
    assert all(letter.reason for letter in store.dead())
    assert SECRET not in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("text", POISON.values(), ids=POISON)
def test_a_consumer_of_kombus_meets_poison_and_gets_the_next_message(
    connect: Connect, client: redis.Redis, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What kombu can read is delivered, whatever it is; all else is a dead letter."""
    connection = connect()
    inbox = Inbox(connection, "q")
    client.lpush("q", text)
    publish_with(connect(), "good")
    while not any(
        message.properties.get("delivery_tag") and "good" in repr(message.body) for message in inbox.messages
    ):
        connection.drain_events(timeout=20)
    store = Store(client)
    assert len(inbox.messages) - 1 + store.count_dead() == 1
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
    assert Store(client).count_dead() == 2
    message.ack()


def test_poison_among_messages_that_nobody_acknowledges_is_a_dead_letter(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q", no_ack=True)
    client.lpush("q", b"none", changed(body="a"), json.dumps(task_message("good")))
    inbox.wait(1)
    assert [message.delivery_tag for message in inbox.messages] == ["tag-good"]
    assert Store(client).count_dead() == 2
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
    (letter,) = store.dead()
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
    (letter,) = store.dead()
    assert store.text(letter.tag) == text


def test_two_messages_of_one_tag_are_two_messages(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    for _ in range(3):
        client.lpush("q", GOOD)
    for message in inbox.wait(3):
        message.ack()
    assert len({message.delivery_tag for message in inbox.messages}) == 3
    assert not client.exists("q", "unacked", "unacked_index")


def test_what_names_itself_after_somebody_is_not_logged_with_it(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.lpush(
        "q", with_headers(task=f"for {SECRET}\n", id=f"{SECRET} is mine").replace(b'"base64"', b'"base64"\xff')
    )
    store.fetch("a", ["q"], 1)
    (letter,) = store.dead()
    assert (letter.task, letter.id) == (None, None)


def test_old_dead_letters_are_kept_and_leave_their_key_to_a_queue(
    connect: Connect, store: Store, client: redis.Redis
) -> None:
    old = {"tag": "t", "queue": "q", "deliveries": 5, "since": 1, "died": 2, "reason": "worker lost",
           "message": GOOD.decode()}  # fmt: skip
    client.hset("dead_letters", "t", json.dumps(old))
    assert [letter.tag for letter in store.dead()] == ["t"]
    inbox = Inbox(connect(), "dead_letters")
    publish_with(connect(), "x", queue="dead_letters")
    inbox.wait(1)[0].ack()
    assert store.replay("t")


@pytest.mark.xdist_group("transport")
def test_broadcasts_that_are_none_end_no_worker(crew: Crew) -> None:
    worker = crew.start("ours", "-P", "threads", redelivery_time=2)
    for text in (b"[]", b"7", SECRET.encode(), b"\xff", b'{"properties": {}}', b'{"properties": 1}', changed(body="*"),
                 changed(headers=[1]), changed(**{"content-type": "x"}), with_body(b"[]"), GOOD):  # fmt: skip
        crew.client.publish("/0.celery.pidbox", text)
        for topic in ("/0.celeryev/worker.heartbeat", "/0.celeryev/worker.online"):
            crew.client.publish(topic, text)
    crew.send("note", "after")
    wait_for(lambda: crew.ran("after") == 1, "the task after them")
    app: Celery = make_app("ours", crew.broker.url)
    try:
        assert app.control.ping(timeout=20, limit=1)
    finally:
        app.close()
    assert worker.runs
    assert SECRET not in worker.log.read_text()


MUTANTS, SEED = 200, 17


def mutants(choice: random.Random) -> list[bytes]:
    """Good messages, each with one change: in its bytes, its JSON, its headers, its properties or its body."""
    odd = (None, True, 7, -1, 1.5, 1e308, "", "text", "\ud83d", "x" * 5000, [], [1, [2]], {}, {"a": {"b": 1}})

    def in_bytes(message: dict) -> bytes:
        text = bytearray(json.dumps(message).encode())
        for _ in range(choice.randint(1, 3)):
            at = choice.randrange(len(text))
            match choice.randrange(4):
                case 0:
                    text[at] = choice.randrange(256)
                case 1:
                    del text[at : at + choice.randint(1, 40)]
                case 2:
                    text[at:at] = bytes(choice.randrange(256) for _ in range(choice.randint(1, 4)))
                case _:
                    text[at:at] = choice.choice([b"0x10", b"NaN", b"\n", b"\\u0000", b"}", b"[" * 2000, b'"'])
        return bytes(text)

    def in_a_part(part: str | None) -> Callable[[dict], bytes]:
        def mutate(message: dict) -> bytes:
            place = message if part is None else message[part]
            key = choice.choice(sorted(place))
            if choice.random() < 0.3:
                del place[key]
            else:
                place[key] = choice.choice(odd)
            return json.dumps(message).encode()

        return mutate

    def in_the_body(message: dict) -> bytes:
        body = bytearray(base64.b64decode(message["body"]))
        at = choice.randrange(len(body))
        body[at : at + choice.randint(1, 3)] = bytes(choice.randrange(256) for _ in range(choice.randint(0, 3)))
        return json.dumps(message | {"body": base64.b64encode(bytes(body)).decode()}).encode()

    kinds = [in_bytes, in_a_part(None), in_a_part("headers"), in_a_part("properties"), in_the_body]
    return [kinds[number % len(kinds)](task_message(f"mutant {number}")) for number in range(MUTANTS)]


@pytest.mark.xdist_group("transport")
def test_of_two_hundred_mutated_messages_each_is_carried_out_or_dead_and_good_ones_wait_for_none(crew: Crew) -> None:
    workers = [crew.start("ours", "-P", "threads", "-c", "4", "-E", redelivery_time=2) for _ in range(2)]
    texts = mutants(random.Random(SEED))
    for number, text in enumerate(texts):
        crew.client.lpush("check", text)
        if number % 20 == 0:
            crew.client.lpush("check", json.dumps(task_message(f"good {number}")))
    wait_for(lambda: all(crew.ran(f"good {number}") == 1 for number in range(0, MUTANTS, 20)), "the good ones")
    wait_for(crew.is_empty, "the end of all")
    assert all(worker.runs for worker in workers)
    carried_out = sum("succeeded in" in line or "raised unexpected" in line
                      for worker in workers for line in worker.log.read_text().splitlines())  # fmt: skip
    assert carried_out - MUTANTS // 20 + Store(crew.client).count_dead() >= MUTANTS
    crew.send("note", "after")
    wait_for(lambda: crew.ran("after") == 1, "the task after them")
