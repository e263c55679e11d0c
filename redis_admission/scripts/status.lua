-- Returns the state of the upstream for operators, as field, value, and so on
--
-- arguments:
redis.call('ZREMRANGEBYSCORE', permits, '-inf', now)
local found = redis.call('HGETALL', state)
local values = {}
for i = 1, #found, 2 do
  -- Operators read the server's clock, as it is set now.
  if found[i] == 'open_until' then found[i + 1] = string.format('%d', found[i + 1] - now + time) end
  values[found[i]] = found[i + 1]
end
local bucket, calls, failures, slow = math.floor(now / rules.bucket), 0, 0, 0
local counted = redis.call('HGETALL', window)
for i = 1, #counted, 2 do
  local kind, at = string.sub(counted[i], 1, 1), tonumber(string.sub(counted[i], 2))
  if at > bucket - rules.buckets then
    if kind == 'c' then calls = calls + counted[i + 1]
    elseif kind == 'f' then failures = failures + counted[i + 1]
    else slow = slow + counted[i + 1] end
  end
end
local more = {'now', time, 'calls', calls, 'failures', failures, 'slow', slow,
  'in_flight', redis.call('ZCARD', permits), 'waiting', redis.call('ZCARD', waiting), 'limit', limit_at(factor(values))}
for _, value in ipairs(more) do found[#found + 1] = tostring(value) end
return found
