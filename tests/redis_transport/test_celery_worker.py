"""Celery workers and messages that no task can carry out: each is a dead letter, and the worker goes on."""

import base64
import json
import random
from collections.abc import Callable

import pytest
from celery import Celery

from redis_transport.store import Store
from tests.redis_transport.app import make_app
from tests.redis_transport.conftest import Crew
from tests.redis_transport.messages import GOOD, POISON, SECRET, changed, task_message, with_body
from tests.redis_transport.servers import wait_for


@pytest.mark.parametrize("pool", ["threads", "solo"])
@pytest.mark.xdist_group("transport")
def test_each_kind_of_poison_is_a_dead_letter_and_the_worker_goes_on(crew: Crew, pool: str) -> None:
    worker = crew.start("ours", "-P", pool, redelivery_time=2)
    for text in POISON.values():
        crew.client.lpush("check", text)
    crew.client.lpush("check", json.dumps(task_message("good")))
    wait_for(lambda: crew.ran("good") == 1, "the good message behind them")
    store = Store(crew.client)
    wait_for(lambda: len(store.dead_letters()) == len(POISON) and crew.is_empty(), "all of them among the dead")
    assert worker.runs
    assert {store.text(letter.tag) for letter in store.dead_letters()} == set(POISON.values())
    assert all(letter.reason for letter in store.dead_letters())
    assert SECRET not in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


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
        # A worker that dropped one of them subscribes anew, and hears no question meanwhile.
        wait_for(lambda: app.control.ping(timeout=1, limit=1), "its answer")
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
    assert carried_out - MUTANTS // 20 + len(Store(crew.client).dead_letters()) >= MUTANTS
    crew.send("note", "after")
    wait_for(lambda: crew.ran("after") == 1, "the task after them")
