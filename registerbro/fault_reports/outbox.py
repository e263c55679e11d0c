"""Outbox of fault reports: durable record on the ledger's Redis, where each change of state is one atomic script.

    accepted ──► sending ──► delivered
       ▲          │ ▲ ├────► rejected         (the vendor will never take it)
       └──────────┘ │ └────► gave_up          (it was tried for long enough)
                    └──────► unknown_outcome  (the vendor may have it: sent again a few times, then left to an operator)

A sorted set holds every report that is sent by itself: a waiting report by its due time, a report that is being sent by
the end of its sender's lease. Messages only point at reports, so a lost queue loses none. A sender that was killed
leaves its mark `sending`; the next one finds it, and with it an attempt whose outcome is unknown.

Waiting goes by a steady clock (`registerbro/storage/steady_clock.py`, in `{reports}:clock`): setting the ledger's clock
neither delays a report, nor ends one, nor shortens a lease. People are shown the ledger's own time. Both are in
milliseconds since 1970.

This file is over 350 lines as the class is one thing: every method is one script of `scripts/` and the keys and values
that it takes.
"""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from config.celery import DELIVER_EVERY
from config.settings import BookingVendorSettings
from registerbro.fault_reports.model import (
    ENDED,
    PER_HOUR,
    UNKNOWN,
    Accepted,
    Content,
    IdempotencyKeyReused,
    LeftToOperator,
    OutboxStats,
    Record,
    Recovered,
    Sending,
    State,
    Tidied,
    TooManyReports,
    moment,
)
from registerbro.fault_reports.stored_form import (
    CLOCK,
    DISCARDS,
    DUE,
    HALT,
    LISTED_KEYS,
    NOT_DUE_KEYS,
    OPERATORS_KEYS,
    SENT_AGAIN,
    TEXTS,
    UNDECIDED,
    attempts_key,
    ended_key,
    expect,
    fingerprint_of,
    from_values,
    idempotency_key_of,
    keys_of,
    new_id,
    rate_key,
    report_key,
    to_values,
)
from registerbro.storage.ledger.connection import Ledger, NotYetOnDisk
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.sealing.keyring import Peppers
from registerbro.storage.sealing.recovery_key import PrivateRecoveryKey, RecoveryKey
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from registerbro.storage.steady_clock import Steady

QUEUED_FOR = timedelta(seconds=20)
"""How long a message may wait in the queue before it counts as lost and is sent again."""
TEXT_KEPT_FOR = timedelta(days=7)
"""How long after its delivery a report's text is kept."""
KEPT_FOR = timedelta(days=90)
"""How long an ended report is kept: a dead letter whole, a delivered report without its text."""
ANSWER_CHARACTERS = 500
"""How much of the vendor's answer is kept: enough to say what is wrong."""
LOOKED_AT_ONCE = 500
"""How many reports one round trip reads, when all are read."""
UNWATCHED = 5 * DELIVER_EVERY
"""Maximum time that counts as passed while no process ran: some of beat's rounds. After all were stopped, for a
night or because of a clock, reports wait on for what was left of their wait."""
KEPT_ATTEMPTS = 200
"""Number of attempts kept per report: more than seven days of retries make, even when replayed."""

_HOUR = timedelta(hours=1)


class Outbox:
    """Outbox: keeps reports until the vendor has them. Every method raises REDIS_DOWN errors.

    `clock` and `monotonic` are those of `Steady`, for tests; by default the ledger's clock and the process's.
    """

    def __init__(
        self,
        ledger: Ledger,
        sealer: Sealer,
        peppers: Peppers,
        settings: BookingVendorSettings,
        clock: Callable[[], int] | None = None,
        *,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._peppers = peppers
        self._settings = settings
        self._recovery = RecoveryKey(settings.recovery_key) if settings.recovery_key else None
        steady = Steady(ledger.redis, clock, monotonic, UNWATCHED)
        scripts = Scripts(ledger.redis, __file__, steady, KEPT_ATTEMPTS=KEPT_ATTEMPTS)
        self._accept = scripts.load("accept")
        self._take_due = scripts.load("take_due")
        self._begin_delivery = scripts.load("begin_delivery")
        self._postpone = scripts.load("postpone")
        self._leave_unknown = scripts.load("leave_unknown")
        self._reject = scripts.load("reject")
        self._release = scripts.load("release")
        self._deliver = scripts.load("deliver")
        self._replay = scripts.load("replay")
        self._settle = scripts.load("settle")
        self._discard = scripts.load("discard")
        self._halted = scripts.load("halted")
        self._erase = scripts.load("erase")
        self._recover = scripts.load("recover")
        self._tidy = scripts.load("tidy")
        self._stats = scripts.load("stats")

    async def accept(self, citizen_ids: tuple[str, ...], content: Content, idempotency_key: str) -> Accepted:
        """Keeps a report; returns once it is on disk. The same key with the same text gives the first answer.

        `citizen_ids` is the author's id, and behind it the ids by the other peppers, in the peppers' order.
        Raises IdempotencyKeyReused, TooManyReports and LedgerNotDurable: then the report was not kept. After any other
        REDIS_DOWN error the caller does not know, and should try again with the same key.
        """
        peppers = self._peppers()
        for older_id, pepper in zip(citizen_ids[1:], peppers[1:], strict=False):
            if (earlier := await self._earlier(older_id, pepper, content, idempotency_key)) is not None:
                return earlier
        citizen_id = citizen_ids[0]
        report_id = new_id()
        values = to_values(content)
        sealed = self._sealer.seal(values, f"{report_key(report_id)}#content")
        recovery = self._recovery.seal(values, f"{report_key(report_id)}#recovery") if self._recovery else b""
        call = self._accept.call(
            report=report_key(report_id),
            key=idempotency_key_of(citizen_id, idempotency_key),
            rate=rate_key(citizen_id),
            due=DUE,
            clock=CLOCK,
            id=report_id,
            citizen=citizen_id,
            content=sealed,
            fingerprint=fingerprint_of(peppers[0], content.text),
            give_up_after=ms(self._settings.give_up_after),
            most=PER_HOUR,
            within=ms(_HOUR),
            queued_for=ms(QUEUED_FOR),
            recovery=recovery,
        )
        verdict, *facts = await self._ledger.durably(call, repeatable=True)
        if verdict == b"reused":
            raise IdempotencyKeyReused
        if verdict == b"limited":
            raise TooManyReports(timedelta(milliseconds=int(facts[0])))
        return Accepted(facts[0].decode(), moment(facts[1]), again=verdict == b"again")

    async def _earlier(self, citizen_id: str, pepper: bytes, content: Content, idempotency_key: str) -> Accepted | None:
        """The report that was kept under this key before the pepper changed, if any. Raises IdempotencyKeyReused."""
        key = idempotency_key_of(citizen_id, idempotency_key)
        known: list[Any] = await self._ledger.redis.hmget(key, ["id", "fingerprint", "accepted_at"])
        report_id, fingerprint, accepted_at = known
        if report_id is None:
            return None
        if fingerprint.decode() != fingerprint_of(pepper, content.text):
            raise IdempotencyKeyReused
        return Accepted(report_id.decode(), moment(accepted_at), again=True)

    async def take_due(self, at_once: int = 100) -> tuple[str, ...]:
        """The ids of reports that are due; none while sending is halted.

        Each id goes to one caller, and to another if no run has begun the delivery within QUEUED_FOR.
        """
        due = await self._take_due(due=DUE, halt=HALT, clock=CLOCK, queued_for=ms(QUEUED_FOR), at_once=at_once)
        return tuple(report_id.decode() for report_id in due)

    async def begin_delivery(self, report_id: str, length: timedelta) -> Sending | None:
        """Takes a report's lease for `length`. None when it is not due or has ended, or when sending is halted.

        Raises LeftToOperator when the last sender was killed and the report is not to be sent again for that.
        """
        owner = secrets.token_hex(8)
        call = self._begin_delivery.call(
            **keys_of(report_id),
            due=DUE,
            halt=HALT,
            undecided=UNDECIDED,
            sent_again=SENT_AGAIN,
            clock=CLOCK,
            id=report_id,
            owner=owner,
            length=ms(length),
            repeats=-1 if self._settings.idempotent else self._settings.repeat_unknown,
        )
        try:
            # On disk before the vendor is called: after a power cut, too, the next sender finds the mark.
            found = await self._ledger.durably(call)
        except NotYetOnDisk:
            wait = ms(self._settings.retry_after)
            await self._release(**_attempt_of(report_id, owner, "not_on_disk"), halt=HALT, wait=wait, halt_for=0)
            raise
        if not found:
            return None
        if found == State.UNKNOWN_OUTCOME.encode():
            raise LeftToOperator
        content, accepted_at, citizen, unknown, interrupted = found
        return Sending(
            report_id,
            owner,
            moment(accepted_at),
            content,
            citizen.decode(),
            int(unknown),
            interrupted=bool(interrupted),
        )

    def open(self, sending: Sending) -> Content:
        """The content to send. Raises Unreadable."""
        return self._opened(sending.id, sending.sealed)

    async def deliver(self, sending: Sending, case: str | None) -> bool:
        """Records that the vendor has the report, under its case number if any. False when that was known already."""
        was_news = await self._deliver(
            **keys_of(sending.id),
            **NOT_DUE_KEYS,
            due=DUE,
            texts=TEXTS,
            clock=CLOCK,
            id=sending.id,
            owner=sending.owner,
            case=case or "",
        )
        return bool(was_news)

    async def postpone(
        self, sending: Sending, reason: str, answer: bytes | None = None, retry_after: timedelta | None = None
    ) -> State | None:
        """Ends a failed attempt: the report waits, longer each time and at least `retry_after`, or is given up.

        Returns the new state; None when the lease had ended (fencing: another run owns the report).
        """
        state = await self._postpone(
            **_attempt_of(sending.id, sending.owner, reason),
            **self._wait(sending, answer, retry_after),
            ended=ended_key(State.GAVE_UP),
            undecided=UNDECIDED,
        )
        return _state(state)

    async def leave_unknown(
        self, sending: Sending, cause: str, answer: bytes | None = None, retry_after: timedelta | None = None
    ) -> State | None:
        """Ends an attempt after which the vendor may have the report: it is sent again, REPEAT_UNKNOWN times in all.

        Then it waits for an operator. Returns as `postpone` does.
        """
        state = await self._leave_unknown(
            **_attempt_of(sending.id, sending.owner, UNKNOWN + cause),
            **self._wait(sending, answer, retry_after),
            cause=cause,
            undecided=UNDECIDED,
            repeats=self._settings.repeat_unknown,
        )
        return _state(state)

    def _wait(self, sending: Sending, answer: bytes | None, retry_after: timedelta | None) -> dict[str, Any]:
        """Values that every script takes after which a report may wait."""
        return {
            "answer": self._sealed(sending, answer),
            "longest_wait": ms(self._settings.longest_wait),
            "retry_after": ms(retry_after or timedelta(0)),
        }

    async def reject(self, sending: Sending, reason: str, answer: bytes | None = None) -> State | None:
        """Ends a report that the vendor will never take. Returns as `postpone` does."""
        sealed = self._sealed(sending, answer)
        state = await self._reject(
            **_attempt_of(sending.id, sending.owner, reason), ended=ended_key(State.REJECTED), answer=sealed
        )
        return _state(state)

    async def release(
        self, sending: Sending, reason: str, wait: timedelta = timedelta(0), halt: timedelta = timedelta(0)
    ) -> State | None:
        """Ends an attempt that does not count: the report is due again after `wait`, and later waits grow no longer.

        `halt` stops all sending for so long. Returns as `postpone` does.
        """
        state = await self._release(
            **_attempt_of(sending.id, sending.owner, reason), halt=HALT, wait=ms(wait), halt_for=ms(halt)
        )
        return _state(state)

    async def replay(self, report_id: str) -> None:
        """Sends a report anew, now and for as long as a new one; lifts a halt. Raises UnknownReport and WrongState.

        After an unknown outcome this is one more attempt: another unknown one leaves the report to an operator again.
        """
        call = self._replay.call(
            report=report_key(report_id),
            due=DUE,
            **OPERATORS_KEYS,
            halt=HALT,
            clock=CLOCK,
            id=report_id,
            give_up_after=ms(self._settings.give_up_after),
        )
        expect(await self._ledger.durably(call), State.ACCEPTED.encode(), report_id)

    async def settle(self, report_id: str, case: str = "") -> None:
        """Ends a report of unknown outcome as delivered: the vendor has it, an operator says. Raises as `replay`."""
        call = self._settle.call(
            report=report_key(report_id),
            **NOT_DUE_KEYS,
            due=DUE,
            texts=TEXTS,
            clock=CLOCK,
            id=report_id,
            case=case,
        )
        expect(await self._ledger.durably(call), b"settled", report_id)

    async def discard(self, report_id: str, reason: str, by: str) -> None:
        """Removes a report that needs an operator, and records for good by whom and why. Raises as `replay` does."""
        call = self._discard.call(
            **keys_of(report_id),
            **OPERATORS_KEYS,
            sent_again=SENT_AGAIN,
            discards=DISCARDS,
            clock=CLOCK,
            id=report_id,
            reason=reason,
            by=by,
        )
        expect(await self._ledger.durably(call), b"discarded", report_id)

    async def erase(self, report_id: str, *, undelivered: bool) -> None:
        """Removes a report without a trace. `undelivered` allows that also before the vendor has it.

        Raises UnknownReport, and WrongState while the report is being sent, or for an undelivered one without that.
        """
        call = self._erase.call(
            **keys_of(report_id),
            **LISTED_KEYS,
            due=DUE,
            texts=TEXTS,
            id=report_id,
            undelivered=int(undelivered),
        )
        expect(await self._ledger.durably(call), b"erased", report_id)

    async def written_by(self, citizen_ids: Collection[str]) -> list[str]:
        """The ids of all reports of a citizen. Reads every report."""
        wanted = {citizen_id.encode() for citizen_id in citizen_ids}
        return [report_id async for report_id, (author,) in self._all("citizen") if author in wanted]

    async def recover(self, key: PrivateRecoveryKey) -> Recovered:
        """Seals again, with the newest key, each report that only the recovery key opens."""
        recovered = lost = 0
        async for report_id, (content, recovery) in self._all("content", "recovery"):
            if content is None:
                continue
            try:
                self._opened(report_id, content)
            except Unreadable:
                try:
                    values = key.open(recovery or b"", f"{report_key(report_id)}#recovery")
                except Unreadable:
                    lost += 1
                    continue
                sealed = self._sealer.seal(values, f"{report_key(report_id)}#content")
                await self._ledger.durably(
                    self._recover.call(report=report_key(report_id), before=content, after=sealed)
                )
                recovered += 1
        return Recovered(recovered, lost)

    async def _all(self, *fields: str) -> AsyncIterator[tuple[str, list[bytes | None]]]:
        """Each report, with these of its fields. A report that changes its state meanwhile may come twice."""
        for place in (DUE, UNDECIDED, *map(ended_key, ENDED)):
            ids: list[bytes] = list(await self._ledger.redis.zrange(place, 0, -1))  # type: ignore[arg-type]
            for start in range(0, len(ids), LOOKED_AT_ONCE):
                some = [report_id.decode() for report_id in ids[start : start + LOOKED_AT_ONCE]]
                pipeline = self._ledger.redis.pipeline(transaction=False)
                for report_id in some:
                    pipeline.hmget(report_key(report_id), list(fields))
                for report_id, values in zip(some, await pipeline.execute(), strict=True):
                    yield report_id, values

    async def tidy(self, at_once: int = 500) -> Tidied:
        """Erases texts and removes reports that were kept long enough, at most `at_once` of each."""
        counts = await self._tidy(
            **LISTED_KEYS,
            texts=TEXTS,
            clock=CLOCK,
            report_prefix=report_key(""),
            attempts_prefix=attempts_key(""),
            text_kept_for=ms(TEXT_KEPT_FOR),
            kept_for=ms(KEPT_FOR),
            at_once=at_once,
        )
        return Tidied(*counts)

    async def record(self, report_id: str) -> Record | None:
        """The record of a report; None without one."""
        pipeline = self._ledger.redis.pipeline(transaction=False)
        pipeline.hgetall(report_key(report_id))
        pipeline.lrange(attempts_key(report_id), 0, -1)
        pipeline.hget(CLOCK, "ahead")
        fields, attempts, ahead = await pipeline.execute()
        return Record.of(report_id, fields, attempts, int(float(ahead or 0))) if fields else None

    async def records(self, states: Iterable[State], limit: int = 100) -> list[Record]:
        """The reports in these states, by when they ended or are due, the oldest first."""
        wanted = frozenset(states)
        places = [ended_key(state) for state in ENDED if state in wanted]
        places += [UNDECIDED] * (State.UNKNOWN_OUTCOME in wanted) + [DUE] * bool(wanted - set(ENDED))
        found: list[Record] = []
        for place in places:
            found += [record for record in await self._records_in(place, limit) if record.state in wanted]
        return found[:limit]

    async def sent_again(self, limit: int = 100) -> list[Record]:
        """The reports that were sent again after an unknown outcome, whatever became of them; the oldest first."""
        return await self._records_in(SENT_AGAIN, limit)

    async def _records_in(self, place: str, limit: int) -> list[Record]:
        ids: list[bytes] = list(await self._ledger.redis.zrange(place, 0, limit - 1))  # type: ignore[arg-type]
        records = [await self.record(report_id.decode()) for report_id in ids]
        return [record for record in records if record is not None]

    async def stats(self, at_most: int = 10_000) -> OutboxStats:
        """Counts of all reports. Of those that have not ended, it reads the `at_most` that are due first."""
        sending, unknown, oldest, unended, delivered, rejected, gave_up, undecided, sent_again = await self._stats(
            **LISTED_KEYS,
            due=DUE,
            clock=CLOCK,
            report_prefix=report_key(""),
            most=at_most,
        )
        counts = {
            State.ACCEPTED: unended - sending - unknown,
            State.SENDING: sending,
            State.UNKNOWN_OUTCOME: unknown + undecided,
            State.DELIVERED: delivered,
            State.REJECTED: rejected,
            State.GAVE_UP: gave_up,
        }
        return OutboxStats(counts, timedelta(milliseconds=oldest) if unended else None, undecided, sent_again)

    async def contents(self, report_id: str) -> tuple[Content | None, str | None]:
        """The content and the vendor's last answer, opened; None for each that is not kept. Raises Unreadable."""
        kept: list[Any] = await self._ledger.redis.hmget(report_key(report_id), ["content", "answer"])
        content, answer = kept
        opened = self._sealer.open(answer, f"{report_key(report_id)}#answer").decode() if answer else None
        return self._opened(report_id, content) if content else None, opened

    async def halted_until(self) -> datetime | None:
        """Until when sending is halted, since the vendor refused us; None when it is not halted."""
        left, now = await self._halted(halt=HALT, clock=CLOCK)
        return moment(now + left) if left > 0 else None

    async def discards(self) -> list[dict[str, str]]:
        """Every discard there ever was, the oldest first: `id`, `state`, `reason`, `by`, and times in ms since 1970."""
        return [json.loads(line) for line in await self._ledger.redis.lrange(DISCARDS, 0, -1)]

    def _sealed(self, sending: Sending, answer: bytes | None) -> bytes:
        """The vendor's answer, cut and sealed: it may repeat the citizen's text."""
        if not answer:
            return b""
        cut = answer.decode("utf-8", "replace")[:ANSWER_CHARACTERS]
        return self._sealer.seal(cut.encode(), f"{report_key(sending.id)}#answer")

    def _opened(self, report_id: str, sealed: bytes) -> Content:
        return from_values(self._sealer.open(sealed, f"{report_key(report_id)}#content"))


def _attempt_of(report_id: str, owner: str, reason: str) -> dict[str, str]:
    """Values that every script takes which ends an attempt without a delivery."""
    return {**keys_of(report_id), "due": DUE, "clock": CLOCK, "id": report_id, "owner": owner, "reason": reason}


def _state(answer: bytes) -> State | None:
    return State(answer.decode()) if answer else None
