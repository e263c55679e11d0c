"""Celery's Redis transport, so that no message is lost when a worker is killed: kombu's own, with another way to fetch.

kombu takes a message off its queue, and notes it as unacknowledged with a second command; a worker that is killed in
between loses it. Here one script moves many messages from the queues to `unacked`, in kombu's keys and formats. What is
not in `unacked` is what makes redelivery follow a worker's life instead of a fixed time:

    unacked_consumers   sorted set: each consumer that holds messages, by its last sign of life (the server's clock)
    unacked_index       kombu's sorted set of messages: all that a consumer holds have that consumer's very score
    unacked_deliveries  hash: how often a message has come back, and when for the first time
    dead_letters        hash: what has come back too often, by delivery tag

So whoever wrote a message's score last holds it, be it this transport or kombu's, and an acknowledgement by anybody
else does nothing. docs/transport.md has the whole story; `install` makes the transport the one of all Redis URLs.
"""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False
# kombu says that it is typed, and hardly is.

import atexit
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import kombu.transport
from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.json import dumps, loads
from redis import Redis, RedisError
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

LAPSES_AFTER = 0.8
BEATS_EVERY = 0.2
"""Both as parts of the redelivery time: a beat and the look for the dead, after the lapse, are still within it."""

# In all scripts: KEYS[1] to [5] are unacked, its index, the consumers, the deliveries and the dead letters; ARGV[1] is
# what does not change for a channel, as JSON, and ARGV[2] the consumer.
_COMMON = """
local unacked, index, consumers, deliveries, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local options, consumer = cjson.decode(ARGV[1]), ARGV[2]

local function now()
  local t = redis.call('TIME')
  return t[1] + t[2] / 1000000
end

-- A consumer's score says when it lived, and belongs to nobody else, so that it also says what the consumer holds.
local function renew(consumer)
  local old, moment = redis.call('ZSCORE', consumers, consumer), now()
  local new = string.format('%.17g', moment)
  while redis.call('ZCOUNT', consumers, new, new) > 0 or redis.call('ZCOUNT', index, new, new) > 0 do
    moment = moment + 0.000001
    new = string.format('%.17g', moment)
  end
  if old then
    for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, old, old)) do redis.call('ZADD', index, new, tag) end
  end
  redis.call('ZADD', consumers, new, consumer)
  return new
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

-- The list that kombu would put a message into: the queue's own, or the one of its priority.
local function list_of(queue, message)
  local priority = math.max(0, math.min(9, tonumber(message.properties.priority) or 0))
  local step = 0
  for _, s in ipairs(options.steps) do if s <= priority then step = s end end
  return options.prefix .. queue .. (step > 0 and options.sep .. string.format('%d', step) or '')
end

local function text(value) return type(value) == 'string' and value or nil end

local function tag_of(message)
  if type(message) ~= 'table' or type(message.properties) ~= 'table' then return nil end
  return text(message.properties.delivery_tag)
end

local function bury(tag, queue, raw, message, count, since, reason)
  local headers = message and type(message.headers) == 'table' and message.headers or {}
  local moment = now()
  local letter = {tag = tag, queue = queue, task = text(headers.task), id = text(headers.id), deliveries = count,
                  since = math.floor(since or moment), died = math.floor(moment), reason = reason}
  local told = cjson.encode(letter)
  letter.message = raw
  redis.call('HSET', dead, tag, cjson.encode(letter))
  redis.call('HDEL', deliveries, tag)
  return told
end

local function came_back(tag)
  local noted = redis.call('HGET', deliveries, tag)
  if not noted then return 0 end
  local count, since = string.match(noted, '^(%d+) (%d+)$')
  return tonumber(count), tonumber(since)
end

-- Puts a message back: to the head of its queue or to the tail; or among the dead when `reason` counts once too often.
local function give_back(tag, reason, to_tail)
  local note = redis.call('HGET', unacked, tag)
  forget(tag)
  if not note then return end
  local noted = cjson.decode(note)
  local message, queue = noted[1], noted[3]
  local raw = string.sub(note, 2, -#noted_with(queue) - 1)
  if reason then
    local count, since = came_back(tag)
    count, since = count + 1, since or math.floor(now())
    if options.max > 0 and count >= options.max then
      return bury(tag, queue, raw, message, count, since, reason)
    end
    redis.call('HSET', deliveries, tag, string.format('%d %d', count, since))
  end
  redis.call(to_tail and 'LPUSH' or 'RPUSH', list_of(queue, message), raw)
  ring(queue)
end

local function rest(first)
  local values = {}
  for i = first, #ARGV do values[#values + 1] = ARGV[i] end
  return values
end
"""

# ARGV: messages at the most, the age in seconds at which the consumer's score is renewed, whether it holds a message
# that must be alone, the number of lists; for each list its queue and whether to note its messages; acknowledged tags.
# KEYS[6] and on are the lists. Returns whether the consumer was known, tags acknowledged too late, whether more is
# waiting, and for each message the number of its list, its tag, its text, and how often it came back.
_FETCH = """
local limit, fresh, alone, lists = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])
local late = settle(consumer, rest(7 + 2 * lists))
local score = redis.call('ZSCORE', consumers, consumer)
local known, current, passed_over = score and 1 or 0, false, false
local any_returned = redis.call('EXISTS', deliveries) == 1
local taken = {}
for i = 1, lists do
  if limit <= 0 then break end
  local list, queue, noted = KEYS[5 + i], ARGV[5 + 2 * i], ARGV[6 + 2 * i] == '1'
  for _, raw in ipairs(redis.call('RPOP', list, limit) or {}) do
    local read, message = pcall(cjson.decode, raw)
    local tag = read and tag_of(message)
    local count = tag and any_returned and came_back(tag) or 0
    if not tag then
      bury('unreadable-' .. redis.sha1hex(raw), queue, raw, nil, 0, nil, 'unreadable')
    elseif noted and alone and count >= options.alone then
      redis.call('LPUSH', list, raw)
      passed_over = true
    else
      if noted then
        if not current and (not score or now() - score > fresh) then score = renew(consumer) end
        current = true
        alone = alone or count >= options.alone
        redis.call('ZADD', index, score, tag)
        redis.call('HSET', unacked, tag, '[' .. raw .. noted_with(queue))
      end
      taken[#taken + 1] = i
      taken[#taken + 1] = tag
      taken[#taken + 1] = raw
      taken[#taken + 1] = count
      limit = limit - 1
    end
  end
end
local left = 0
if #taken > 0 then
  for i = 1, lists do
    local queue = ARGV[5 + 2 * i]
    if redis.call('EXISTS', KEYS[5 + i]) == 1 then
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
if redis.call('ZCOUNT', index, score, score) == 0 then redis.call('ZREM', consumers, consumer) end
return back
"""

# ARGV: seconds without a sign of life. What such consumers hold goes back. Returns how many messages, the consumers
# that held any, and what became dead letters.
_RESTORE = """
local back, gone, buried = 0, {}, {}
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', consumers, '-inf', now() - tonumber(ARGV[3]), 'LIMIT', 0, 10)) do
  local score = redis.call('ZSCORE', consumers, lapsed)
  local tags = redis.call('ZRANGEBYSCORE', index, score, score)
  for _, tag in ipairs(tags) do buried[#buried + 1] = give_back(tag, 'worker lost', false) end
  redis.call('ZREM', consumers, lapsed)
  back = back + #tags
  if #tags > 0 then gone[#gone + 1] = lapsed end
end
return {back, gone, buried}
"""

# ARGV: the tag of a dead letter. It goes to the tail of its queue as if it had never been delivered.
_REPLAY = """
local letter = redis.call('HGET', dead, ARGV[3])
if not letter then return 0 end
letter = cjson.decode(letter)
local read, message = pcall(cjson.decode, letter.message)
if not read or not tag_of(message) then return -1 end
redis.call('HDEL', dead, ARGV[3])
redis.call('LPUSH', list_of(letter.queue, message), letter.message)
ring(letter.queue)
return 1
"""


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
        """The five keys that every script is given."""
        own = (self.unacked, self.index, f"{self.unacked}_consumers", f"{self.unacked}_deliveries", "dead_letters")
        return [self.prefix + key for key in own]

    def lists(self, queue: str) -> list[str]:
        """The lists of a queue, the most urgent first: one for each priority step."""
        return [f"{self.prefix}{queue}{self.sep}{step}" if step else self.prefix + queue for step in self.steps]

    def bell(self, queue: str) -> str:
        """The doorbell of a queue, without the prefix."""
        return f"{queue}{self.sep}bell"


@dataclass(frozen=True)
class Fetched:
    """One message off a queue."""

    queue: str
    tag: str
    text: bytes
    came_back: int

    def payload(self) -> Any:  # noqa: ANN401 - JSON
        """The message as kombu wants it, marked when it was delivered before."""
        message = loads(self.text.decode())
        if self.came_back:
            for place in (message.get("headers"), message["properties"].get("delivery_info")):
                if place is not None:
                    place["redelivered"] = True
        return message


@dataclass(frozen=True)
class Fetch:
    """What one fetch brought."""

    known: bool
    """Whether the consumer held, until now, what it thought that it did."""
    late: list[str]
    more: bool
    messages: list[Fetched]


@dataclass(frozen=True)
class Restored:
    """What a look for the dead found."""

    messages: int = 0
    consumers: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


class Store:
    """The state in Redis, one script for each thing that can happen to a message. Raises redis-py's errors."""

    def __init__(
        self, client: "Redis", names: Names | None = None, max_deliveries: int | None = MAX_DELIVERIES
    ) -> None:
        self.client = client
        self.names = names or Names()
        self._options = dumps({
            "prefix": self.names.prefix, "sep": self.names.sep, "steps": self.names.steps,
            "max": max_deliveries or 0, "alone": ALONE_AFTER,
        })  # fmt: skip
        scripts = {
            "fetch": _FETCH, "settle": _SETTLE, "beat": _BEAT, "give_back": _GIVE_BACK, "release": _RELEASE,
            "restore": _RESTORE, "replay": _REPLAY,
        }  # fmt: skip
        self._scripts = {name: client.register_script(_COMMON + script) for name, script in scripts.items()}

    def _run(self, script: str, consumer: str, *arguments: str | float, lists: Sequence[str] = ()) -> Any:  # noqa: ANN401
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

        Messages of the queues in `unnoted` are gone from Redis when they are taken. The consumer's sign of life is
        renewed when it is older than `fresh` seconds. `alone`: it holds a message that must not meet another such.
        """
        by_queue = [(queue, self.names.lists(queue)) for queue in queues]
        places = [(queue, lists[i]) for i in range(len(self.names.steps)) for queue, lists in by_queue]
        told = [value for queue, _ in places for value in (queue, int(queue not in unnoted))]
        known, late, more, taken = self._run(
            "fetch", consumer, limit, fresh, int(alone), len(places), *told, *acks, lists=[place for _, place in places]
        )
        messages = [
            Fetched(places[number - 1][0], tag.decode(), text, came_back)
            for number, tag, text, came_back in zip(*(taken[i::4] for i in range(4)), strict=True)
        ]
        return Fetch(bool(known), [tag.decode() for tag in late], bool(more), messages)

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

    def restore(self, lapse: float) -> Restored:
        """Puts back what consumers hold that gave no sign of life for `lapse` seconds."""
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
        letters = map(DeadLetter.parse, self.client.hvals(self.names.keys[4]))
        return sorted(letters, key=lambda letter: (letter.died, letter.tag))

    def count_dead(self) -> int:
        """How many dead letters there are."""
        return int(self.client.hlen(self.names.keys[4]))

    def replay(self, tag: str) -> bool:
        """Puts a dead letter back into its queue, to be delivered as if for the first time. False: there is none.

        Raises ValueError for one that cannot be read.
        """
        answer = self._run("replay", "", tag)
        if answer < 0:
            raise ValueError(f"dead letter {tag} cannot be read")
        return bool(answer)

    def discard(self, tag: str) -> bool:
        """Forgets a dead letter for good. False: there is none."""
        return bool(self.client.hdel(self.names.keys[4], tag))


class Holding:
    """What one consumer holds, and the thread that keeps it by giving signs of life.

    The thread is one of its own since nothing else runs all the time: Celery's event loop stands still while a warm
    shutdown waits for running tasks, while a solo pool runs one, and while a reconnection is being tried. It uses a
    connection of its own, so that it also outlives the channel. All else is done by the thread that consumes.
    """

    def __init__(self, store: Store, redelivery_time: float = REDELIVERY_TIME) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:12]}"
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

    def give_back(self, tags: Sequence[str]) -> None:
        """Puts back what was fetched and not handed to anybody."""
        self.store.give_back(self.name, tags)
        self._drop(tags)

    def release(self) -> None:
        """Puts everything back, once the acknowledgements are sent."""
        self.flush()
        self._drop(self._snapshot())  # first, so that a beat in between does not take this for a loss
        self.store.release(self.name)

    def close(self) -> None:
        """Sends what is to be sent, and puts the rest back. Without Redis, others do so once this one has lapsed."""
        self._ended = True
        self._wake.set()
        try:
            if self._thread is not None:
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
            except (RedisError, OSError) as error:
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
        self.holding = Holding(channel.make_store(), channel.redelivery_time)

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401
        """Redis has it noted already."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Goes to Redis with the next fetch, or soon."""
        made_room = self.holding.ack(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        if not self.holding.survives:
            self.channel.on_acknowledged(made_room)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Puts the message back, or is done with it."""
        if not requeue:
            self.ack(delivery_tag)
            return
        self.holding.reject(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:  # noqa: ANN401, ARG002
        """Puts everything back."""
        self.holding.release()
        self._delivered.clear()

    def restore_unacked_once(self, stderr: Any = None) -> None:  # noqa: ANN401, ARG002
        """Ends with the channel or the process."""
        self._on_collect.cancel()
        if not self.holding.survives:
            self.holding.close()
            self._delivered.clear()

    def outlive_channel(self) -> None:
        """Goes on for what was delivered and cannot be called back; nothing is said to Redis here."""
        self._on_collect.cancel()
        self._flush()
        self.holding.survive(self._delivered)
        self._delivered.clear()

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:
        """Puts back what the dead held; what kombu's own transport noted, only after the visibility timeout."""
        restored = self.holding.store.restore(self.channel.redelivery_time * LAPSES_AFTER)
        if restored.messages:
            log.warning("Messages of lost workers (%s) went back: %d", ", ".join(restored.consumers), restored.messages)
        _tell_of_dead(restored.dead)
        super().restore_visible(start=start, num=num, interval=interval)


_OPTIONS = ("redelivery_time", "max_deliveries", "fetch_limit", "bulk_suffix", "bulk_share")


class Channel(stock.Channel):
    """A channel to one Redis: TCP, TLS or unix socket."""

    QoS = QoS
    from_transport_options: Any = stock.Channel.from_transport_options + _OPTIONS
    _in_poll: Any = None
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
        self._polled_at = self._steady_since = self._restored_at = float("-inf")
        super().__init__(*args, **kwargs)

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
        return Store(Redis(connection_pool=pool), names, self.max_deliveries)

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

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, FBT001
        """Starts to consume from a queue."""
        (self._unnoted.add if no_ack else self._unnoted.discard)(queue)
        consuming = super().basic_consume(queue, no_ack, *args, **kwargs)
        self._leave_doorbell()
        return consuming

    def _basic_cancel(self, consumer_tag: str) -> None:
        super()._basic_cancel(consumer_tag)
        self._leave_doorbell()
        self.flush()

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002
        """Takes one message, if there is one."""
        for fetched in self._take([queue], 1, {queue} if no_ack else set()):
            message = self.Message(fetched.payload(), channel=self)
            if not no_ack:
                self.qos.append(message, message.delivery_tag)
            return message
        return None

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
        """Fetches at once while more is known to be waiting. Returns whether anything was delivered."""
        delivered = False
        while self._more_is_waiting and self.qos.can_consume():
            delivered = self.fetch() or delivered
        return delivered

    def poll(self) -> bool:
        """Looks at the queues without a ring, and for the dead. Returns whether anything was delivered."""
        if not self.active_queues or not self.ack_emulation:
            return False
        self.flush()
        if not self.qos.holding.store.waiting(self.active_queues):
            self._note_steadiness()
            return False
        if self._note_steadiness():
            self.qos.restore_visible(num=self.unacked_restore_limit)
        return bool(self.qos.can_consume()) and self.fetch()

    def _note_steadiness(self) -> bool:
        """Whether to look for the dead now.

        Not until Redis has answered for a while: after an outage of it all have lapsed, and need a moment to say that
        they live.
        """
        now, interval = time.monotonic(), self.qos.holding.interval
        if now - self._polled_at > POLL_INTERVAL + interval:
            self._steady_since = now
        self._polled_at = now
        due = now - self._steady_since >= interval and now - self._restored_at >= interval
        if due:
            self._restored_at = now
        return bool(due)

    def fetch(self) -> bool:
        """Takes what there is room for, and hands it to the consumers. Returns whether there was anything."""
        if not self._undelivered:
            room = self.qos.can_consume_max_estimate()
            limit = self.fetch_limit if room is None else min(self.fetch_limit, room)
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
            delivered = True
            self._queue_cycle.rotate(fetched.queue)
            self.connection._deliver(fetched.payload(), fetched.queue)  # noqa: SLF001 - as kombu's own channel does
        if self._undelivered:
            self._hand_back()
        return delivered

    def _hand_back(self) -> None:
        rest, self._undelivered = list(reversed(self._undelivered)), deque()  # the oldest goes to the very head
        self.qos.holding.give_back([fetched.tag for fetched in rest if fetched.queue not in self._unnoted])
        for fetched in rest:
            if fetched.queue in self._unnoted:
                self._put(fetched.queue, fetched.payload())

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
        if self.ack_emulation and not self.qos.holding.survives:
            self.qos.holding.flush()

    def close(self) -> None:
        """Ends the channel. When it still consumes, it is the connection that ended, and what runs goes on."""
        if not self.closed:
            self._leave_doorbell()
            if self._qos is not None and self._consumers and self.ack_emulation:
                self._qos.outlive_channel()
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

    def on_poll_start(self) -> None:
        """Before each wait."""
        for channel in tuple(self._channels):
            channel.take_turn()
        super().on_poll_start()

    def maybe_restore_messages(self) -> None:
        """After a wait for nothing, or by the event loop's timer."""
        for channel in tuple(self._channels):
            self._delivered = channel.poll() or self._delivered

    def get(self, callback: Any, timeout: float | None = None) -> None:  # noqa: ANN401
        """One wait without an event loop. Raises Empty when nothing was delivered."""
        self._delivered = any([channel.take_turn() for channel in tuple(self._channels)])  # noqa: C419 - all have their turn
        if self._delivered:
            return
        try:
            super().get(callback, POLL_INTERVAL if timeout is None else min(timeout, POLL_INTERVAL))
        except Empty:
            if not self._delivered:
                raise


class Transport(stock.Transport):
    """For `redis://`, `rediss://` and `redis+socket://`."""

    Channel = Channel
    brpop_timeout = DOORBELL_TIMEOUT
    cycle: Any
    loop: Any = None
    """The event loop, if there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:  # noqa: ANN401
        """Runs in Celery's event loop."""
        super().register_with_event_loop(connection, loop)
        self.loop = loop
        self.cycle._restore_messages_tref.cancel()  # noqa: SLF001 - kombu's timer, at another pace
        self.cycle._restore_messages_tref = loop.call_repeatedly(POLL_INTERVAL, self.cycle.maybe_restore_messages)  # noqa: SLF001


class SentinelTransport(Transport, stock.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel


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


def uninstall() -> None:
    """Makes kombu's own transport the one of all Redis URLs again, for connections to come."""
    _use(_STOCK_ALIASES)


def _use(aliases: Mapping[str, str]) -> None:
    kombu.transport.TRANSPORT_ALIASES.update(aliases)
    for scheme in aliases:
        kombu.transport._transport_cache.pop(scheme, None)  # noqa: SLF001 - there is no other way to change an alias
