"""State of the messages in Redis: what is waiting, held, counted and dead, and each step between these places.

Every step is one Lua script, so a message is in exactly one place at every moment, whichever process is killed when.
The keys and formats are kombu's own, with these beside them:

    unacked_consumers   sorted set: each consumer that holds messages, by its token: the server's time at its last sign
                        of life, which no other consumer has
    unacked_index       kombu's sorted set of messages: all that a consumer holds have that consumer's token
    unacked_alive       sorted set: the same consumers by the steady time of their last sign of life
    unacked_clock       the steady time, and the server's time at which it was last moved on
    unacked_deliveries  hash: how often a message was redelivered, and when for the first time
    unacked_dead        hash: the dead letters, by tag

The consumer that wrote a message's score last holds the message, be it this transport's or kombu's, and an
acknowledgement by any other does nothing. This file is one thing: the types in front are what the scripts return.
"""

# mypy: disallow-untyped-calls=False
# kombu says that it is typed, and hardly is.

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, cast

from kombu.utils.json import loads
from redis import Redis

from redis_transport import scripts
from redis_transport.options import ALONE_AFTER, BEATS_EVERY, MAX_DELIVERIES, MAX_TICK, REDELIVERY_TIME


@dataclass(frozen=True)
class DeadLetter:
    """A message that was delivered too often or cannot be carried out, without its arguments.

    Attributes:
        tag: the tag that it is kept under.
        queue: the queue that it came from.
        reason: why it is dead; a short constant, which holds nothing of the message.
        deliveries: how often it was delivered without being settled.
        since: when it was redelivered for the first time.
        died: when it became a dead letter.
        task: the name of its Celery task, if it has one that may stand in a log.
        id: the id of its Celery task, likewise.
    """

    tag: str
    queue: str
    reason: str
    deliveries: int
    since: datetime
    died: datetime
    task: str | None = None
    id: str | None = None

    @classmethod
    def parse(cls, text: bytes | str) -> "DeadLetter":
        """Reads a dead letter.

        Args:
            text: JSON, as the scripts write it.

        Returns:
            The dead letter.

        Raises:
            ValueError, KeyError: the text is not of the scripts.
        """
        letter = loads(text.decode(errors="replace") if isinstance(text, bytes) else text)
        times = {name: datetime.fromtimestamp(letter[name], UTC) for name in ("since", "died")}
        return cls(
            tag=letter["tag"], queue=letter["queue"], reason=letter["reason"], deliveries=letter["deliveries"],
            task=letter.get("task"), id=letter.get("id"), **times,
        )  # fmt: skip


@dataclass(frozen=True)
class Names:
    """Names of the keys; the defaults are kombu's.

    Attributes:
        prefix: what stands before every key (`global_keyprefix`).
        unacked: kombu's hash of messages that are held; the keys of this transport begin like it.
        index: kombu's sorted set of messages that are held.
        sep: what stands between a queue's name and a priority step.
        steps: the priority steps, ascending.
    """

    prefix: str = ""
    unacked: str = "unacked"
    index: str = "unacked_index"
    sep: str = "\x06\x16"
    steps: tuple[int, ...] = (0, 3, 6, 9)

    @classmethod
    def of(cls, channel: Any) -> Self:  # noqa: ANN401 - kombu's channel
        """Takes the names that a Redis channel uses, of this transport or of kombu's own.

        Args:
            channel: the channel.

        Returns:
            The names, without the prefix: the channel's own client adds that to each key.
        """
        return cls("", channel.unacked_key, channel.unacked_index_key, channel.sep, tuple(channel.priority_steps))

    @property
    def keys(self) -> list[str]:
        """The keys that every script is given. All but the last begin like kombu's own, as no queue may do either."""
        added = [f"{self.unacked}_{what}" for what in ("consumers", "deliveries", "dead", "alive", "clock")]
        return [self.prefix + key for key in (self.unacked, self.index, *added, "dead_letters")]

    @property
    def dead_letters(self) -> str:
        """The key of the hash of dead letters."""
        return f"{self.prefix}{self.unacked}_dead"

    def lists(self, queue: str) -> list[str]:
        """Names the lists that hold a queue's messages.

        Args:
            queue: the queue's name.

        Returns:
            One key for each priority step, the most urgent first. The oldest message of each is at the right end.
        """
        return [f"{self.prefix}{queue}{self.sep}{step}" if step else self.prefix + queue for step in self.steps]

    def wake_ups(self, queue: str) -> str:
        """Names the list of a queue's wake-ups.

        Args:
            queue: the queue's name.

        Returns:
            The key, without the prefix.
        """
        return f"{queue}{self.sep}bell"


@dataclass(frozen=True)
class Fetched:
    """A message that was fetched.

    Attributes:
        queue: the queue that it came from.
        tag: the tag that it is held under.
        text: the message as it was published, to the byte.
        redeliveries: its counted redeliveries.
        delivered_before: whether it was delivered before, counted or not.
        message: the text, read.
    """

    queue: str
    tag: str
    text: bytes
    redeliveries: int
    delivered_before: bool
    message: dict[str, Any]

    def payload(self) -> dict[str, Any]:
        """Completes the message for kombu.

        Returns:
            The message, with the tag that it is held under, and marked `redelivered` if it was delivered before.
        """
        properties = self.message["properties"]
        if str(properties["delivery_tag"]) != self.tag:
            properties["delivery_tag"] = self.tag
        if self.delivered_before:
            for place in (self.message.get("headers"), properties.get("delivery_info")):
                if isinstance(place, dict):
                    place["redelivered"] = True
        return self.message


@dataclass(frozen=True)
class Fetch:
    """Result of one fetch.

    Attributes:
        known: whether Redis knew the consumer: if not, it had lapsed, and holds nothing of what it held before.
        late: tags of the acknowledgements that came too late: the consumer did not hold these messages any more.
        more: whether more is waiting in the queues.
        messages: the messages.
        dead: messages that could not be read, and are dead letters now.
    """

    known: bool
    late: list[str]
    more: bool
    messages: list[Fetched]
    dead: list[DeadLetter] = field(default_factory=list)


@dataclass(frozen=True)
class Restored:
    """Result of one look for dead consumers.

    Attributes:
        messages: how many messages went back.
        consumers: names of the dead consumers that held any.
        dead: messages that became dead letters.
    """

    messages: int = 0
    consumers: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


class Store:
    """State of the messages in one Redis, with a method for each thing that can happen to a message.

    Every method that asks Redis raises redis-py's errors (`redis.RedisError`).

    Args:
        client: a client that decodes no answers; the store closes its connections.
        names: the names of the keys.
        max_deliveries: deliveries after which a message is a dead letter; 0 or None is no limit.
        interval: seconds between two signs of life of a consumer.

    Example:
        >>> store = Store(Redis.from_url("redis://localhost"))
        >>> [letter.task for letter in store.dead_letters()]
        ['shop.tasks.charge']
    """

    def __init__(
        self,
        client: "Redis",
        names: Names | None = None,
        max_deliveries: int | None = MAX_DELIVERIES,
        interval: float = REDELIVERY_TIME * BEATS_EVERY,
    ) -> None:
        self.client = client
        self.names = names or Names()
        self._keys = self.names.keys
        constants = {
            "prefix": self.names.prefix, "sep": self.names.sep, "steps": self.names.steps,
            "max_deliveries": max_deliveries or 0, "alone_after": ALONE_AFTER, "max_tick": MAX_TICK * interval,
        }  # fmt: skip
        self._constants = json.dumps(constants)[:-1]  # encoded once; the arguments of each call complete the object
        self._scripts = {
            name: client.register_script(scripts.source(name))
            for name in (
                "fetch", "settle", "beat", "give_back", "release", "dead_letter", "return_unheld", "restore",
                "left_by_stock", "replay", "adopt",
            )
        }  # fmt: skip

    def _run(self, script: str, *texts: bytes, lists: Sequence[str] = (), **arguments: object) -> Any:  # noqa: ANN401
        named = self._constants + (f", {json.dumps(arguments)[1:]}" if arguments else "}")
        return self._scripts[script](keys=[*self._keys, *lists], args=[named, *texts])

    def fetch(
        self,
        consumer: str,
        queues: Sequence[str],
        limit: int,
        *,
        no_ack: Iterable[str] = (),
        acks: Sequence[str] = (),
        fresh: float = 0,
        alone: bool = False,
    ) -> Fetch:
        """Fetches messages, and acknowledges others on the way. What cannot be read becomes a dead letter.

        Args:
            consumer: the name of the consumer that holds them from now on.
            queues: names of the queues; each priority step is gone through in this order.
            limit: messages, at most.
            no_ack: queues of which no message is acknowledged. Such a message is in no key any more: it is fetched
                alone, as the last.
            acks: tags of messages to acknowledge.
            fresh: age in seconds above which the consumer's sign of life is renewed.
            alone: whether the consumer holds a message that may be what kills its worker, and must get no other such.

        Returns:
            The messages, and what became of the consumer and its acknowledgements.
        """
        queues, no_ack = list(queues), set(no_ack)
        by_queue = [self.names.lists(queue) for queue in queues]
        known, late, more, taken = self._run(
            "fetch", consumer=consumer, limit=limit, fresh=fresh, alone=alone, acks=list(acks),
            queues=queues, no_ack=[queue for queue in queues if queue in no_ack],
            lists=[lists[step] for step in range(len(self.names.steps)) for lists in by_queue],
        )  # fmt: skip
        messages, dead = [], []
        for number, tag, text, redeliveries, before in zip(*(taken[i::5] for i in range(5)), strict=True):
            queue = queues[number - 1]
            try:
                messages.append(Fetched(queue, tag.decode(), text, redeliveries, bool(before), _read(text)))
            except Exception:  # noqa: BLE001 - whatever is wrong with one message ends nothing but that message
                unheld = (queue, text) if queue in no_ack else ()
                dead += self.dead_letter(consumer, tag.decode(), "unreadable", *unheld)
        return Fetch(bool(known), [tag.decode() for tag in late], bool(more), messages, dead)

    def settle(self, consumer: str, tags: Sequence[str]) -> list[str]:
        """Acknowledges messages.

        Args:
            consumer: the name of the consumer.
            tags: the messages' tags.

        Returns:
            The tags of those that the consumer does not hold any more. Nothing happened to these.
        """
        return [tag.decode() for tag in self._run("settle", consumer=consumer, tags=list(tags))]

    def beat(self, consumer: str) -> bool:
        """Gives a sign of life, which renews all that the consumer holds.

        Args:
            consumer: the name of the consumer.

        Returns:
            Whether it holds anything. If not, it was taken for dead, and what it held went back.
        """
        return bool(self._run("beat", consumer=consumer))

    def give_back(
        self, consumer: str, tags: Sequence[str], *, reason: str = "", to_tail: bool = False
    ) -> list[DeadLetter]:
        """Puts back messages that the consumer holds; nothing happens to others.

        Args:
            consumer: the name of the consumer.
            tags: the messages' tags.
            reason: the reason, if this counts as a delivery.
            to_tail: whether they go to the tail of their queue, instead of the head.

        Returns:
            Those that became dead letters, as they were delivered too often.
        """
        letters = self._run("give_back", consumer=consumer, tags=list(tags), reason=reason, to_tail=to_tail)
        return [DeadLetter.parse(letter) for letter in letters]

    def release(self, consumer: str, keep: Iterable[str] = ()) -> int:
        """Puts back all that the consumer holds, known to it or not.

        Args:
            consumer: the name of the consumer.
            keep: tags of messages that it goes on holding.

        Returns:
            How many messages went back.
        """
        return int(self._run("release", consumer=consumer, keep=list(keep)))

    def dead_letter(self, consumer: str, tag: str, reason: str, queue: str = "", text: bytes = b"") -> list[DeadLetter]:
        """Makes a message a dead letter at once.

        Args:
            consumer: the name of the consumer that holds it.
            tag: the message's tag.
            reason: the reason; it may be logged, and holds nothing of the message.
            queue: the message's queue, if it was fetched without being held.
            text: its text, likewise.

        Returns:
            The dead letter; nothing, if the consumer does not hold the message.
        """
        letters = self._run("dead_letter", text, consumer=consumer, tag=tag, reason=reason, queue=queue)
        return [DeadLetter.parse(letter) for letter in letters]

    def return_unheld(self, queue: str, texts: Sequence[bytes]) -> None:
        """Puts messages that were fetched without being held back to the head of their queue, in their order.

        Args:
            queue: the queue's name.
            texts: the messages' texts.
        """
        self._run("return_unheld", *texts, queue=queue)

    def left_by_stock(self, before: float, most: int) -> list[str]:
        """Finds what dead consumers of kombu's own transport left behind.

        Args:
            before: seconds since 1970 by the caller's clock: what was noted earlier is left behind.
            most: messages to look at, at most.

        Returns:
            The messages' tags.
        """
        return [tag.decode(errors="replace") for tag in self._run("left_by_stock", before=before, most=most)]

    def restore(self, lapse: float) -> Restored:
        """Puts back what consumers hold that have lapsed.

        Args:
            lapse: seconds of steady time without a sign of life after which a consumer has lapsed.

        Returns:
            What went back, from which consumers, and what became dead letters.
        """
        messages, consumers, dead = self._run("restore", lapse=lapse)
        return Restored(messages, [name.decode() for name in consumers], [DeadLetter.parse(letter) for letter in dead])

    def waiting(self, queues: Iterable[str]) -> bool:
        """Asks with one command whether a fetch, or a look for dead consumers, might find anything.

        Args:
            queues: the queues' names.

        Returns:
            Whether it might.
        """
        lists = [place for queue in queues for place in self.names.lists(queue)]
        return bool(self.client.exists(*lists, self._keys[1]))

    def close(self) -> None:
        """Closes the connections; the next command would open one again."""
        pool: Any = self.client.connection_pool
        pool.disconnect()
        if hasattr(pool, "sentinel_manager"):
            pool.sentinel_manager.close()

    def dead_letters(self) -> list[DeadLetter]:
        """Lists the dead letters.

        Returns:
            All of them, the oldest first.
        """
        self._run("adopt")
        letters = map(DeadLetter.parse, self.client.hvals(self.names.dead_letters))
        return sorted(letters, key=lambda letter: (letter.died, letter.tag))

    def text(self, tag: str) -> bytes | None:
        """Reads a dead letter's message.

        Args:
            tag: the dead letter's tag.

        Returns:
            The message, to the byte; None when there is no such dead letter.
        """
        letter = self.client.hget(self.names.dead_letters, tag)
        return None if letter is None else _text_of(cast("bytes", letter))

    def replay(self, tag: str) -> bool:
        """Puts a dead letter back into its queue, to be delivered as if for the first time.

        Args:
            tag: the dead letter's tag.

        Returns:
            Whether there was such a dead letter.

        Raises:
            ValueError: its message cannot be read, so it would be dead again at once.
        """
        letter = self.client.hget(self.names.dead_letters, tag)
        if letter is not None:
            try:
                _read(_text_of(cast("bytes", letter)))
            except Exception:  # noqa: BLE001 - see _read
                raise ValueError(f"dead letter {tag} cannot be read") from None
        return bool(self._run("replay", tag=tag))

    def discard(self, tag: str) -> bool:
        """Removes a dead letter for good.

        Args:
            tag: the dead letter's tag.

        Returns:
            Whether there was such a dead letter.
        """
        return bool(self.client.hdel(self.names.dead_letters, tag))


def _read(text: bytes) -> dict[str, Any]:
    """Reads a message as kombu wants it. Raises any error; as the error may hold all of the message, never log it."""
    message = loads(text.decode())
    message["properties"]["delivery_tag"]
    if not isinstance(message, dict) or not isinstance(message["properties"], dict):
        raise TypeError
    return message


def _text_of(letter: bytes) -> bytes:
    """Reads the message in a dead letter. Bytes that are no UTF-8 stand in it as they are."""
    text: str = loads(letter.decode(errors="surrogateescape"))["message"]
    return text.encode(errors="surrogateescape")
