"""Model of a message's life: after any steps in any order, each message is in exactly one place."""

import json
from collections import Counter
from dataclasses import dataclass, field

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redis_transport.options import ALONE_AFTER
from redis_transport.store import Names, Store
from tests.redis_transport.servers import RedisServer

CONSUMERS = st.sampled_from(["a", "b", "c"])
QUEUES = ["q", "q.bulk"]
MAX_DELIVERIES = 3


@dataclass
class Model:
    """Where each message is."""

    queues: dict[str, set[str]] = field(default_factory=lambda: {queue: set() for queue in QUEUES})
    held: dict[str, dict[str, str]] = field(default_factory=dict)  # consumer -> message -> its queue
    acknowledged: set[str] = field(default_factory=set)
    dead: dict[str, str] = field(default_factory=dict)
    redelivered: Counter[str] = field(default_factory=Counter)

    def put_back(self, consumer: str, tag: str, *, counted: bool) -> None:
        queue = self.held[consumer].pop(tag)
        self.redelivered[tag] += counted
        if counted and self.redelivered[tag] >= MAX_DELIVERIES:
            self.dead[tag] = queue
            del self.redelivered[tag]
        else:
            self.queues[queue].add(tag)


class Messages(RuleBasedStateMachine):
    """Consumers that fetch, acknowledge, reject, renew and die, against the model."""

    server: RedisServer

    @initialize()
    def start(self) -> None:
        self.client = self.server.client()
        self.client.flushall()
        self.store = Store(self.client, Names(), MAX_DELIVERIES)
        self.model = Model()
        self.published = 0

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.client.close()

    @rule(queue=st.sampled_from(QUEUES), priority=st.sampled_from([0, 3, 9]))
    def publish(self, queue: str, priority: int) -> None:
        self.published += 1
        tag = f"m{self.published}"
        message = {"headers": {}, "properties": {"delivery_tag": tag, "priority": priority}}
        self.client.lpush(f"{queue}\x06\x16{priority}" if priority else queue, json.dumps(message))
        self.model.queues[queue].add(tag)

    @rule(consumer=CONSUMERS, limit=st.integers(1, 4), alone=st.booleans())
    def fetch(self, consumer: str, limit: int, alone: bool) -> None:
        fetched = self.store.fetch(consumer, QUEUES, limit, alone=alone)
        if not fetched.known:
            assert not self.model.held.get(consumer)
        assert len(fetched.messages) <= limit
        for message in fetched.messages:
            self.model.queues[message.queue].remove(message.tag)
            self.model.held.setdefault(consumer, {})[message.tag] = message.queue
            assert message.redeliveries == self.model.redelivered[message.tag]
        suspects = [message for message in fetched.messages if message.redeliveries >= ALONE_AFTER]
        assert len(suspects) <= (not alone)

    @rule(consumer=CONSUMERS, data=st.data())
    def acknowledge(self, consumer: str, data: st.DataObject) -> None:
        tag = self._anything(data)
        held = tag in self.model.held.get(consumer, {})
        assert self.store.settle(consumer, [tag]) == ([] if held else [tag])
        if held:
            del self.model.held[consumer][tag]
            self.model.redelivered.pop(tag, None)
            self.model.acknowledged.add(tag)

    @rule(consumer=CONSUMERS, requeue=st.booleans(), data=st.data())
    def reject(self, consumer: str, requeue: bool, data: st.DataObject) -> None:
        if not requeue:
            self.acknowledge(consumer, data)
            return
        tag = self._anything(data)
        dead = self.store.give_back(consumer, [tag], reason="rejected", to_tail=True)
        if tag in self.model.held.get(consumer, {}):
            self.model.put_back(consumer, tag, counted=True)
        assert [letter.tag for letter in dead] == ([tag] if tag in self.model.dead and dead else [])

    @rule(consumer=CONSUMERS)
    def renew(self, consumer: str) -> None:
        assert self.store.beat(consumer) or not self.model.held.get(consumer)

    @rule(consumer=CONSUMERS, data=st.data())
    def close(self, consumer: str, data: st.DataObject) -> None:
        held = self.model.held.get(consumer, {})
        keep = data.draw(st.sets(st.sampled_from(sorted(held)))) if held else set()
        self.store.release(consumer, keep)
        for tag in set(held) - keep:
            self.model.put_back(consumer, tag, counted=False)

    @rule(consumer=CONSUMERS)
    def die_and_be_restored(self, consumer: str) -> None:
        """A sign of life from long ago is all that the dead leave."""
        if self.client.zscore("unacked_consumers", consumer) is None:
            assert not self.model.held.get(consumer)
            return
        self.client.zadd("unacked_alive", {consumer: -7200})
        self.store.restore(3600)
        for tag in list(self.model.held.get(consumer, {})):
            self.model.put_back(consumer, tag, counted=True)

    @precondition(lambda self: self.model.dead)
    @rule(data=st.data(), replay=st.booleans())
    def settle_a_dead_letter(self, data: st.DataObject, replay: bool) -> None:
        tag = data.draw(st.sampled_from(sorted(self.model.dead)))
        queue = self.model.dead.pop(tag)
        if replay:
            assert self.store.replay(tag)
            self.model.queues[queue].add(tag)
        else:
            assert self.store.discard(tag)
            self.model.acknowledged.add(tag)

    def _anything(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from([f"m{number}" for number in range(1, self.published + 2)]))

    @invariant()
    def every_message_is_in_exactly_one_place(self) -> None:
        if not hasattr(self, "model"):
            return
        places: Counter[str] = Counter()
        for queue in QUEUES:
            waiting = [
                json.loads(raw)["properties"]["delivery_tag"]
                for place in self.store.names.lists(queue)
                for raw in self.client.lrange(place, 0, -1)
            ]
            assert set(waiting) == self.model.queues[queue]
            places.update(waiting)
        scores = dict(self.client.zrange("unacked_consumers", 0, -1, withscores=True))
        index = {tag.decode(): score for tag, score in self.client.zrange("unacked_index", 0, -1, withscores=True)}
        assert {tag.decode() for tag in self.client.hkeys("unacked")} == set(index)
        for consumer, held in self.model.held.items():
            assert {tag for tag, score in index.items() if score == scores.get(consumer.encode())} == set(held)
        places.update(index.keys())
        dead = [letter.tag for letter in self.store.dead_letters()]
        assert set(dead) == set(self.model.dead)
        places.update(dead)
        places.update(self.model.acknowledged)
        assert places == Counter(f"m{number}" for number in range(1, self.published + 1))


def test_a_message_is_always_in_exactly_one_place(server: RedisServer, client: redis.Redis) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Messages.server = server
    run_state_machine_as_test(
        Messages,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
