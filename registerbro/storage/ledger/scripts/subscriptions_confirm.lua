-- Records that the register has subscribed the citizen. Returns since when, or false when another process was faster.
-- KEYS: subscription, due, ending
-- ARGV: citizen, number, owner
-- CLOCK: steady
local held = redis.call('HMGET', subscription, 'state', 'owner')
if held[1] == 'asked' and held[2] == owner then
  redis.call('HDEL', subscription, 'owner', 'busy')
  redis.call('HSET', subscription, 'state', 'on', 'since', now, 'at', time)
  return string.format('%d', now)
end
if not held[1] then
  -- The subscription was cancelled and asked for again behind that: it must not stay unknown.
  redis.call('HSET', subscription, 'state', 'asked', 'number', number, 'at', time)
  redis.call('ZADD', due, now, citizen)
  redis.call('ZADD', ending, now, citizen)
end
return false
