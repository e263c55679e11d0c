"""Protocol through which the pipeline reports each look-up to the audit log (`registerbro/audit_log/writer.py`)."""

from typing import Protocol


class LookUpTrail(Protocol):
    """Record of one look-up, however many calls it takes."""

    async def call(self, request_id: str, trace_id: str) -> None:
        """Records a call before it is made. Raises NotAudited, and then the call must not be made."""
        ...

    def answered(self, outcome: str) -> None:
        """Records how a call ended, as a short constant."""
        ...

    def end(self) -> None:
        """Ends the record, after the last call."""
        ...


class Trail(Protocol):
    """Opens records of look-ups."""

    def look_up(self, upstream: str) -> LookUpTrail:
        """Opens the record of one look-up, on behalf of the context's citizen or operator."""
        ...


class _NoLookUp:
    async def call(self, request_id: str, trace_id: str) -> None:
        """Records nothing."""

    def answered(self, outcome: str) -> None:
        """Records nothing."""

    def end(self) -> None:
        """Records nothing."""


class NoTrail:
    """Trail of an upstream at which no citizen is looked up: it records nothing."""

    def look_up(self, _: str) -> LookUpTrail:
        """A record that writes nothing."""
        return _NoLookUp()
