"""The durable record of fault reports: each change of state is one atomic script on the ledger's Redis.

    accepted ──► sending ──► delivered
       ▲           │ ├─────► rejected   (the vendor will never take it)
       └───────────┘ └─────► gave_up    (it was tried for long enough)

A sorted set holds every report that is not yet ended, by when somebody should look at it: what waits, by its due time;
what is being sent, by when the sender's lease ends. Messages only point at it, so a lost queue loses nothing.

What is waited for goes by a steady clock (`workers/steady.py`, in `{reports}:clock`): setting the ledger's
neither keeps a report from being sent, nor ends one, nor a lease or the keeping of it. What is told is the ledger's own
time. Both are in milliseconds since 1970.
"""

import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from config.celery import DELIVER_EVERY
from config.settings import BookingVendorSettings
from workers.booking_vendor.recovery import PrivateRecoveryKey, RecoveryKey
from workers.cache.keyring import Peppers
from workers.cache.ledger import Ledger
from workers.cache.scripts import ms
from workers.cache.sealing import Sealer, Unreadable
from workers.steady import Steady, SteadyScript

PER_HOUR = 10
"""How many reports one citizen may hand in within any hour."""
QUEUED_FOR = timedelta(seconds=20)
"""How long a message may wait in the queue before it is taken for lost and sent again."""
TEXT_KEPT_FOR = timedelta(days=7)
"""How long after its delivery a report's text is kept."""
KEPT_FOR = timedelta(days=90)
"""How long an ended report is kept: a dead letter whole, a delivered one without its text."""
ANSWER_CHARACTERS = 500
"""As much of the vendor's answer is kept as says what is wrong."""
LOOKED_AT_ONCE = 500
"""How many reports are looked at in one round trip, when all are."""
UNWATCHED = 5 * DELIVER_EVERY
"""How much time counts as passed at the most while nobody was there to see it pass: some of beat's rounds. When all
processes begin anew, after a night or because of a clock, reports wait from there on for what they had to wait."""
KEPT_ATTEMPTS = 200
"""More than seven days of waits hold, even when replayed."""

_HOUR = timedelta(hours=1)
_PREFIX = "{reports}:"
"""The braces keep all keys in one slot of a cluster, as an atomic script needs it."""
_DUE, _HALT, _TEXTS, _DISCARDS, CLOCK = (_PREFIX + name for name in ("due", "halt", "texts", "discards", "clock"))
_CPR_LIKE = re.compile(r"\d{6}-?\d{4}")


# KEYS: report, idempotency key, the citizen's acceptances, due.
# ARGV: id, citizen, sealed content, fingerprint, give up after, most, within, first look after,
# the content sealed for its recovery.
_ACCEPT = """
local known = redis.call('HMGET', KEYS[2], 'id', 'fingerprint', 'accepted_at')
if known[1] then
  if known[2] ~= ARGV[4] then return {'reused'} end
  -- A write, so that this answer too waits until the disk has what it tells of.
  redis.call('HINCRBY', KEYS[2], 'asked_again', 1)
  return {'again', known[1], known[3]}
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[7])
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[6]) then
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
  return {'limited', oldest + ARGV[7] - now}
end
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
redis.call('HSET', KEYS[2], 'id', ARGV[1], 'fingerprint', ARGV[4], 'accepted_at', time)
redis.call('HSET', KEYS[1], 'state', 'accepted', 'citizen', ARGV[2], 'content', ARGV[3], 'key', KEYS[2],
  'accepted_at', time, 'since', now, 'due_at', now, 'give_up_at', now + ARGV[5], 'tries', 0)
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'recovery', ARGV[9]) end
redis.call('ZADD', KEYS[4], now + ARGV[8], ARGV[1])
return {'accepted', ARGV[1], time}
"""

# KEYS: due, halt. ARGV: queued for, how many at once.
_TAKE_DUE = """
if tonumber(redis.call('GET', KEYS[2]) or 0) > now then return {} end
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[1], id) end
return due
"""

# KEYS: report, attempts, due, halt. ARGV: id, owner, length of the lease.
_BEGIN = f"""
if tonumber(redis.call('GET', KEYS[4]) or 0) > now then return false end
local found = redis.call('HMGET', KEYS[1], 'state', 'due_at', 'content', 'accepted_at')
if found[1] ~= 'accepted' and found[1] ~= 'sending' then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return false
end
if tonumber(found[2]) > now then return false end
redis.call('HSET', KEYS[1], 'state', 'sending', 'owner', ARGV[2], 'due_at', now + ARGV[3])
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('RPUSH', KEYS[2], time .. ' ')
redis.call('LTRIM', KEYS[2], -{KEPT_ATTEMPTS}, -1)
return {{found[3], found[4]}}
"""

# Begins every script by which a sending ends without a delivery: a late result changes nothing that an heir has begun.
_MINE = """
local found = redis.call('HMGET', KEYS[1], 'state', 'owner', 'tries', 'give_up_at')
if found[1] ~= 'sending' or found[2] ~= ARGV[2] then return '' end
redis.call('LSET', KEYS[2], -1, redis.call('LINDEX', KEYS[2], -1) .. ARGV[3])
redis.call('HSET', KEYS[1], 'reason', ARGV[3])
redis.call('HDEL', KEYS[1], 'owner')
local function wait_until(at)
  redis.call('HSET', KEYS[1], 'state', 'accepted', 'due_at', at)
  redis.call('ZADD', KEYS[3], at, ARGV[1])
  return 'accepted'
end
local function keep_answer(answer)
  if answer ~= '' then redis.call('HSET', KEYS[1], 'answer', answer) else redis.call('HDEL', KEYS[1], 'answer') end
end
local function finish(state)
  redis.call('HSET', KEYS[1], 'state', state, 'ended_at', time)
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZADD', KEYS[4], now, ARGV[1])
  return state
end
"""
# KEYS: report, attempts, due, gave_up. ARGV: id, owner, reason, answer, longest wait, retry after.
_POSTPONE = f"""{_MINE}
keep_answer(ARGV[4])
local give_up_at = tonumber(found[4])
if now >= give_up_at then return finish('gave_up') end
local wait = math.min((2 ^ tonumber(found[3]) - 1) * 1000, tonumber(ARGV[5]))
-- The last attempt is made when the time is up, unless the vendor asked for a later one.
return wait_until(math.max(math.min(now + wait, give_up_at), now + ARGV[6]))
"""
# KEYS: report, attempts, due, rejected. ARGV: id, owner, reason, answer.
_REJECT = f"""{_MINE}
keep_answer(ARGV[4])
return finish('rejected')
"""
# KEYS: report, attempts, due, halt. ARGV: id, owner, reason, wait, how long to halt everything.
_RELEASE = f"""{_MINE}
redis.call('HINCRBY', KEYS[1], 'tries', -1)
if tonumber(ARGV[5]) > 0 then redis.call('SET', KEYS[4], now + ARGV[5]) end
return wait_until(now + ARGV[4])
"""

# KEYS: report, attempts, due, delivered, texts, rejected, gave_up. ARGV: id, owner, case number.
# Whoever says it, and however late: what the vendor has is delivered.
_DELIVER = """
local found = redis.call('HMGET', KEYS[1], 'state', 'owner')
if not found[1] or found[1] == 'delivered' then return 0 end
if found[2] == ARGV[2] then
  redis.call('LSET', KEYS[2], -1, redis.call('LINDEX', KEYS[2], -1) .. 'delivered')
end
redis.call('HDEL', KEYS[1], 'owner', 'reason', 'answer')
redis.call('HSET', KEYS[1], 'state', 'delivered', 'ended_at', time, 'case', ARGV[3])
for _, key in ipairs({KEYS[3], KEYS[6], KEYS[7]}) do redis.call('ZREM', key, ARGV[1]) end
redis.call('ZADD', KEYS[4], now, ARGV[1])
redis.call('ZADD', KEYS[5], now, ARGV[1])
return 1
"""

# KEYS: report, due, rejected, gave_up, halt. ARGV: id, give up after.
_REPLAY = """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return '' end
if state == 'delivered' or state == 'sending' then return state end
redis.call('DEL', KEYS[5])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[1], 'ended_at')
redis.call('HSET', KEYS[1], 'state', 'accepted', 'due_at', now, 'give_up_at', now + ARGV[2], 'tries', 0)
redis.call('ZADD', KEYS[2], now, ARGV[1])
return 'accepted'
"""

# KEYS: report, attempts, rejected, gave_up, discards. ARGV: id, reason, by whom.
_DISCARD = """
local found = redis.call('HMGET', KEYS[1], 'state', 'key', 'accepted_at')
if not found[1] then return '' end
if found[1] ~= 'rejected' and found[1] ~= 'gave_up' then return found[1] end
redis.call('RPUSH', KEYS[5], cjson.encode({
  id = ARGV[1], state = found[1], accepted_at = found[3], discarded_at = string.format('%d', time),
  reason = ARGV[2], by = ARGV[3]
}))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], found[2])
return 'discarded'
"""

# KEYS: report, attempts, due, texts, delivered, rejected, gave_up.
# ARGV: id, whether also one that the vendor has not got.
_ERASE = """
local found = redis.call('HMGET', KEYS[1], 'state', 'key')
if not found[1] then return '' end
if found[1] ~= 'delivered' and (found[1] == 'sending' or ARGV[2] ~= '1') then return found[1] end
redis.call('DEL', KEYS[1], KEYS[2], found[2])
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 'erased'
"""

# KEYS: report. ARGV: the content as it was, as it is to be.
_RECOVER = """
if redis.call('HGET', KEYS[1], 'content') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'content', ARGV[2])
return 1
"""

# KEYS: texts, delivered, rejected, gave_up.
# ARGV: prefix of reports, of attempts, text kept for, kept for, how many at once.
_TIDY = """
local erased = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3], 'LIMIT', 0, ARGV[5])
for _, id in ipairs(erased) do
  redis.call('HDEL', ARGV[1] .. id, 'content', 'recovery')
  redis.call('ZREM', KEYS[1], id)
end
local removed = 0
for i = 2, 4 do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[4], 'LIMIT', 0, ARGV[5])) do
    redis.call('DEL', ARGV[1] .. id, ARGV[2] .. id, redis.call('HGET', ARGV[1] .. id, 'key') or '')
    redis.call('ZREM', KEYS[i], id)
    redis.call('ZREM', KEYS[1], id)
    removed = removed + 1
  end
end
return {#erased, removed}
"""


# KEYS: due, delivered, rejected, gave_up. ARGV: prefix of reports, how many to look at.
_STANDING = """
local sending, oldest = 0, now
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)) do
  local found = redis.call('HMGET', ARGV[1] .. id, 'state', 'since', 'accepted_at')
  if found[1] == 'sending' then sending = sending + 1 end
  oldest = math.min(oldest, tonumber(found[2] or found[3]) or now)
end
local counts = {sending, now - oldest}
for _, key in ipairs(KEYS) do counts[#counts + 1] = redis.call('ZCARD', key) end
return counts
"""


# KEYS: halt. Returns for how long, and from which time by the server's clock.
_HALTED = "return {tonumber(redis.call('GET', KEYS[1]) or 0) - now, time}"


class State(StrEnum):
    """The states of a report."""

    ACCEPTED = "accepted"
    SENDING = "sending"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"


ENDED = (State.DELIVERED, State.REJECTED, State.GAVE_UP)
DEAD_LETTERS = (State.REJECTED, State.GAVE_UP)
"""The states that need a person."""


class IdempotencyKeyReused(Exception):
    """The citizen used this idempotency key before, for another text."""


class TooManyReports(Exception):
    """The citizen has handed in as many reports as an hour allows; `retry_after` is when the next is taken."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(f"more than {PER_HOUR} reports within an hour")
        self.retry_after = retry_after


class UnknownReport(LookupError):
    """There is no report of that id."""


class WrongState(Exception):
    """What was asked for cannot be done with a report in this `state`."""

    def __init__(self, state: State) -> None:
        super().__init__(f"the report is {state}")
        self.state = state


@dataclass(frozen=True, slots=True)
class Content:
    """What a citizen wrote, and where. None of it is in the repr."""

    text: str = field(repr=False)
    page: str | None = field(default=None, repr=False)
    error_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A report that is on the ledger's disk; `again` when an earlier call with the same key had put it there."""

    id: str
    accepted_at: datetime
    again: bool


@dataclass(frozen=True, slots=True)
class Sending:
    """The right to send one report now; `owner` is the run that holds it. `sealed` is opened by `Outbox.open`."""

    id: str
    owner: str
    accepted_at: datetime
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at sending; `outcome` is None while it runs, or when its worker was killed."""

    at: datetime
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """All that is kept of a report but its sealed contents."""

    id: str
    citizen_id: str = field(repr=False)
    state: State
    accepted_at: datetime
    due_at: datetime | None
    """When it is sent, or sent again if its sender is killed; None when it has ended."""
    give_up_at: datetime
    ended_at: datetime | None
    reason: str | None
    """Why the last attempt failed; None when none did, or when it was delivered."""
    case: str | None
    """The vendor's `sagsnummer`, when it was delivered."""
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many reports are kept in each state, and how long the oldest that is not yet ended has waited."""

    reports: dict[State, int]
    oldest_undelivered: timedelta | None
    """None when every report has ended."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many texts were erased, and how many reports removed altogether."""

    texts: int
    reports: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many reports open again, and how many do not with any key."""

    reports: int
    lost: int


class Outbox:
    """Keeps reports until the vendor has them. Every method raises REDIS_DOWN errors.

    `clock` and `monotonic` are those of `Steady`, for tests; the ledger's own clock and the process's when None.
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
        script = Steady(ledger.redis, clock, monotonic, UNWATCHED).script
        self._accept: SteadyScript = script(_ACCEPT)
        self._take_due: SteadyScript = script(_TAKE_DUE)
        self._begin: SteadyScript = script(_BEGIN)
        self._postpone: SteadyScript = script(_POSTPONE)
        self._reject: SteadyScript = script(_REJECT)
        self._release: SteadyScript = script(_RELEASE)
        self._deliver: SteadyScript = script(_DELIVER)
        self._replay: SteadyScript = script(_REPLAY)
        self._discard: SteadyScript = script(_DISCARD)
        self._halted: SteadyScript = script(_HALTED)
        self._erase: AsyncScript = ledger.redis.register_script(_ERASE)
        self._recover: AsyncScript = ledger.redis.register_script(_RECOVER)
        self._tidy: SteadyScript = script(_TIDY)
        self._standing: SteadyScript = script(_STANDING)

    async def accept(self, citizen_ids: tuple[str, ...], content: Content, idempotency_key: str) -> Accepted:
        """Keeps a report; returns once it is on disk. The same key with the same text gives the first answer.

        `citizen_ids` is the author's id, and behind it those by the other peppers, in the peppers' order.
        Raises IdempotencyKeyReused, TooManyReports and LedgerNotDurable, after each of which nothing was kept; after
        any other REDIS_DOWN error that is not known, and the same key should be used again.
        """
        peppers = self._peppers()
        for older_id, pepper in zip(citizen_ids[1:], peppers[1:], strict=False):
            if (earlier := await self._earlier(older_id, pepper, content, idempotency_key)) is not None:
                return earlier
        citizen_id = citizen_ids[0]
        report_id = _new_id()
        values = json.dumps([content.text, content.page, content.error_code], ensure_ascii=False).encode()
        sealed = self._sealer.seal(values, f"{_report(report_id)}#content")
        recovery = self._recovery.seal(values, f"{_report(report_id)}#recovery") if self._recovery else b""
        keys = [_report(report_id), self._key(citizen_id, idempotency_key), rate_key(citizen_id), _DUE, CLOCK]
        verdict, *facts = await self._ledger.durably(
            self._accept,
            keys,
            [
                report_id,
                citizen_id,
                sealed,
                _fingerprint(peppers[0], content.text),
                ms(self._settings.give_up_after),
                PER_HOUR,
                ms(_HOUR),
                ms(QUEUED_FOR),
                recovery,
            ],
            repeatable=True,
        )
        if verdict == b"reused":
            raise IdempotencyKeyReused
        if verdict == b"limited":
            raise TooManyReports(timedelta(milliseconds=int(facts[0])))
        return Accepted(facts[0].decode(), _datetime(facts[1]), again=verdict == b"again")

    async def _earlier(self, citizen_id: str, pepper: bytes, content: Content, idempotency_key: str) -> Accepted | None:
        """What this key was used for before the pepper changed, if it was. Raises IdempotencyKeyReused."""
        key = self._key(citizen_id, idempotency_key)
        known: list[Any] = await self._ledger.redis.hmget(key, ["id", "fingerprint", "accepted_at"])
        report_id, fingerprint, accepted_at = known
        if report_id is None:
            return None
        if fingerprint.decode() != _fingerprint(pepper, content.text):
            raise IdempotencyKeyReused
        return Accepted(report_id.decode(), _datetime(accepted_at), again=True)

    async def take_due(self, at_once: int = 100) -> tuple[str, ...]:
        """The ids of reports that somebody should send now; none while sending is halted.

        Each is given to one caller, and to another if nobody has begun it within QUEUED_FOR.
        """
        due = await self._take_due(keys=[_DUE, _HALT, CLOCK], args=[ms(QUEUED_FOR), at_once])
        return tuple(report_id.decode() for report_id in due)

    async def begin(self, report_id: str, length: timedelta) -> Sending | None:
        """Makes the sending this run's own for `length`. None when it is not due, has ended or all is halted."""
        owner = secrets.token_hex(8)
        keys = [_report(report_id), _attempts(report_id), _DUE, _HALT, CLOCK]
        found = await self._begin(keys=keys, args=[report_id, owner, ms(length)])
        return Sending(report_id, owner, _datetime(found[1]), found[0]) if found else None

    def open(self, sending: Sending) -> Content:
        """What is to be sent. Raises Unreadable."""
        return self._opened(sending.id, sending.sealed)

    async def deliver(self, sending: Sending, case: str) -> bool:
        """The vendor has it, as `case`. False when that was known already."""
        keys = [
            _report(sending.id),
            _attempts(sending.id),
            _DUE,
            _ended(State.DELIVERED),
            _TEXTS,
            *map(_ended, DEAD_LETTERS),
            CLOCK,
        ]
        return bool(await self._deliver(keys=keys, args=[sending.id, sending.owner, case]))

    async def postpone(
        self, sending: Sending, reason: str, answer: bytes | None = None, retry_after: timedelta | None = None
    ) -> State | None:
        """It may go well later: it waits, longer each time and at least `retry_after`, or the time for it is up.

        Returns the state it is in now; None when the lease had ended and the result is another run's to give.
        """
        keys = self._ending(sending, _ended(State.GAVE_UP))
        args = (ms(self._settings.longest_wait), ms(retry_after or timedelta(0)))
        return _state(
            await self._postpone(
                keys=keys, args=[sending.id, sending.owner, reason, self._sealed(sending, answer), *args]
            )
        )

    async def reject(self, sending: Sending, reason: str, answer: bytes | None = None) -> State | None:
        """The vendor will never take it as it is. Returns as `postpone` does."""
        keys = self._ending(sending, _ended(State.REJECTED))
        sealed = self._sealed(sending, answer)
        return _state(await self._reject(keys=keys, args=[sending.id, sending.owner, reason, sealed]))

    async def release(
        self, sending: Sending, reason: str, wait: timedelta = timedelta(0), halt: timedelta = timedelta(0)
    ) -> State | None:
        """It was not the report's fault: it is due again after `wait`, and no longer waits follow from that.

        `halt` keeps everything from being sent for so long. Returns as `postpone` does.
        """
        keys = self._ending(sending, _HALT)
        args: list[EncodableT] = [sending.id, sending.owner, reason, ms(wait), ms(halt)]
        return _state(await self._release(keys=keys, args=args))

    async def replay(self, report_id: str) -> None:
        """Sends a report anew, now and for as long as a new one; lifts a halt. Raises UnknownReport and WrongState."""
        keys = [_report(report_id), _DUE, *map(_ended, DEAD_LETTERS), _HALT, CLOCK]
        args: list[EncodableT] = [report_id, ms(self._settings.give_up_after)]
        state = _state(await self._ledger.durably(self._replay, keys, args))
        if state is None:
            raise UnknownReport(report_id)
        if state is not State.ACCEPTED:
            raise WrongState(state)

    async def discard(self, report_id: str, reason: str, by: str) -> None:
        """Removes a dead letter, and notes for good who did and why. Raises UnknownReport and WrongState."""
        keys = [_report(report_id), _attempts(report_id), *map(_ended, DEAD_LETTERS), _DISCARDS, CLOCK]
        found = await self._ledger.durably(self._discard, keys, [report_id, reason, by])
        if not found:
            raise UnknownReport(report_id)
        if found != b"discarded":
            raise WrongState(State(found.decode()))

    async def erase(self, report_id: str, *, undelivered: bool) -> None:
        """Removes a report, with or without its having reached the vendor, and leaves no trace of it.

        Raises UnknownReport, and WrongState while it is being sent, or when the vendor has not got it and that matters.
        """
        keys = [_report(report_id), _attempts(report_id), _DUE, _TEXTS, *map(_ended, ENDED)]
        found = await self._ledger.durably(self._erase, keys, [report_id, int(undelivered)])
        if not found:
            raise UnknownReport(report_id)
        if found != b"erased":
            raise WrongState(State(found.decode()))

    async def written_by(self, citizen_ids: Collection[str]) -> list[str]:
        """The ids of all reports that are kept of a citizen. Every report is looked at."""
        wanted = {citizen_id.encode() for citizen_id in citizen_ids}
        return [report_id async for report_id, (author,) in self._all("citizen") if author in wanted]

    async def recover(self, key: PrivateRecoveryKey) -> Recovered:
        """Seals anew, with the newest key, each report that no sealing key opens and the recovery key does."""
        recovered = lost = 0
        async for report_id, (content, recovery) in self._all("content", "recovery"):
            if content is None:
                continue
            try:
                self._opened(report_id, content)
            except Unreadable:
                try:
                    values = key.open(recovery or b"", f"{_report(report_id)}#recovery")
                except Unreadable:
                    lost += 1
                    continue
                sealed = self._sealer.seal(values, f"{_report(report_id)}#content")
                await self._ledger.durably(self._recover, [_report(report_id)], [content, sealed])
                recovered += 1
        return Recovered(recovered, lost)

    async def _all(self, *fields: str) -> AsyncIterator[tuple[str, list[bytes | None]]]:
        """Each report that is kept, with these of its fields. One that changes its state meanwhile may come twice."""
        for place in (_DUE, *map(_ended, ENDED)):
            ids: list[bytes] = list(await self._ledger.redis.zrange(place, 0, -1))  # type: ignore[arg-type]
            for start in range(0, len(ids), LOOKED_AT_ONCE):
                some = [report_id.decode() for report_id in ids[start : start + LOOKED_AT_ONCE]]
                pipeline = self._ledger.redis.pipeline(transaction=False)
                for report_id in some:
                    pipeline.hmget(_report(report_id), list(fields))
                for report_id, values in zip(some, await pipeline.execute(), strict=True):
                    yield report_id, values

    async def tidy(self, at_once: int = 500) -> Tidied:
        """Erases and removes what has been kept long enough, at most so many of each kind."""
        args: list[EncodableT] = [_report(""), _attempts(""), ms(TEXT_KEPT_FOR), ms(KEPT_FOR), at_once]
        return Tidied(*await self._tidy(keys=[_TEXTS, *map(_ended, ENDED), CLOCK], args=args))

    async def record(self, report_id: str) -> Record | None:
        """What is kept of a report; None when there is none of that id."""
        pipeline = self._ledger.redis.pipeline(transaction=False)
        pipeline.hgetall(_report(report_id))
        pipeline.lrange(_attempts(report_id), 0, -1)
        pipeline.hget(CLOCK, "ahead")
        fields, attempts, ahead = await pipeline.execute()
        return _record(report_id, fields, attempts, int(float(ahead or 0))) if fields else None

    async def records(self, states: Iterable[State], limit: int = 100) -> list[Record]:
        """The reports in these states, the oldest first: by when they ended, or are due."""
        wanted = frozenset(states)
        places = [_ended(state) for state in ENDED if state in wanted] + [_DUE] * bool(wanted - set(ENDED))
        found: list[Record] = []
        for place in places:
            ids: list[bytes] = list(await self._ledger.redis.zrange(place, 0, limit - 1))  # type: ignore[arg-type]
            records = [await self.record(report_id.decode()) for report_id in ids]
            found += [record for record in records if record is not None and record.state in wanted]
        return found[:limit]

    async def standing(self, at_most: int = 10_000) -> Standing:
        """How the reports stand. Of those not ended, the `at_most` that are due first are looked at one by one."""
        keys = [_DUE, *map(_ended, ENDED), CLOCK]
        sending, oldest, unended, delivered, rejected, gave_up = await self._standing(
            keys=keys, args=[_report(""), at_most]
        )
        counts = {
            State.ACCEPTED: unended - sending,
            State.SENDING: sending,
            State.DELIVERED: delivered,
            State.REJECTED: rejected,
            State.GAVE_UP: gave_up,
        }
        return Standing(counts, timedelta(milliseconds=oldest) if unended else None)

    async def contents(self, report_id: str) -> tuple[Content | None, str | None]:
        """The text and the vendor's last answer, opened; None for what is not kept. Raises Unreadable."""
        kept: list[Any] = await self._ledger.redis.hmget(_report(report_id), ["content", "answer"])
        content, answer = kept
        opened = self._sealer.open(answer, f"{_report(report_id)}#answer").decode() if answer else None
        return self._opened(report_id, content) if content else None, opened

    async def halted_until(self) -> datetime | None:
        """Until when nothing is sent, as the vendor refused us; None when it is not so."""
        left, now = await self._halted(keys=[_HALT, CLOCK])
        return _datetime(now + left) if left > 0 else None

    async def discards(self) -> list[dict[str, str]]:
        """Every discard there ever was, the oldest first: `id`, `state`, `reason`, `by`, and times in ms since 1970."""
        return [json.loads(line) for line in await self._ledger.redis.lrange(_DISCARDS, 0, -1)]

    def _ending(self, sending: Sending, place: str) -> list[str]:
        return [_report(sending.id), _attempts(sending.id), _DUE, place, CLOCK]

    def _sealed(self, sending: Sending, answer: bytes | None) -> bytes:
        """The vendor's answer may repeat the text, so it is kept as the text is."""
        if not answer:
            return b""
        cut = answer.decode("utf-8", "replace")[:ANSWER_CHARACTERS]
        return self._sealer.seal(cut.encode(), f"{_report(sending.id)}#answer")

    def _opened(self, report_id: str, sealed: bytes) -> Content:
        return Content(*json.loads(self._sealer.open(sealed, f"{_report(report_id)}#content")))

    def _key(self, citizen_id: str, idempotency_key: str) -> str:
        """Each citizen has idempotency keys of their own, whatever they hold."""
        digest = hashlib.sha256(f"{citizen_id} {idempotency_key}".encode("utf-8", "surrogatepass"))
        return f"{_PREFIX}key:{digest.hexdigest()}"


def _fingerprint(pepper: bytes, text: str) -> str:
    """Tells texts apart, and tells nothing of them to who has not the pepper."""
    return hmac.digest(pepper, text.encode(), hashlib.sha256).hex()


def _new_id() -> str:
    """A random UUID in which nothing looks like a CPR number, so that no redaction of a log hides it."""
    while _CPR_LIKE.search(report_id := str(uuid.uuid4())):
        pass
    return report_id


def rate_key(citizen_id: str) -> str:
    """The ledger's key of the reports that a citizen handed in within the last hour: id by when, by `CLOCK`."""
    return f"{_PREFIX}rate:{citizen_id}"


def _report(report_id: str) -> str:
    return f"{_PREFIX}report:{report_id}"


def _attempts(report_id: str) -> str:
    return f"{_PREFIX}attempts:{report_id}"


def _ended(state: State) -> str:
    return f"{_PREFIX}{state}"


def _state(answer: bytes) -> State | None:
    return State(answer.decode()) if answer else None


def _record(report_id: str, fields: dict[bytes, bytes], attempts: list[bytes], ahead: int) -> Record:
    """What waits goes by the steady clock, which is so much `ahead` of the ledger's own, and is told by that."""
    state = State(fields[b"state"].decode())
    reason, case, ended_at = fields.get(b"reason"), fields.get(b"case"), fields.get(b"ended_at")
    return Record(
        report_id,
        citizen_id=fields[b"citizen"].decode(),
        state=state,
        accepted_at=_datetime(fields[b"accepted_at"]),
        due_at=None if state in ENDED else _datetime(float(fields[b"due_at"]) - ahead),
        give_up_at=_datetime(float(fields[b"give_up_at"]) - ahead),
        ended_at=_datetime(ended_at) if ended_at else None,
        reason=reason.decode() if reason else None,
        case=case.decode() if case else None,
        attempts=tuple(map(_attempt, attempts)),
    )


def _attempt(line: bytes) -> Attempt:
    at, _, outcome = line.decode().partition(" ")
    return Attempt(_datetime(at), outcome or None)


def _datetime(milliseconds: bytes | str | float) -> datetime:
    return datetime.fromtimestamp(int(float(milliseconds)) / 1000, UTC)
