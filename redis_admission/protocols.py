"""Protocols of what a program may hand to the controller: a listener, a store for overrides, and a way to batch."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

from redis.typing import EncodableT

from redis_admission.model import Override, OverrideOrder, Rejected, State


class Listener(Protocol):
    """Receives the controller's events, for logs and metrics. Subclass `SilentListener` to handle only some.

    Methods are called within the controller's own calls: they must return at once, and must not raise.
    """

    def on_state_change(self, upstream: str, to: State | Override) -> None:
        """Called when this process changed the breaker, or sees an override set by an outcome.

        Args:
            upstream: the name of the upstream.
            to: the new state, or `Override.FORCED_OPEN` after an outcome `FORCE_OPEN`.
        """
        ...

    def on_refused(self, upstream: str, rejection: Rejected) -> None:
        """Called for each call that is not admitted, before `rejection` is raised."""
        ...

    def on_redis_lost(self, upstream: str, error: BaseException) -> None:
        """Called once when Redis does not answer, with the error; the process decides alone from then on."""
        ...

    def on_redis_restored(self, upstream: str) -> None:
        """Called once when Redis answers again; all processes decide together from then on."""
        ...

    def on_override_not_stored(self, upstream: str, error: BaseException) -> None:
        """Called when an outcome `FORCE_OPEN` could not be written to the override store, with the error."""
        ...


class SilentListener(Listener):
    """Listener that does nothing with any event."""

    def on_state_change(self, upstream: str, to: State | Override) -> None:
        """Does nothing."""

    def on_refused(self, upstream: str, rejection: Rejected) -> None:
        """Does nothing."""

    def on_redis_lost(self, upstream: str, error: BaseException) -> None:
        """Does nothing."""

    def on_redis_restored(self, upstream: str) -> None:
        """Does nothing."""

    def on_override_not_stored(self, upstream: str, error: BaseException) -> None:
        """Does nothing."""


class OverrideStore(Protocol):
    """Durable storage for overrides, which outlives a Redis that comes back empty."""

    async def get(self, upstream: str) -> OverrideOrder | None:
        """Returns the override in force for this upstream, or None. Raises what means that the store is away."""
        ...

    async def put(self, upstream: str, order: OverrideOrder | None) -> None:
        """Stores the override, or removes it when `order` is None. Raises what means that the store is away."""
        ...


class NoStore(OverrideStore):
    """Override store that keeps nothing: overrides live in the coordinating Redis alone."""

    async def get(self, upstream: str) -> OverrideOrder | None:  # noqa: ARG002 - the protocol's
        """Returns None."""
        return None

    async def put(self, upstream: str, order: OverrideOrder | None) -> None:
        """Does nothing."""


Item: TypeAlias = tuple[EncodableT, ...]
"""The arguments of one call of a script."""
Send: TypeAlias = Callable[[list[Item]], Awaitable[Sequence[Any]]]
"""Runs a script over some items, at least one. Returns an answer for each; an exception is the error of that item."""
Ask: TypeAlias = Callable[[Item], Awaitable[Any]]
"""Returns a script's answer to one item, or raises its error."""


class Batching(Protocol):
    """Sends what many calls ask Redis for at a time as one command."""

    def __call__(self, send: Send) -> Ask:
        """Returns a function for one item, which sends it with those of others.

        What `send` raises is to be raised to each whose item was sent; a caller who is cancelled is to take nothing
        from the others. Items are to be sent in the order in which they came, and not again before they are answered.

        Args:
            send: runs the script.

        Returns:
            the function.
        """
        ...


def one_by_one(send: Send) -> Ask:
    """Returns a function that sends each item at once, in a command of its own.

    Args:
        send: runs the script.
    """

    async def ask(item: Item) -> Any:  # noqa: ANN401 - the answer depends on the script
        (answer,) = await send([item])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask
