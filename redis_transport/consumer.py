"""Consumer: the messages that one channel holds, and the thread that keeps them by giving signs of life."""

import atexit
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from redis import RedisError

from redis_transport.options import ACK_BATCH, ALONE_AFTER, BEATS_EVERY, LAPSES_AFTER, REDELIVERY_TIME
from redis_transport.store import DeadLetter, Fetch, Store

log = logging.getLogger("redis_transport")


class Holding:
    """The messages that one consumer holds, and the thread that keeps them by giving signs of life.

    A message that is held goes to no other consumer as long as the process lives and reaches Redis. The thread is one
    of its own since nothing else runs all the time: Celery's event loop stands still while a warm shutdown waits for
    running tasks, while a solo pool runs one, and while a reconnection is tried. It has a connection of its own, so
    that it also outlives the channel. The thread that consumes calls all public methods.

    Methods that ask Redis raise redis-py's errors (`redis.RedisError`).

    Args:
        store: the state in Redis; this consumer closes it.
        redelivery_time: seconds until the messages of a dead consumer are redelivered.

    Attributes:
        name: the consumer's name, which no other has: host, process and a random part.
        interval: seconds between two signs of life.
        store: the state in Redis.
    """

    def __init__(self, store: Store, redelivery_time: float = REDELIVERY_TIME) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:12]}"
        self._process = os.getpid()
        self.interval = redelivery_time * BEATS_EVERY
        self.store = store
        self._redelivery_time = redelivery_time
        self._lock = threading.Lock()  # over the sets alone, never during a command
        self._held: set[str] = set()
        self._alone: set[str] = set()
        self._lost: set[str] = set()
        self._acks: deque[str] = deque()
        self._unsure: set[str] = set()
        self._survivors: WeakValueDictionary[str, Any] | None = None
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def survives(self) -> bool:
        """Whether its channel is gone, and it goes on for the tasks that run."""
        return self._survivors is not None

    @property
    def is_ours(self) -> bool:
        """Whether this process holds the messages: a forked child has a copy, whose end is not the consumer's."""
        return self._process == os.getpid()

    def fetch(self, queues: Sequence[str], limit: int, no_ack: Iterable[str] = ()) -> Fetch:
        """Fetches messages, and takes pending acknowledgements along.

        Args:
            queues: names of the queues, in their order.
            limit: messages, at most.
            no_ack: queues of which no message is acknowledged.

        Returns:
            The messages; those to be acknowledged are held once `hold` is called for each.
        """
        held = self._snapshot()
        acks = self._next_acks()
        try:
            fetch = self.store.fetch(
                self.name, queues, limit, no_ack=no_ack, acks=acks, fresh=self.interval, alone=bool(self._alone)
            )
        except BaseException:
            self._put_acks_back(acks)
            raise
        self._settled(acks, fetch.late)
        if not fetch.known:
            self._lose(held.difference(acks))
        log_dead_letters(fetch.dead)
        return fetch

    def hold(self, tag: str, redeliveries: int) -> None:
        """Notes a message that was fetched, and starts the thread with the first one.

        Args:
            tag: the message's tag.
            redeliveries: its counted redeliveries.
        """
        with self._lock:
            self._held.add(tag)
            self._lost.discard(tag)
            if redeliveries >= ALONE_AFTER:
                self._alone.add(tag)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"heartbeat {self.name}", daemon=True)
            self._thread.start()

    def ack(self, tag: str) -> bool:
        """Notes an acknowledgement, to be sent with the next fetch or `flush`.

        Args:
            tag: the message's tag.

        Returns:
            Whether this makes room for a message that must be alone.
        """
        self._acks.append(tag)
        if self.survives:
            self._wake.set()
        return tag in self._alone

    def flush(self) -> None:
        """Sends the acknowledgements."""
        while acks := self._next_acks():
            try:
                late = self.store.settle(self.name, acks)
            except BaseException:
                self._put_acks_back(acks)
                raise
            self._settled(acks, late)

    def reject(self, tag: str) -> None:
        """Puts a message back to the tail of its queue, counted: a task that always asks for this blocks no other.

        Args:
            tag: the message's tag.
        """
        log_dead_letters(self.store.give_back(self.name, [tag], reason="rejected", to_tail=True))
        self._drop([tag])

    def give_back(self, tags: Sequence[str], reason: str = "") -> None:
        """Puts messages back to the head of their queues.

        Args:
            tags: the messages' tags.
            reason: the reason, if this counts as a delivery.
        """
        log_dead_letters(self.store.give_back(self.name, tags, reason=reason))
        self._drop(tags)

    def dead_letter(self, tag: str, reason: str, queue: str = "", text: bytes = b"") -> None:
        """Makes a message a dead letter, and logs it.

        Args:
            tag: the message's tag.
            reason: the reason; it holds nothing of the message.
            queue: the message's queue, if it was fetched without being held.
            text: its text, likewise.
        """
        log_dead_letters(self.store.dead_letter(self.name, tag, reason, queue, text))
        self._drop([tag])

    def release(self) -> None:
        """Sends the acknowledgements, and puts all else back."""
        self.flush()
        self._drop(self._snapshot())  # first, so that a beat in between does not take this for a loss
        self.store.release(self.name)

    def close(self) -> None:
        """Sends the acknowledgements, puts the rest back, ends the thread and closes the connections.

        Without Redis, which a log line says, other consumers put the rest back once this one has lapsed. In a forked
        child nothing happens.
        """
        if not self.is_ours:
            return
        self._ended = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # Its last command ends within the limit of its socket, and would open what is closed below once more.
            thread.join()
        try:
            if thread is not None:
                self.release()
        except (RedisError, OSError) as error:
            log.warning("Messages of this worker go back when it has lapsed: %r", error)
        self.store.close()

    def survive(self, messages: Mapping[str, Any]) -> None:
        """Goes on without a channel, until each message is acknowledged or cannot be any more.

        Args:
            messages: the messages that were handed over, by tag. They are referred to weakly: a message whose object is
                gone cannot be acknowledged any more, and goes back.
        """
        self._survivors = WeakValueDictionary(messages)
        if self._thread is None:
            self._ended = True
            self.store.close()
        else:
            atexit.register(self.close)
            self._wake.set()

    def _run(self) -> None:
        reachable = True
        while not self._ended:
            self._wake.wait(self.interval if reachable else min(self.interval, 1))
            self._wake.clear()
            try:
                self._beat()
            except Exception as error:  # noqa: BLE001 - whatever it is: without this thread, nothing that runs is kept
                if reachable and not self._ended:
                    log.warning("No sign of life reaches Redis: %r", error)
                reachable = False
            else:
                reachable = True

    def _beat(self) -> None:
        if self._ended:
            return
        if self._survivors is not None:
            self.flush()
            # In this order: what is acknowledged and let go in between is then among the acknowledgements.
            alive = set(self._survivors.keys())
            self._drop(self._snapshot() - alive - set(self._acks))
            self.store.release(self.name, keep=self._snapshot())
            if not self._snapshot():
                self._ended = True
                atexit.unregister(self.close)
                self.store.close()
                return
        held = self._snapshot()
        if held and not self.store.beat(self.name):
            self._lose(held)

    def _snapshot(self) -> set[str]:
        with self._lock:
            return set(self._held)

    def _drop(self, tags: Iterable[str]) -> None:
        with self._lock:
            self._held.difference_update(tags)
            self._alone.difference_update(tags)

    def _lose(self, tags: set[str]) -> None:
        with self._lock:
            lost = tags & self._held
            self._held -= lost
            self._alone -= lost
            self._lost |= lost
        if lost:
            log.error(
                "Cut off from Redis for more than %g s: %d messages of this worker went back, and may run twice",
                self._redelivery_time * LAPSES_AFTER, len(lost),
            )  # fmt: skip

    def _next_acks(self) -> list[str]:
        return [self._acks.popleft() for _ in range(min(len(self._acks), ACK_BATCH))]

    def _put_acks_back(self, acks: list[str]) -> None:
        """Keeps acknowledgements that may have arrived all the same, so that Redis may not know them the next time."""
        self._acks.extendleft(reversed(acks))
        self._unsure.update(acks)

    def _settled(self, acks: list[str], late: list[str]) -> None:
        unexpected = [tag for tag in late if tag not in self._lost and tag not in self._unsure]
        if unexpected:
            log.warning("Acknowledged too late: %d messages had gone back, and may run twice", len(unexpected))
        self._unsure.difference_update(acks)
        with self._lock:
            self._held.difference_update(acks)
            self._alone.difference_update(acks)
            self._lost.difference_update(acks)


def log_dead_letters(letters: Iterable[DeadLetter]) -> None:
    """Logs new dead letters as errors: queue, task and id of each, never an argument.

    Args:
        letters: the dead letters.
    """
    for letter in letters:
        log.error(
            "Dead letter after %d deliveries (%s): %s[%s] of queue %s",
            letter.deliveries, letter.reason, letter.task, letter.id, letter.queue,
        )  # fmt: skip
