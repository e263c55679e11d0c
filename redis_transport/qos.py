"""Prefetch and acknowledgements of one channel, as kombu's `QoS`."""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False, disallow-subclassing-any=False
# kombu says that it is typed, and hardly is.

import time
from typing import Any

from kombu.transport import redis as stock
from kombu.transport import virtual
from redis import RedisError

from redis_transport.consumer import Holding, log, log_dead_letters
from redis_transport.options import LAPSES_AFTER, RESTORE_LIMIT


class QoS(stock.QoS):
    """Prefetch and acknowledgements of one channel.

    Redis notes a message as held when it is fetched, so nothing is noted when it is handed over.

    Args:
        channel: the channel.
        prefetch_count: messages that may be held at once; 0 is no limit.
    """

    def __init__(self, channel: Any, prefetch_count: int = 0) -> None:  # noqa: ANN401
        super().__init__(channel, prefetch_count)
        self._holding: Holding | None = None

    @property
    def holding(self) -> Holding:
        """The messages that the channel holds; made when first asked for, since most channels only publish."""
        if self._holding is None:
            self._holding = Holding(self.channel.make_store(), self.channel.redelivery_time)
        return self._holding

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401
        """Notes a message that is handed over.

        Args:
            message: kombu's message.
            delivery_tag: its tag.
        """
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledges a message; this goes to Redis with the next fetch, or soon.

        Args:
            delivery_tag: the message's tag.
        """
        made_room = self.holding.ack(str(delivery_tag))
        virtual.QoS.ack(self, delivery_tag)
        if not self.holding.survives:
            self.channel.on_acknowledged(made_room)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Settles a message that was not carried out.

        Args:
            delivery_tag: the message's tag.
            requeue: whether it goes back to its queue, counted; else it is acknowledged.
        """
        if not requeue:
            self.ack(delivery_tag)
            return
        self.holding.reject(str(delivery_tag))
        virtual.QoS.ack(self, delivery_tag)

    @property
    def holds(self) -> bool:
        """Whether the channel ever fetched a message."""
        return self._holding is not None

    def has(self, delivery_tag: str) -> bool:
        """Asks for a message that was handed over.

        Args:
            delivery_tag: the message's tag.

        Returns:
            Whether it was handed over and is not settled.
        """
        return delivery_tag in self._delivered and delivery_tag not in self._dirty

    def has_settled(self, delivery_tag: str) -> bool:
        """Asks for a message that is being handed over.

        Args:
            delivery_tag: the message's tag.

        Returns:
            Whether its consumer has settled it already.
        """
        return delivery_tag in self._dirty

    def give_back(self, delivery_tag: str, reason: str) -> None:
        """Puts a message that was handed over back to the head of its queue, counted.

        Args:
            delivery_tag: the message's tag.
            reason: the reason.
        """
        self.holding.give_back([str(delivery_tag)], reason)
        self._forget(delivery_tag)

    def dead_letter(self, delivery_tag: str, reason: str) -> None:
        """Makes a message that was handed over a dead letter.

        Args:
            delivery_tag: the message's tag.
            reason: the reason.
        """
        self.holding.dead_letter(str(delivery_tag), reason)
        self._forget(delivery_tag)

    def _forget(self, delivery_tag: str) -> None:
        """Makes room in the prefetch count, where the message took any."""
        if delivery_tag in self._delivered:
            virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:  # noqa: ANN401, ARG002
        """Puts everything back that the channel holds.

        Args:
            client: kombu's client; not used.
        """
        if self._holding is not None:
            self._holding.release()
        self._delivered.clear()

    def restore_unacked_once(self, stderr: Any = None) -> None:  # noqa: ANN401, ARG002
        """Ends with the channel or the process, and puts everything back.

        Args:
            stderr: where kombu writes; not used.
        """
        self._on_collect.cancel()
        if self._holding is not None and not self._holding.survives:
            self._holding.close()
            self._delivered.clear()

    def outlive_channel(self) -> None:
        """Goes on for what was handed over and cannot be called back. Nothing is sent to Redis here."""
        self._on_collect.cancel()
        self._flush()
        if self._holding is not None:
            self._holding.survive({str(tag): message for tag, message in self._delivered.items()})
        self._delivered.clear()

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:  # noqa: ARG002
        """Puts back what dead consumers held; what kombu's own transport noted, after the visibility timeout.

        Args:
            start: kombu's; not used.
            num: messages of stock consumers to put back at once, at most.
            interval: kombu's; not used.

        Raises:
            redis.RedisError, OSError: Redis does not answer.
        """
        restored = self.holding.store.restore(self.channel.redelivery_time * LAPSES_AFTER)
        if restored.messages:
            log.warning("Messages of lost workers (%s) went back: %d", ", ".join(restored.consumers), restored.messages)
        log_dead_letters(restored.dead)
        # As kombu does it, but for what our consumers hold: their tokens are of the server's clock, which may differ.
        for tag in self.holding.store.left_by_stock(time.time() - self.visibility_timeout, num or RESTORE_LIMIT):
            try:
                self.restore_by_tag(tag)
            except (RedisError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - one message that is none keeps no other one
                log.error("A stock worker's message cannot be put back: %s", type(error).__name__)
