"""What the pipeline tells of each look-up before and after it: the audit log's side is `workers/audit/journal.py`."""

from typing import Protocol


class LookUpTrail(Protocol):
    """What is told of one look-up, however many calls it takes."""

    async def call(self, request_id: str, trace_id: str) -> None:
        """Before each call: it is on record when this returns. Raises NotAudited, and then there must be no call."""
        ...

    def answered(self, outcome: str) -> None:
        """After each call: how it ended, as a short constant."""
        ...

    def end(self) -> None:
        """After all of them."""
        ...


class Trail(Protocol):
    """Makes the trails of look-ups."""

    def look_up(self, upstream: str) -> LookUpTrail:
        """That of one look-up, on whose behalf the context knows."""
        ...


class _NoLookUp:
    async def call(self, request_id: str, trace_id: str) -> None:
        """Nobody is looked up."""

    def answered(self, outcome: str) -> None:
        """Nobody is looked up."""

    def end(self) -> None:
        """Nobody is looked up."""


class NoTrail:
    """For an upstream at which nobody is looked up."""

    def look_up(self, _: str) -> LookUpTrail:
        """One that writes nothing."""
        return _NoLookUp()
