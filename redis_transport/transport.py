"""Transport for Redis URLs, and its installation in a process."""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False, disallow-subclassing-any=False
# kombu says that it is typed, and hardly is.

import logging
from importlib.util import find_spec
from queue import Empty
from typing import Any

import kombu.transport
from kombu.transport import redis as stock

from redis_transport.channel import Channel, Inspector, SentinelChannel
from redis_transport.options import POLL_INTERVAL, WAKE_UP_TIMEOUT
from redis_transport.refusals import Refused

log = logging.getLogger("redis_transport")


class Poller(stock.MultiChannelPoller):
    """Waits for several channels at once, and has each look at its queues now and then."""

    _delivered = False
    _turns = 0

    def on_poll_start(self) -> None:
        """Has each channel fetch before a wait of the event loop; without an event loop, `get` does so."""
        for channel in tuple(self._channels):
            if channel.connection.loop is not None:
                channel.take_turn()
        super().on_poll_start()

    def maybe_restore_messages(self) -> None:
        """Has each channel look at its queues, after a wait for nothing or by the event loop's timer."""
        for channel in tuple(self._channels):
            self._delivered = channel.poll() or self._delivered

    def get(self, callback: Any, timeout: float | None = None) -> None:  # noqa: ANN401
        """Waits once without an event loop, for one message.

        Args:
            callback: kombu's.
            timeout: seconds to wait, at most.

        Raises:
            queue.Empty: nothing was delivered.
        """
        # kombu does so within its own wait, which a consumer that is always behind never reaches.
        self.maybe_refresh_binding_expiry()
        self._turns += 1
        channels = tuple(self._channels)
        first = self._turns % max(1, len(channels))
        if any(channel.take_turn() for channel in channels[first:] + channels[:first]):
            return
        self._delivered = False
        try:
            super().get(callback, POLL_INTERVAL if timeout is None else min(timeout, POLL_INTERVAL))
        except Empty:
            if not self._delivered:
                raise


class Transport(stock.Transport):
    """Transport for `redis://`, `rediss://` and `redis+socket://`.

    Attributes:
        cycle: the poller.
        loop: the event loop, if there is one.
        inspector: inspects messages before they are handed over; in a Celery worker, `celery_worker` sets one.
    """

    Channel = Channel
    brpop_timeout = WAKE_UP_TIMEOUT
    connection_errors = (*stock.Transport.connection_errors, Refused)
    cycle: Any
    loop: Any = None
    inspector: Inspector | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def _collect(self, connection: Any) -> None:  # noqa: ANN401
        """Ends what was lost. `close_connection` is the orderly end, after which no message is held."""
        for channel in tuple(self.channels):
            channel.is_lost = True
        try:
            self.close_connection(connection)
        except (*self.connection_errors, *self.channel_errors, AttributeError):
            log.debug("The end of a lost connection", exc_info=True)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:  # noqa: ANN401
        """Runs in Celery's event loop.

        Args:
            connection: kombu's connection.
            loop: the event loop.
        """
        super().register_with_event_loop(connection, loop)
        self.loop = loop
        self.cycle._restore_messages_tref.cancel()  # noqa: SLF001 - kombu's timer, at another pace
        self.cycle._restore_messages_tref = loop.call_repeatedly(POLL_INTERVAL, self.cycle.maybe_restore_messages)  # noqa: SLF001


class SentinelTransport(Transport, stock.SentinelTransport):
    """Transport for `sentinel://`."""

    Channel = SentinelChannel


ALIASES = {
    "redis": "redis_transport.transport:Transport",
    "rediss": "redis_transport.transport:Transport",
    "sentinel": "redis_transport.transport:SentinelTransport",
}
"""kombu's name of each transport, by the scheme of the URLs that it is for."""

SCHEMES = frozenset({*ALIASES, "redis+socket"})
"""Schemes of the broker URLs that this transport is for."""


def install() -> None:
    """Makes this the transport of all Redis URLs in this process; to be called before a connection is made.

    Where Celery is installed, its workers also set aside what they cannot carry out (`celery_worker`). A second call
    does nothing more. Celery's `broker_transport` would not do: kombu takes the transport from the URL instead for
    `redis+socket://`, and when it fails over to another URL.

    Example:
        >>> import redis_transport
        >>> redis_transport.install()
        >>> app = Celery("shop", broker="redis://localhost")
    """
    kombu.transport.TRANSPORT_ALIASES.update(ALIASES)
    for scheme in ALIASES:
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001 - there is no other way to change an alias
    if find_spec("celery") is not None:
        from redis_transport import celery_worker  # noqa: PLC0415 - the one part that needs Celery

        celery_worker.connect()
