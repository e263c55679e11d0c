-- Records how a call ended: frees its permit, counts its outcome, and opens or closes the breaker.
--
-- `generation` and `entered` are what `enter` returned. A call of an earlier generation only frees its permit.
-- `actor` stands as the author of an override that the outcome `force_open` sets.
-- Returns the state or override that this changed to, or '', and the override that is in force then, or ''.
--
-- item: permit generation:number entered:number outcome reason actor
redis.call('ZREM', permits, permit)
local was_probe = redis.call('ZREM', probes, permit) == 1
local v = get('state', 'generation', 'override', 'consecutive', 'successes', 'opened', 'halved_at', 'factor')

local function count()
  if not v[2] then return '' end

  if outcome == 'force_open' then
    if v[3] == 'forced_open' then return '' end
    redis.call('HSET', state, 'override', 'forced_open', 'override_by', actor, 'override_at', time,
      'override_reason', reason, 'failed_at', time, 'failure', reason)
    change('closed', {'opened', 0}, 'forced_open')
    return 'forced_open'
  end
  if outcome == 'ignored' then return '' end
  if outcome == 'ok' or outcome == 'slow' then redis.call('HSET', state, 'succeeded_at', time)
  else redis.call('HSET', state, 'failed_at', time, 'failure', reason) end

  if outcome == 'throttled' then
    -- One halving answers all calls that were under way when it happened.
    if entered > number(v[7], 0) then
      local share = factor({halved_at = v[7], factor = v[8]})
      redis.call('HSET', state, 'halved_at', now, 'factor', math.max(rules.least_factor, share / 2))
    end
    return ''
  end
  if generation ~= tonumber(v[2]) or v[3] == 'disabled' or v[3] == 'forced_open' then return '' end

  local function open()
    local opened = number(v[6], 0) + 1
    local span = math.min(rules.open_for * 2 ^ math.min(opened - 1, 30), rules.open_at_most)
    change('open', {'opened', opened, 'open_until', now + span})
    return 'open'
  end

  if v[1] == 'half_open' and not v[3] then
    if not was_probe then return '' end
    if outcome ~= 'ok' then return open() end
    if number(v[5], 0) + 1 < rules.probes then
      redis.call('HINCRBY', state, 'successes', 1)
      return ''
    end
    change('closed', {'opened', 0})
    return 'closed'
  end
  if v[1] ~= 'closed' and not v[3] then return '' end

  local bucket = math.floor(now / rules.bucket)
  redis.call('HINCRBY', window, 'c' .. bucket, 1)
  if outcome == 'failure' then redis.call('HINCRBY', window, 'f' .. bucket, 1) end
  if outcome == 'slow' then redis.call('HINCRBY', window, 's' .. bucket, 1) end
  redis.call('PEXPIRE', window, rules.bucket * (rules.buckets + 1))
  local consecutive = outcome == 'failure' and number(v[4], 0) + 1 or 0
  redis.call('HSET', state, 'consecutive', consecutive)
  if v[3] or outcome == 'ok' then return '' end
  if consecutive >= rules.consecutive_failures then return open() end
  local calls, failures, slow = 0, 0, 0
  local counted = redis.call('HGETALL', window)
  for i = 1, #counted, 2 do
    local kind, at = string.sub(counted[i], 1, 1), tonumber(string.sub(counted[i], 2))
    if at <= bucket - rules.buckets then redis.call('HDEL', window, counted[i])
    elseif kind == 'c' then calls = calls + counted[i + 1]
    elseif kind == 'f' then failures = failures + counted[i + 1]
    else slow = slow + counted[i + 1] end
  end
  if calls >= rules.minimum_calls
    and (failures >= rules.failure_rate * calls or slow >= rules.slow_call_rate * calls) then return open() end
  return ''
end

local changed = count()
return {changed, changed == 'forced_open' and changed or v[3] or ''}
