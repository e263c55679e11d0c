"""What the scripts promise, one by one."""

import json
from collections.abc import Callable

import pytest
import redis

from redis_transport.store import Names, Store
from tests.redis_transport.conftest import Connect, MakeStore

Publish = Callable[..., str]


def fetch(store: Store, consumer: str = "a", *queues: str, limit: int = 10, **options: object) -> list[str]:
    return [message.tag for message in store.fetch(consumer, queues or ("q",), limit, **options).messages]


def test_a_fetched_message_is_noted_as_kombu_notes_it(store: Store, client: redis.Redis, publish: Publish) -> None:
    tag = publish()
    raw = client.lindex("q", 0)
    assert fetch(store) == [tag]
    payload, exchange, routing_key = json.loads(client.hget("unacked", tag))
    assert payload == json.loads(raw)
    assert (exchange, routing_key) == ("", "q")
    assert client.zscore("unacked_index", tag) == client.zscore("unacked_consumers", "a")


def test_a_message_comes_back_exactly_as_it_was(store: Store, client: redis.Redis, publish: Publish) -> None:
    tag = publish()
    raw = client.lindex("q", 0)
    fetch(store)
    store.give_back("a", [tag])
    assert client.lrange("q", 0, -1) == [raw]
    assert not client.exists("unacked", "unacked_index")


def test_messages_come_in_the_order_of_their_publication(store: Store, publish: Publish) -> None:
    tags = [publish() for _ in range(5)]
    assert fetch(store, limit=2) + fetch(store, limit=9) == tags


def test_the_limit_is_kept_and_more_is_announced(store: Store, client: redis.Redis, publish: Publish) -> None:
    for _ in range(3):
        publish()
    fetched = store.fetch("a", ["q"], 2)
    assert (len(fetched.messages), fetched.more) == (2, True)
    assert client.llen(Names().wake_ups("q")) == 1, "another consumer is called for what was left"
    fetched = store.fetch("a", ["q"], 2)
    assert (len(fetched.messages), fetched.more) == (1, False)


def test_an_empty_queue_leaves_no_wake_up_behind(store: Store, client: redis.Redis) -> None:
    client.lpush(Names().wake_ups("q"), 1, 1, 1)
    fetch(store)
    assert not client.keys("*")


def test_urgent_messages_come_first_from_every_queue(store: Store, publish: Publish) -> None:
    low = publish("q", priority=9, key="q\x06\x169")
    urgent = publish("p")
    assert fetch(store, "a", "q", "p") == [urgent, low]


def test_what_comes_back_goes_to_the_list_of_its_priority(store: Store, client: redis.Redis, publish: Publish) -> None:
    tag = publish("q", priority=7, key="q\x06\x166")
    fetch(store)
    store.give_back("a", [tag])
    assert client.llen("q\x06\x166") == 1


def test_a_prefix_goes_before_every_key(make_store: MakeStore, client: redis.Redis, publish: Publish) -> None:
    store = make_store(Names(prefix="app:"), max_deliveries=1)
    tag = publish("q", key="app:q")
    assert fetch(store) == [tag]
    store.give_back("a", [tag], reason="rejected", to_tail=True)
    assert len(store.dead_letters()) == 1
    store.replay(tag)
    assert fetch(store) == [tag]
    assert all(key.startswith(b"app:") for key in client.keys("*"))


def test_an_acknowledged_message_is_gone(store: Store, client: redis.Redis, publish: Publish) -> None:
    tag = publish()
    fetch(store)
    assert store.settle("a", [tag]) == []
    assert not client.exists("q", "unacked", "unacked_index", "unacked_deliveries")


def test_a_fetch_takes_acknowledgements_along(store: Store, client: redis.Redis, publish: Publish) -> None:
    first, second = publish(), publish()
    fetch(store, limit=1)
    assert fetch(store, acks=[first]) == [second]
    assert client.hkeys("unacked") == [second.encode()]


def test_no_consumer_acknowledges_what_another_holds(store: Store, client: redis.Redis, publish: Publish) -> None:
    tag = publish()
    fetch(store, "a")
    fetch(store, "b")
    assert store.settle("b", [tag]) == [tag]
    store.restore(-1)
    fetch(store, "b")
    assert store.settle("a", [tag]) == [tag], "it was a's once, and is not any more"
    assert client.hexists("unacked", tag)
    assert store.settle("b", [tag]) == []


def test_an_acknowledgement_does_not_touch_what_a_stock_worker_fetched_since(
    store: Store, client: redis.Redis, publish: Publish
) -> None:
    tag = publish()
    fetch(store)
    client.zadd("unacked_index", {tag: 1700000000.25})
    assert store.settle("a", [tag]) == [tag]
    store.restore(-1)
    assert client.hexists("unacked", tag)


def test_a_beat_renews_everything_that_is_held(store: Store, client: redis.Redis, publish: Publish) -> None:
    tags = [publish(), publish()]
    fetch(store)
    before = client.zscore("unacked_consumers", "a")
    assert store.beat("a")
    scores = {client.zscore("unacked_index", tag) for tag in tags}
    assert scores == {client.zscore("unacked_consumers", "a")}
    assert scores.pop() > before


def test_two_consumers_never_have_the_same_score(store: Store, client: redis.Redis, publish: Publish) -> None:
    for number in range(50):
        publish()
        fetch(store, f"consumer {number}", limit=1)
    scores = [score for _, score in client.zrange("unacked_consumers", 0, -1, withscores=True)]
    assert len(set(scores)) == 50


def test_the_dead_ones_messages_go_back_to_the_head(store: Store, publish: Publish) -> None:
    tag = publish()
    fetch(store)
    later = publish()
    restored = store.restore(-1)
    assert (restored.messages, restored.consumers) == (1, ["a"])
    assert fetch(store, "b") == [tag, later]


def test_a_living_ones_messages_stay(store: Store, publish: Publish) -> None:
    publish()
    fetch(store)
    assert store.restore(60).messages == 0


def test_a_consumer_that_was_taken_for_dead_is_told(store: Store, publish: Publish) -> None:
    publish()
    fetch(store)
    store.restore(-1)
    assert not store.beat("a")
    assert not store.fetch("a", ["q"], 1).known


def test_many_that_restore_at_once_bring_each_message_back_once(make_store: MakeStore, publish: Publish) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stores = [make_store() for _ in range(8)]
    tags = {publish() for _ in range(20)}
    fetch(stores[0], "a", limit=20)
    with ThreadPoolExecutor(8) as pool:
        restored = list(pool.map(lambda store: store.restore(-1).messages, stores))
    assert sum(restored) == 20
    assert set(fetch(stores[1], "b", limit=99)) == tags


def test_a_release_keeps_what_is_named(store: Store, client: redis.Redis, publish: Publish) -> None:
    kept, *_ = [publish(), publish(), publish()]
    fetch(store)
    assert store.release("a", keep=[kept]) == 2
    assert client.hkeys("unacked") == [kept.encode()]
    assert store.release("a") == 1
    assert not client.exists("unacked", "unacked_index", "unacked_consumers")


def test_what_is_released_is_marked_and_not_counted(store: Store, publish: Publish) -> None:
    publish()
    for _ in range(9):
        fetch(store)
        store.release("a")
    (again,) = store.fetch("a", ["q"], 1).messages
    assert again.redeliveries == 0
    assert again.payload()["headers"]["redelivered"]


def test_the_fifth_time_is_the_last(store: Store, publish: Publish) -> None:
    tag = publish()
    for _ in range(5):
        assert store.dead_letters() == []
        assert fetch(store) == [tag]
        restored = store.restore(-1)
    assert [letter.tag for letter in restored.dead] == [tag]
    (letter,) = store.dead_letters()
    assert (letter.queue, letter.task, letter.id) == ("q", "workers.do", f"id-{tag}")
    assert (letter.deliveries, letter.reason) == (5, "worker lost")
    assert letter.since <= letter.died
    assert "secret" not in repr(letter)
    assert fetch(store) == []


def test_a_message_says_that_it_was_delivered_before(store: Store, publish: Publish) -> None:
    publish()
    assert "redelivered" not in store.fetch("a", ["q"], 1).messages[0].payload()["headers"]
    store.restore(-1)
    payload = store.fetch("a", ["q"], 1).messages[0].payload()
    assert payload["headers"]["redelivered"]
    assert payload["properties"]["delivery_info"]["redelivered"]


def test_a_dead_letter_starts_anew_when_it_is_replayed(make_store: MakeStore, publish: Publish) -> None:
    store = make_store(max_deliveries=1)
    tag = publish()
    fetch(store)
    store.restore(-1)
    assert store.replay(tag)
    assert not store.replay(tag)
    assert len(store.dead_letters()) == 0
    fetched = store.fetch("a", ["q"], 1).messages[0]
    assert (fetched.tag, fetched.redeliveries) == (tag, 0)


def test_a_dead_letter_can_be_discarded(make_store: MakeStore, publish: Publish) -> None:
    store = make_store(max_deliveries=1)
    tag = publish()
    fetch(store)
    store.restore(-1)
    assert store.discard(tag)
    assert not store.discard(tag)
    assert fetch(store) == []


@pytest.mark.parametrize("text", [b"no json", b"[]", b"{}", b'{"properties": {}}', b"\xff\xfe"])
def test_what_cannot_be_read_becomes_a_dead_letter(
    store: Store, client: redis.Redis, publish: Publish, text: bytes
) -> None:
    client.lpush("q", text)
    tag = publish()
    assert fetch(store) == [tag]
    (letter,) = store.dead_letters()
    assert letter.reason == "unreadable"
    with pytest.raises(ValueError, match="cannot be read"):
        store.replay(letter.tag)


def test_what_came_back_twice_is_handed_out_one_at_a_time(store: Store, client: redis.Redis, publish: Publish) -> None:
    tags = {publish() for _ in range(3)}
    for _ in range(2):
        fetch(store)
        store.restore(-1)
    fresh = publish()
    first = fetch(store)
    assert fresh in first
    assert len(tags.intersection(first)) == 1
    assert not tags.intersection(fetch(store, alone=True))
    assert client.llen("q") == 2
    other = fetch(store, "b")
    assert len(tags.intersection(other)) == 1


def test_messages_that_are_not_to_be_acknowledged_are_not_noted(
    store: Store, client: redis.Redis, publish: Publish
) -> None:
    unnoted, noted = publish("r"), publish("q")
    assert set(fetch(store, "a", "q", "r", no_ack=["r"])) == {unnoted, noted}
    assert client.hkeys("unacked") == [noted.encode()]


def test_scripts_survive_that_redis_forgets_them(store: Store, client: redis.Redis, publish: Publish) -> None:
    tag = publish()
    client.script_flush()
    assert fetch(store) == [tag]
    client.script_flush()
    assert store.settle("a", [tag]) == []


def test_the_names_of_a_channel_are_those_that_it_uses(connect: Connect) -> None:
    for transport in (None, "kombu.transport.redis:Transport"):
        channel = connect(transport=transport, priority_steps=[0, 5], sep="|").default_channel
        names = Names.of(channel)
        assert names.lists("q") == [channel._q_for_pri("q", step) for step in (0, 5)]
        assert names.dead_letters == "unacked_dead"


def test_a_message_of_another_consumer_is_no_dead_letter(store: Store, publish: Publish, client: redis.Redis) -> None:
    tag = publish()
    fetch(store, "a")
    assert store.dead_letter("b", tag, "unfit") == []
    assert client.hexists("unacked", tag)
    assert [letter.tag for letter in store.dead_letter("a", tag, "unfit")] == [tag]
    assert not client.exists("unacked", "unacked_index")


def test_what_was_fetched_without_being_held_goes_back_in_its_order(store: Store, publish: Publish) -> None:
    texts = []
    for _ in range(2):
        publish()
        texts += [message.text for message in store.fetch("a", ["q"], 1, no_ack=["q"]).messages]
    later = publish()
    store.return_unheld("q", texts)
    back = store.fetch("a", ["q"], 3).messages
    assert [message.text for message in back[:2]] == texts
    assert back[2].tag == later
