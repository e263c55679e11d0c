"""The atomic scripts of admission: `enter` before a call, `record` after it, and what operators and `status` need.

All keys of an upstream share a hash tag. `now` is in milliseconds of a steady clock (`workers/steady.py`), and all is
decided by it: a server's clock that is set makes nothing shorter or longer. `time` is the server's, and only told.
`workers/resilience/admission/local.py` is the same machine in Python; a test holds the two together, step by step.
"""

COMMON = """
local state, window, permits, probes, waiting, alive, budget =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local cfg = cjson.decode(ARGV[1])

local function get(...)
  local values = redis.call('HMGET', state, ...)
  for i, value in ipairs(values) do values[i] = value or nil end
  return values
end

local function number(value, otherwise) return tonumber(value or otherwise) end

-- Every change of state starts a new generation, so that what was begun before it changes nothing any more.
local function change(to, fields, told)
  local generation = redis.call('HINCRBY', state, 'generation', 1)
  redis.call('HSET', state, 'state', to, 'since', time, 'consecutive', 0, 'successes', 0, unpack(fields or {}))
  redis.call('DEL', window, probes)
  redis.call('PUBLISH', cfg.channel, cjson.encode({upstream = cfg.upstream, state = told or to, at = time}))
  return generation
end

-- 429 halves what is allowed, and it grows back evenly.
local function factor(values)
  local halved_at = number(values.halved_at, 0)
  if halved_at == 0 then return 1 end
  return math.min(1, number(values.factor, 1) + (now - halved_at) / cfg.recovery)
end

local function limit_at(share) return math.max(1, math.floor(cfg.max_in_flight * share)) end
"""

ENTER = (
    COMMON
    + """
-- ARGV: settings, permit, how long it is leased, whether it is a retry, how long a waiter is believed to be alive.
-- Returns what became of it: {'unknown'} when nothing is known of the upstream, {'refused', state, wait},
-- {'no_budget'}, {'wait', wait}, or {'admitted', generation, state changed to, now}.
local permit, lease, is_retry, believed = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])
local v = get('state', 'generation', 'open_until', 'override', 'halved_at', 'factor', 'tat', 'successes')
if not v[2] then return {'unknown'} end
local current, generation, override, changed = v[1], tonumber(v[2]), v[4], ''

if override == 'forced_open' then return {'refused', 'forced_open', -1} end

local second = math.floor(now / 1000)
if is_retry then
  local calls, retries = 0, 0
  local counted = redis.call('HGETALL', budget)
  for i = 1, #counted, 2 do
    local kind, at = string.sub(counted[i], 1, 1), tonumber(string.sub(counted[i], 2))
    if at <= second - cfg.budget_window then redis.call('HDEL', budget, counted[i])
    elseif kind == 'c' then calls = calls + counted[i + 1]
    else retries = retries + counted[i + 1] end
  end
  if retries >= math.max(cfg.budget_floor, cfg.budget_share * calls) then return {'no_budget'} end
end

local guarded = not override
if guarded and current == 'open' then
  -- No longer than it may be open at all, whatever is kept; what is kept is put right, so that the time does pass.
  local wait = number(v[3], 0) - now
  if wait > cfg.open_at_most then
    wait = cfg.open_at_most
    redis.call('HSET', state, 'open_until', now + wait)
  end
  if wait > 0 then return {'refused', 'open', wait} end
  generation = change('half_open')
  current, changed = 'half_open', 'half_open'
end
if guarded and current == 'half_open' then
  redis.call('ZREMRANGEBYSCORE', probes, '-inf', now)
  -- With those that were answered, so that no half-open phase has more of them, however fast the upstream is again.
  if redis.call('ZCARD', probes) + number(v[8], 0) >= cfg.probes then
    local first = redis.call('ZRANGE', probes, 0, 0, 'WITHSCORES')
    return {'refused', 'half_open', math.max(1, tonumber(first[2]) - now)}
  end
end

-- In order: whoever waits and is alive comes before who comes now.
redis.call('ZREMRANGEBYSCORE', permits, '-inf', now)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', now)) do
  redis.call('ZREM', alive, gone)
  redis.call('ZREM', waiting, gone)
end
local share = factor({halved_at = v[5], factor = v[6]})
local ahead = redis.call('ZRANK', waiting, permit) or redis.call('ZCARD', waiting)
local free = limit_at(share) - redis.call('ZCARD', permits) - ahead
local wait, tat, interval = 0, 0, 0
if cfg.rate > 0 then
  interval = 1000 / (cfg.rate * share)
  -- No more is owed than what may begin at once, also when that was let in at a slower rate than there is now.
  tat = math.min(math.max(number(v[7], 0), now), now + cfg.burst * interval)
  wait = math.max(0, tat + (ahead + 1 - cfg.burst) * interval - now)
  tat = tat + interval
end
if free <= 0 or wait > 0 then
  if cfg.rate > 0 and tat - interval < number(v[7], 0) then redis.call('HSET', state, 'tat', tat - interval) end
  if not redis.call('ZSCORE', waiting, permit) then
    redis.call('ZADD', waiting, redis.call('HINCRBY', state, 'arrivals', 1), permit)
  end
  redis.call('ZADD', alive, now + believed, permit)
  return {'wait', math.ceil(wait)}
end

redis.call('ZREM', waiting, permit)
redis.call('ZREM', alive, permit)
redis.call('ZADD', permits, now + lease, permit)
redis.call('PEXPIRE', permits, 2 * lease)
if guarded and current == 'half_open' then
  redis.call('ZADD', probes, now + lease, permit)
  redis.call('PEXPIRE', probes, 2 * lease)
end
if cfg.rate > 0 then redis.call('HSET', state, 'tat', tat) end
redis.call('HINCRBY', budget, (is_retry and 'r' or 'c') .. second, 1)
redis.call('PEXPIRE', budget, 2000 * cfg.budget_window)
return {'admitted', generation, changed, now}
"""
)

RECORD = (
    COMMON
    + """
-- ARGV: settings, permit, its generation, when it began, outcome, reason. Returns the state changed to, or ''.
local permit, generation, entered, outcome, reason = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
redis.call('ZREM', permits, permit)
local was_probe = redis.call('ZREM', probes, permit) == 1
local v = get('state', 'generation', 'override', 'consecutive', 'successes', 'opened', 'halved_at', 'factor')
if not v[2] then return '' end

if outcome == 'wrong_person' then
  if v[3] == 'forced_open' then return '' end
  redis.call('HSET', state, 'override', 'forced_open', 'override_by', 'registerbro', 'override_at', time,
    'override_reason', reason, 'failed_at', time, 'failure', reason)
  change('closed', {'opened', 0}, 'forced_open')
  return 'forced_open'
end
if outcome == 'ignored' then return '' end
if outcome == 'ok' or outcome == 'slow' then redis.call('HSET', state, 'succeeded_at', time)
else redis.call('HSET', state, 'failed_at', time, 'failure', reason) end

if outcome == 'throttled' then
  -- One halving answers all the calls that were under way when it came.
  if entered > number(v[7], 0) then
    local share = factor({halved_at = v[7], factor = v[8]})
    redis.call('HSET', state, 'halved_at', now, 'factor', math.max(cfg.least_factor, share / 2))
  end
  return ''
end
if generation ~= tonumber(v[2]) or v[3] == 'disabled' or v[3] == 'forced_open' then return '' end

local function open()
  local opened = number(v[6], 0) + 1
  local span = math.min(cfg.open_for * 2 ^ math.min(opened - 1, 30), cfg.open_at_most)
  change('open', {'opened', opened, 'open_until', now + span})
  return 'open'
end

if v[1] == 'half_open' and not v[3] then
  if not was_probe then return '' end
  if outcome ~= 'ok' then return open() end
  if number(v[5], 0) + 1 < cfg.probes then
    redis.call('HINCRBY', state, 'successes', 1)
    return ''
  end
  change('closed', {'opened', 0})
  return 'closed'
end
if v[1] ~= 'closed' and not v[3] then return '' end

local bucket = math.floor(now / cfg.bucket)
redis.call('HINCRBY', window, 'c' .. bucket, 1)
if outcome == 'failure' then redis.call('HINCRBY', window, 'f' .. bucket, 1) end
if outcome == 'slow' then redis.call('HINCRBY', window, 's' .. bucket, 1) end
redis.call('PEXPIRE', window, cfg.bucket * (cfg.buckets + 1))
local consecutive = outcome == 'failure' and number(v[4], 0) + 1 or 0
redis.call('HSET', state, 'consecutive', consecutive)
if v[3] or outcome == 'ok' then return '' end
if consecutive >= cfg.consecutive_failures then return open() end
local calls, failures, slow = 0, 0, 0
local counted = redis.call('HGETALL', window)
for i = 1, #counted, 2 do
  local kind, at = string.sub(counted[i], 1, 1), tonumber(string.sub(counted[i], 2))
  if at <= bucket - cfg.buckets then redis.call('HDEL', window, counted[i])
  elseif kind == 'c' then calls = calls + counted[i + 1]
  elseif kind == 'f' then failures = failures + counted[i + 1]
  else slow = slow + counted[i + 1] end
end
if calls >= cfg.minimum_calls
  and (failures >= cfg.failure_rate * calls or slow >= cfg.slow_call_rate * calls) then return open() end
return ''
"""
)

CREATE = (
    COMMON
    + """
-- ARGV: settings, override, by, at, reason. What an operator has set survives an empty Redis by being given here.
if redis.call('HSETNX', state, 'generation', 1) == 0 then return 0 end
redis.call('HSET', state, 'state', 'closed', 'since', time)
if ARGV[2] ~= '' then
  redis.call('HSET', state, 'override', ARGV[2], 'override_by', ARGV[3],
    'override_at', ARGV[4], 'override_reason', ARGV[5])
end
return 1
"""
)

OVERRIDE = (
    COMMON
    + """
-- ARGV: settings, override or '' to lift it, by, at, reason. Either way the breaker starts anew, closed.
if ARGV[2] ~= '' then
  redis.call('HSET', state, 'override', ARGV[2], 'override_by', ARGV[3],
    'override_at', ARGV[4], 'override_reason', ARGV[5])
else
  redis.call('HDEL', state, 'override', 'override_by', 'override_at', 'override_reason')
end
change('closed', {'opened', 0}, ARGV[2] ~= '' and ARGV[2] or 'closed')
return 1
"""
)

LEAVE = (
    COMMON
    + """
-- ARGV: settings, permit. A waiter that gives up.
redis.call('ZREM', waiting, ARGV[2])
return redis.call('ZREM', alive, ARGV[2])
"""
)

LOOK = (
    COMMON
    + """
-- What `status` shows, as field, value, …
redis.call('ZREMRANGEBYSCORE', permits, '-inf', now)
local found = redis.call('HGETALL', state)
local values = {}
for i = 1, #found, 2 do
  -- Told by the server's clock, as it is set now.
  if found[i] == 'open_until' then found[i + 1] = string.format('%d', found[i + 1] - now + time) end
  values[found[i]] = found[i + 1]
end
local bucket, calls, failures, slow = math.floor(now / cfg.bucket), 0, 0, 0
local counted = redis.call('HGETALL', window)
for i = 1, #counted, 2 do
  local kind, at = string.sub(counted[i], 1, 1), tonumber(string.sub(counted[i], 2))
  if at > bucket - cfg.buckets then
    if kind == 'c' then calls = calls + counted[i + 1]
    elseif kind == 'f' then failures = failures + counted[i + 1]
    else slow = slow + counted[i + 1] end
  end
end
local more = {'now', time, 'calls', calls, 'failures', failures, 'slow', slow,
  'in_flight', redis.call('ZCARD', permits), 'waiting', redis.call('ZCARD', waiting), 'limit', limit_at(factor(values))}
for _, value in ipairs(more) do found[#found + 1] = tostring(value) end
return found
"""
)
