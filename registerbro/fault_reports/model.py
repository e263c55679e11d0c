"""Data model of fault reports: states, errors, and what the outbox is given and returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from domain.cpr import LOOKS_LIKE_CPR

PER_HOUR = 10
"""How many reports one citizen may hand in within any hour."""


class State(StrEnum):
    """The states of a report."""

    ACCEPTED = "accepted"
    SENDING = "sending"
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The vendor may have it. It waits to be sent again, or for an operator when that was done often enough."""
    DELIVERED = "delivered"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"


ENDED = (State.DELIVERED, State.REJECTED, State.GAVE_UP)
DEAD_LETTERS = (State.REJECTED, State.GAVE_UP)
"""States of reports that the vendor does not get by itself any more."""
FOR_OPERATORS = (*DEAD_LETTERS, State.UNKNOWN_OUTCOME)
"""States that an operator looks at. One of unknown outcome needs a decision once it is no longer due."""
UNKNOWN = "unknown_outcome: "
"""Beginning of the outcome of an attempt whose outcome is unknown; the cause follows."""


LONGEST_CASE = 100
"""Characters of a vendor's case number, as an operator writes it."""
CASE = f"a case number has at most {LONGEST_CASE} printable characters, and no CPR number in it"


def is_case(text: str) -> bool:
    """Whether a text that an operator gives may be a vendor's case number; "" is none, and is fine (CASE)."""
    return len(text) <= LONGEST_CASE and all(map(str.isprintable, text)) and not LOOKS_LIKE_CPR.search(text)


class IdempotencyKeyReused(Exception):
    """The citizen has used this idempotency key for another text."""


class TooManyReports(Exception):
    """The citizen has handed in PER_HOUR reports within an hour; the next is accepted after `retry_after`."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(f"more than {PER_HOUR} reports within an hour")
        self.retry_after = retry_after


class UnknownReport(LookupError):
    """There is no report with that id."""


class LeftToOperator(Exception):
    """The last sender was killed while it sent, and the report is sent again for it only if an operator says so."""


class WrongState(Exception):
    """The command does not apply to a report in this `state`."""

    def __init__(self, state: State) -> None:
        super().__init__(f"the report is {state}")
        self.state = state


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a report: the citizen's text, and the page, offer or meeting of it. The repr holds none of it."""

    text: str = field(repr=False)
    page: str | None = field(default=None, repr=False)
    error_code: str | None = field(default=None, repr=False)
    meeting_offer: str | None = field(default=None, repr=False)
    meeting: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Report that is on the ledger's disk. `again`: an earlier call with the same key had put it there."""

    id: str
    accepted_at: datetime
    again: bool


@dataclass(frozen=True, slots=True)
class Sending:
    """Right to send one report now, held by the run `owner`. `Outbox.open` opens `sealed`."""

    id: str
    owner: str
    accepted_at: datetime
    sealed: bytes = field(repr=False)
    citizen_id: str = field(repr=False)
    unknown: int = 0
    """How many attempts before had an unknown outcome: with any, the vendor may have the report already."""
    interrupted: bool = False
    """Whether the last of those is known only now, as its sender was killed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Attempt to send a report. `outcome` is None while it runs, and when its worker was killed.

    An unknown outcome begins with UNKNOWN.
    """

    at: datetime
    outcome: str | None

    @classmethod
    def of(cls, line: bytes) -> Self:
        """The attempt in a line of the outbox."""
        at, _, outcome = line.decode().partition(" ")
        return cls(moment(at), outcome or None)


@dataclass(frozen=True, slots=True)
class Record:
    """Record of a report, without its sealed contents."""

    id: str
    citizen_id: str = field(repr=False)
    state: State
    accepted_at: datetime
    due_at: datetime | None
    """When the report is sent, or sent again if its sender is killed; None when it is not sent by itself."""
    give_up_at: datetime
    ended_at: datetime | None
    reason: str | None
    """Why the last attempt failed; None without a failure, and when the report was delivered."""
    case: str | None
    """The vendor's case number of a delivered report, where it gave one."""
    unknown: int
    """How many attempts had an unknown outcome; with more than none, the vendor may have the report more than once."""
    attempts: tuple[Attempt, ...]

    @property
    def needs_decision(self) -> bool:
        """Whether an operator has to say if the report is sent again or was delivered."""
        return self.state is State.UNKNOWN_OUTCOME and self.due_at is None

    @classmethod
    def of(cls, report_id: str, fields: Mapping[bytes, bytes], attempts: Sequence[bytes], ahead: int) -> Self:
        """The record from its fields. Times of waiting are by the steady clock, `ahead` ms ahead of the ledger's own.

        A report that waits to be sent again is stored as accepted, so that senders of former releases send it too.
        """
        state, unknown = State(fields[b"state"].decode()), int(fields.get(b"unknown", 0))
        reason, case = fields.get(b"reason"), fields.get(b"case")
        due_at, ended_at = fields.get(b"due_at"), fields.get(b"ended_at")
        return cls(
            report_id,
            citizen_id=fields[b"citizen"].decode(),
            state=State.UNKNOWN_OUTCOME if unknown and state is State.ACCEPTED else state,
            accepted_at=moment(fields[b"accepted_at"]),
            due_at=moment(float(due_at) - ahead) if due_at and state not in ENDED else None,
            give_up_at=moment(float(fields[b"give_up_at"]) - ahead),
            ended_at=moment(ended_at) if ended_at else None,
            reason=reason.decode() if reason else None,
            case=case.decode() if case else None,
            unknown=unknown,
            attempts=tuple(map(Attempt.of, attempts)),
        )


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Counts of reports by state, and how long the oldest that has not ended has waited."""

    reports: dict[State, int]
    oldest_undelivered: timedelta | None
    """None when no report is due."""
    undecided: int
    """How many of those of unknown outcome wait for an operator."""
    sent_again: int
    """How many were sent again after an unknown outcome, and may have come more than once."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """Counts of erased texts and of removed reports."""

    texts: int
    reports: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """Counts of recovered reports, and of reports that no key opens."""

    reports: int
    lost: int


def moment(milliseconds: bytes | str | float) -> datetime:
    """A time of the outbox, in ms since 1970, as a datetime in UTC."""
    return datetime.fromtimestamp(int(float(milliseconds)) / 1000, UTC)
