"""Channel to one Redis: publishes with a wake-up, fetches with one script, and hands messages over one by one.

This file is one thing: kombu's channel with its publishing, consuming and ending replaced, which share its state.
"""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False, disallow-subclassing-any=False
# kombu says that it is typed, and hardly is.

import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty
from typing import Any, Protocol

from kombu.exceptions import OperationalError
from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from redis_transport import options
from redis_transport.consumer import Holding
from redis_transport.qos import QoS
from redis_transport.refusals import make_refusing, refusing
from redis_transport.store import Fetched, Names, Store

log = logging.getLogger("redis_transport")


class Inspector(Protocol):
    """Inspects each message before it is handed over, where a process must survive any message.

    With one (`Transport.inspector`), a message whose inspection or handing over raises becomes a dead letter. Without
    one, the error goes to the caller of `drain_events`, as with kombu's own transport.
    """

    def inspect(self, message: Any, queue: str) -> None:  # noqa: ANN401 - kombu's message
        """Inspects a message.

        Args:
            message: kombu's message.
            queue: the queue that it came from.

        Raises:
            Exception: the message cannot be carried out; of the error, the dead letter keeps the type alone.
        """

    def on_dead_letter(self, message: Any, error: Exception | None) -> None:  # noqa: ANN401 - kombu's message
        """Is told of a message that became a dead letter.

        Args:
            message: kombu's message.
            error: what was raised, if anything was.
        """


class Channel(stock.Channel):
    """Channel to one Redis: TCP, TLS or unix socket.

    Attributes:
        redelivery_time: see `redis_transport.options`, as for the next four.
        is_lost: whether its connection was lost.
    """

    QoS = QoS
    from_transport_options: Any = stock.Channel.from_transport_options + options.OPTIONS
    _in_poll: Any = None
    _in_listen: Any = None
    _brpop_sent_at: Any = None
    socket_timeout: Any = None
    redelivery_time = options.REDELIVERY_TIME
    max_deliveries = options.MAX_DELIVERIES
    fetch_limit = options.FETCH_LIMIT
    bulk_suffix = options.BULK_SUFFIX
    bulk_share = options.BULK_SHARE

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._no_ack: set[str] = set()
        self._undelivered: deque[Fetched] = deque()
        self._more_is_waiting = False
        self._flush_is_due = False
        self._fetches = 0
        self._restored_at = float("-inf")
        self._process = os.getpid()
        self.is_lost = False
        super().__init__(*args, **kwargs)

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - kombu's signature
        parameters = super()._connparams(asynchronous)
        # The class that kombu makes for each channel refers to the channel, and is not to be kept.
        make = make_refusing if asynchronous else refusing
        return {**parameters, "connection_class": make(parameters["connection_class"])}

    def make_store(self) -> Store:
        """Makes a store with connections of its own, which never hang and never retry: a fetch must not run twice.

        Returns:
            The store, which the caller closes.
        """
        manager = self._sentinel_manager
        pool = self._get_pool()
        self._sentinel_manager = manager  # the store closes the new one itself
        pool.connection_kwargs.update(
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            socket_timeout=min(self.socket_timeout or float("inf"), max(1, self.redelivery_time / 3)),
        )
        names = replace(Names.of(self), prefix=self.global_keyprefix)
        interval = self.redelivery_time * options.BEATS_EVERY
        return Store(Redis(connection_pool=pool), names, self.max_deliveries, interval)

    # Publishing: as kombu does it, with a wake-up.

    def _put(self, queue: str, message: dict[str, Any], _publish_batch: Any = None, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        if message["properties"]["delivery_info"].get("exchange"):
            # One message may go to several queues, and what is noted under one tag can be held only once.
            message = {**message, "properties": {**message["properties"], "delivery_tag": self._next_delivery_tag()}}
        priority = self._get_message_priority(message, reverse=False)
        wake_ups = self._wake_ups(queue)
        commands: list[tuple[Any, ...]] = [
            ("lpush", self._q_for_pri(queue, priority), dumps(message)),
            ("lpush", wake_ups, 1),
            # kombu's client does not know this command, and adds no prefix to its key.
            ("ltrim", self.global_keyprefix + wake_ups, 0, options.WAKE_UPS - 1),
        ]
        if queue in self._expires:
            lists = [self._q_for_pri(queue, step) for step in self.priority_steps]
            commands += [("pexpire", key, self._expires[queue]) for key in [*lists, wake_ups]]
        if _publish_batch is not None:
            for command in commands:
                _publish_batch.add(*command)
            return
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
            for name, *arguments in commands:
                getattr(pipeline, name)(*arguments)
            pipeline.execute()

    def _wake_ups(self, queue: str) -> str:
        return Names(sep=self.sep).wake_ups(queue)

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super()._delete(queue, *args, **kwargs)
        with self.conn_or_acquire(client=kwargs.get("client")) as client:
            client.delete(self._wake_ups(queue))

    # Consuming: wait for a wake-up, then fetch.

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, FBT001
        """Starts to consume from a queue.

        Args:
            queue: the queue's name.
            no_ack: whether its messages are never acknowledged.
            callback: gets each message.
            args: kombu's.
            kwargs: kombu's.

        Returns:
            kombu's consumer tag.
        """
        (self._no_ack.add if no_ack else self._no_ack.discard)(queue)
        consuming = super().basic_consume(queue, no_ack, callback, *args, **kwargs)

        def hand_over(message: Any) -> Any:  # noqa: ANN401
            message = self.message_to_python(message)
            if not no_ack:
                self.qos.append(message, message.delivery_tag)
            return callback(message)

        # As kombu's own; but a message may have been made before, and an error is then its consumer's and not its own.
        self.connection._callbacks[queue] = hand_over  # noqa: SLF001
        self._stop_waiting()
        return consuming

    def _basic_cancel(self, consumer_tag: str) -> None:
        super()._basic_cancel(consumer_tag)
        self._stop_waiting()
        self.flush()

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: ANN401, FBT001, FBT002
        """Fetches one message, without waiting for it.

        Args:
            queue: the queue's name.
            no_ack: whether the message is never acknowledged.
            kwargs: kombu's.

        Returns:
            kombu's message, or None.
        """
        if not self.ack_emulation:
            return super().basic_get(queue, no_ack, **kwargs)
        message = None
        while message is None:
            fetched = self._take([queue], 1, {queue} if no_ack else set())
            message = self._make_message(fetched[0], unheld=no_ack) if fetched else None
            if not self._more_is_waiting:
                break
        if queue in self._expires:
            with self.conn_or_acquire() as client:
                self._maybe_update_queues_expire(client, queue)
                client.pexpire(self._wake_ups(queue), self._expires[queue])
        if message is not None and not no_ack:
            self.qos.append(message, message.delivery_tag)
        return message

    def _make_message(self, fetched: Fetched, *, unheld: bool) -> Any:  # noqa: ANN401
        """Makes kombu's message; None when that is not possible, which makes the message a dead letter."""
        try:
            message = self.Message(fetched.payload(), channel=self)
            if message.errors:
                message._reraise_error()  # noqa: SLF001 - what kombu keeps until the message is read
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one message ends nothing but that message
            self._dead_letter(fetched, f"unreadable ({type(error).__name__})", unheld=unheld)
            return None
        return message

    def _dead_letter(self, fetched: Fetched, reason: str, *, unheld: bool) -> None:
        self.qos.holding.dead_letter(fetched.tag, reason, *((fetched.queue, fetched.text) if unheld else ()))

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Begins to wait for a wake-up; kombu calls it when there is room for messages."""
        if not self.ack_emulation:
            super()._brpop_start(timeout)
        elif self.active_queues:
            self._in_poll = self.client.connection
            self._brpop_sent_at = time.monotonic()
            keys = [self.global_keyprefix + self._wake_ups(queue) for queue in self.active_queues]
            self.client.connection.send_command("BRPOP", *keys, timeout or self.brpop_timeout)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401
        """Reads the end of the wait: a wake-up, or none for a long time."""
        if not self.ack_emulation:
            return bool(super()._brpop_read(**options))
        try:
            woken = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not woken or not self.fetch():  # not woken for a minute: the poll has looked often enough
            raise Empty
        return True

    def _stop_waiting(self) -> None:
        """Waits no longer, as the queues have changed: a wake-up for another consumer must not end here."""
        connection, self._in_poll = self._in_poll, None
        if connection and self.ack_emulation:
            connection.disconnect()

    def take_turn(self) -> bool:
        """Fetches once, without a wake-up, if more is known to be waiting.

        Once, however much is waiting, so that the event loop and the caller have their turn too. A fetch that leaves
        something sends a wake-up, so the next wait is short.

        Returns:
            Whether anything was delivered.
        """
        return self._more_is_waiting and bool(self.qos.can_consume()) and self.fetch()

    def poll(self) -> bool:
        """Looks at the queues without a wake-up, and for dead consumers.

        Returns:
            Whether anything was delivered.
        """
        if not self.active_queues or not self.ack_emulation:
            return False
        self.flush()
        if not self.qos.holding.store.waiting(self.active_queues):
            return False
        now = time.monotonic()
        if now - self._restored_at >= self.qos.holding.interval:
            self._restored_at = now
            self.qos.restore_visible(num=self.unacked_restore_limit)
        return bool(self.qos.can_consume()) and self.fetch()

    def fetch(self) -> bool:
        """Fetches what there is room for, and hands it over to the consumers.

        Without an event loop that is one message, as with kombu: its callers count their calls (`limit=`), look in
        between for what they wait for, and may never call again.

        Returns:
            Whether anything was delivered.
        """
        if not self._undelivered:
            room = self.qos.can_consume_max_estimate()
            most = self.fetch_limit if self.connection.loop is not None else 1
            limit = most if room is None else min(most, room)
            self._more_is_waiting = False
            if limit > 0 and self.active_queues:
                self._undelivered.extend(self._take(self._next_queues(), limit, self._no_ack))
        return self._deliver()

    def _take(self, queues: Sequence[str], limit: int, no_ack: set[str]) -> list[Fetched]:
        holding: Holding = self.qos.holding
        fetch = holding.fetch(queues, limit, no_ack)
        self._more_is_waiting = fetch.more
        for fetched in fetch.messages:
            if fetched.queue not in no_ack:
                holding.hold(fetched.tag, fetched.redeliveries)
        return fetch.messages

    def _deliver(self) -> bool:
        """Hands over what was fetched, one by one: a consumer may raise, may be cancelled, or may take no more."""
        delivered = False
        while self._undelivered and self.qos.can_consume():
            if self._undelivered[0].queue not in self.connection._callbacks:  # noqa: SLF001 - the only place to ask
                break
            fetched = self._undelivered.popleft()
            self._queue_cycle.rotate(fetched.queue)
            message = self._make_message(fetched, unheld=fetched.queue in self._no_ack)
            if message is not None:
                delivered = True
                self._hand_over(message, fetched)
        if self._undelivered:
            self._hand_back()
        return delivered

    def _hand_over(self, message: Any, fetched: Fetched) -> None:  # noqa: ANN401
        """Hands over one message. With an inspector, an error makes the message a dead letter and does not go on.

        An error that may be the broker's goes on, and the message goes back, counted: if the message was the cause
        after all, it becomes a dead letter in the end.
        """
        transport, unheld = self.connection, fetched.queue in self._no_ack
        if transport.inspector is None:
            transport._deliver(message, fetched.queue)  # noqa: SLF001 - as kombu's own channel does
            return
        try:
            transport.inspector.inspect(message, fetched.queue)
            transport._deliver(message, fetched.queue)  # noqa: SLF001
        except (RedisError, OSError, OperationalError) as error:
            if not unheld and not self.qos.has_settled(message.delivery_tag):
                self.qos.give_back(message.delivery_tag, f"raised {type(error).__name__}")
            raise
        except Exception as error:  # noqa: BLE001 - see above
            if unheld:
                self._dead_letter(fetched, f"raised {type(error).__name__}", unheld=True)
            elif not self.qos.has_settled(message.delivery_tag):
                self.qos.dead_letter(message.delivery_tag, f"raised {type(error).__name__}")
                self._more_is_waiting = True
            else:
                log.error("Handing over a message raised %s after it was settled", type(error).__name__)
            transport.inspector.on_dead_letter(message, error)

    def _hand_back(self) -> None:
        rest, self._undelivered = list(reversed(self._undelivered)), deque()  # the oldest goes to the very head
        self.qos.holding.give_back([fetched.tag for fetched in rest if fetched.queue not in self._no_ack])
        for fetched in rest:
            if fetched.queue in self._no_ack:
                self.qos.holding.store.return_unheld(fetched.queue, [fetched.text])

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:  # noqa: ANN401
        """Hands over a broadcast, which no consumer holds: one that cannot be carried out is gone, and logged."""
        if self.connection.inspector is None:
            return super()._deliver_fanout_message(message, exchange)
        try:
            return super()._deliver_fanout_message(message, exchange)
        except (RedisError, OSError, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - see _hand_over
            log.error("A broadcast message raised %s, and is gone", type(error).__name__)
            return False

    def _receive_one(self, c: Any) -> Any:  # noqa: ANN401
        """Reads a broadcast as kombu's own, which shows what it cannot read in its log."""
        try:
            response = c.parse_response()
        except self.connection_errors:
            self._in_listen = None
            raise
        if not isinstance(response, list | tuple):
            return None
        payload = self._handle_message(c, response)
        if not bytes_to_str(payload["type"]).endswith("message") or not payload["data"]:
            return None
        channel = bytes_to_str(payload["channel"])
        if channel[0] == "/":
            channel = channel.partition(".")[2]
        try:
            message = loads(bytes_to_str(payload["data"]))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one message ends nothing but that message
            log.error("A broadcast message cannot be read (%s), and is gone", type(error).__name__)
            raise Empty from None
        return self._deliver_fanout_message(message, channel.split("/", 1)[0])

    def _next_queues(self) -> list[str]:
        """Orders the queues by kombu's strategy, the bulk ones last, or first when it is their turn."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        self._fetches += 1
        bulk_first = self.bulk_share > 0 and self._fetches % self.bulk_share == 0
        return sorted(queues, key=lambda queue: queue.endswith(self.bulk_suffix) is not bulk_first)

    # Acknowledging, and the end.

    def on_acknowledged(self, made_room: bool) -> None:  # noqa: FBT001
        """Sends acknowledgements soon, or at once when there is no event loop that would.

        Args:
            made_room: whether a message that must be alone may be fetched now.
        """
        self._more_is_waiting = self._more_is_waiting or made_room
        loop = self.connection.loop if self.connection else None
        if loop is None:
            self.flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            loop.call_later(options.ACK_DELAY, self.flush)

    def flush(self) -> None:
        """Sends the acknowledgements."""
        self._flush_is_due = False
        if self.ack_emulation and self.qos.holds and not self.qos.holding.survives:
            self.qos.holding.flush()

    def close(self) -> None:
        """Ends the channel. When its connection was lost while it consumed, messages that run stay held."""
        if self._process != os.getpid():
            # The copy in a forked child: what it would send, it would send on the parent's own sockets.
            if not self.closed:
                self.closed = True
                self.connection.cycle.discard(self)
                self.connection.close_channel(self)
            return
        if not self.closed and self.ack_emulation:
            self._stop_waiting()
            if self._qos is not None and self.is_lost and self._consumers:
                self._qos.outlive_channel()
            elif self._undelivered:
                with suppress(*self.connection_errors):
                    self._hand_back()
        try:
            super().close()
        except self.connection_errors:
            # kombu stops where it tells Redis of temporary queues; the rest of the end is still to come.
            virtual.Channel.close(self)


class SentinelChannel(Channel, stock.SentinelChannel):
    """Channel to the Redis that Sentinel names."""

    from_transport_options: Any = stock.SentinelChannel.from_transport_options + options.OPTIONS
