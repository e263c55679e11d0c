-- Decides whether a call may begin now: override, retry budget, breaker, concurrency limit and rate limit, in this order.
--
-- `lease` is the time in ms after which the permit is free again when no result is recorded. `waiter_ttl` is the time in
-- ms for which a waiter that does not ask again keeps its turn.
-- Returns {'unknown'} when Redis holds nothing of the upstream, {'refused', state or override, wait}, {'no_budget'},
-- {'wait', wait} or {'admitted', generation, state changed to or '', now}. A wait of -1: until an operator lifts it.
--
-- item: permit lease:number is_retry:flag waiter_ttl:number
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
    if at <= second - rules.budget_window then redis.call('HDEL', budget, counted[i])
    elseif kind == 'c' then calls = calls + counted[i + 1]
    else retries = retries + counted[i + 1] end
  end
  if retries >= math.max(rules.budget_floor, rules.budget_share * calls) then return {'no_budget'} end
end

local guarded = not override
if guarded and current == 'open' then
  -- `open_until` is never believed beyond `open_at_most`; the corrected value is stored, so that the time does pass.
  local wait = number(v[3], 0) - now
  if wait > rules.open_at_most then
    wait = rules.open_at_most
    redis.call('HSET', state, 'open_until', now + wait)
  end
  if wait > 0 then return {'refused', 'open', wait} end
  generation = change('half_open')
  current, changed = 'half_open', 'half_open'
end
if guarded and current == 'half_open' then
  redis.call('ZREMRANGEBYSCORE', probes, '-inf', now)
  -- Answered probes count too, so that a half-open phase has no more of them, however fast the upstream answers.
  if redis.call('ZCARD', probes) + number(v[8], 0) >= rules.probes then
    local first = redis.call('ZRANGE', probes, 0, 0, 'WITHSCORES')
    return {'refused', 'half_open', math.max(1, tonumber(first[2]) - now)}
  end
end

-- First come, first served: a waiter that is alive comes before a later caller.
redis.call('ZREMRANGEBYSCORE', permits, '-inf', now)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', now)) do
  redis.call('ZREM', alive, gone)
  redis.call('ZREM', waiting, gone)
end
local share = factor({halved_at = v[5], factor = v[6]})
local ahead = redis.call('ZRANK', waiting, permit) or redis.call('ZCARD', waiting)
local free = limit_at(share) - redis.call('ZCARD', permits) - ahead
local wait, tat, interval = 0, 0, 0
if rules.rate > 0 then
  -- Generic cell rate algorithm (GCRA); `tat` is the theoretical arrival time of the next call.
  interval = 1000 / (rules.rate * share)
  -- The debt is at most one burst, also when the calls were admitted at a slower rate than there is now.
  tat = math.min(math.max(number(v[7], 0), now), now + rules.burst * interval)
  wait = math.max(0, tat + (ahead + 1 - rules.burst) * interval - now)
  tat = tat + interval
end
if free <= 0 or wait > 0 then
  if rules.rate > 0 and tat - interval < number(v[7], 0) then redis.call('HSET', state, 'tat', tat - interval) end
  if not redis.call('ZSCORE', waiting, permit) then
    redis.call('ZADD', waiting, redis.call('HINCRBY', state, 'arrivals', 1), permit)
  end
  redis.call('ZADD', alive, now + waiter_ttl, permit)
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
if rules.rate > 0 then redis.call('HSET', state, 'tat', tat) end
redis.call('HINCRBY', budget, (is_retry and 'r' or 'c') .. second, 1)
redis.call('PEXPIRE', budget, 2000 * rules.budget_window)
return {'admitted', generation, changed, now}
