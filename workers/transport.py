"""Celery's Redis transport, so that no message is lost when a worker is killed: kombu's own, with another way to fetch.

kombu takes a message off its queue, and notes it as unacknowledged with a second command; a worker that is killed in
between loses it. Here one script moves many messages from the queues to `unacked`, in kombu's keys and formats. What is
not in `unacked` is what makes redelivery follow a worker's life instead of a fixed time:

    unacked_consumers   sorted set: each consumer that holds messages, by its token: the server's time at its last sign
                        of life, and no other's
    unacked_index       kombu's sorted set of messages: all that a consumer holds have that consumer's very token
    unacked_alive       sorted set: the same consumers by the steady time of their last sign of life
    unacked_clock       the steady time, and the server's time at which it was last moved on
    unacked_deliveries  hash: how often a message has come back, and when for the first time
    unacked_dead        hash: what has come back too often or cannot be read, by tag

So whoever wrote a message's score last holds it, be it this transport or kombu's, and an acknowledgement by anybody
else does nothing. docs/transport.md has the whole story; `install` makes the transport the one of all Redis URLs.
"""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False, disallow-subclassing-any=False
# kombu says that it is typed, and hardly is.

import atexit
import logging
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from queue import Empty
from typing import Any, cast
from uuid import uuid4
from weakref import WeakValueDictionary

import kombu.transport
from celery import bootsteps, signals
from celery.app.task import Context
from kombu import serialization
from kombu.exceptions import OperationalError
from kombu.serialization import prepare_accept_content
from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import Redis, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

REDELIVERY_TIME = 15.0
"""Seconds until a dead worker's messages are back. A worker that is cut off for longer has lost what it held."""

MAX_DELIVERIES = 5
"""How often a message is delivered without being settled before it becomes a dead letter."""

FETCH_LIMIT = 20
"""Messages per fetch at the most: the round trip is spread over enough of them, and other workers get their part."""

POLL_INTERVAL = 1.0
"""Seconds between looks at the queues, for what kombu's own transport published and for rings that were lost."""

DOORBELL_TIMEOUT = 60
"""Seconds that one BRPOP on the doorbells waits: rare, as it costs a command, and short, as firewalls forget."""

BULK_SUFFIX = ".bulk"
BULK_SHARE = 5
"""`<queue>.bulk` comes after every other queue, except in each fetch of so many, where it comes first."""

ACK_DELAY = 0.01
"""Seconds that an acknowledgement waits for others to go with, if no fetch takes it along before."""

ACK_BATCH = 1000
"""Acknowledgements per script at the most, so that none holds Redis up."""

RINGS = 64
"""Rings that a doorbell remembers: each wakes one consumer, and more would wake them for nothing."""

ALONE_AFTER = 2
"""After coming back so often, a message may be what kills its worker, and is never delivered beside another such."""

LOOK_LIMIT = 1000
"""Messages of dead stock workers that one look puts back at the most."""

LAPSES_AFTER = 0.8
BEATS_EVERY = 0.2
"""Both as parts of the redelivery time: a beat and the look for the dead, after the lapse, are still within it."""

MOST_AT_ONCE = 1.5
"""Intervals between beats by which a single sign of life moves the steady time on at the most. More would let an outage
age the living; less would let it lag where one consumer alone moves it, a little late each time."""

# The one place where a script reads the server's clock, so that a test can set it.
_CLOCK = """
local function now()
  local t = redis.call('TIME')
  return t[1] + t[2] / 1000000
end
"""

# In all scripts: KEYS[1] to [8] are those of `Names.keys`; ARGV[1] is what does not change for a channel, as JSON, and
# ARGV[2] the consumer.
_COMMON = """
local unacked, index, consumers, deliveries, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local alive, clock, old_dead = KEYS[6], KEYS[7], KEYS[8]
local options, consumer = cjson.decode(ARGV[1]), ARGV[2]

-- The steady time, in seconds: by it, and by no other, a consumer is taken for dead. It is moved on by the signs of
-- life and the looks for the dead themselves, each time by the server's time since the last, but never back and never
-- by more than one interval and a half. So it stands still while the server refuses to write, is frozen or is gone, and
-- no step of its clock moves it: nobody gets older than an interval and a half while nobody can say that he lives.
--
-- The first write needs no memory. A server that is full refuses a script before its first write alone, so signs of
-- life and looks, which begin alike, are refused together or not at all.
local function tick()
  local moment = now()
  redis.call('ZREM', consumers, '')
  local steady, last = string.match(redis.call('GET', clock) or '', '^(%S+) (%S+)$')
  steady, last = tonumber(steady), tonumber(last)
  if not steady then
    steady = tonumber(redis.call('ZRANGE', alive, -1, -1, 'WITHSCORES')[2]) or 0
  elseif last then
    steady = steady + math.max(0, math.min(moment - last, options.most))
  end
  redis.call('SET', clock, string.format('%.6f %.6f', steady, moment))
  return steady, moment
end

-- A consumer's token belongs to nobody else, so that it says what the consumer holds.
local function renew(consumer)
  local steady, moment = tick()
  local old = redis.call('ZSCORE', consumers, consumer)
  local new = string.format('%.17g', moment)
  while redis.call('ZCOUNT', consumers, new, new) > 0 or redis.call('ZCOUNT', index, new, new) > 0 do
    moment = moment + 0.000001
    new = string.format('%.17g', moment)
  end
  if old then
    for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, old, old)) do redis.call('ZADD', index, new, tag) end
  end
  redis.call('ZADD', consumers, new, consumer)
  redis.call('ZADD', alive, steady, consumer)
  return new
end

local function leave(consumer)
  redis.call('ZREM', consumers, consumer)
  redis.call('ZREM', alive, consumer)
end

local function forget(tag)
  redis.call('ZREM', index, tag)
  redis.call('HDEL', unacked, tag)
end

-- Acknowledges what the consumer holds of these, and returns the others.
local function settle(consumer, tags)
  local score, late = redis.call('ZSCORE', consumers, consumer), {}
  for _, tag in ipairs(tags) do
    if score and redis.call('ZSCORE', index, tag) == score then
      forget(tag)
      redis.call('HDEL', deliveries, tag)
    else
      late[#late + 1] = tag
    end
  end
  return late
end

local function ring(queue)
  local bell = options.prefix .. queue .. options.sep .. 'bell'
  if redis.call('LLEN', bell) == 0 then redis.call('LPUSH', bell, 1) end
end

-- How kombu notes a message, with the queue that it came from as the place to put it back to: this goes behind it.
local function noted_with(queue)
  return ', "", ' .. cjson.encode(queue) .. ']'
end

-- The message of such a note, to the byte, and its queue. Within a JSON text a quotation mark has a backslash before
-- it, so the last place that looks like the border is the border, whatever the message is.
local function noted_in(note)
  local raw, queue = string.match(note, '^%[(.*), "", (".*")%]$')
  if raw then return raw, cjson.decode(queue) end
end

-- What Redis' JSON can tell of a message, or an empty table. Python decides what is read and what is not: it reads some
-- texts that Redis does not, of which half a surrogate pair is the one that ordinary programs write.
local function glance(raw)
  local read, message = pcall(cjson.decode, raw)
  if not read then
    local whole = string.gsub(raw, '\\(.)(%x*)', function(kind, digits)
      if kind == 'u' and string.find(digits, '^[dD][89a-fA-F]') then return '?' .. string.sub(digits, 5) end
    end)
    read, message = pcall(cjson.decode, whole)
  end
  if not read or type(message) ~= 'table' then message = {} end
  if type(message.properties) ~= 'table' then message.properties = {} end
  if type(message.headers) ~= 'table' then message.headers = {} end
  return message
end

-- The list that kombu would put a message into: the queue's own, or the one of its priority.
local function list_of(queue, raw)
  local priority = math.max(0, math.min(9, tonumber(glance(raw).properties.priority) or 0))
  local step = 0
  for _, s in ipairs(options.steps) do if s <= priority then step = s end end
  return options.prefix .. queue .. (step > 0 and options.sep .. string.format('%d', step) or '')
end

-- A name as it may stand in a log: anything else might be anybody's data.
local function name(value)
  return type(value) == 'string' and #value <= 200 and string.find(value, '^[%w_.:@-]+$') and value or nil
end

-- What a message is held under: its delivery tag, or, where that is no plain one or is another's, one that comes of
-- its text. When it comes back it is the one that it was counted under.
local function tag_of(raw, any_returned)
  local tag = glance(raw).properties.delivery_tag
  if type(tag) == 'number' and tag == math.floor(tag) and math.abs(tag) < 1e15 then tag = string.format('%.0f', tag) end
  tag = name(tag) or 'sha1-' .. redis.sha1hex(raw)
  local found, tries = nil, 0
  while true do
    if redis.call('HEXISTS', unacked, tag) == 0 and redis.call('HEXISTS', dead, tag) == 0 then
      if not any_returned or redis.call('HEXISTS', deliveries, tag) == 1 then return tag end
      found = found or tag
    end
    if found and tries > 1 then return found end
    tries = tries + 1
    tag = 'sha1-' .. redis.sha1hex(raw) .. (tries > 1 and '-' .. tries or '')
  end
end

local function bury(tag, queue, raw, count, since, reason)
  local headers, moment = glance(raw).headers, now()
  local letter = {tag = tag, queue = queue, task = name(headers.task), id = name(headers.id), deliveries = count,
                  since = math.floor(since or moment), died = math.floor(moment), reason = reason}
  local told = cjson.encode(letter)
  letter.message = raw
  redis.call('HSET', dead, tag, cjson.encode(letter))
  redis.call('HDEL', deliveries, tag)
  return told
end

-- How often a message was counted, since when, and whether it was delivered at all.
local function came_back(tag)
  local noted = redis.call('HGET', deliveries, tag)
  if not noted then return 0, nil, false end
  local count, since = string.match(noted, '^(%d+) (%d+)$')
  return tonumber(count), tonumber(since), true
end

-- Puts a message back: to the head of its queue or to the tail; or among the dead when `reason` counts once too often.
local function give_back(tag, reason, to_tail)
  local note = redis.call('HGET', unacked, tag)
  if not note then return redis.call('ZREM', index, tag) and nil end
  local raw, queue = noted_in(note)
  if not raw then return end
  forget(tag)
  local count, since = came_back(tag)
  count, since = count + (reason and 1 or 0), since or math.floor(now())
  if reason and options.max > 0 and count >= options.max then
    return bury(tag, queue, raw, count, since, reason)
  end
  redis.call('HSET', deliveries, tag, string.format('%d %d', count, since))
  redis.call(to_tail and 'LPUSH' or 'RPUSH', list_of(queue, raw), raw)
  ring(queue)
end

-- Dead letters of releases that kept them where a queue may be.
local function adopt()
  local letters = redis.pcall('HGETALL', old_dead)
  if letters.err or #letters == 0 then return end
  for i = 1, #letters, 2 do redis.call('HSETNX', dead, letters[i], letters[i + 1]) end
  redis.call('DEL', old_dead)
end

local function rest(first)
  local values = {}
  for i = first, #ARGV do values[#values + 1] = ARGV[i] end
  return values
end
"""

# ARGV: messages at the most, the age in seconds at which the consumer's token is renewed, whether it holds a message
# that must be alone, the number of lists; for each list its queue and whether to note its messages; acknowledged tags.
# KEYS[9] and on are the lists. What is not noted is taken alone, as the last: it is nowhere until it is handed over.
# Returns whether the consumer was known, tags acknowledged too late, whether more is waiting, and for each message the
# number of its list, its tag, its text, how often it came back, and whether it was delivered before.
_FETCH = """
local limit, fresh, alone, lists = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])
local late = settle(consumer, rest(7 + 2 * lists))
local score = redis.call('ZSCORE', consumers, consumer)
local known, current, passed_over = score and 1 or 0, false, false
local any_returned = redis.call('EXISTS', deliveries) == 1
local taken = {}
for i = 1, lists do
  if limit <= 0 then break end
  local list, queue, noted = KEYS[8 + i], ARGV[5 + 2 * i], ARGV[6 + 2 * i] == '1'
  for _, raw in ipairs(redis.call('RPOP', list, noted and limit or 1) or {}) do
    local tag = tag_of(raw, any_returned)
    local count, before = 0, false
    if any_returned then
      local times, _, returned = came_back(tag)
      count, before = times, returned
    end
    if noted and alone and count >= options.alone then
      redis.call('LPUSH', list, raw)
      passed_over = true
    else
      if noted then
        if not current then
          local age = score and now() - score
          if not age or age > fresh or age < 0 then score = renew(consumer) end
        end
        current = true
        alone = alone or count >= options.alone
        redis.call('ZADD', index, score, tag)
        redis.call('HSET', unacked, tag, '[' .. raw .. noted_with(queue))
      elseif before then
        redis.call('HDEL', deliveries, tag)
      end
      taken[#taken + 1] = i
      taken[#taken + 1] = tag
      taken[#taken + 1] = raw
      taken[#taken + 1] = count
      taken[#taken + 1] = before and 1 or 0
      limit = noted and limit - 1 or 0
    end
  end
end
local left = 0
if #taken > 0 then
  for i = 1, lists do
    local queue = ARGV[5 + 2 * i]
    if redis.call('EXISTS', KEYS[8 + i]) == 1 then
      left = 1
      ring(queue)
    end
  end
elseif not passed_over then
  for i = 1, lists do redis.call('DEL', options.prefix .. ARGV[5 + 2 * i] .. options.sep .. 'bell') end
end
return {known, late, left, taken}
"""

# ARGV: tags. Returns those that the consumer does not hold.
_SETTLE = "return settle(consumer, rest(3))"

# Returns 0 when the consumer has lapsed and was cleared away, with all that it held.
_BEAT = """
if not redis.call('ZSCORE', consumers, consumer) then return 0 end
renew(consumer)
return 1
"""

# ARGV: a reason when this counts as a delivery, or nothing; whether to the tail; tags. Returns the new dead letters.
_GIVE_BACK = """
local reason, score, buried = ARGV[3] ~= '' and ARGV[3] or nil, redis.call('ZSCORE', consumers, consumer), {}
for _, tag in ipairs(rest(5)) do
  if score and redis.call('ZSCORE', index, tag) == score then
    buried[#buried + 1] = give_back(tag, reason, ARGV[4] == '1')
  end
end
return buried
"""

# ARGV: tags to keep. All else that the consumer holds goes back, and without anything left the consumer goes too.
_RELEASE = """
local score = redis.call('ZSCORE', consumers, consumer)
if not score then return 0 end
local keep, back = {}, 0
for _, tag in ipairs(rest(3)) do keep[tag] = true end
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, score, score)) do
  if not keep[tag] then
    give_back(tag, nil, false)
    back = back + 1
  end
end
if redis.call('ZCOUNT', index, score, score) == 0 then leave(consumer) end
return back
"""

# ARGV: a reason; of each message its tag, its queue and its text, the last two for one that was not noted and empty for
# others. They become dead letters at once. Returns these.
_BURY = """
local score, buried = redis.call('ZSCORE', consumers, consumer), {}
for i = 4, #ARGV, 3 do
  local tag, queue, raw = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if queue ~= '' then
    buried[#buried + 1] = bury(tag, queue, raw, 0, nil, ARGV[3])
  elseif score and redis.call('ZSCORE', index, tag) == score then
    raw, queue = noted_in(redis.call('HGET', unacked, tag) or '')
    if raw then
      local count, since = came_back(tag)
      forget(tag)
      buried[#buried + 1] = bury(tag, queue, raw, count, since, ARGV[3])
    end
  end
end
return buried
"""

# ARGV: a queue and texts that were taken from it and not noted. They go to the head, the last first.
_UNTAKE = """
for i = #ARGV, 4, -1 do redis.call('RPUSH', list_of(ARGV[3], ARGV[i]), ARGV[i]) end
ring(ARGV[3])
"""

# ARGV: seconds of steady time without a sign of life. What such consumers hold goes back. Returns how many messages,
# the consumers that held any, and what became dead letters.
_RESTORE = """
local back, gone, buried = 0, {}, {}
local steady, moment = tick()
local lapse = tonumber(ARGV[3])
adopt()
-- No sign of life is from a time to come: what says so is from a clock that was lost.
for _, ahead in ipairs(redis.call('ZRANGEBYSCORE', alive, '(' .. string.format('%.17g', steady), '+inf')) do
  redis.call('ZADD', alive, steady, ahead)
end
local lapsed = redis.call('ZRANGEBYSCORE', alive, '-inf', string.format('%.17g', steady - lapse), 'LIMIT', 0, 10)
if redis.call('ZCOUNT', alive, '-inf', '+inf') ~= redis.call('ZCOUNT', consumers, '-inf', '+inf') then
  -- Of releases that know no steady time: they tell it by their token alone, which is renewed by the server's clock.
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', consumers, '-inf', moment - lapse)) do
    if not redis.call('ZSCORE', alive, other) then lapsed[#lapsed + 1] = other end
  end
end
for _, lapsed in ipairs(lapsed) do
  local score = redis.call('ZSCORE', consumers, lapsed)
  local tags = score and redis.call('ZRANGEBYSCORE', index, score, score) or {}
  for _, tag in ipairs(tags) do buried[#buried + 1] = give_back(tag, 'worker lost', false) end
  leave(lapsed)
  back = back + #tags
  if #tags > 0 then gone[#gone + 1] = lapsed end
end
return {back, gone, buried}
"""

# ARGV: the highest score of what counts as left behind, by the caller's clock. Returns the tags of what stock workers
# noted then: our consumers renew what they hold, and it is theirs whatever the two clocks say.
_LEFT_BY_STOCK = """
local left = {}
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[3], 'LIMIT', 0, tonumber(ARGV[4]))) do
  local score = redis.call('ZSCORE', index, tag)
  if redis.call('ZCOUNT', consumers, score, score) == 0 then left[#left + 1] = tag end
end
return left
"""

# ARGV: the tag of a dead letter. It goes to the tail of its queue as if it had never been delivered.
_REPLAY = """
adopt()
local letter = redis.call('HGET', dead, ARGV[3])
if not letter then return 0 end
letter = cjson.decode(letter)
redis.call('HDEL', dead, ARGV[3])
redis.call('LPUSH', list_of(letter.queue, letter.message), letter.message)
ring(letter.queue)
return 1
"""

_ADOPT = "adopt()"


@dataclass(frozen=True)
class DeadLetter:
    """A message that came back too often, without its arguments."""

    tag: str
    queue: str
    reason: str
    deliveries: int
    since: datetime
    """When it came back for the first time."""
    died: datetime
    task: str | None = None
    id: str | None = None

    @classmethod
    def parse(cls, text: bytes | str) -> "DeadLetter":
        """Reads what the scripts wrote."""
        letter = loads(text.decode(errors="replace") if isinstance(text, bytes) else text)
        times = {name: datetime.fromtimestamp(letter[name], UTC) for name in ("since", "died")}
        return cls(
            tag=letter["tag"], queue=letter["queue"], reason=letter["reason"], deliveries=letter["deliveries"],
            task=letter.get("task"), id=letter.get("id"), **times,
        )  # fmt: skip


@dataclass(frozen=True)
class Names:
    """Where everything is kept; the defaults are kombu's."""

    prefix: str = ""
    unacked: str = "unacked"
    index: str = "unacked_index"
    sep: str = "\x06\x16"
    steps: tuple[int, ...] = (0, 3, 6, 9)

    @property
    def keys(self) -> list[str]:
        """The keys that every script is given. All but the last begin as kombu's own, which no queue may do either."""
        added = [f"{self.unacked}_{what}" for what in ("consumers", "deliveries", "dead", "alive", "clock")]
        return [self.prefix + key for key in (self.unacked, self.index, *added, "dead_letters")]

    def lists(self, queue: str) -> list[str]:
        """The lists of a queue, the most urgent first: one for each priority step."""
        return [f"{self.prefix}{queue}{self.sep}{step}" if step else self.prefix + queue for step in self.steps]

    def bell(self, queue: str) -> str:
        """The doorbell of a queue, without the prefix."""
        return f"{queue}{self.sep}bell"


def read(text: bytes) -> dict[str, Any]:
    """A message as kombu wants it. Raises whatever is wrong with it, which may hold all of it: never to be logged."""
    message = loads(text.decode())
    message["properties"]["delivery_tag"]
    if not isinstance(message, dict) or not isinstance(message["properties"], dict):
        raise TypeError
    return message


@dataclass(frozen=True)
class Fetched:
    """One message off a queue, and what it is held under."""

    queue: str
    tag: str
    text: bytes
    came_back: int
    before: bool
    """Whether it was delivered before, counted or not."""
    message: dict[str, Any]

    def payload(self) -> dict[str, Any]:
        """The message as kombu wants it: with the tag that it is held under, and marked if it was delivered before."""
        properties = self.message["properties"]
        if str(properties["delivery_tag"]) != self.tag:
            properties["delivery_tag"] = self.tag
        if self.before:
            for place in (self.message.get("headers"), properties.get("delivery_info")):
                if isinstance(place, dict):
                    place["redelivered"] = True
        return self.message


@dataclass(frozen=True)
class Fetch:
    """What one fetch brought."""

    known: bool
    """Whether the consumer held, until now, what it thought that it did."""
    late: list[str]
    more: bool
    messages: list[Fetched]
    dead: list[DeadLetter] = field(default_factory=list)
    """What could not be read."""


@dataclass(frozen=True)
class Restored:
    """What a look for the dead found."""

    messages: int = 0
    consumers: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


class Store:
    """The state in Redis, one script for each thing that can happen to a message. Raises redis-py's errors."""

    def __init__(
        self,
        client: "Redis",
        names: Names | None = None,
        max_deliveries: int | None = MAX_DELIVERIES,
        interval: float = REDELIVERY_TIME * BEATS_EVERY,
    ) -> None:
        self.client = client
        self.names = names or Names()
        self._options = dumps({
            "prefix": self.names.prefix, "sep": self.names.sep, "steps": self.names.steps,
            "max": max_deliveries or 0, "alone": ALONE_AFTER, "most": MOST_AT_ONCE * interval,
        })  # fmt: skip
        scripts = {
            "fetch": _FETCH, "settle": _SETTLE, "beat": _BEAT, "give_back": _GIVE_BACK, "release": _RELEASE,
            "restore": _RESTORE, "replay": _REPLAY, "bury": _BURY, "untake": _UNTAKE, "left": _LEFT_BY_STOCK,
            "adopt": _ADOPT,
        }  # fmt: skip
        self._scripts = {name: client.register_script(_CLOCK + _COMMON + script) for name, script in scripts.items()}

    def _run(self, script: str, consumer: str, *arguments: str | float | bytes, lists: Sequence[str] = ()) -> Any:  # noqa: ANN401
        return self._scripts[script](keys=[*self.names.keys, *lists], args=[self._options, consumer, *arguments])

    def fetch(
        self,
        consumer: str,
        queues: Sequence[str],
        limit: int,
        *,
        unnoted: Iterable[str] = (),
        acks: Sequence[str] = (),
        fresh: float = 0,
        alone: bool = False,
    ) -> Fetch:
        """Takes up to `limit` messages, for each priority in the order of `queues`; acknowledges `acks` on the way.

        What cannot be read is buried. Messages of the queues in `unnoted` are gone from Redis when they are taken: one
        at a time, as the last of a fetch. The consumer's sign of life is
        renewed when it is older than `fresh` seconds. `alone`: it holds a message that must not meet another such.
        """
        by_queue = [(queue, self.names.lists(queue)) for queue in queues]
        places = [(queue, lists[i]) for i in range(len(self.names.steps)) for queue, lists in by_queue]
        told = [value for queue, _ in places for value in (queue, int(queue not in unnoted))]
        known, late, more, taken = self._run(
            "fetch", consumer, limit, fresh, int(alone), len(places), *told, *acks, lists=[place for _, place in places]
        )
        messages, dead = [], []
        for number, tag, text, came_back, before in zip(*(taken[i::5] for i in range(5)), strict=True):
            queue = places[number - 1][0]
            try:
                messages.append(Fetched(queue, tag.decode(), text, came_back, bool(before), read(text)))
            except Exception:  # noqa: BLE001 - whatever is wrong with one message ends nothing but that message
                dead += self.bury(consumer, tag.decode(), "unreadable", *((queue, text) if queue in unnoted else ()))
        return Fetch(bool(known), [tag.decode() for tag in late], bool(more), messages, dead)

    def settle(self, consumer: str, tags: Sequence[str]) -> list[str]:
        """Acknowledges messages, and returns those that are not the consumer's any more: nothing happened to them."""
        return [tag.decode() for tag in self._run("settle", consumer, *tags)]

    def beat(self, consumer: str) -> bool:
        """Renews all that the consumer holds. False: it was taken for dead, and what it held went back."""
        return bool(self._run("beat", consumer))

    def give_back(
        self, consumer: str, tags: Sequence[str], *, reason: str = "", to_tail: bool = False
    ) -> list[DeadLetter]:
        """Puts back messages that the consumer holds, counted when there is a reason. Returns new dead letters."""
        return [DeadLetter.parse(letter) for letter in self._run("give_back", consumer, reason, int(to_tail), *tags)]

    def release(self, consumer: str, keep: Iterable[str] = ()) -> int:
        """Puts back all that the consumer holds, known to it or not, except `keep`. Returns how many that were."""
        return int(self._run("release", consumer, *keep))

    def bury(self, consumer: str, tag: str, reason: str, queue: str = "", text: bytes = b"") -> list[DeadLetter]:
        """Makes a message that the consumer holds a dead letter; with queue and text, one that nobody holds."""
        return [DeadLetter.parse(letter) for letter in self._run("bury", consumer, reason, tag, queue, text)]

    def untake(self, queue: str, texts: Sequence[bytes]) -> None:
        """Puts messages that were taken without being noted back to the head of their queue, in their order."""
        self._run("untake", "", queue, *texts)

    def left_by_stock(self, before: float, most: int) -> list[str]:
        """Tags of what kombu's own transport noted earlier than that, by the caller's clock."""
        return [tag.decode(errors="replace") for tag in self._run("left", "", before, most)]

    def restore(self, lapse: float) -> Restored:
        """Puts back what consumers hold that gave no sign of life for `lapse` seconds of steady time."""
        messages, consumers, dead = self._run("restore", "", lapse)
        return Restored(messages, [name.decode() for name in consumers], [DeadLetter.parse(letter) for letter in dead])

    def waiting(self, queues: Iterable[str]) -> bool:
        """Whether a fetch, or a look for the dead, might find something; one command."""
        lists = [place for queue in queues for place in self.names.lists(queue)]
        return bool(self.client.exists(*lists, self.names.keys[1]))

    def close(self) -> None:
        """Closes the connections; the next command would open one again."""
        pool: Any = self.client.connection_pool
        pool.disconnect()
        if hasattr(pool, "sentinel_manager"):
            pool.sentinel_manager.close()

    def dead(self) -> list[DeadLetter]:
        """The dead letters, the oldest first."""
        self._run("adopt", "")
        letters = map(DeadLetter.parse, self.client.hvals(self.names.keys[4]))
        return sorted(letters, key=lambda letter: (letter.died, letter.tag))

    def count_dead(self) -> int:
        """How many dead letters there are."""
        return int(self.client.hlen(self.names.keys[4]))

    def replay(self, tag: str) -> bool:
        """Puts a dead letter back into its queue, to be delivered as if for the first time. False: there is none.

        Raises ValueError for one that cannot be read.
        """
        letter = self.client.hget(self.names.keys[4], tag)
        if letter is not None:
            try:
                read(_text_of(cast("bytes", letter)))
            except Exception:  # noqa: BLE001 - see read
                raise ValueError(f"dead letter {tag} cannot be read") from None
        return bool(self._run("replay", "", tag))

    def text(self, tag: str) -> bytes | None:
        """What a dead letter's message was, to the byte; None when there is no such letter."""
        letter = self.client.hget(self.names.keys[4], tag)
        return None if letter is None else _text_of(cast("bytes", letter))

    def discard(self, tag: str) -> bool:
        """Forgets a dead letter for good. False: there is none."""
        return bool(self.client.hdel(self.names.keys[4], tag))


def _text_of(letter: bytes) -> bytes:
    """The message in a dead letter. Bytes that are no UTF-8 stand in it as they are."""
    text: str = loads(letter.decode(errors="surrogateescape"))["message"]
    return text.encode(errors="surrogateescape")


class Holding:
    """What one consumer holds, and the thread that keeps it by giving signs of life.

    The thread is one of its own since nothing else runs all the time: Celery's event loop stands still while a warm
    shutdown waits for running tasks, while a solo pool runs one, and while a reconnection is being tried. It uses a
    connection of its own, so that it also outlives the channel. All else is done by the thread that consumes.
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
        self._gone: set[str] = set()
        self._acks: deque[str] = deque()
        self._unsure: set[str] = set()
        self._survivors: WeakValueDictionary[str, Any] | None = None
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def survives(self) -> bool:
        """Whether its channel is gone."""
        return self._survivors is not None

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that holds: a forked child has a copy, and its end is not the holder's."""
        return self._process == os.getpid()

    def fetch(self, queues: Sequence[str], limit: int, unnoted: Iterable[str] = ()) -> Fetch:
        """Takes messages, and takes pending acknowledgements along."""
        held = self._snapshot()
        acks = self._next_acks()
        try:
            fetch = self.store.fetch(
                self.name, queues, limit, unnoted=unnoted, acks=acks, fresh=self.interval, alone=bool(self._alone)
            )
        except BaseException:
            self._put_acks_back(acks)
            raise
        self._settled(acks, fetch.late)
        if not fetch.known:
            self._lose(held.difference(acks))
        _tell_of_dead(fetch.dead)
        return fetch

    def hold(self, tag: str, came_back: int) -> None:
        """Notes a message that was fetched."""
        with self._lock:
            self._held.add(tag)
            self._gone.discard(tag)
            if came_back >= ALONE_AFTER:
                self._alone.add(tag)
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name=f"heartbeat {self.name}", daemon=True)
            self._thread.start()

    def ack(self, tag: str) -> bool:
        """Notes an acknowledgement, to be sent soon. Returns whether it makes room for a message that must be alone."""
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
        """Puts a message back to the tail of its queue: a task that asks for this all the time blocks nobody there."""
        _tell_of_dead(self.store.give_back(self.name, [tag], reason="rejected", to_tail=True))
        self._drop([tag])

    def give_back(self, tags: Sequence[str], reason: str = "") -> None:
        """Puts back what was fetched and not handed to anybody; with a reason, counted."""
        _tell_of_dead(self.store.give_back(self.name, tags, reason=reason))
        self._drop(tags)

    def bury(self, tag: str, reason: str, *unheld: Any) -> None:  # noqa: ANN401 - see Store.bury
        """Makes a message a dead letter, and says so."""
        _tell_of_dead(self.store.bury(self.name, tag, reason, *unheld))
        self._drop([tag])

    def release(self) -> None:
        """Puts everything back, once the acknowledgements are sent."""
        self.flush()
        self._drop(self._snapshot())  # first, so that a beat in between does not take this for a loss
        self.store.release(self.name)

    def close(self) -> None:
        """Sends what is to be sent, and puts the rest back. Without Redis, others do so once this one has lapsed.

        When it returns, its thread has ended and its connections are closed.
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
        """Goes on without a channel, for the tasks that run: until each is acknowledged, or nobody is left to do so.

        A message whose object is gone cannot be acknowledged any more, and goes back.
        """
        self._survivors = WeakValueDictionary(messages)
        if self._thread is None:
            self._ended = True
            self.store.close()
        else:
            atexit.register(self.close)
            self._wake.set()

    def _live(self) -> None:
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
            self._gone |= lost
        if lost:
            log.error(
                "Cut off from Redis for more than %g s: %d messages of this worker went back, and may run twice",
                self._redelivery_time * LAPSES_AFTER, len(lost),
            )  # fmt: skip

    def _next_acks(self) -> list[str]:
        return [self._acks.popleft() for _ in range(min(len(self._acks), ACK_BATCH))]

    def _put_acks_back(self, acks: list[str]) -> None:
        """The server may have got them all the same, so the next time they may be unknown for a good reason."""
        self._acks.extendleft(reversed(acks))
        self._unsure.update(acks)

    def _settled(self, acks: list[str], late: list[str]) -> None:
        unexpected = [tag for tag in late if tag not in self._gone and tag not in self._unsure]
        if unexpected:
            log.warning("Acknowledged too late: %d messages had gone back, and may run twice", len(unexpected))
        self._unsure.difference_update(acks)
        with self._lock:
            self._held.difference_update(acks)
            self._alone.difference_update(acks)
            self._gone.difference_update(acks)


def _tell_of_dead(letters: Iterable[DeadLetter]) -> None:
    for letter in letters:
        log.error(
            "Dead letter after %d deliveries (%s): %s[%s] of queue %s",
            letter.deliveries, letter.reason, letter.task, letter.id, letter.queue,
        )  # fmt: skip


class QoS(stock.QoS):
    """Prefetch and acknowledgements of one channel."""

    def __init__(self, channel: Any, prefetch_count: int = 0) -> None:  # noqa: ANN401
        super().__init__(channel, prefetch_count)
        self._holding: Holding | None = None

    @property
    def holding(self) -> Holding:
        """What the channel holds: most channels only publish, and never need it."""
        if self._holding is None:
            self._holding = Holding(self.channel.make_store(), self.channel.redelivery_time)
        return self._holding

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401
        """Redis has it noted already."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Goes to Redis with the next fetch, or soon."""
        made_room = self.holding.ack(str(delivery_tag))
        virtual.QoS.ack(self, delivery_tag)
        if not self.holding.survives:
            self.channel.on_acknowledged(made_room)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Puts the message back, or is done with it."""
        if not requeue:
            self.ack(delivery_tag)
            return
        self.holding.reject(str(delivery_tag))
        virtual.QoS.ack(self, delivery_tag)

    @property
    def holds(self) -> bool:
        """Whether there ever was anything to hold."""
        return self._holding is not None

    def has(self, delivery_tag: str) -> bool:
        """Whether a message was handed over and not settled."""
        return delivery_tag in self._delivered and delivery_tag not in self._dirty

    def has_settled(self, delivery_tag: str) -> bool:
        """Whether a message that is being handed over was settled by whom it was handed to."""
        return delivery_tag in self._dirty

    def give_back(self, delivery_tag: str, reason: str) -> None:
        """Puts a message that was handed over back to the head of its queue, counted."""
        self.holding.give_back([str(delivery_tag)], reason)
        self._forget(delivery_tag)

    def bury(self, delivery_tag: str, reason: str) -> None:
        """Makes a message that was handed over a dead letter."""
        self.holding.bury(str(delivery_tag), reason)
        self._forget(delivery_tag)

    def _forget(self, delivery_tag: str) -> None:
        """Makes room in the prefetch count, where the message took any."""
        if delivery_tag in self._delivered:
            virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:  # noqa: ANN401, ARG002
        """Puts everything back."""
        if self._holding is not None:
            self._holding.release()
        self._delivered.clear()

    def restore_unacked_once(self, stderr: Any = None) -> None:  # noqa: ANN401, ARG002
        """Ends with the channel or the process."""
        self._on_collect.cancel()
        if self._holding is not None and not self._holding.survives:
            self._holding.close()
            self._delivered.clear()

    def outlive_channel(self) -> None:
        """Goes on for what was delivered and cannot be called back; nothing is said to Redis here."""
        self._on_collect.cancel()
        self._flush()
        if self._holding is not None:
            self._holding.survive({str(tag): message for tag, message in self._delivered.items()})
        self._delivered.clear()

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:  # noqa: ARG002
        """Puts back what the dead held; what kombu's own transport noted, only after the visibility timeout."""
        restored = self.holding.store.restore(self.channel.redelivery_time * LAPSES_AFTER)
        if restored.messages:
            log.warning("Messages of lost workers (%s) went back: %d", ", ".join(restored.consumers), restored.messages)
        _tell_of_dead(restored.dead)
        # As kombu does it, but for what our consumers hold: their tokens are of the server's clock, which may differ.
        for tag in self.holding.store.left_by_stock(time.time() - self.visibility_timeout, num or LOOK_LIMIT):
            try:
                self.restore_by_tag(tag)
            except (RedisError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - one message that is none keeps no other one
                log.error("A stock worker's message cannot be put back: %s", type(error).__name__)


class Refused(ResponseError):
    """Redis answers that it will not do this now: it follows another, is full, cannot write, is busy or starts.

    To kombu and Celery it is an error of the connection, and they try again until it passes; to redis-py it is an
    answer, and the connection stays.
    """


_REFUSES = re.compile(
    r"(?:^|[ :]-)(READONLY|UNBLOCKED|MISCONF|NOREPLICAS|BUSY|OOM|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b"
)
"""Codes of answers that pass by themselves, as Redis gives them and, before 7.0, as it quotes them for a script."""


def _is_refusal(error: ResponseError) -> bool:
    code = getattr(error, "status_code", None) or ""
    return _REFUSES.search(f"{code} {error}" if code else str(error)) is not None


@lru_cache
def _telling(connection_class: type[Any]) -> type[Any]:
    """A connection whose refusals can be told from errors. One place for all commands, since any may be refused."""

    class Connection(connection_class):
        def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return super().read_response(*args, **kwargs)
            except ResponseError as error:
                if isinstance(error, Refused) or not _is_refusal(error):
                    raise
                raise Refused(*error.args) from None

    return Connection


_OPTIONS = ("redelivery_time", "max_deliveries", "fetch_limit", "bulk_suffix", "bulk_share")


class Channel(stock.Channel):
    """A channel to one Redis: TCP, TLS or unix socket."""

    QoS = QoS
    from_transport_options: Any = stock.Channel.from_transport_options + _OPTIONS
    _in_poll: Any = None
    _in_listen: Any = None
    _brpop_sent_at: Any = None
    socket_timeout: Any = None
    redelivery_time = REDELIVERY_TIME
    max_deliveries = MAX_DELIVERIES
    fetch_limit = FETCH_LIMIT
    bulk_suffix = BULK_SUFFIX
    bulk_share = BULK_SHARE

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._unnoted: set[str] = set()
        self._undelivered: deque[Fetched] = deque()
        self._more_is_waiting = False
        self._flush_is_due = False
        self._fetches = 0
        self._looked_at = float("-inf")
        self._process = os.getpid()
        self.is_lost = False
        super().__init__(*args, **kwargs)

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - kombu's signature
        parameters = super()._connparams(asynchronous)
        # The one that kombu makes for each channel refers to it, and is not to be kept.
        make = _telling.__wrapped__ if asynchronous else _telling
        return {**parameters, "connection_class": make(parameters["connection_class"])}

    def make_store(self) -> Store:
        """A store with connections of its own, that never hang and are never retried: a fetch must not run twice."""
        manager = self._sentinel_manager
        pool = self._get_pool()
        self._sentinel_manager = manager  # the store closes the new one itself
        pool.connection_kwargs.update(
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            socket_timeout=min(self.socket_timeout or float("inf"), max(1, self.redelivery_time / 3)),
        )
        names = Names(
            self.global_keyprefix, self.unacked_key, self.unacked_index_key, self.sep, tuple(self.priority_steps)
        )
        return Store(Redis(connection_pool=pool), names, self.max_deliveries, self.redelivery_time * BEATS_EVERY)

    # Publishing: as kombu does it, and the doorbell.

    def _put(self, queue: str, message: dict[str, Any], _publish_batch: Any = None, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        if message["properties"]["delivery_info"].get("exchange"):
            # One message may go to several queues, and what is noted under one tag can be held only once.
            message = {**message, "properties": {**message["properties"], "delivery_tag": self._next_delivery_tag()}}
        priority = self._get_message_priority(message, reverse=False)
        bell = self._bell(queue)
        commands: list[tuple[Any, ...]] = [
            ("lpush", self._q_for_pri(queue, priority), dumps(message)),
            ("lpush", bell, 1),
            # kombu's client does not know this command, so the prefix is up to us.
            ("ltrim", self.global_keyprefix + bell, 0, RINGS - 1),
        ]
        if queue in self._expires:
            lists = [self._q_for_pri(queue, step) for step in self.priority_steps]
            commands += [("pexpire", key, self._expires[queue]) for key in [*lists, bell]]
        if _publish_batch is not None:
            for command in commands:
                _publish_batch.add(*command)
            return
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
            for name, *arguments in commands:
                getattr(pipeline, name)(*arguments)
            pipeline.execute()

    def _bell(self, queue: str) -> str:
        return f"{queue}{self.sep}bell"

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super()._delete(queue, *args, **kwargs)
        with self.conn_or_acquire(client=kwargs.get("client")) as client:
            client.delete(self._bell(queue))

    # Consuming: wait for a ring, then fetch.

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, FBT001
        """Starts to consume from a queue."""
        (self._unnoted.add if no_ack else self._unnoted.discard)(queue)
        consuming = super().basic_consume(queue, no_ack, callback, *args, **kwargs)

        def hand_over(message: Any) -> Any:  # noqa: ANN401
            message = self.message_to_python(message)
            if not no_ack:
                self.qos.append(message, message.delivery_tag)
            return callback(message)

        # As kombu's own, but that a message may have been made before: what fails then is the message's fault alone.
        self.connection._callbacks[queue] = hand_over  # noqa: SLF001
        self._leave_doorbell()
        return consuming

    def _basic_cancel(self, consumer_tag: str) -> None:
        super()._basic_cancel(consumer_tag)
        self._leave_doorbell()
        self.flush()

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: ANN401, FBT001, FBT002
        """Takes one message, if there is one."""
        if not self.ack_emulation:
            return super().basic_get(queue, no_ack, **kwargs)
        message = None
        while message is None:
            fetched = self._take([queue], 1, {queue} if no_ack else set())
            message = self._made_of(fetched[0], unheld=no_ack) if fetched else None
            if not self._more_is_waiting:
                break
        if queue in self._expires:
            with self.conn_or_acquire() as client:
                self._maybe_update_queues_expire(client, queue)
                client.pexpire(self._bell(queue), self._expires[queue])
        if message is not None and not no_ack:
            self.qos.append(message, message.delivery_tag)
        return message

    def _made_of(self, fetched: Fetched, *, unheld: bool) -> Any:  # noqa: ANN401
        """The message as kombu's object; None when none can be made of it, which makes it a dead letter."""
        try:
            message = self.Message(fetched.payload(), channel=self)
            if message.errors:
                message._reraise_error()  # noqa: SLF001 - what kombu keeps for whoever looks at the message
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one message ends nothing but that message
            self._bury(fetched, f"unreadable ({type(error).__name__})", unheld=unheld)
            return None
        return message

    def _bury(self, fetched: Fetched, reason: str, *, unheld: bool) -> None:
        self.qos.holding.bury(fetched.tag, reason, *((fetched.queue, fetched.text) if unheld else ()))

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Waits at the doorbells; kombu calls it when there is room for messages."""
        if not self.ack_emulation:
            super()._brpop_start(timeout)
        elif self.active_queues:
            self._in_poll = self.client.connection
            self._brpop_sent_at = time.monotonic()
            bells = [self.global_keyprefix + self._bell(queue) for queue in self.active_queues]
            self.client.connection.send_command("BRPOP", *bells, timeout or self.brpop_timeout)

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401
        """Somebody rang, or nobody did for a long time."""
        if not self.ack_emulation:
            return bool(super()._brpop_read(**options))
        try:
            rung = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not rung or not self.fetch():  # not rung for a minute: the poll has looked often enough
            raise Empty
        return True

    def _leave_doorbell(self) -> None:
        """Waits no longer, as the queues have changed: a ring for somebody else must not end here."""
        connection, self._in_poll = self._in_poll, None
        if connection and self.ack_emulation:
            connection.disconnect()

    def take_turn(self) -> bool:
        """Fetches once, without a ring, if more is known to be waiting. Returns whether anything was delivered.

        Once, however much is waiting: what else the loop has to do, and whoever called it, have their turn too. Where
        a fetch left something, it rang, so the next wait is short.
        """
        return self._more_is_waiting and bool(self.qos.can_consume()) and self.fetch()

    def poll(self) -> bool:
        """Looks at the queues without a ring, and for the dead. Returns whether anything was delivered."""
        if not self.active_queues or not self.ack_emulation:
            return False
        self.flush()
        if not self.qos.holding.store.waiting(self.active_queues):
            return False
        now = time.monotonic()
        if now - self._looked_at >= self.qos.holding.interval:
            self._looked_at = now
            self.qos.restore_visible(num=self.unacked_restore_limit)
        return bool(self.qos.can_consume()) and self.fetch()

    def fetch(self) -> bool:
        """Takes what there is room for, and hands it to the consumers. Returns whether there was anything.

        Without an event loop that is one message, as kombu has it: its callers count their calls (`limit=`), look at
        what they wait for in between, and may never call again.
        """
        if not self._undelivered:
            room = self.qos.can_consume_max_estimate()
            most = self.fetch_limit if self.connection.loop is not None else 1
            limit = most if room is None else min(most, room)
            self._more_is_waiting = False
            if limit > 0 and self.active_queues:
                self._undelivered.extend(self._take(self._in_turn(), limit, self._unnoted))
        return self._deliver()

    def _take(self, queues: Sequence[str], limit: int, unnoted: set[str]) -> list[Fetched]:
        holding: Holding = self.qos.holding
        fetch = holding.fetch(queues, limit, unnoted)
        self._more_is_waiting = fetch.more
        for fetched in fetch.messages:
            if fetched.queue not in unnoted:
                holding.hold(fetched.tag, fetched.came_back)
        return fetch.messages

    def _deliver(self) -> bool:
        """Hands over what was fetched, one by one: a consumer may raise, may be cancelled, or may take no more."""
        delivered = False
        while self._undelivered and self.qos.can_consume():
            if self._undelivered[0].queue not in self.connection._callbacks:  # noqa: SLF001 - the only place to ask
                break
            fetched = self._undelivered.popleft()
            self._queue_cycle.rotate(fetched.queue)
            message = self._made_of(fetched, unheld=fetched.queue in self._unnoted)
            if message is not None:
                delivered = True
                self._hand_over(message, fetched)
        if self._undelivered:
            self._hand_back()
        return delivered

    def _hand_over(self, message: Any, fetched: Fetched) -> None:  # noqa: ANN401
        """Hands over one message. In a worker, what raises because of it is its end, and not the worker's.

        An error that may be the broker's goes on, and the message goes back counted: if it was the message after all,
        it does not do so for ever.
        """
        transport, unheld = self.connection, fetched.queue in self._unnoted
        if transport.burial is None:
            transport._deliver(message, fetched.queue)  # noqa: SLF001 - as kombu's own channel does
            return
        try:
            transport.burial.examine(message, fetched.queue)
            transport._deliver(message, fetched.queue)  # noqa: SLF001
        except (RedisError, OSError, OperationalError) as error:
            if not unheld and not self.qos.has_settled(message.delivery_tag):
                self.qos.give_back(message.delivery_tag, f"raised {type(error).__name__}")
            raise
        except Exception as error:  # noqa: BLE001 - see above
            if unheld:
                self._bury(fetched, f"raised {type(error).__name__}", unheld=True)
            elif not self.qos.has_settled(message.delivery_tag):
                self.qos.bury(message.delivery_tag, f"raised {type(error).__name__}")
                self._more_is_waiting = True
            else:
                log.error("Handing over a message raised %s after it was settled", type(error).__name__)
            transport.burial.tell(message, error)

    def _hand_back(self) -> None:
        rest, self._undelivered = list(reversed(self._undelivered)), deque()  # the oldest goes to the very head
        self.qos.holding.give_back([fetched.tag for fetched in rest if fetched.queue not in self._unnoted])
        for fetched in rest:
            if fetched.queue in self._unnoted:
                self.qos.holding.store.untake(fetched.queue, [fetched.text])

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:  # noqa: ANN401
        """Hands over what was broadcast. Nobody holds that: what cannot be carried out is gone, and said to be."""
        if self.connection.burial is None:
            return super()._deliver_fanout_message(message, exchange)
        try:
            return super()._deliver_fanout_message(message, exchange)
        except (RedisError, OSError, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - see _hand_over
            log.error("A broadcast message raised %s, and is gone", type(error).__name__)
            return False

    def _receive_one(self, c: Any) -> Any:  # noqa: ANN401
        """As kombu's own, which shows what it cannot read in its log."""
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

    def _in_turn(self) -> list[str]:
        """The queues by kombu's order strategy; the bulk ones last, or first when it is their turn."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        self._fetches += 1
        bulk_first = self.bulk_share > 0 and self._fetches % self.bulk_share == 0
        return sorted(queues, key=lambda queue: queue.endswith(self.bulk_suffix) is not bulk_first)

    # Acknowledging, and the end.

    def on_acknowledged(self, made_room: bool) -> None:  # noqa: FBT001
        """Sends acknowledgements soon, or at once when there is no event loop that would."""
        self._more_is_waiting = self._more_is_waiting or made_room
        loop = self.connection.loop if self.connection else None
        if loop is None:
            self.flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            loop.call_later(ACK_DELAY, self.flush)

    def flush(self) -> None:
        """Sends the acknowledgements."""
        self._flush_is_due = False
        if self.ack_emulation and self.qos.holds and not self.qos.holding.survives:
            self.qos.holding.flush()

    def close(self) -> None:
        """Ends the channel. When its connection was lost while it consumed, what runs goes on."""
        if self._process != os.getpid():
            # The copy in a forked child. What it would say, it would say on the parent's own sockets.
            if not self.closed:
                self.closed = True
                self.connection.cycle.discard(self)
                self.connection.close_channel(self)
            return
        if not self.closed and self.ack_emulation:
            self._leave_doorbell()
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
    """A channel to the Redis that Sentinel names."""

    from_transport_options: Any = stock.SentinelChannel.from_transport_options + _OPTIONS


class Poller(stock.MultiChannelPoller):
    """Waits for several channels at once, and has each look at its queues now and then."""

    _delivered = False
    _turns = 0

    def on_poll_start(self) -> None:
        """Before each wait; without an event loop, `get` has seen to it."""
        for channel in tuple(self._channels):
            if channel.connection.loop is not None:
                channel.take_turn()
        super().on_poll_start()

    def maybe_restore_messages(self) -> None:
        """After a wait for nothing, or by the event loop's timer."""
        for channel in tuple(self._channels):
            self._delivered = channel.poll() or self._delivered

    def get(self, callback: Any, timeout: float | None = None) -> None:  # noqa: ANN401
        """One wait without an event loop, for one message. Raises Empty when nothing was delivered."""
        # kombu does so within its own wait, which a consumer that is always behind never comes to.
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
    """For `redis://`, `rediss://` and `redis+socket://`."""

    Channel = Channel
    brpop_timeout = DOORBELL_TIMEOUT
    connection_errors = (*stock.Transport.connection_errors, Refused)
    cycle: Any
    loop: Any = None
    """The event loop, if there is one."""
    burial: "Burial | None" = None
    """In a worker: looks at each message before it is handed over, and whatever handing over raises buries it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def _collect(self, connection: Any) -> None:  # noqa: ANN401
        """Ends what was lost. `close_connection` is the orderly end, after which nothing of ours is left."""
        for channel in tuple(self.channels):
            channel.is_lost = True
        try:
            self.close_connection(connection)
        except (*self.connection_errors, *self.channel_errors, AttributeError):
            log.debug("The end of a lost connection", exc_info=True)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:  # noqa: ANN401
        """Runs in Celery's event loop."""
        super().register_with_event_loop(connection, loop)
        self.loop = loop
        self.cycle._restore_messages_tref.cancel()  # noqa: SLF001 - kombu's timer, at another pace
        self.cycle._restore_messages_tref = loop.call_repeatedly(POLL_INTERVAL, self.cycle.maybe_restore_messages)  # noqa: SLF001


class SentinelTransport(Transport, stock.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel


class Unfit(Exception):
    """A message that no task of this worker can carry out."""


class Burial(bootsteps.StartStopStep):
    """In a Celery worker: what it would drop, hold for ever, or end of, becomes a dead letter.

    Celery rejects a message for a task that it does not know, and shows all of it in the log; it leaves the body to the
    pool, where one that cannot be read is never acknowledged; and anything else that is wrong with a message ends the
    worker. Here a message is looked at as the pool will read it, before it is handed over.
    """

    requires = ("celery.worker.consumer.connection:Connection",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's consumer
        super().__init__(parent, **kwargs)
        self._app = parent.app
        self._accept = prepare_accept_content(parent.app.conf.accept_content)
        self._parent = parent
        for name, reason in {
            "on_unknown_message": "names no task",
            "on_unknown_task": "unknown task",
            "on_invalid_task": "invalid task",
        }.items():
            setattr(parent, name, partial(self._bury, getattr(parent, name), reason))
        parent.on_decode_error = partial(self._undecodable, parent.on_decode_error)

    def start(self, parent: Any) -> None:  # noqa: ANN401
        """At each new connection to the broker."""
        transport = parent.connection.transport
        if isinstance(transport, Transport):
            transport.burial = self

    def _bury(self, stock: Any, reason: str, body: Any, message: Any, *why: Any) -> None:  # noqa: ANN401
        if not self._is_held(message):
            stock(body, message, *why)
            return
        message.channel.qos.bury(message.delivery_tag, reason)
        message._state = "REJECTED"  # noqa: SLF001 - as kombu does when a message is settled
        self.tell(message, why[0] if why else None)

    def _undecodable(self, stock: Any, message: Any, why: Exception) -> None:  # noqa: ANN401
        if isinstance(message.channel, Channel) and not self._is_held(message):
            log.error("A broadcast message cannot be decoded (%s), and is gone", type(why).__name__)
            return
        self._bury(lambda _, message, why: stock(message, why), "undecodable", None, message, why)

    @staticmethod
    def _is_held(message: Any) -> bool:  # noqa: ANN401
        channel = message.channel
        return isinstance(channel, Channel) and channel.ack_emulation and channel.qos.has(message.delivery_tag)

    def tell(self, message: Any, why: Exception | None) -> None:  # noqa: ANN401
        """Tells whoever waits for the task's result, as Celery does."""
        headers = message.headers
        if isinstance(headers, dict) and isinstance(id_ := headers.get("id"), str):
            request = Context(headers, id=id_, task=str(headers.get("task")), chord=None, errbacks=None)
            try:
                self._app.backend.mark_as_failure(id_, why or Unfit("names no task"), request=request)
            except Exception as error:  # noqa: BLE001 - nobody can be told, and nothing more can be done
                log.warning("The failure of a dead letter cannot be told: %s", type(error).__name__)
        signals.task_rejected.send(sender=self._parent, message=message, exc=why)

    def examine(self, message: Any, queue: str) -> None:  # noqa: ANN401
        """Raises when no task of this worker can carry the message out: as the tracer reads it, but before the pool."""
        consumer = self._parent.task_consumer
        if consumer is None or not consumer.consuming_from(queue) or "task" not in message.headers:
            return
        headers = message.headers
        limits = headers.get("timelimit")
        if not isinstance(headers.get("id"), str) or not (limits is None or len(limits) == 2):
            raise Unfit
        if not message.content_type:
            args, kwargs, embed = message.body
        else:
            args, kwargs, embed = serialization.loads(
                message.body, message.content_type, message.content_encoding, accept=self._accept
            )
        if not isinstance(args, list | tuple) or not isinstance(kwargs, dict) or not isinstance(embed or {}, dict):
            raise Unfit
        task = self._app.tasks.get(headers["task"])
        # As for whoever publishes with the task at hand: arguments that do not fit raise TypeError, where it can tell.
        fits = getattr(task, "__header__", None) if task is not None and task.typing else None
        if fits is not None:
            fits(*args, **kwargs)


_ALIASES = {
    "redis": "workers.transport:Transport",
    "rediss": "workers.transport:Transport",
    "sentinel": "workers.transport:SentinelTransport",
}
SCHEMES = frozenset({*_ALIASES, "redis+socket"})
"""Of the broker URLs that this transport is for."""

_STOCK_ALIASES = {scheme: kombu.transport.TRANSPORT_ALIASES[scheme] for scheme in _ALIASES}


def install() -> None:
    """Makes this the transport of all Redis URLs in this process; to be called before a connection is made.

    Celery's `broker_transport` would not do: kombu takes the transport from the URL instead for `redis+socket://`, and
    when it fails over to another URL.
    """
    _use(_ALIASES)
    signals.worker_init.connect(_add_burial, dispatch_uid=__name__)


def _add_burial(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker
    sender.app.steps["consumer"].add(Burial)


def uninstall() -> None:
    """Makes kombu's own transport the one of all Redis URLs again, for connections to come."""
    _use(_STOCK_ALIASES)
    signals.worker_init.disconnect(_add_burial, dispatch_uid=__name__)


def _use(aliases: Mapping[str, str]) -> None:
    kombu.transport.TRANSPORT_ALIASES.update(aliases)
    for scheme in aliases:
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001 - there is no other way to change an alias
